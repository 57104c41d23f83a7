// message.js - one question or one answer, as an element.

import { ui } from "../ui.js";
import { fileChip } from "./files.js";
import { createMarkdown } from "./markdown.js";
import { nodeName } from "../nodes.js";

const { el, fill, icon } = ui;
const QUESTION_SHOWN = 20000; // characters; the rest of a pasted file stays out of sight
const THINKING = /^\s*<think>([\s\S]*?)(?:<\/think>\s*|$)/;

function action(name, label, onclick) {
  return el("button.quiet.icon-only.small", { title: label, "aria-label": label, onclick }, icon(name));
}

/** A question with its files; `onEdit` opens it for change, `onCopy` takes its text. */
export function questionNode(message, { onEdit }) {
  const files = message.files || [];
  const text = el("div.question-text", { dir: "auto" }, ui.cut(message.text, QUESTION_SHOWN));
  const node = el("article.message.question", { "aria-label": "You" }, el("h2.visually-hidden", null, "You"),
    el("div.bubble", null, files.length > 0 && el("div.chips", null, files.map((f) => fileChip(f))), message.text && text),
    el("div.message-actions", null, action("edit", "Edit and ask again", onEdit), ui.copyButton(() => message.text, "Copy the question")));
  node.querySelectorAll(".message-actions button").forEach((b) => b.classList.add("small"));
  return node;
}

/** A question while it is changed: a form in its place. */
export function editNode(message, { onSave, onCancel, dropsMore }) {
  const field = el("textarea", { "aria-label": "Your question", dir: "auto", value: message.text });
  const save = () => {
    if (field.value.trim()) onSave(field.value);
  };
  const node = el("form.message.question.editing", { onsubmit: (event) => {
    event.preventDefault();
    save();
  } }, field, dropsMore && el("p.muted", null, "What came after it will be replaced."),
  el("div.row", null, el("span.grow"), el("button", { onclick: onCancel }, "Cancel"), el("button.primary", { type: "submit" }, "Ask again")));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      onCancel();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      save();
    }
  });
  node.start = () => {
    field.style.height = `${Math.min(400, field.scrollHeight + 4)}px`;
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  };
  return node;
}

/** "gorilla · direct · 42 tokens/s · first word after 0.8 s · free" */
function factsNode(app, v) {
  const f = v.facts || {};
  const parts = [];
  const peer = (app.state && (app.state.peers || []).find((p) => p.node_id === f.peer)) || null;
  if (f.model) parts.push(ui.name(f.model));
  if (f.peer) {
    const own = f.path === "local";
    const here = own || (app.state && app.state.status.node_id === f.peer);
    parts.push(here ? "this machine" : el("a", { href: `#/network/${f.peer}`, title: `Node ${f.peer}` }, nodeName(app, f.peer, peer ? null : { name: f.name })));
    if (f.path && !own) parts.push([f.path, peer && ui.ms(peer.rtt_ms)].filter(Boolean).join(" "));
  }
  if (f.rate) parts.push(`${f.rate >= 100 ? Math.round(f.rate) : f.rate.toFixed(1)} tokens/s`);
  if (f.first_ms) parts.push(`first word after ${ui.ms(f.first_ms)}`);
  if (f.tokens) parts.push(`${f.tokens} tokens`);
  if (f.price !== null && f.price !== undefined && f.path !== "local") {
    const tokens = (f.prompt_tokens || 0) + (f.tokens || 0);
    const cost = f.price > 0 && tokens ? ` (${Number(((f.price * tokens) / 1e9).toPrecision(3))} credits)` : "";
    parts.push(ui.price(f.price) + cost);
  }
  if (f.finish === "length") parts.push("cut off at the model's limit");
  if (v.stopped) parts.push("stopped");
  return parts.flatMap((p, i) => (i ? [el("span.sep", { "aria-hidden": "true" }, " · "), p] : [p]));
}

/**
 * An answer: it grows by `push`, and `end` closes it. `versions` are the answers to the same question.
 * @param {{onAgain: () => void, onVersion: (i: number) => void}} to
 */
export function answerNode(app, message, { onAgain, onVersion }) {
  const body = el("div.answer-body");
  const wait = el("p.waiting", { hidden: true }, el("span.pulse", { "aria-hidden": "true" }), el("span", { role: "status" }),
    el("span.muted.waited", { "aria-hidden": "true" }));
  const facts = el("p.facts-line");
  const actions = el("div.message-actions");
  const node = el("article.message.answer", { "aria-label": "Answer" }, el("h2.visually-hidden", null, "Answer"), body, wait, el("div.answer-foot", null, actions, facts));
  let view = null;
  let thought = null;

  const version = () => message.versions[message.shown];

  function openThought() {
    if (thought) return thought;
    const text = el("div.thought-text", { dir: "auto" });
    thought = { text, node: el("details.thought", null, el("summary", null, "Thoughts"), text) };
    body.prepend(thought.node);
    return thought;
  }

  function addThought(text) {
    openThought().text.append(ui.plain(text));
  }

  function openView() {
    if (!view) {
      view = createMarkdown();
      body.append(view.node);
    }
    return view;
  }

  function showActions() {
    const v = version();
    const n = message.versions.length;
    fill(actions, v.text && ui.copyButton(() => v.text, "Copy the answer"), action("again", "Answer anew", onAgain),
      n > 1 && [el("span.versions", null, action("left", "Previous answer", () => onVersion(message.shown - 1)),
        el("span.muted", null, `${message.shown + 1} of ${n}`), action("right", "Next answer", () => onVersion(message.shown + 1)))]);
    actions.querySelectorAll("button").forEach((b) => b.classList.add("small"));
    const [left, right] = actions.querySelectorAll(".versions button");
    if (left) {
      left.disabled = message.shown === 0;
      right.disabled = message.shown === n - 1;
    }
  }

  function showEnd() {
    const v = version();
    wait.hidden = true;
    fill(facts, factsNode(app, v));
    const old = body.querySelector(".problem");
    if (old) old.remove();
    if (v.error) body.append(ui.problem(v.error, onAgain));
    showActions();
  }

  return {
    node,
    /** Text of the model, as it comes; `thinking`: of what it thinks before it answers. */
    push(text, thinking) {
      wait.hidden = true;
      if (thinking) addThought(text);
      else openView().push(text);
    },
    /** Where it waits, in words, and since when; `middle`: words came before. */
    waiting(words, seconds, middle) {
      wait.hidden = false;
      wait.classList.toggle("is-middle", middle);
      const [, status, waited] = wait.children;
      if (status.textContent !== words) status.textContent = words;
      waited.textContent = seconds >= 2 ? `${Math.round(seconds)} s` : "";
    },
    end() {
      if (view) view.end();
      showEnd();
    },
    /** Draws the shown version anew from what is kept. */
    draw() {
      if (view) view.stop();
      view = null;
      thought = null;
      body.replaceChildren();
      const v = version();
      const own = THINKING.exec(v.text || "");
      if (v.thoughts || own) addThought(v.thoughts || own[1]);
      const text = own && !v.thoughts ? v.text.slice(own[0].length) : v.text;
      if (text) {
        openView().push(text);
        view.end();
      }
      if (v.running) {
        fill(facts);
        fill(actions);
      } else {
        showEnd();
      }
    },
    /** Shows what has come of an answer that goes on. */
    resume(text, thoughts) {
      if (view) view.stop();
      view = null;
      thought = null;
      body.replaceChildren();
      fill(facts);
      fill(actions);
      wait.hidden = true;
      if (thoughts) addThought(thoughts);
      if (text) openView().push(text);
    },
    stop() {
      if (view) view.stop();
    },
  };
}
