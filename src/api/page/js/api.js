// api.js - requests to the node that served this page. Where it wants a key, every request waits for the one that
// the reader types.

import { errorOf, gone, isRefusal, refusalOf } from "./errors.js";
import { sseReader } from "./sse.js";

const UNREACHED = new Set(["AbortError"]);

/** @param {{key: {get: () => string, ask: (tried: string) => Promise<void>}, onReach: (reached: boolean) => void}} to */
export function createApi({ key, onReach }) {
  /** The answer, whatever its status; 401 is asked again with another key. A body is JSON, or bytes as they are. */
  async function send(method, path, { body, headers, signal } = {}) {
    for (;;) {
      const tried = key.get();
      const all = Object.assign({}, headers);
      if (tried) all.Authorization = `Bearer ${tried}`;
      const bytes = body instanceof Uint8Array;
      if (body !== undefined) all["Content-Type"] = bytes ? "application/octet-stream" : "application/json";
      let answer;
      try {
        answer = await fetch(path, {
          method, signal, headers: all, credentials: "omit", cache: "no-store", redirect: "error",
          body: body === undefined || bytes ? body : JSON.stringify(body),
        });
      } catch (e) {
        if (UNREACHED.has(e.name)) throw e;
        onReach(false);
        throw gone();
      }
      onReach(true);
      if (answer.status !== 401) return answer;
      await key.ask(tried);
    }
  }

  async function json(answer) {
    const text = await answer.text();
    let value = null;
    try {
      value = text ? JSON.parse(text) : null;
    } catch (e) {
      value = null;
    }
    if (!answer.ok) throw (isRefusal(answer.status, answer.headers) ? refusalOf : errorOf)(answer.status, value);
    return value;
  }

  const call = (method) => async (path, body, options) => json(await send(method, path, Object.assign({ body }, options)));

  /** Feeds the text of a body to `feed` until it ends. */
  async function read(answer, feed) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      feed(value);
    }
  }

  /**
   * Server-sent events of a request, until they end. An answer that is no stream goes to `onWhole` as JSON.
   * @param {{method?: string, body?: any, headers?: Object, signal?: AbortSignal,
   *          onHead?: (headers: Headers) => void, onEvent: (name: string, data: string) => void,
   *          onComment?: (text: string) => void, onWhole?: (value: any) => void}} options
   */
  async function stream(path, options) {
    const answer = await send(options.method || (options.body === undefined ? "GET" : "POST"), path, options);
    if (!answer.ok) await json(answer);
    if (options.onHead) options.onHead(answer.headers);
    const type = answer.headers.get("Content-Type") || "";
    if (!type.startsWith("text/event-stream")) {
      const whole = await json(answer);
      if (options.onWhole) options.onWhole(whole);
      return;
    }
    try {
      await read(answer, sseReader(options));
    } catch (e) {
      if (UNREACHED.has(e.name) || e.status !== undefined) throw e;
      throw gone();
    }
  }

  return {
    get: (path, options) => call("GET")(path, undefined, options),
    post: call("POST"),
    put: call("PUT"),
    delete: call("DELETE"),
    stream,
  };
}
