// copy.js - a text to the clipboard.

import { el } from "./el.js";
import { icon } from "./icons.js";
import { toast } from "./toast.js";

const COPIED_MS = 1600;

/** Over plain HTTP from another machine a browser has no navigator.clipboard: then as pages did it before. */
async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = el("textarea.visually-hidden", { value: text, "aria-hidden": "true" });
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("not copied");
}

/** A button that copies a text (or what a function returns), and says so. */
export function copyButton(text, label) {
  const words = el("span.visually-hidden", { "aria-live": "polite" });
  const button = el("button.quiet.icon-only", { title: label || "Copy", "aria-label": label || "Copy", onclick: async () => {
    try {
      await copy(typeof text === "function" ? text() : text);
      button.firstChild.replaceWith(icon("check"));
      words.textContent = "Copied";
      setTimeout(() => {
        button.firstChild.replaceWith(icon("copy"));
        words.textContent = "";
      }, COPIED_MS);
    } catch (e) {
      toast("The browser does not let this page copy.", "error");
    }
  } }, icon("copy"), words);
  return button;
}
