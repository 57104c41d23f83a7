// thread.js - the messages of one conversation, one under the other; follows the end while the reader is there.

import { ui } from "../ui.js";
import { answerNode, editNode, questionNode } from "./message.js";

const { el, icon } = ui;
const SHOWN = 40; // messages; earlier ones come on demand
const NEAR_PX = 80; // so close to the end, the reader wants to see what comes

/** @param {{onAgain: (i: number) => void, onEdit: (i: number, text: string) => void, onVersion: (i: number, v: number) => void}} to */
export function createThread(app, to) {
  const list = el("div.thread-list");
  const node = el("div.thread", { tabindex: "-1" }, list);
  const jump = el("button.jump.icon-only", { title: "To the end", "aria-label": "To the end", hidden: true, onclick: () => {
    follow = true;
    toEnd();
  } }, icon("down"));
  let answers = new Map(); // by index
  let follow = true;
  let lastTop = 0;
  let messages = [];
  let toldFirst = ""; // by the system message of an imported conversation
  let first = 0;

  function toEnd() {
    node.scrollTop = node.scrollHeight;
  }

  const grown = new ResizeObserver(() => {
    if (follow) toEnd();
  });
  grown.observe(list);
  node.addEventListener("scroll", () => {
    // What grows below moves nothing up: only a reader does.
    if (node.scrollHeight - node.scrollTop - node.clientHeight < NEAR_PX) follow = true;
    else if (node.scrollTop < lastTop) follow = false;
    lastTop = node.scrollTop;
    jump.hidden = follow;
  });
  node.addEventListener("wheel", (event) => { // one step back is enough, although the end is still near
    if (event.deltaY < 0) follow = false;
  }, { passive: true });

  function nodeOf(i) {
    const m = messages[i];
    if (m.role === "user") {
      const question = questionNode(m, { onEdit: () => edit(i) });
      return question;
    }
    const answer = answerNode(app, m, { onAgain: () => to.onAgain(i), onVersion: (v) => to.onVersion(i, v) });
    answers.set(i, answer);
    return answer.node;
  }

  function edit(i) {
    const old = list.querySelector(`[data-at="${i}"]`);
    if (!old) return;
    const form = editNode(messages[i], {
      dropsMore: i < messages.length - 2,
      onSave: (text) => to.onEdit(i, text),
      onCancel: () => {
        form.replaceWith(old);
        const button = old.querySelector("button");
        if (button) button.focus();
      },
    });
    form.dataset.at = i;
    old.replaceWith(form);
    form.start();
  }

  function add(i) {
    const one = nodeOf(i);
    one.dataset.at = i;
    list.append(one);
    return answers.get(i);
  }

  function show(from) {
    for (const a of answers.values()) a.stop();
    answers = new Map();
    list.replaceChildren();
    first = from;
    if (first > 0) {
      list.append(el("button.earlier", { onclick: () => {
        const height = node.scrollHeight;
        follow = false;
        show(Math.max(0, first - SHOWN));
        node.scrollTop = node.scrollHeight - height;
      } }, `Show earlier messages (${first})`));
    }
    if (first === 0 && toldFirst)
      list.append(el("details.thought", null, el("summary", null, "What the model is told first"), el("div.thought-text", { dir: "auto" }, toldFirst)));
    for (let i = first; i < messages.length; i++) add(i);
    // What stands last is seen first: its Markdown is read first.
    for (let i = messages.length - 1; i >= first; i--) if (answers.has(i)) answers.get(i).draw();
  }

  return {
    node,
    jump,
    edit,
    /** Shows these messages, from now on this array's; `system` is what the model is told before them. */
    set(some, system) {
      messages = some;
      toldFirst = system || "";
      follow = true;
      jump.hidden = true;
      show(Math.max(0, messages.length - SHOWN));
      toEnd();
    },
    /** The message at `i` is new: adds it, and returns its answer. */
    add(i) {
      follow = true;
      const answer = add(i);
      toEnd();
      return answer;
    },
    /** Draws those from `i` on anew. */
    cutFrom(i) {
      for (const one of [...list.children]) if (Number(one.dataset.at) >= i) one.remove();
      for (const [at, a] of [...answers]) {
        if (at < i) continue;
        a.stop();
        answers.delete(at);
      }
    },
    answer: (i) => answers.get(i),
    stop() {
      grown.disconnect();
      for (const a of answers.values()) a.stop();
    },
  };
}
