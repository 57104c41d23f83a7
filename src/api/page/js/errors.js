// errors.js - what failed, and what a person can do about it.

const REMEDIES = {
  node_gone: "See whether it runs: teale status. It starts with: teale up",
  invalid_api_key: "teale env --owner shows the key of this node's owner.",
  payment_required: "Take another model, or settle with who answers: Wallet.",
  forbidden: "Ask an admin of that network, or choose a model outside of it.",
  model_not_found: "Choose another model. The one who had it may be offline.",
  queue_full: "All places are taken. Try again in a moment, or take another model.",
  no_provider: "Nobody who has this model can answer now. Try again in a moment, or take another model.",
  peer_failed: "The other machine was lost in the middle. Try again: another may answer.",
  backend_unreachable: "The model server does not answer. See whether it runs on the machine that shares the model.",
  backend_auth: "The model server wants a key: backend_key_file on the machine that shares it.",
  backend_error: "The model server failed. Its own log tells more.",
  request_too_large: "Send less at once: a smaller file, or a new conversation.",
  timeout: "It took too long. A model that had to be loaded may be ready now: try again.",
  overloaded: "This node is busy. Try again in a moment.",
};
const OWN_END = /^th(?:is|e) node is (?:ending|shutting down)\b/; // what a peer says has the peer before it
const OTHERS = /^peer |questions of others now/;

/** `unavailable` is said of whoever cannot now: this node that ends, another that is paused, a disk that is full. */
function remedyOf(code, message) {
  if (code !== "unavailable") return REMEDIES[code] || "";
  if (OWN_END.test(message)) return "Start it again: teale up";
  return OTHERS.test(message) ? "Try again later, or take another model." : "";
}

/** A failed request: `status` 0 when the node could not be reached at all; `values`: by setting, what is wrong with it. */
export class ApiError extends Error {
  constructor(status, code, message, remedy, param, values) {
    super(message);
    this.values = values || {};
    this.param = param || "";
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.remedy = remedy || remedyOf(code, message);
  }
}

/** From the node's {"error": {...}}, or what else came in its place. */
export function errorOf(status, body) {
  const e = body && typeof body === "object" && body.error;
  if (!e || typeof e !== "object")
    return new ApiError(status, "error", status ? `The node answered with status ${status}.` : "The node did not answer.");
  const text = typeof e.message === "string" && e.message ? e.message : `The node answered with status ${status}.`;
  return new ApiError(status, typeof e.code === "string" ? e.code : "error", text,
    typeof e.remedy === "string" ? e.remedy : "", typeof e.param === "string" ? e.param : "", Object(e.values));
}

const REFUSALS = new Set([400, 404, 413, 422, 429]); // a model server's own, which the node passes on (docs/http-api.md, Errors)
const REFUSAL_MAX = 600; // characters of its words

/** Are these the words of a model server, and not the node's? By the answer's status and headers. */
export function isRefusal(status, headers) {
  return REFUSALS.has(status) && Boolean(headers.get("X-Teale-Peer"));
}

/** What a model server says in place of an answer. Its code says nothing of this node, and picks no remedy. */
export function refusalOf(status, body) {
  const e = body && typeof body === "object" ? body.error : null;
  const said = typeof e === "string" ? e : e && typeof e.message === "string" ? e.message : "";
  const text = said.length > REFUSAL_MAX ? `${said.slice(0, REFUSAL_MAX)}\u2026` : said;
  return new ApiError(status, "refused", text ? `The model server says: ${text}` : "The model server refuses the question, and does not say why.",
    "Ask another way, or take another model.");
}

export function gone() {
  return new ApiError(0, "node_gone", "The node does not answer.");
}
