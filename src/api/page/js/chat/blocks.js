// blocks.js - cuts Markdown that grows into pieces, each of which can be drawn by itself and never changes again. Bounds
// every piece, so that no answer, whatever a stranger's model says, makes one piece of work large. Pure: text in, pieces
// out.

export const PIECE_MAX = 16 * 1024; // characters: read, cleaned and laid out within a few milliseconds
export const LINE_MAX = 4 * 1024; // a longer line is drawn as it is: nothing in it is worth a parser's time
export const RICH_MAX = 192 * 1024; // beyond, an answer is plain text

const ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;

/**
 * The mark of a code block, {char, length, info}, or null; `info` is what stands behind it, "" where it may end a block.
 * Counted by hand: a pattern for it goes back and forth in a long run of marks.
 */
function fenceOf(line) {
  let from = 0;
  while (from < 3 && line[from] === " ") from++;
  const char = line[from];
  if (char !== "`" && char !== "~") return null;
  let end = from;
  while (line[end] === char) end++;
  const info = line.slice(end).trim();
  if (end - from < 3 || (char === "`" && info.includes("`"))) return null;
  return { char, length: end - from, info };
}

/**
 * @returns {{push: (text: string) => {kind: string, text: string, lang?: string}[], open: () => Object|null,
 *            end: () => Object[]}}
 *   `push` takes more text and returns the pieces that are now complete: `markdown`, `code` (a part of a long code
 *   block) or `text` (as it is). `open` is what has begun and may still change.
 */
export function createBlocks() {
  let done = []; // pieces to be returned
  let lines = []; // of the piece that is open, each with its line end
  let size = 0; // their characters
  let rest = ""; // of a line whose end has not come
  let fence = null; // {char, length, lang, long}: inside of a code block; `long`: a part of it is a piece already
  let blank = false; // the last line was
  let list = false; // the open piece is one: its items may stand apart
  let rich = 0; // characters that became Markdown

  function piece() {
    const text = lines.join("");
    if (fence && fence.long) return { kind: "code", lang: fence.lang, text };
    return { kind: "markdown", text };
  }

  function seal() {
    if (size > 0) done.push(piece());
    rich += size;
    lines = [];
    size = 0;
    blank = false;
    list = false;
  }

  function keep(line) {
    lines.push(line);
    size += line.length;
  }

  /** A code block that outgrows its piece goes on in further ones; its first part is code, too, and has no end mark. */
  function overflow() {
    if (fence && !fence.long) {
      if (lines[0] && fenceOf(lines[0])) size -= lines.shift().length;
      fence.long = true;
    }
    const was = fence;
    seal();
    fence = was;
  }

  function inFence(line) {
    const mark = fenceOf(line);
    const closes = mark && mark.char === fence.char && mark.length >= fence.length && mark.info === "";
    if (closes && fence.long) {
      seal();
      fence = null;
      return;
    }
    keep(line);
    if (!closes) return;
    fence = null;
    if (!list) seal();
  }

  function take(line) {
    if (fence) {
      inFence(line);
      return;
    }
    const text = line.trimEnd();
    if (text === "") {
      if (size > 0) keep(line);
      blank = true;
      return;
    }
    const indented = /^\s/.test(line);
    if (blank && size > 0 && !indented && !(list && ITEM.test(text))) seal();
    blank = false;
    const opens = fenceOf(text);
    if (opens) {
      if (!list) seal();
      fence = { char: opens.char, length: opens.length, lang: opens.info.split(/\s/, 1)[0], long: false };
    } else if (size === 0) {
      list = ITEM.test(text);
    }
    keep(line);
  }

  /** A line without an end in sight: what came of it becomes a piece as it is. */
  function long() {
    if (size > 0) overflow();
    const was = fence;
    while (rest.length > LINE_MAX) {
      const part = rest.slice(0, PIECE_MAX);
      done.push(was ? { kind: "code", lang: was.lang, text: part } : { kind: "text", text: part });
      rich += part.length;
      rest = rest.slice(PIECE_MAX);
    }
  }

  /** Beyond RICH_MAX nothing is looked at any more: equal parts, cut at a line's end where there is one. */
  function cutRaw() {
    while (rest.length > PIECE_MAX) {
      const end = rest.lastIndexOf("\n", PIECE_MAX - 1) + 1 || PIECE_MAX;
      done.push({ kind: "text", text: rest.slice(0, end) });
      rest = rest.slice(end);
    }
  }

  function drain() {
    const out = done;
    done = [];
    return out;
  }

  return {
    push(text) {
      let from = 0;
      for (let end = text.indexOf("\n"); end >= 0 && rich <= RICH_MAX; end = text.indexOf("\n", from)) {
        rest += text.slice(from, end + 1);
        from = end + 1;
        if (rest.length > LINE_MAX) long();
        if (rest) take(rest);
        rest = "";
        if (size > PIECE_MAX) overflow();
      }
      rest += text.slice(from);
      if (rich > RICH_MAX) {
        seal();
        fence = null;
        cutRaw();
      } else if (rest.length > PIECE_MAX) {
        long();
      }
      return drain();
    },
    /** The piece that may still change, or null. */
    open() {
      if (size === 0 && rest === "") return null;
      if (rich > RICH_MAX || rest.length > LINE_MAX) return { kind: "text", text: lines.join("") + rest };
      const whole = piece();
      whole.text += rest;
      return whole;
    },
    /** No more text comes. */
    end() {
      if (rich > RICH_MAX) done.push({ kind: "text", text: rest });
      else if (rest.length > LINE_MAX) long();
      if (rest && rich <= RICH_MAX) take(rest);
      rest = "";
      seal();
      fence = null;
      return drain();
    },
  };
}
