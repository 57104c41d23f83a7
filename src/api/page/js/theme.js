// theme.js - light, dark, or as the system says. js/early.js sets it again at the next visit.

const KEY = "teale.theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };

/** "auto", "light" or "dark". */
export function theme() {
  return document.documentElement.dataset.theme || "auto";
}

/** Turns to the next of the three, remembers it, and returns it. */
export function nextTheme() {
  const next = NEXT[theme()];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "auto") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch (e) { /* it holds for this visit */ }
  return next;
}
