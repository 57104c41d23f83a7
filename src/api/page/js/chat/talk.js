// talk.js - the conversation that is open: its messages, what is asked now, and when it is kept. Draws nothing itself.

import { nodeText } from "../nodes.js";
import { ask, messagesOf } from "./ask.js";

const KEEP_EVERY_MS = 3000; // of an answer that still comes, so that a closed tab loses little
const KEEP_WHILE_MAX = 256 * 1024; // characters; a longer one is kept at its end
const TITLE_MAX = 60;

/** A name for a conversation that no other has. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/** The first words of a question. */
export function titleOf(text) {
  const line = text.trim().split("\n")[0].replace(/\s+/g, " ");
  if (line.length <= TITLE_MAX) return line || "Picture";
  const cut = line.slice(0, TITLE_MAX);
  const space = cut.lastIndexOf(" ");
  return `${space > TITLE_MAX / 2 ? cut.slice(0, space) : cut}\u2026`;
}

const running = new Map(); // by conversation; also while another one, or another view, is open

/** What is asked in this conversation now, or undefined. */
export function runOf(id) {
  return running.get(id);
}

/** The lock that a tab holds while an answer comes there; null where the browser has no locks for this page. */
export const locks = (globalThis.navigator && navigator.locks) || null;
export const lockOf = (id) => `teale.chat.${id}`;

/** The conversation `from` has the ID `to` now. */
export function moveRun(from, to) {
  const run = running.get(from);
  running.delete(from);
  if (run) running.set(to, run);
}

/** Why an answer has stopped in its middle, by what `waitOf` gave; "" where that says nothing of it. */
export function silenceOf(app, { what, peer }) {
  const who = peer ? nodeText(app, peer) : "the model server";
  if (what === "path") return `No word from ${who}: its path is being looked at`;
  if (what !== "model") return "";
  return peer ? `No word from ${who}: it is connected, its model is silent` : `No word from ${who}`;
}

/** An empty conversation. */
export function emptyTalk(model) {
  const now = Date.now();
  const id = newId();
  return { head: { id, title: "", named: false, created: now, updated: now }, body: { id, messages: [], model: model || "" } };
}

/** Whoever closed the page in the middle of an answer sees that it was. */
export function mended(body) {
  for (const m of body.messages) {
    if (m.role !== "assistant") continue;
    for (const v of m.versions) {
      if (v.running) v.stopped = true;
      delete v.running;
    }
  }
  return body;
}

/**
 * Asks the question before `message`, and puts the answer into a new version of it. It goes on until its end, whether
 * somebody looks or not.
 * @param {{choice, answer, keep: () => Promise<void>}} how  `answer`: the element that shows it;
 *   `keepTail` is given {at, text, thoughts} when the page is closed
 * @returns {{talk, message, stop: () => void, attach: (answer) => void, over: Promise<void>}}  `attach` shows it from now on
 *   in another element, or in none (null)
 */
export function startAnswer(app, talk, message, { choice, answer, keep, keepTail }) {
  let target = answer;
  const abort = new AbortController();
  const v = { text: "", thoughts: "", facts: null, error: null, stopped: false, running: true, at: Date.now() };
  const index = talk.body.messages.indexOf(message);
  const history = messagesOf(talk.body.messages.slice(0, index), talk.body.system);
  message.versions = message.versions.filter((other) => other.text || !other.error); // what failed is not worth a choice
  message.versions.push(v);
  message.shown = message.versions.length - 1;
  const pieces = [];
  const begun = performance.now();
  let waits = null;
  let kept = begun;
  let any = false;
  let silence = null; // {words, since}: in the middle of the answer no word comes

  function words(seconds) {
    if (waits && waits.position) return `Waiting in the queue: place ${waits.position}${waits.wait ? `, about ${app.ui.duration(waits.wait)}` : ""}`;
    if (waits && waits.words) return waits.words;
    return seconds < 3 ? "Asking" : "No word yet: the model may have to be loaded first";
  }

  function tick() {
    if (!target || (any && !silence)) return;
    const seconds = (performance.now() - (any ? silence.since : begun)) / 1000;
    target.waiting(any ? silence.words : words(seconds), seconds, any);
  }

  function onWait(what) {
    const told = any ? silenceOf(app, what) : "";
    if (any && !told) return;
    waits = what;
    if (any) silence = { words: told, since: performance.now() - what.seconds * 1000 };
    tick();
  }

  tick();
  const timer = setInterval(tick, 1000);

  function onText(text, thought) {
    any = true;
    silence = null;
    if (thought) v.thoughts += text;
    else pieces.push(text);
    if (target) target.push(text, thought);
    const now = performance.now();
    if (now - kept < KEEP_EVERY_MS) return;
    kept = now;
    v.text = pieces.join("");
    if (v.text.length < KEEP_WHILE_MAX) keep();
  }

  const page = globalThis.document ? globalThis : null;
  const onHide = () => keepTail({ at: v.at, text: pieces.join(""), thoughts: v.thoughts });
  if (page) page.addEventListener("pagehide", onHide);

  async function run() {
    try {
      v.facts = await ask(app, {
        choice, messages: history, signal: abort.signal, onText, onWait,
        onHead: (facts) => { v.facts = facts; },
      });
    } catch (e) {
      if (e.name === "AbortError") v.stopped = true;
      else v.error = { message: e.message, remedy: e.remedy || "", code: e.code || "error" };
      if (v.error && v.error.code !== "node_gone" && history.some((m) => Array.isArray(m.content)))
        v.error.remedy = `${v.error.remedy} This model may not take pictures.`.trim();
    }
    clearInterval(timer);
    if (page) page.removeEventListener("pagehide", onHide);
    v.text = pieces.join("");
    delete v.running;
    running.delete(talk.head.id);
    if (target) target.end();
    me.kept = keep();
  }

  const me = {
    talk,
    message,
    stop: () => abort.abort(),
    attach(other) {
      target = other;
      if (target && any) target.resume(pieces.join(""), v.thoughts);
      tick();
    },
  };
  running.set(talk.head.id, me);
  me.over = run();
  if (locks) locks.request(lockOf(talk.head.id), () => me.over.then(() => me.kept)).catch(() => {});
  return me;
}
