// table.js - a table whose rows stay the same elements while their values change, so that 500 rows cost little.

import { el, fill } from "./el.js";

/**
 * @param {{caption?: string, columns: {title: string, className?: string, cell: (row: any) => any,
 *          text?: (row: any) => string}[], key: (row: any) => string, onopen?: (row: any) => void,
 *          empty?: string}} options
 *          `cell` makes what a cell shows; with `text` it is made anew only when that text changes
 * @returns {HTMLElement & {update: (rows: any[]) => void}}
 */
export function table({ caption, columns, key, onopen, empty }) {
  const body = el("tbody");
  const rest = el("p.muted.table-empty", { hidden: true }, empty || "Nothing here yet.");
  const grid = el("table", null,
    caption && el("caption.visually-hidden", null, caption),
    el("thead", null, el("tr", null, columns.map((c) => el("th", { scope: "col", class: c.className || "" }, c.title)))),
    body);
  const box = el("div.table-box", { tabindex: "0", role: "region", "aria-label": caption || "Table" }, grid, rest);
  const known = new Map();

  function make(row) {
    const tr = el("tr");
    const cells = columns.map((c) => el("td", { class: c.className || "", "data-title": c.title }));
    tr.append(...cells);
    const one = { tr, cells, texts: [], row };
    if (onopen) {
      tr.tabIndex = 0;
      tr.classList.add("opens");
      tr.addEventListener("click", () => onopen(one.row));
      tr.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && event.target === tr) onopen(one.row);
      });
    }
    return one;
  }

  box.update = (rows) => {
    const seen = new Set();
    let at = body.firstChild;
    for (const row of rows) {
      const id = key(row);
      let one = known.get(id);
      if (!one) known.set(id, one = make(row));
      one.row = row;
      seen.add(id);
      columns.forEach((c, i) => {
        const text = c.text ? c.text(row) : null;
        if (text !== null && one.texts[i] === text) return;
        one.texts[i] = text;
        fill(one.cells[i], c.cell(row));
      });
      if (one.tr === at) at = at.nextSibling;
      else body.insertBefore(one.tr, at);
    }
    for (const [id, one] of known) {
      if (seen.has(id)) continue;
      one.tr.remove();
      known.delete(id);
    }
    grid.hidden = rows.length === 0;
    rest.hidden = rows.length !== 0;
  };
  box.update([]);
  return box;
}
