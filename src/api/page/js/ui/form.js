// form.js - headings, fields, and buttons that take a moment.

import { ui } from "../ui.js";

const { el } = ui;

/** A heading with what stands at its right. */
export const section = (title, ...actions) => el("div.section-head", null, el("h2", null, title), actions);

/** A labelled field of a form. */
export function field(label, control, hint) {
  return el("div.field", null, el("label", { for: control.id }, label), control, hint && el("p.muted.hint", null, hint));
}

/** Runs `what` while the button says `busy`, and shows what failed in `place`. Resolves to what it gave, or undefined. */
export async function during(button, busy, place, what) {
  const before = [...button.childNodes];
  const had = document.activeElement === button;
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  button.replaceChildren(busy);
  place.replaceChildren();
  try {
    return await what();
  } catch (e) {
    place.replaceChildren(ui.problem(e));
    return undefined;
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
    button.replaceChildren(...before);
    if (had && document.activeElement === document.body) button.focus(); // what is disabled loses it
  }
}

/** A field for a network's name on this machine, which has no spaces. */
export function nameInput(id, value) {
  const input = el("input", { id, value: value || "", maxlength: "64", autocomplete: "off", spellcheck: "false", oninput: () => {
    const at = input.selectionStart;
    const text = input.value.replace(/\s/g, "-");
    if (text === input.value) return;
    input.value = text;
    input.setSelectionRange(at, at);
  } });
  return input;
}
