// worker.js - turns pieces of Markdown into HTML beside the page, where a pattern that takes forever stops nothing but
// this worker: the page ends it and shows the text as it is. What it makes is not trusted: the page cleans it.

import { marked } from "/vendor/marked.js";

const HIGHLIGHT_MAX = 24 * 1024; // characters of one code block
const SCHEMES = /^(?:https?:\/\/|mailto:)/i;
let highlighter = null;

function escape(text) {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

function highlighted(code, lang) {
  if (highlighter && code.length <= HIGHLIGHT_MAX && highlighter.getLanguage(lang)) {
    try {
      return highlighter.highlight(lang, code, true).value;
    } catch (e) { /* as it is, then */ }
  }
  return escape(code);
}

function block(code, lang) {
  return `<pre data-lang="${escape(lang)}"><code class="hljs">${highlighted(code, lang)}</code></pre>`;
}

function link(href, text) {
  return SCHEMES.test(href) ? `<a href="${escape(href)}">${text}</a>` : text;
}

marked.use({
  gfm: true,
  mangle: false,
  headerIds: false,
  renderer: {
    html: (html) => escape(html), // an answer's own HTML is shown, not obeyed
    heading: (text, level) => `<h3 class="l${level}">${text}</h3>`,
    code: (code, info) => block(code, (/^[\w+#.-]{1,30}/.exec(info || "") || [""])[0].toLowerCase()),
    link: (href, title, text) => link(href || "", text),
    image: (href, title, text) => link(href || "", `[${escape(text || "picture")}]`), // nothing is loaded from elsewhere
    checkbox: (checked) => (checked ? "\u2611 " : "\u2610 "),
  },
});

self.onmessage = async (event) => {
  const { id, kind, text, lang } = event.data;
  if (/```|~~~/.test(text) || kind === "code") {
    if (!highlighter) highlighter = (await import("/vendor/highlight.js")).default;
  }
  let html = null;
  try {
    html = kind === "code" ? block(text, lang || "") : marked.parse(text);
  } catch (e) { /* the page shows it as it is */ }
  self.postMessage({ id, html });
};
