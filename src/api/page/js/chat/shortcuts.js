// shortcuts.js - the keys of the chat. Letters count only outside of fields; Escape leaves the field.

import { ui } from "../ui.js";

const { el } = ui;

const KEYS = [
  ["Enter", "send"],
  ["Shift + Enter", "a new line"],
  ["Arrow up", "edit the last question, where nothing is written"],
  ["Esc", "stop the answer; else leave the field, and then:"],
  ["/", "write a question"],
  ["N", "new chat"],
  ["M", "choose the model"],
  ["J, K", "next, previous conversation"],
  ["E", "edit the last question"],
  ["R", "answer anew"],
  ["C", "copy the last answer"],
  ["?", "this list"],
];

export function showShortcuts() {
  return ui.dialog({
    title: "Keys",
    body: el("dl.keys", null, KEYS.flatMap(([key, what]) => [el("dt", null, el("kbd", null, key)), el("dd", null, what)])),
  });
}

function typing(target) {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog");
}

/** @param {Object<string, () => void>} to  by key; returns what ends it */
export function listenForKeys(to) {
  const onKey = (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      to.Escape(event);
      return;
    }
    if (typing(event.target)) return;
    const fn = event.key === "?" ? showShortcuts : to[event.key.toLowerCase()];
    if (!fn) return;
    event.preventDefault();
    fn();
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}
