// money.js - micro-credits as people read them.

import { ui } from "../ui.js";

const MICRO = 1000000;

/** "0.0015", "-12.5": all digits that count, and no more. */
export function credits(micro) {
  const n = Number(micro) || 0;
  const whole = Math.trunc(Math.abs(n) / MICRO);
  let rest = String(Math.abs(n) % MICRO).padStart(6, "0");
  while (rest.endsWith("0")) rest = rest.slice(0, -1);
  return `${n < 0 ? "\u2212" : ""}${whole.toLocaleString("en")}${rest ? `.${rest}` : ""}`;
}

/** Micro-credits of what a person typed, or NaN. */
export function typed(text) {
  const form = /^(\d{1,10})(?:[.,](\d{1,6}))?$/.exec(text.trim());
  return form ? Number(form[1]) * MICRO + Number((form[2] || "").padEnd(6, "0") || 0) : NaN;
}

/** An amount with its sign as a colour, too; the sign itself stands there for those who see none. */
export function amount(micro, plus) {
  const text = (plus && micro > 0 ? "+" : "") + credits(micro);
  return ui.el("span.amount", { class: micro > 0 ? "plus" : micro < 0 ? "minus" : "" }, text);
}
