// text.js - what of a text of others may be shown, and numbers as people read them. Touches no document.

// Controls that turn text around or hide it (Unicode 9.1, "Trojan Source"), and the rest of C0 and C1.
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
// eslint-disable-next-line no-control-regex
const SUSPECT = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** The text as it may be shown: each control that turns it around is named in its place, others become U+FFFD. */
export function plain(text) {
  if (!SUSPECT.test(text)) return text;
  return text
    .replace(TURNING, (c) => `[U+${c.charCodeAt(0).toString(16).toUpperCase()}]`)
    .replace(/\r\n?/g, "\n")
    .replace(CONTROLS, "\ufffd");
}

/** At most `most` characters, with an ellipsis for the rest. */
export function cut(text, most) {
  return text.length > most ? text.slice(0, most - 1) + "\u2026" : text;
}

/** A clause of the node as a sentence; a URL at its beginning stays as it is. */
export function asSentence(clause) {
  return `${/^[a-z]+:\/\//.test(clause) ? clause : clause.charAt(0).toUpperCase() + clause.slice(1)}.`;
}

/** The first 16 digits of a node's ID, as the command line shows it. */
export function short(nodeId) {
  return String(nodeId || "").slice(0, 16);
}

/** "18.4 ms"; "" for nothing. */
export function ms(n) {
  if (typeof n !== "number" || !Number.isFinite(n) || n <= 0) return "";
  if (n >= 1000) return `${(n / 1000).toFixed(1)} s`;
  return `${n >= 100 ? Math.round(n) : n.toFixed(1)} ms`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** "1.4 MB"; "" for nothing. */
export function bytes(n) {
  if (typeof n !== "number" || !Number.isFinite(n) || n < 0) return "";
  let unit = 0;
  while (n >= 1000 && unit < UNITS.length - 1) {
    n /= 1000;
    unit++;
  }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

/** Micro-credits for 1000 tokens, as a price: "free", "0.0015 credits / 1000 tokens". */
export function price(micro) {
  if (typeof micro !== "number" || !Number.isFinite(micro)) return "";
  if (micro <= 0) return "free";
  return `${Number((micro / 1e6).toPrecision(6))} credits / 1000 tokens`;
}

/** Seconds as "8 s", "3 min", "2 h", "5 d". */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 100) return `${s} s`;
  if (s < 100 * 60) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}
