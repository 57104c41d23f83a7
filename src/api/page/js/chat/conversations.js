// conversations.js - the list of conversations: open, rename, delete, export, import, and all of them at once.

import { ui } from "../ui.js";

const { el, icon } = ui;
const SHOWN_MAX = 300; // of a longer list the filter finds the others

function day(at) {
  const today = new Date();
  today.setHours(0, 0, 0, 0);
  const days = Math.floor((today - new Date(at).setHours(0, 0, 0, 0)) / 86400000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  return days < 7 ? "This week" : days < 31 ? "This month" : "Older";
}

/** A file that the browser saves. */
export function saveFile(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const a = el("a", { href: url, download: name });
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** A conversation as Markdown, for people. */
export function asMarkdown(head, body) {
  const parts = [`# ${head.title}`, ...(body.system ? ["## What the model is told first", body.system] : [])];
  for (const m of body.messages) {
    const v = m.role === "user" ? m : m.versions[m.shown];
    const files = (m.files || []).map((f) => `(${f.name})`).join(" ");
    parts.push(`## ${m.role === "user" ? "You" : (v.facts && v.facts.model) || "Answer"}`, [v.text, files].filter(Boolean).join("\n\n"));
  }
  return parts.join("\n\n") + "\n";
}

/** @param {{onOpen, onNew, onRename, onDelete, onExport, onExportAll, onImport, onClear}} to */
export function createConversations(to) {
  const filter = el("input", { type: "search", placeholder: "Search", "aria-label": "Search conversations" });
  const list = el("div.conversation-list");
  const menuButton = el("button.quiet.icon-only.small", { title: "All conversations", "aria-label": "All conversations", onclick: all }, icon("more"));
  const file = el("input", { type: "file", accept: ".json,.jsonl,.txt", hidden: true, tabindex: "-1", "aria-label": "A file of conversations" });
  const node = el("aside.conversations#conversations", { "aria-label": "Conversations" },
    el("div.conversations-head", null, el("button.new", { onclick: to.onNew }, icon("plus"), "New chat"), menuButton, file),
    el("div.conversations-search", null, filter), list);
  let heads = [];
  let current = "";

  function all() {
    const n = heads.length;
    ui.dialog({
      title: "All conversations",
      body: [el("p", null, n ? `${n} conversation${n === 1 ? " is" : "s are"} kept in this browser, and nowhere else.` : "None is kept yet."),
        el("p.muted", null, "Import takes a file that this page exported, or that ", el("code", null, "teale chat"), " saved.")],
      actions: [
        { label: "Import\u2026", value: "import" },
        { label: "Export all", value: () => to.onExportAll(), disabled: n === 0 },
        { label: "Delete all", kind: "danger", value: "clear", disabled: n === 0 },
      ],
    }).then((answer) => {
      if (answer === "clear") to.onClear();
      else if (answer === "import") file.click();
    });
  }

  function rowMenu(head) {
    const field = el("input", { value: head.title, "aria-label": "Title", maxlength: "120", dir: "auto" });
    ui.dialog({
      title: "Conversation",
      body: [el("label", null, "Title", field)],
      actions: [
        { label: "Delete", value: "delete" },
        { label: "Export", value: "export" },
        { label: "Save", kind: "primary", value: "save" },
      ],
    }).then((answer) => {
      if (answer === "delete") to.onDelete(head);
      else if (answer === "export") to.onExport(head);
      else if (answer === "save" && field.value.trim()) to.onRename(head, field.value.trim());
    });
  }

  function draw() {
    const words = filter.value.trim().toLowerCase();
    const shown = heads.filter((h) => !words || h.title.toLowerCase().includes(words)).slice(0, SHOWN_MAX);
    const groups = new Map();
    for (const head of shown) {
      const when = day(head.updated);
      if (!groups.has(when)) groups.set(when, []);
      groups.get(when).push(head);
    }
    list.replaceChildren(...[...groups].map(([when, some]) => el("section", null, el("h2.group", null, when),
      el("ul", null, some.map((head) => el("li", null,
        el("a", { href: `#/chat/${head.id}`, "aria-current": head.id === current ? "true" : null, onclick: to.onOpen }, ui.name(head.title)),
        el("button.quiet.icon-only.small", { title: "Rename, export, delete", "aria-label": `Rename, export or delete: ${head.title}`,
          onclick: () => rowMenu(head) }, icon("more"))))))));
    if (!shown.length) list.append(el("p.muted.none", null, words ? "None is called so." : "Conversations stay in this browser."));
  }

  filter.addEventListener("input", draw);
  file.addEventListener("change", () => {
    if (file.files[0]) to.onImport(file.files[0]);
    file.value = "";
  });
  draw();
  return {
    node,
    set(some, id) {
      heads = some;
      current = id;
      draw();
    },
  };
}
