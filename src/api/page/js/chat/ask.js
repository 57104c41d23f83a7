// ask.js - one question to a model, streamed: the words as they come, where it waits, and who answered at what price.

import { ApiError, errorOf, refusalOf } from "../errors.js";
import { contentOf } from "./files.js";

const BODY_MAX = 25 * 1024 * 1024; // the node takes 26 MiB

/** The messages of a conversation as the API has them; `system`: what the model was told before, or nothing. */
export function messagesOf(messages, system) {
  const out = system ? [{ role: "system", content: system }] : [];
  for (const m of messages) {
    if (m.role === "user") {
      out.push({ role: "user", content: contentOf(m.text, m.files || []) });
    } else {
      const v = m.versions[m.shown];
      if (v && v.text) out.push({ role: "assistant", content: v.text });
    }
  }
  return out;
}

function number(headers, name) {
  const value = headers.get(name);
  return value === null || value === "" || Number.isNaN(Number(value)) ? null : Number(value);
}

const WAITS = new Map([
  ["peer", "Looking for who can answer"],
  ["answer", "Another machine has the question, and has said nothing yet"],
  ["model", "The model server is at work on it, or loads the model first"],
  ["path", "Nothing comes from the other machine: its path is being looked at"],
]);

/**
 * What a comment of a stream tells of a question that waits, or of an answer that stops in its middle:
 * `queue position=3 wait_s=40`, `waiting for=model seconds=15`, `waiting for=path seconds=3 peer=NODE_ID`.
 * @returns {{position?: number, wait?: number, what?: string, words?: string, seconds?: number, peer?: string}|null}
 */
export function waitOf(comment) {
  const queue = /^queue position=(\d+) wait_s=(\d+)/.exec(comment);
  if (queue) return { position: Number(queue[1]), wait: Number(queue[2]) };
  const said = /^waiting for=([a-z]+) seconds=(\d{1,6})(?: peer=([0-9a-f]{64}))?$/.exec(comment);
  if (!said || !WAITS.has(said[1])) return null;
  return { what: said[1], words: WAITS.get(said[1]), seconds: Number(said[2]), peer: said[3] || "" };
}

const TOLD_LATE_MS = 1000; // an event comes by another connection than the answer

/** Who answered a question whose stream was open before that was known: an event tells. */
function listenForPeer(app, facts) {
  let told = null;
  const off = app.on("Request", (e) => {
    if (!facts.request || e.request !== facts.request || !e.peer) return;
    facts.peer = facts.peer || e.peer;
    if (told) told();
  });
  const wait = async () => {
    if (facts.request && !facts.peer) {
      await new Promise((resolve) => {
        told = resolve;
        setTimeout(resolve, TOLD_LATE_MS);
      });
    }
    if (!facts.peer || !app.state) return;
    const own = facts.peer === app.state.status.node_id;
    const find = () => app.state.peers.find((p) => p.node_id === facts.peer);
    if (!own && !find()) await app.refresh().catch(() => {}); // it was met for this question
    const { path, name } = find() || {};
    facts.path = facts.path || (own ? "local" : path || "");
    if (name) facts.name = name; // it may be gone when the answer is read again
  };
  return { wait, off };
}

/**
 * @param {{choice: Object, messages: Object[], signal: AbortSignal,
 *          onText: (text: string, thought: boolean) => void, onWait: (what: Object) => void,
 *          onHead: (facts: Object) => void}} question
 * @returns {Promise<Object>} facts: {model, peer, path, ptn, price, request, tokens, prompt_tokens, first_ms, ms, rate, finish}
 */
export async function ask(app, question) {
  const body = { model: question.choice.id, messages: question.messages, stream: true, stream_options: { include_usage: true } };
  if (JSON.stringify(body).length > BODY_MAX) throw new ApiError(413, "request_too_large", "This question is too large to be sent.");
  const begun = performance.now();
  const facts = { model: question.choice.id, tokens: null };
  let first = 0;
  let last = 0;
  let pieces = 0;

  function delta(chunk) {
    const choice = (chunk.choices || [])[0];
    if (chunk.model) facts.model = String(chunk.model).slice(0, 256);
    if (chunk.usage) {
      facts.tokens = chunk.usage.completion_tokens;
      facts.prompt_tokens = chunk.usage.prompt_tokens;
    }
    if (!choice) return;
    if (choice.finish_reason) facts.finish = choice.finish_reason;
    const said = choice.delta || choice.message || {};
    const thought = said.reasoning_content || said.reasoning;
    if (!said.content && !thought) return;
    last = performance.now();
    first = first || last;
    pieces++;
    if (thought) question.onText(String(thought), true);
    if (said.content) question.onText(String(said.content), false);
  }

  const late = listenForPeer(app, facts);
  try {
    await app.api.stream("/v1/chat/completions", {
      body,
      signal: question.signal,
      headers: question.choice.ptn ? { "X-Teale-PTN": question.choice.ptn } : {},
      onHead(headers) {
        facts.peer = headers.get("X-Teale-Peer") || "";
        facts.path = headers.get("X-Teale-Path") || "";
        facts.ptn = headers.get("X-Teale-PTN") || "";
        facts.price = number(headers, "X-Teale-Price");
        facts.request = headers.get("X-Teale-Request") || "";
        question.onHead(facts);
      },
      onEvent(name, data) {
        if (data === "[DONE]") {
          facts.done = true;
          return;
        }
        let value;
        try {
          value = JSON.parse(data);
        } catch (e) {
          return;
        }
        if (name === "error") throw errorOf(200, value); // the node's own word
        if (value.error) throw refusalOf(200, value);
        delta(value);
      },
      onComment(text) {
        const what = waitOf(text);
        if (what) question.onWait(what);
      },
      onWhole: delta,
    });
    await late.wait();
  } finally {
    late.off();
  }
  if (!facts.done && !facts.finish && pieces === 0) throw new ApiError(502, "peer_failed", "The answer ended before it began.");
  facts.first_ms = first ? Math.round(first - begun) : null;
  facts.ms = Math.round(performance.now() - begun);
  // The first token waits for the prompt to be read; the others show how fast the model speaks.
  const counted = facts.tokens || pieces;
  if (last - first > 50 && counted > 1) facts.rate = (counted - 1) / ((last - first) / 1000);
  return facts;
}
