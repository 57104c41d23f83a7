// clean.js - lets of a piece of HTML only what text needs: no script, no style, no picture, no form, no address but of
// the web and of mail. DOMPurify does it; it is loaded with the first answer.

import { el } from "../ui/el.js";
import { copyButton } from "../ui/copy.js";
import { whereTo } from "./honest.js";

const ALLOWED = {
  ALLOWED_TAGS: ["p", "br", "hr", "h3", "ul", "ol", "li", "blockquote", "pre", "code", "span", "strong", "em", "del", "a",
    "table", "thead", "tbody", "tr", "th", "td"],
  ALLOWED_ATTR: ["href", "class", "data-lang", "start", "align"],
  ADD_URI_SAFE_ATTR: ["data-lang", "start", "align"], // no addresses: CHECKS below says what they may be
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  RETURN_DOM_FRAGMENT: true,
};
const CHECKS = {
  class: /^(?:hljs(?:-[a-z_]+)?|l[1-6])$/, // none of the page's own: an answer must not look like a button
  "data-lang": /^[\w+#.-]{0,30}$/,
  start: /^\d{1,9}$/,
  align: /^(?:left|right|center)$/,
};
let purify = null;

async function load() {
  const made = (await import("/vendor/purify.js")).default;
  made.addHook("uponSanitizeAttribute", (node, data) => {
    const check = CHECKS[data.attrName];
    if (check) data.keepAttr = check.test(data.attrValue);
  });
  return made;
}

function decorate(fragment) {
  for (const a of fragment.querySelectorAll("a")) {
    if (!a.hasAttribute("href")) continue;
    a.target = "_blank";
    a.rel = "noopener noreferrer nofollow";
    a.title = a.href;
    const place = whereTo(a.textContent, a.getAttribute("href"));
    if (place) a.after(" ", el("span.muted", { dir: "ltr" }, `(${place})`));
  }
  for (const pre of fragment.querySelectorAll("pre")) {
    const lang = pre.getAttribute("data-lang") || "";
    pre.removeAttribute("data-lang");
    const box = el("div.code", null, el("div.code-head", null, el("span", null, lang || "text"),
      copyButton(() => pre.textContent.replace(/\n$/, ""), "Copy the code")));
    pre.tabIndex = 0;
    pre.setAttribute("role", "region");
    pre.setAttribute("aria-label", `Code${lang ? ", " + lang : ""}`);
    pre.dir = "ltr";
    pre.replaceWith(box);
    box.append(pre);
  }
  for (const table of fragment.querySelectorAll("table")) {
    const box = el("div.scroll", { tabindex: "0", role: "region", "aria-label": "Table" });
    table.replaceWith(box);
    box.append(table);
  }
  for (const block of fragment.querySelectorAll("p, li, h3, blockquote, td, th")) block.dir = "auto";
}

/** @returns {Promise<DocumentFragment>} */
export async function clean(html) {
  if (!purify) purify = load();
  const fragment = (await purify).sanitize(html, ALLOWED);
  decorate(fragment);
  return fragment;
}
