// trusted.js - the one address that may become a script beside the page's modules: that of the worker which reads
// Markdown. The page's policy (src/api/page.c) lets nothing else make scripts out of text.

const WORKER = "/js/chat/worker.js";

const policy = globalThis.trustedTypes
  ? trustedTypes.createPolicy("teale", { createScriptURL: (url) => {
    if (url !== WORKER) throw new TypeError("not a script of this page");
    return url;
  } })
  : { createScriptURL: () => WORKER };

export function markdownWorker() {
  return new Worker(policy.createScriptURL(WORKER), { type: "module" });
}
