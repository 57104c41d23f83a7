// imported.js - reads a file of conversations: one that this page exported, or one that `teale chat` saved
// (docs/chat-file.md). Nothing in it is taken as it is: each part is looked at, and made anew of what may be there. Pure.

import { newId, titleOf } from "./talk.js";

export const FILE_MAX = 64 * 1024 * 1024; // bytes, as docs/chat-file.md says
const CONVERSATIONS_MAX = 10000;
const MESSAGES_MAX = 10000; // of one conversation
const VERSIONS_MAX = 1000; // answers to one question
const FILES_MAX = 100; // of one question
const TITLE_MAX = 120;
const MODEL_MAX = 400; // MODEL@NETWORK
const PICTURE = /^data:(image\/(?:png|jpeg|gif|webp));base64,/;
const NUMBERS = ["price", "tokens", "prompt_tokens", "first_ms", "ms", "rate"];
const WORDS = { model: 256, name: 256, path: 32, ptn: 64, request: 64, finish: 32 };

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Ends the reading: nothing of the file is taken. */
function refuse(where, what) {
  throw new Error(where ? `${where}: ${what}.` : what);
}

function text(value, where, what, most = FILE_MAX) {
  if (typeof value !== "string") refuse(where, `${what} is no text`);
  if (value.length > most) refuse(where, `${what} is longer than ${most} characters`);
  return value;
}

function listOf(value, where, what, most) {
  if (!Array.isArray(value)) refuse(where, `${what} is no list`);
  if (value.length > most) refuse(where, `${what} are more than ${most}`);
  return value;
}

const time = (value, otherwise) => (Number.isFinite(value) && value >= 0 ? value : otherwise);

function picture(url, name, where) {
  const begins = PICTURE.exec(text(url, where, "a picture"));
  if (!begins) refuse(where, "a picture is none of PNG, JPEG, GIF and WebP that stands in the file itself");
  const data = url.slice(begins[0].length);
  if (!data || /[^\w+/=]|_/.test(data)) refuse(where, "a picture is no base64");
  return { kind: "picture", name, type: begins[1], size: Math.floor((data.length - (data.match(/==?$/) || [""])[0].length) * 3 / 4), url };
}

function attached(file, where) {
  if (!isObject(file)) refuse(where, "an attached file is no object");
  const name = text(file.name, where, "the name of a file", 1000);
  if (file.kind === "picture") return picture(file.url, name, where);
  if (file.kind !== "text") refuse(where, "an attached file is neither text nor a picture");
  const words = text(file.text, where, "an attached file");
  return { kind: "text", name, type: "text/plain", size: time(file.size, words.length), text: words };
}

function factsOf(value) {
  if (!isObject(value)) return null;
  const facts = {};
  for (const key of NUMBERS) if (Number.isFinite(value[key])) facts[key] = value[key];
  for (const [key, most] of Object.entries(WORDS)) if (typeof value[key] === "string") facts[key] = value[key].slice(0, most);
  if (/^[0-9a-f]{64}$/.test(value.peer)) facts.peer = value.peer;
  return facts;
}

function errorOf(value) {
  if (!isObject(value)) return null;
  const word = (w) => (typeof w === "string" ? w.slice(0, 2000) : "");
  return { message: word(value.message), remedy: word(value.remedy), code: word(value.code) || "error" };
}

function version(value, where) {
  if (!isObject(value)) refuse(where, "an answer is no object");
  return {
    text: text(value.text, where, "an answer"), thoughts: typeof value.thoughts === "string" ? value.thoughts : "",
    facts: factsOf(value.facts), error: errorOf(value.error), stopped: Boolean(value.stopped || value.running), at: time(value.at, 0),
  };
}

function message(value, where) {
  if (!isObject(value)) refuse(where, "it is no object");
  if (value.role === "user") {
    return { role: "user", text: text(value.text, where, "the question"), at: time(value.at, 0),
      files: listOf(value.files === undefined ? [] : value.files, where, "its files", FILES_MAX).map((f) => attached(f, where)) };
  }
  if (value.role !== "assistant") refuse(where, "its role is neither user nor assistant");
  const versions = listOf(value.versions, where, "its answers", VERSIONS_MAX).map((v) => version(v, where));
  if (!versions.length) refuse(where, "it has no answer");
  if (!Number.isInteger(value.shown) || !versions[value.shown]) refuse(where, "the answer that is shown is not there");
  return { role: "assistant", versions, shown: value.shown };
}

function conversation(value, where, now) {
  if (!isObject(value)) refuse(where, "it is no object");
  const id = /^[0-9a-f]{24}$/.test(value.id) ? value.id : newId();
  const messages = listOf(value.messages, where, "its messages", MESSAGES_MAX).map((m, i) => message(m, `${where}, message ${i + 1}`));
  const title = text(value.title, where, "its title").slice(0, TITLE_MAX);
  const body = { id, messages, model: text(value.model === undefined ? "" : value.model, where, "its model", MODEL_MAX) };
  if (value.system !== undefined) body.system = text(value.system, where, "what the model is told first");
  return { head: { id, title: title || "Conversation", named: Boolean(value.named), created: time(value.created, now), updated: time(value.updated, now) }, body };
}

function exported(root, now) {
  if (root.version !== 1) refuse("", "It was exported by a newer program than this one.");
  return listOf(root.conversations, "", "Its list of conversations", CONVERSATIONS_MAX).map((c, i) => conversation(c, `Conversation ${i + 1}`, now));
}

function parsed(words, where) {
  try {
    return JSON.parse(words);
  } catch (e) {
    return refuse(where, "it is no JSON");
  }
}

/** A line of `teale chat`: OpenAI's form of a message. */
function line(value, where) {
  if (!isObject(value) || Object.keys(value).sort().join() !== "content,role") refuse(where, "it is no message with role and content");
  if (typeof value.content === "string") return { role: value.role, text: value.content, files: [] };
  const parts = listOf(value.content, where, "its content", FILES_MAX);
  const words = [];
  const files = [];
  for (const part of parts) {
    if (isObject(part) && part.type === "text") words.push(text(part.text, where, "a part of its content"));
    else if (isObject(part) && part.type === "image_url" && isObject(part.image_url)) files.push(picture(part.image_url.url, `Picture ${files.length + 1}`, where));
    else refuse(where, "a part of its content is neither text nor a picture");
  }
  return { role: value.role, text: words.join("\n\n"), files };
}

/** The file of `teale chat`: a head, then a message a line. */
function saved(head, lines, now) {
  if (head.teale_chat !== 1) refuse("Line 1", "it was saved by a newer program than this one");
  const model = text(head.model, "Line 1", "the model", MODEL_MAX);
  if (lines.length > MESSAGES_MAX) refuse("", `It has more than ${MESSAGES_MAX} messages.`);
  const id = newId();
  const body = { id, messages: [], model };
  lines.forEach((one, i) => {
    const where = `Line ${i + 2}`;
    const m = line(parsed(one, where), where);
    if (m.role === "user") body.messages.push({ ...m, at: now });
    else if (m.files.length) refuse(where, "it has a picture that nobody asked about");
    else if (m.role === "system" && i === 0) body.system = m.text;
    else if (m.role === "assistant")
      body.messages.push({ role: "assistant", shown: 0, versions: [{ text: m.text, thoughts: "", facts: { model }, error: null, stopped: false, at: now }] });
    else refuse(where, "its role is neither user nor assistant");
  });
  const asked = body.messages.find((m) => m.role === "user");
  return [{ head: { id, title: asked ? titleOf(asked.text) : "Conversation", named: false, created: now, updated: now }, body }];
}

/**
 * The conversations of a file, {head, body} each. Throws an Error whose message says what is wrong with it.
 * @param {string} whole  the text of the file
 * @param {number} now  the time of what has none
 */
export function readConversations(whole, now) {
  const bare = whole.replace(/^\ufeff/, "");
  const lines = bare.split("\n");
  if (lines[lines.length - 1].trim() === "") lines.pop();
  let first = null;
  try {
    first = JSON.parse(lines[0] || "");
  } catch (e) { /* JSON of more than one line */ }
  if (isObject(first) && first.teale_chat !== undefined) return saved(first, lines.slice(1), now);
  let root = first;
  try {
    root = JSON.parse(bare);
  } catch (e) {
    refuse("", "It is no file of conversations.");
  }
  if (!isObject(root) || root.format !== "teale-conversations") refuse("", "It is no file of conversations.");
  return exported(root, now);
}

/** Those that are not here yet, each under an id of its own; `heads` are those that are. */
export function newOnes(list, heads) {
  const known = new Map(heads.map((h) => [h.id, h.updated]));
  const out = [];
  for (const one of list) {
    if (known.get(one.head.id) === one.head.updated) continue;
    const id = known.has(one.head.id) ? newId() : one.head.id;
    known.set(id, one.head.updated);
    out.push({ head: { ...one.head, id }, body: { ...one.body, id } });
  }
  return out;
}
