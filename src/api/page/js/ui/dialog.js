// dialog.js - questions in front of the page, by the browser's own <dialog>: it keeps the focus and knows Escape.

import { el } from "./el.js";
import { icon } from "./icons.js";

let count = 0;

/**
 * Shows a dialog. Resolves to the `value` of the action that was chosen, or to null when it was dismissed.
 * @param {{title: string, body: any, actions?: {label: string, value?: any, kind?: string, disabled?: boolean}[],
 *          dismissable?: boolean, className?: string}} options  an action's `value` may be a function: it is called
 *          when the action is chosen, and where it returns false the dialog stays
 */
export function dialog({ title, body, actions, dismissable, className }) {
  const may = dismissable !== false;
  const id = `dialog-${++count}`;
  const before = document.activeElement;
  return new Promise((resolve) => {
    let result = null;
    const box = el("dialog", { "aria-labelledby": id, class: className || "" });
    const choose = (value) => {
      const chosen = typeof value === "function" ? value() : value;
      if (chosen === false && typeof value === "function") return;
      result = chosen === undefined ? true : chosen;
      box.close();
    };
    const buttons = (actions || [{ label: "Close", value: null }]).map((a) =>
      el(`button${a.kind ? "." + a.kind : ""}`, { onclick: () => choose(a.value), disabled: Boolean(a.disabled) }, a.label));
    const head = el("header", null, el("h2", { id }, title));
    if (may) head.append(el("button.quiet.icon-only", { "aria-label": "Close", onclick: () => box.close() }, icon("close")));
    box.append(el("form", { method: "dialog", onsubmit: (event) => {
      event.preventDefault();
      const main = buttons.find((b) => b.classList.contains("primary") || b.classList.contains("danger"));
      if (main && !main.disabled) main.click();
    } }, head, el("div.dialog-body", null, body), buttons.length > 0 && el("footer", null, buttons)));
    box.addEventListener("cancel", (event) => {
      if (!may) event.preventDefault();
    });
    box.addEventListener("click", (event) => {
      if (may && event.target === box) box.close();
    });
    box.addEventListener("close", () => {
      box.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(result);
    });
    document.body.append(box);
    box.showModal();
  });
}

/** Asks before something that cannot be undone. Resolves to true or false. */
export async function confirm({ title, body, action, danger }) {
  const answer = await dialog({
    title,
    body: typeof body === "string" ? el("p", null, body) : body,
    actions: [{ label: "Cancel", value: null }, { label: action || "Go on", value: true, kind: danger ? "danger" : "primary" }],
  });
  return answer === true;
}
