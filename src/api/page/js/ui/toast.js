// toast.js - a word that something happened. Nothing that must be read stands there alone. It has a place of its own, in
// which it covers nothing: in the sidebar where that stands, else between the bar and the view.

import { el } from "./el.js";
import { icon } from "./icons.js";

const SHOWN_MS = 5000;
const MOST = 3;
let stack = null;

/** Puts the place of notices before `wide` while the sidebar stands, else before `narrow`. */
export function placeToasts(wide, narrow) {
  stack = el("div.toasts", { role: "region", "aria-label": "Notices" });
  const drawer = matchMedia("(max-width: 819px)");
  const place = () => (drawer.matches ? narrow : wide).before(stack);
  drawer.addEventListener("change", place);
  place();
}

/** What scrolls stays where it is on the screen while a notice comes or goes above it. */
function steady(change) {
  const main = document.querySelector("main");
  const top = main ? main.getBoundingClientRect().top : 0;
  change();
  if (main) main.scrollTop += main.getBoundingClientRect().top - top;
}

/** @param {"ok"|"error"|"info"} [kind]  an error is read out at once and stays until it is closed */
export function toast(text, kind) {
  const bad = kind === "error";
  for (const old of [...stack.children]) if (old.said === text) old.remove();
  const one = el("div.toast", { class: kind || "info", role: bad ? "alert" : "status" },
    icon(bad ? "warn" : kind === "ok" ? "check" : "info"));
  const close = () => steady(() => one.remove());
  one.said = text;
  one.append(el("button.quiet.icon-only.small", { "aria-label": "Close", onclick: close }, icon("close")), text);
  steady(() => {
    stack.append(one);
    while (stack.childElementCount > MOST) stack.firstChild.remove();
  });
  if (!bad) setTimeout(close, SHOWN_MS);
}
