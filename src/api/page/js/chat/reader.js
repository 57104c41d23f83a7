// reader.js - the worker that reads Markdown, with a deadline: one piece after the other, and what takes too long comes
// back as null.

import { markdownWorker } from "../trusted.js";

const DEADLINE_MS = 2500; // for one piece; its usual time is about a millisecond
const FIRST_MS = 15000; // the worker's modules are being loaded
const RESTARTS_MAX = 8; // who makes a worker hang so often gets plain text

let worker = null;
let busy = null; // {id, resolve, timer}
let restarts = 0;
let ready = false;
let count = 0;
const waiting = [];

function answer(html) {
  const job = busy;
  busy = null;
  clearTimeout(job.timer);
  job.resolve(html);
  next();
}

function giveUp() {
  worker.terminate();
  worker = null;
  ready = false;
  restarts++;
  answer(null);
}

function start() {
  worker = markdownWorker();
  worker.onmessage = (event) => {
    ready = true;
    if (busy && event.data.id === busy.id) answer(event.data.html);
  };
  worker.onerror = () => {
    if (busy) giveUp();
  };
}

function next() {
  if (busy || waiting.length === 0) return;
  const { piece, resolve } = waiting.shift();
  if (restarts >= RESTARTS_MAX) {
    resolve(null);
    next();
    return;
  }
  if (!worker) start();
  busy = { id: ++count, resolve, timer: setTimeout(giveUp, ready ? DEADLINE_MS : FIRST_MS) };
  worker.postMessage({ id: busy.id, kind: piece.kind, text: piece.text, lang: piece.lang });
}

/** The HTML of a piece of blocks.js, not cleaned; null: it is to be shown as it is. */
export function readMarkdown(piece) {
  return new Promise((resolve) => {
    waiting.push({ piece, resolve });
    next();
  });
}

/** Is it reading, or has it more to read? */
export function readerBusy() {
  return Boolean(busy) || waiting.length > 0;
}
