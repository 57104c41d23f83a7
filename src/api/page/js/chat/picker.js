// picker.js - the choice of a model: a button, and a list with a filter behind it (the ARIA pattern of a combobox).

import { ui } from "../ui.js";
import { choices, whereOf, AUTO } from "./models.js";

const { el, fill, icon } = ui;
const SHOWN_MAX = 200;

function label(choice) {
  return choice.auto ? "Best available" : choice.id;
}

let count = 0;

export function createPicker(app, onChange) {
  const id = `picker-${++count}`;
  const text = el("span.picker-name");
  const button = el("button.quiet.small.picker", { "aria-haspopup": "listbox", "aria-expanded": "false", "aria-label": "Model",
    onclick: () => (panel.hidden ? open() : close()) }, text, icon("down"));
  const filter = el("input", { type: "text", placeholder: "Find a model", role: "combobox", "aria-label": "Find a model",
    "aria-controls": id, "aria-expanded": "true", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false" });
  const list = el("ul", { role: "listbox", id, "aria-label": "Models" });
  const none = el("p.muted.picker-none", { hidden: true }, "No model is called so.");
  const panel = el("div.picker-panel", { hidden: true }, filter, list, none);
  const node = el("div.picker-box", null, button, panel);
  let all = choices(null);
  let shown = [];
  let at = 0;
  let chosen = AUTO;

  function row(choice, i) {
    const price = choice.price === null ? "" : ui.price(choice.price);
    return el("li", { role: "option", id: `${id}-${i}`, "aria-selected": String(choice.key === chosen), onclick: () => choose(choice),
      onpointermove: () => move(i) },
    el("span.option-name", null, choice.auto ? label(choice) : ui.name(choice.id), choice.network && el("span.tag", null, ui.name(choice.network))),
    el("span.muted", null, [whereOf(choice), price].filter(Boolean).join(" · ")));
  }

  function move(i) {
    const rows = list.children;
    if (rows[at]) rows[at].classList.remove("at");
    at = Math.max(0, Math.min(i, rows.length - 1));
    if (!rows[at]) return;
    rows[at].classList.add("at");
    rows[at].scrollIntoView({ block: "nearest" });
    filter.setAttribute("aria-activedescendant", rows[at].id);
  }

  function draw() {
    const words = filter.value.trim().toLowerCase();
    shown = all.filter((c) => !words || `${label(c)} ${c.network || ""}`.toLowerCase().includes(words)).slice(0, SHOWN_MAX);
    list.replaceChildren(...shown.map(row));
    none.hidden = shown.length > 0;
    move(Math.max(0, shown.findIndex((c) => c.key === chosen)));
  }

  function show() {
    const choice = all.find((c) => c.key === chosen);
    const name = choice ? label(choice) : chosen.split("@")[0];
    fill(text, choice && choice.auto ? name : ui.name(name), choice && choice.network ? [" ", el("span.tag", null, ui.name(choice.network))] : null);
    button.title = choice ? `${name}: ${whereOf(choice)}` : name;
    button.setAttribute("aria-label", `Model: ${name}`);
  }

  function choose(choice) {
    chosen = choice.key;
    show();
    close();
    onChange(choice);
  }

  function open() {
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    filter.value = "";
    draw();
    filter.focus();
  }

  function close() {
    if (panel.hidden) return;
    const inside = panel.contains(document.activeElement);
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    if (inside) button.focus();
  }

  filter.addEventListener("input", draw);
  filter.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step) move(at + step);
    else if (event.key === "Enter" && shown[at]) choose(shown[at]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  node.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !node.contains(event.relatedTarget)) close();
  });
  const outside = (event) => {
    if (!node.contains(event.target)) close();
  };
  document.addEventListener("pointerdown", outside);
  const off = app.watch((state) => {
    all = choices(state);
    show();
    if (!panel.hidden) draw();
  });
  show();

  return {
    node,
    open,
    /** The chosen one; a model that is not listed now is asked all the same. */
    get choice() {
      const listed = all.find((c) => c.key === chosen);
      if (listed) return listed;
      const cut = chosen.lastIndexOf("@");
      return cut < 0 ? { key: chosen, id: chosen, ptn: null } : { key: chosen, id: chosen.slice(0, cut), ptn: chosen.slice(cut + 1) };
    },
    set(key) {
      chosen = key || AUTO;
      show();
    },
    stop() {
      off();
      document.removeEventListener("pointerdown", outside);
    },
  };
}
