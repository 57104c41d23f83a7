// library.js - the conversations of this browser: the list of them, and a word wherever the browser does not keep, read or
// delete one. What it did not keep stays as long as the page is open.

import { ui } from "../ui.js";
import { asMarkdown, saveFile } from "./conversations.js";
import { openStore, reasonOf } from "./store.js";
import { lockOf, locks, mended, moveRun, newId, runOf } from "./talk.js";

const SLOW_MS = 5000;
const dropped = new Set(); // conversations that were deleted: an answer that still comes does not bring them back
const unkept = new Set(); // conversations of which it was said that the browser does not keep them
let told = false; // that this browser keeps nothing

function failed(what, error) {
  ui.toast(`${what} ${reasonOf(error)}`, "error");
}

async function textOf(file, most) {
  if (file.size > most) throw new Error(`It is larger than ${ui.bytes(most)}.`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch (e) {
    throw new Error("It is no text.");
  }
}

/**
 * @param {{onChange: () => void, onOther: (id: string) => void, onMoved: (head: Object) => void}} to  `onChange`: the list is
 *   another now; `onOther`: another tab changed a conversation, or "all"; `onMoved`: a conversation has another ID now
 */
export function createLibrary({ onChange, onOther, onMoved }) {
  const early = new Map(); // by id, what was said before the database was open
  const elsewhere = new Set(); // conversations in which another tab waits for an answer
  let heads = [];
  let store = null;
  let over = false;
  const opened = open();

  function changed() {
    heads.sort((a, b) => b.updated - a.updated);
    if (!over) onChange();
  }

  /** Another tab went on with this conversation: what was said here becomes one of its own, and that of the tab stays. */
  async function split({ head, body }) {
    const from = head.id;
    head.id = body.id = newId();
    head.title = `${head.title} (2)`;
    moveRun(from, head.id);
    ui.toast("This conversation went on in another tab at the same time. What was asked here is kept as one of its own.", "info");
    if (!over) onMoved(head);
    await keep({ head, body });
    await list().catch(() => {}); // that of the other tab
  }

  async function keep({ head, body }) {
    if (dropped.has(head.id)) return;
    head.updated = Date.now();
    const known = heads.find((h) => h.id === head.id);
    if (known && known.named) Object.assign(head, { title: known.title, named: true });
    heads = [...heads.filter((h) => h !== known), head];
    changed();
    if (!store) {
      early.set(head.id, { head, body });
      return;
    }
    const { id } = head;
    try {
      const kept = await store.save(head, body);
      unkept.delete(id);
      if (!kept && head.id === id) await split({ head, body });
      else if (!kept) await keep({ head, body }); // it was split meanwhile
    } catch (e) {
      if (unkept.has(head.id)) return; // an answer that comes is saved every few seconds
      unkept.add(head.id);
      failed("The browser does not keep this conversation. It stays until the page is closed.", e);
    }
  }

  async function list() {
    const kept = await store.list();
    heads = [...heads.filter((h) => early.has(h.id) || runOf(h.id)), ...kept].filter((h, i, all) => all.findIndex((o) => o.id === h.id) === i);
    changed();
  }

  async function open() {
    const slow = setTimeout(() => ui.toast("The browser has not opened its storage yet. Conversations are kept as soon as it has.", "info"), SLOW_MS);
    store = await openStore(onOther);
    clearTimeout(slow);
    if (!store.lasting && !told) ui.toast("This browser keeps conversations only until the page is closed.", "info");
    told = told || !store.lasting;
    try {
      await list();
    } catch (e) {
      failed("The conversations that this browser keeps cannot be read.", e);
    }
    const waiting = [...early.values()];
    early.clear();
    for (const one of waiting) await keep(one);
  }

  /** Does another tab wait for the answer that this body has not whole? When that is over, it is read again. */
  async function isWrittenElsewhere(body) {
    const { id } = body;
    if (!locks || runOf(id) || !body.messages.some((m) => m.role === "assistant" && m.versions.some((v) => v.running))) return false;
    if (!(await locks.query()).held.some((lock) => lock.name === lockOf(id))) return false;
    if (elsewhere.has(id)) return true;
    elsewhere.add(id);
    locks.request(lockOf(id), () => {}).then(() => {
      elsewhere.delete(id);
      if (!over) onOther(id);
    });
    return true;
  }

  /** The messages of a conversation; null where they cannot be read, undefined where there are none. */
  async function load(id) {
    try {
      await opened;
      const body = await store.load(id);
      return body && (await isWrittenElsewhere(body) ? body : mended(body));
    } catch (e) {
      failed("This conversation cannot be read.", e);
      return null;
    }
  }

  async function remove(some) {
    const ids = some.map((h) => h.id);
    for (const id of ids) dropped.add(id);
    try {
      await opened;
      if (ids.length > 1) await store.clear();
      else for (const id of ids) await store.remove(id);
    } catch (e) {
      for (const id of ids) dropped.delete(id);
      failed("The browser deleted nothing.", e);
      return false;
    }
    for (const id of ids) if (runOf(id)) runOf(id).stop();
    heads = heads.filter((h) => !ids.includes(h.id));
    changed();
    return true;
  }

  async function take(file) {
    const { FILE_MAX, readConversations, newOnes } = await import("/js/chat/imported.js");
    const all = readConversations(await textOf(file, FILE_MAX), Date.now());
    await opened;
    const more = newOnes(all, heads);
    try {
      if (more.length) await store.add(more);
    } catch (e) {
      throw new Error(reasonOf(e));
    }
    for (const { head } of more) dropped.delete(head.id);
    heads.push(...more.map((one) => one.head));
    changed();
    const there = all.length - more.length;
    const rest = there ? ` ${there} ${there === 1 ? "was" : "were"} here already.` : "";
    ui.toast(`${more.length} conversation${more.length === 1 ? " is" : "s are"} imported.${rest}`, "ok");
  }

  return {
    opened,
    keep,
    /** As `keep` of an answer's end alone, when the page is closed: at once. */
    keepTail: ({ head }, tail) => {
      if (store && !dropped.has(head.id)) store.keepTail(head.id, tail);
    },
    load,
    /** Deletes these: all of them, or one. Resolves to whether it did. */
    remove,
    get heads() {
      return heads;
    },
    /** Does another tab wait for an answer in this conversation? */
    isElsewhere: (id) => elsewhere.has(id) && !runOf(id),
    find: (id) => heads.find((h) => h.id === id),
    async reload() {
      try {
        await list();
      } catch (e) {
        failed("Another tab changed a conversation, which cannot be read.", e);
      }
    },
    rename(head, words) {
      const known = heads.find((h) => h.id === head.id);
      if (!known) return;
      Object.assign(known, { title: words, named: true });
      changed();
      if (store) store.save(known).catch((e) => failed("The browser does not keep the new title.", e));
    },
    /** @param {(head: Object) => Object|null} bodyOf  the messages of one that is open */
    async exportOne(head, bodyOf) {
      const body = bodyOf(head) || await load(head.id);
      if (!body) return;
      const file = head.title.replace(/[^\p{L}\p{N} _-]/gu, "").trim().slice(0, 60) || "conversation";
      saveFile(`${file}.md`, "text/markdown", asMarkdown(head, body));
    },
    async exportAll(bodyOf) {
      const all = [];
      for (const head of heads) {
        const body = bodyOf(head) || await load(head.id);
        if (body === null) return; // a file that lacks some would look like all
        all.push(Object.assign({}, head, body || { messages: [] }));
      }
      const whole = { format: "teale-conversations", version: 1, conversations: all };
      saveFile("teale-conversations.json", "application/json", JSON.stringify(whole, null, 1));
    },
    /** Adds the conversations of a file: all, or none where one is not right. */
    async importFile(file) {
      try {
        await take(file);
      } catch (e) {
        ui.toast(`${ui.cut(file.name, 60)}: ${e.message} Nothing was imported.`, "error");
      }
    },
    end() {
      over = true;
      if (store) store.close();
      else opened.then(() => store.close());
    },
  };
}
