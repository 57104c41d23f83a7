// composer.js - where a question is written: text, attached files, the model, and the button that sends or stops.

import { ui } from "../ui.js";
import { FILES_MAX, fileChip, readFile } from "./files.js";

const { el, fill, icon } = ui;
const TALLEST = 240; // px; then it scrolls

/** @param {{picker: {node: HTMLElement}, onSend: (text: string, files: Object[]) => boolean, onStop: () => void,
 *           onUp: () => void}} to  `onSend` returns false to keep what is written */
export function createComposer({ picker, onSend, onStop, onUp }) {
  const field = el("textarea", { rows: "1", placeholder: "Ask something", "aria-label": "Your question", dir: "auto", enterkeyhint: "send" });
  const chips = el("div.chips", { hidden: true });
  const choose = el("input", { type: "file", multiple: true, hidden: true, tabindex: "-1" });
  const attach = el("button.quiet.icon-only", { title: "Attach pictures or text files", "aria-label": "Attach pictures or text files",
    onclick: () => choose.click() }, icon("attach"));
  const send = el("button.primary.icon-only.send", { type: "submit" });
  const node = el("form.composer", { "aria-label": "New question" }, chips, field,
    el("div.composer-row", null, attach, choose, picker.node, el("span.grow"), send));
  let files = [];
  let busy = false;

  function grow() {
    field.style.height = "auto";
    field.style.height = `${Math.min(TALLEST, field.scrollHeight + 2)}px`;
  }

  function showSend() {
    const label = busy ? "Stop" : "Send";
    if (send.title !== label) {
      fill(send, icon(busy ? "stop" : "send"));
      send.title = label;
      send.setAttribute("aria-label", label);
    }
    send.disabled = !busy && !field.value.trim() && files.length === 0;
  }

  function showFiles() {
    chips.hidden = files.length === 0;
    chips.replaceChildren(...files.map((f) => fileChip(f, () => {
      files = files.filter((other) => other !== f);
      showFiles();
      field.focus();
    })));
    showSend();
  }

  async function take(list) {
    for (const file of list) {
      if (files.length >= FILES_MAX) {
        ui.toast(`At most ${FILES_MAX} files at once.`, "error");
        return;
      }
      try {
        files.push(await readFile(file));
      } catch (e) {
        ui.toast(e.message, "error");
      }
      showFiles();
    }
  }

  function submit() {
    if (busy) {
      onStop();
      return;
    }
    if (!field.value.trim() && files.length === 0) return;
    if (onSend(field.value, files) === false) return;
    field.value = "";
    files = [];
    grow();
    showFiles();
  }

  node.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("input", () => {
    grow();
    showSend();
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      if (!busy) submit();
    } else if (event.key === "ArrowUp" && field.value === "") {
      event.preventDefault();
      onUp();
    } else if (event.key === "Escape" && !busy) {
      field.blur();
    }
  });
  field.addEventListener("paste", (event) => {
    const pasted = [...event.clipboardData.files];
    if (!pasted.length) return;
    event.preventDefault();
    take(pasted);
  });
  choose.addEventListener("change", () => {
    take([...choose.files]);
    choose.value = "";
  });
  showSend();

  return {
    node,
    take,
    focus: () => field.focus(),
    setBusy(now) {
      busy = now;
      showSend();
    },
  };
}
