// toast.js - a word at the edge that something happened. Nothing that must be read stands there alone.

import { el } from "./el.js";
import { icon } from "./icons.js";

const SHOWN_MS = 5000;
const MOST = 3;
let stack = null;

/** @param {"ok"|"error"|"info"} [kind]  an error is read out at once and stays until it is closed */
export function toast(text, kind) {
  if (!stack) {
    stack = el("div.toasts", { role: "region", "aria-label": "Notices" });
    document.body.append(stack);
  }
  const bad = kind === "error";
  const one = el("div.toast", { class: kind || "info", role: bad ? "alert" : "status" },
    icon(bad ? "warn" : kind === "ok" ? "check" : "info"), el("span", null, text));
  one.append(el("button.quiet.icon-only", { "aria-label": "Close", onclick: () => one.remove() }, icon("close")));
  stack.append(one);
  while (stack.childElementCount > MOST) stack.firstChild.remove();
  if (!bad) setTimeout(() => one.remove(), SHOWN_MS);
}
