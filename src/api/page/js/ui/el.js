// el.js - makes elements. Text only ever becomes text nodes, and no name of an attribute can run a script.

import { plain } from "./text.js";

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "selected", "indeterminate", "open", "readOnly"]);
const REFUSED = /^(style|srcdoc|innerhtml|outerhtml)$/i;

function set(node, key, value) {
  if (typeof value === "function" && key.startsWith("on")) node.addEventListener(key.slice(2), value);
  else if (key.startsWith("on") || REFUSED.test(key)) throw new TypeError(`el: ${key} is not set here`);
  else if (key === "class") node.classList.add(...String(value).split(/\s+/).filter(Boolean));
  else if (key === "dataset") Object.assign(node.dataset, value);
  else if (PROPERTIES.has(key)) node[key] = value;
  else if (value === true) node.setAttribute(key, "");
  else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, plain(String(value)));
}

/** Adds what may be shown: nodes, texts, lists of them; null, undefined and false are left out. */
export function append(node, ...children) {
  for (const child of children) {
    if (Array.isArray(child)) append(node, ...child);
    else if (child instanceof Node) node.append(child);
    else if (child !== null && child !== undefined && child !== false) node.append(plain(String(child)));
  }
  return node;
}

/** Puts these in the place of all that is in `node`. */
export function fill(node, ...children) {
  node.replaceChildren();
  return append(node, ...children);
}

/**
 * An element: el("button.primary", { onclick, "aria-label": "Send" }, "Send").
 * @param {string} what  a tag with classes and an id, "div.row#top"
 * @param {Object} [attributes]  functions named on… become listeners
 */
export function el(what, attributes, ...children) {
  const [tag] = /^[a-z][a-z0-9]*/.exec(what);
  const node = document.createElement(tag);
  for (const [, kind, word] of what.slice(tag.length).matchAll(/([.#])([\w-]+)/g)) {
    if (kind === ".") node.classList.add(word);
    else node.id = word;
  }
  if (tag === "button") node.type = "button";
  for (const [key, value] of Object.entries(attributes || {})) set(node, key, value);
  return append(node, ...children);
}

/** A name that a stranger chose: isolated, so that its direction stays its own, and cut by CSS. `kind`: one more class. */
export function name(text, title, kind) {
  return el("bdi.name", { dir: "auto", title: title || text, class: kind || "" }, text);
}
