// key.js - the owner's key, where the node listens beyond loopback: asked once for all requests that wait, kept for this
// visit or, if the reader wants it, on this device.

import { el } from "./ui/el.js";
import { dialog } from "./ui/dialog.js";

const NAME = "teale.key";

/** `storage` is a function: a browser that keeps nothing for a page does not let it even look there. */
function stored(storage) {
  try {
    return storage().getItem(NAME) || "";
  } catch (e) {
    return "";
  }
}

function store(key, keep) {
  try {
    sessionStorage.setItem(NAME, key);
    if (keep) localStorage.setItem(NAME, key);
    else localStorage.removeItem(NAME);
  } catch (e) { /* it holds until the page is closed */ }
}

export function createKey() {
  let key = stored(() => sessionStorage) || stored(() => localStorage);
  let asking = null;

  async function prompt(wrong) {
    const field = el("input#key", {
      type: "password", autocomplete: "current-password", required: true, spellcheck: "false",
      "aria-describedby": "key-help", "aria-invalid": wrong ? "true" : null,
    });
    const keep = el("input", { type: "checkbox" });
    await dialog({
      title: "This node asks for its owner's key",
      className: "key-wanted",
      dismissable: false,
      body: [
        el("label", { for: "key" }, "Key"), field,
        el("p.muted#key-help", null, "On the machine that it runs on, ", el("code", null, "teale env --owner"), " shows it."),
        wrong && el("p.bad", { role: "alert" }, "That was not its key."),
        el("label.check", null, keep, " Remember on this device"),
      ],
      actions: [{ label: "Unlock", kind: "primary", value: () => {
        if (!field.value.trim()) return false;
        key = field.value.trim();
        return true;
      } }],
    });
    store(key, keep.checked);
  }

  return {
    get: () => key,
    /** Resolves when there is another key than the one that was `tried`. */
    async ask(tried) {
      if (key !== tried) return;
      if (!asking) {
        asking = prompt(tried !== "").finally(() => {
          asking = null;
        });
      }
      await asking;
    },
  };
}
