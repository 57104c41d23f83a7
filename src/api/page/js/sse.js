// sse.js - reads server-sent events (WHATWG HTML 9.2) out of pieces of text. Touches no network.

const EVENT_MAX = 32 * 1024 * 1024; // characters of an event, or of a line without an end

/**
 * @param {{onEvent: (name: string, data: string) => void, onComment?: (text: string) => void}} to
 * @returns {(text: string) => void} takes the next piece
 */
export function sseReader({ onEvent, onComment }) {
  let pieces = []; // of a line whose end has not come
  let waiting = 0;
  let name = "";
  let data = [];
  let held = 0; // characters of `data`

  function line(text) {
    if (text === "") {
      if (data.length) onEvent(name || "message", data.join("\n"));
      name = "";
      data = [];
      held = 0;
    } else if (text[0] === ":") {
      if (onComment) onComment(text.slice(1).trim());
    } else {
      const colon = text.indexOf(":");
      const field = colon < 0 ? text : text.slice(0, colon);
      const value = colon < 0 ? "" : text.slice(colon + (text[colon + 1] === " " ? 2 : 1));
      if (field === "event") name = value;
      else if (field === "data") {
        held += value.length + 1;
        if (held > EVENT_MAX) throw new Error("an event of the stream has no end");
        data.push(value);
      }
    }
  }

  return (text) => {
    let from = 0;
    for (;;) {
      const end = text.indexOf("\n", from);
      if (end < 0) break;
      pieces.push(text.slice(from, end));
      const whole = pieces.join("");
      pieces = [];
      waiting = 0;
      line(whole.endsWith("\r") ? whole.slice(0, -1) : whole);
      from = end + 1;
    }
    if (from === text.length) return;
    pieces.push(text.slice(from));
    waiting += text.length - from;
    if (waiting > EVENT_MAX) throw new Error("a line of the stream has no end");
  };
}
