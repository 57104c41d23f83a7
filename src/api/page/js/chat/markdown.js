// markdown.js - an element that shows Markdown while it grows. Per frame it does a bounded piece of work; what is long
// becomes plain text, and what is very long waits until the reader wants it.

import { el } from "../ui/el.js";
import { bytes, plain } from "../ui/text.js";
import { createBlocks } from "./blocks.js";
import { clean } from "./clean.js";
import { readMarkdown, readerBusy } from "./reader.js";

const BUDGET_MS = 8; // of a frame of 16
const SHOWN_MAX = 1024 * 1024; // characters; then the reader asks for more
const TOGETHER_MAX = 4096; // characters of small pieces that are read in one go
const OPEN_EVERY_MS = 80; // the piece that still grows is drawn anew no more often

export function createMarkdown() {
  const node = el("div.markdown", { dir: "auto" });
  const blocks = createBlocks();
  const queue = []; // pieces that are complete and not drawn
  let open = null; // the element of the piece that still grows
  let waiting = ""; // text that has come and not been cut
  let over = false;
  let frame = 0;
  let drawn = 0; // characters
  let limit = SHOWN_MAX;
  let more = null;
  let drawing = 0; // pieces that are being read
  let openDrawn = { at: 0, text: "" };
  let settled = null;

  function place() {
    const here = el("div.piece");
    node.append(here);
    return here;
  }

  function showPlain(here, text) {
    here.classList.add("as-is");
    here.textContent = plain(text);
  }

  async function draw(here, piece) {
    if (piece.kind === "text") {
      showPlain(here, piece.text);
      return;
    }
    const text = plain(piece.text);
    const html = await readMarkdown({ kind: piece.kind, lang: piece.lang, text });
    if (html === null) {
      showPlain(here, piece.text);
      return;
    }
    const fragment = await clean(html);
    here.classList.remove("as-is");
    here.replaceChildren(fragment);
  }

  /** The next of the queue; small ones that stand beside each other are one. */
  function nextPiece() {
    const piece = queue.shift();
    if (piece.kind !== "markdown") return piece;
    while (queue.length && queue[0].kind === "markdown" && piece.text.length + queue[0].text.length <= TOGETHER_MAX)
      piece.text += queue.shift().text;
    return piece;
  }

  function finish(here, piece) {
    if (!here.firstChild && piece.kind !== "text") here.textContent = ""; // its place is kept, in order
    drawing++;
    draw(here, piece).catch(() => showPlain(here, piece.text)).finally(() => {
      drawing--;
      here.classList.remove("grows");
      if (drawing === 0) settle();
    });
  }

  function offerMore() {
    const left = queue.reduce((n, p) => n + p.text.length, waiting.length);
    if (!more) {
      more = el("button.more", { onclick: () => {
        limit += SHOWN_MAX;
        more.remove();
        more = null;
        soon();
      } });
      node.append(more);
    }
    more.textContent = `Show more (${bytes(left)} left)`;
  }

  function drawOpen(now) {
    const piece = over ? null : blocks.open();
    if (!piece || readerBusy() || now - openDrawn.at < OPEN_EVERY_MS || piece.text === openDrawn.text) return;
    if (!open) open = place();
    open.classList.add("grows");
    const here = open;
    openDrawn = { at: now, text: piece.text };
    draw(here, piece).catch(() => showPlain(here, piece.text));
  }

  function turn(now) {
    frame = 0;
    const until = performance.now() + BUDGET_MS;
    while (waiting && performance.now() < until && queue.length < 64) {
      queue.push(...blocks.push(waiting.slice(0, 65536)));
      waiting = waiting.slice(65536);
    }
    if (over && !waiting) queue.push(...blocks.end());
    while (queue.length && performance.now() < until && drawing < 4 && drawn < limit) {
      const piece = nextPiece();
      drawn += piece.text.length;
      finish(open || place(), piece);
      open = null;
      openDrawn = { at: openDrawn.at, text: "" };
    }
    if (drawn >= limit && (queue.length || waiting)) {
      offerMore();
      return;
    }
    if (queue.length === 0 && !waiting) drawOpen(now);
    if (queue.length || waiting) soon();
    else if (!over && blocks.open() && blocks.open().text !== openDrawn.text) soon();
    else settle();
  }

  function soon() {
    if (!frame) frame = requestAnimationFrame(turn);
  }

  function settle() {
    if (drawing > 0 || queue.length || waiting || !over) return;
    if (open) open.remove();
    open = null;
    if (settled) settled();
  }

  return {
    node,
    push(text) {
      waiting += text;
      soon();
    },
    /** No more text comes. Resolves when all that is shown is drawn. */
    end() {
      over = true;
      soon();
      return new Promise((resolve) => {
        settled = resolve;
      });
    },
    /** Stops drawing: the element is not shown any more. */
    stop() {
      cancelAnimationFrame(frame);
      frame = -1;
    },
  };
}
