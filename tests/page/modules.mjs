// modules.mjs PAGE: the page's modules that touch no document, on their own. Each test's name is a sentence.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";

const page = resolve(process.argv[2]);
const load = (path) => import(join(page, "js", path));
const { createBlocks, PIECE_MAX, LINE_MAX, RICH_MAX } = await load("chat/blocks.js");
const { sseReader } = await load("sse.js");
const { errorOf, refusalOf, isRefusal } = await load("errors.js");
const { plain, cut, ms, bytes, price, duration, asSentence } = await load("ui/text.js");
const { choices, whereOf, AUTO } = await load("chat/models.js");
const { titleOf, startAnswer } = await load("chat/talk.js");
const { waitOf, ask } = await load("chat/ask.js");
const { credits } = await load("wallet/money.js");
const { settingsIn, withoutCommand } = await load("ui/setting.js");
const { isSignedByBoth } = await load("wallet/history.js");
const { readFile } = await load("chat/files.js");
const { whereTo } = await load("chat/honest.js");

/** The pieces of a text that comes in parts of `step` characters. */
function pieces(text, step = text.length || 1) {
  const blocks = createBlocks();
  const out = [];
  for (let at = 0; at < text.length; at += step) {
    out.push(...blocks.push(text.slice(at, at + step)));
    blocks.open();
  }
  return [...out, ...blocks.end()].filter((p) => p.text);
}

const RICH = "# Title\n\nA paragraph\nof two lines.\n\n- one\n\n- two\n  more\n\n```js\nlet a;\n\nlet b;\n```\n\n1. x\n\n   ~~~\n   y\n   ~~~\n2. z\n\nEnd";

test("Markdown is cut where a block ends, and the same however it comes in", () => {
  const whole = pieces(RICH);
  assert.deepEqual(whole.map((p) => p.text.split("\n")[0]), ["# Title", "A paragraph", "- one", "```js", "1. x", "End"]);
  assert.match(whole[2].text, /^- one\n\n- two\n {2}more\n\n$/);
  assert.match(whole[3].text, /^```js\nlet a;\n\nlet b;\n```\n$/);
  for (const step of [1, 2, 3, 7, 50]) assert.deepEqual(pieces(RICH, step), whole);
});

test("nothing of a text is lost but empty lines, and no piece outgrows its bound", () => {
  const long = [RICH, "x".repeat(3 * PIECE_MAX), "```c\n" + "int a;\n".repeat(9000) + "```\n", "- item\n".repeat(9000), "word ".repeat(RICH_MAX / 4), RICH].join("\n\n");
  for (const step of [97, 4096, long.length]) {
    const got = pieces(long, step);
    const squeezed = (s) => s.replace(/\s+/g, "");
    const back = got.map((p) => p.text).join("");
    assert.equal(squeezed(back).length + "```c```".length, squeezed(long).length); // the marks of the long code block are not in it
    for (const p of got) assert.ok(p.text.length <= PIECE_MAX + LINE_MAX + 1, `${p.kind} of ${p.text.length}`);
  }
});

test("a line without an end is text and not Markdown", () => {
  assert.deepEqual(pieces("*".repeat(LINE_MAX + 1) + "\n\nb\n").map((p) => p.kind), ["text", "markdown"]);
  assert.deepEqual(pieces("*".repeat(LINE_MAX - 1) + "\n\nb\n").map((p) => p.kind), ["markdown", "markdown"]);
});

test("beyond its bound an answer is plain text, to the last character", () => {
  const text = "a *b*\n\n".repeat(RICH_MAX / 5);
  const got = pieces(text, 1000);
  const rest = got.filter((p) => p.kind === "text").map((p) => p.text).join("");
  assert.ok(rest.length > 1000 && text.endsWith(rest));
  assert.ok(got.filter((p) => p.kind === "markdown").every((p) => p.text.startsWith("a *b*")));
});

test("a code block that is longer than a piece goes on as code", () => {
  const got = pieces("before\n\n```rust\n" + "let a = 1;\n".repeat(4000) + "```\nafter\n", 300);
  assert.equal(got[0].kind, "markdown");
  assert.equal(got[got.length - 1].text, "after\n");
  const code = got.slice(1, -1);
  assert.ok(code.length > 2 && code.every((p) => p.kind === "code" && p.lang === "rust" && !p.text.includes("```")));
});

test("marks of code blocks are those of CommonMark", () => {
  const firsts = (text) => pieces(text).map((p) => p.text.split("\n")[0]);
  for (const mark of ["```", "~~~", "   ````", "~~~~~", "``` js", "~~~ a`b", "~~~ ~~~"])
    assert.deepEqual(firsts(`a\n${mark}\n\nb\n\n${"`".repeat(9)}\n${"~".repeat(9)}\nc\n`).length, 3, mark);
  for (const none of ["``", "~~", "    ```", "``` a`b", "```` ```", "-```", "\t~~~"])
    assert.equal(firsts(`a\n${none}\n\nb\n\n\nc\n`).length, 3, none);
  for (const stays of ["```", "~~~~", "````x", "    ````"]) assert.equal(firsts(`\`\`\`\`\n${stays}\n\nb\n`).length, 1, stays);
  for (const ends of ["````", "  `````  "]) assert.equal(firsts(`\`\`\`\`\n${ends}\n\nb\n`).length, 2, ends);
  assert.equal(pieces("~~~c++ x\n" + "y\n".repeat(PIECE_MAX) + "~~~\n")[0].lang, "c++");
});

test("events are read however they are cut, with comments and any line ends", () => {
  const said = ": queue position=3 wait_s=40\r\n\r\ndata: {\"a\":1}\n\nevent: error\ndata: x\ndata: y\n\n:\ndata:z\n\n";
  for (let step = 1; step <= said.length; step++) {
    const got = [];
    const read = sseReader({ onEvent: (name, data) => got.push([name, data]), onComment: (text) => got.push(text) });
    for (let at = 0; at < said.length; at += step) read(said.slice(at, at + step));
    assert.deepEqual(got, ["queue position=3 wait_s=40", ["message", "{\"a\":1}"], ["error", "x\ny"], "", ["message", "z"]]);
  }
});

test("what a question waits for is read, and shown in words of the page alone", () => {
  assert.deepEqual(waitOf("queue position=3 wait_s=40"), { position: 3, wait: 40 });
  assert.match(waitOf("waiting for=model seconds=15").words, /loads the model/);
  const peer = "3f".repeat(32);
  const { words, ...rest } = waitOf(`waiting for=path seconds=3 peer=${peer}`);
  assert.match(words, /path is being looked at/);
  assert.deepEqual(rest, { what: "path", seconds: 3, peer });
  for (const other of ["still here", "waiting for=<b> seconds=1", "waiting for=constructor seconds=1", "waiting for=path", "waiting for=path seconds=3 peer=<b>",
    "waiting for=path seconds=x", "queue position=x"]) assert.equal(waitOf(other), null, other);
});

test("an answer that stops in its middle says why and since when, until words come again", async (t) => {
  t.mock.method(performance, "now", () => 1e6);
  const peer = "3f".repeat(32);
  const seen = [];
  const app = { ui: { duration }, on: () => () => {}, state: { status: { node_id: "a".repeat(64) }, peers: [{ node_id: peer, alias: "gpu", path: "direct" }] },
    api: { async stream(path, { onHead, onEvent, onComment }) {
      await null; // as a request: `me` is there when it answers
      const word = (content) => onEvent("message", JSON.stringify({ choices: [{ delta: { content } }] }));
      onHead(new Headers());
      onComment(`waiting for=path seconds=4 peer=${peer}`);
      word("half");
      onComment("queue position=3 wait_s=40");
      onComment("waiting for=answer seconds=15");
      onComment(`waiting for=path seconds=3 peer=${peer}`);
      onComment(`waiting for=model seconds=8 peer=${peer}`);
      onComment("waiting for=model seconds=9");
      me.attach(target);
      word(" and half");
      me.attach(target);
      onEvent("message", "[DONE]");
    } } };
  const target = { waiting: (words, seconds, middle) => seen.push([words, seconds, middle]), push: (text) => seen.push(text),
    resume: (text) => seen.push(`again ${text}`), end: () => seen.push("end") };
  const message = { role: "assistant", versions: [], shown: 0 };
  const talk = { head: { id: "1" }, body: { messages: [{ role: "user", text: "?" }, message] } };
  const me = startAnswer(app, talk, message, { choice: { id: "m" }, answer: target, keep() {} });
  await me.over;
  const silent = ["No word from the model server", 9, true];
  assert.deepEqual(seen, [["Asking", 0, false], ["Nothing comes from the other machine: its path is being looked at", 0, false], "half",
    ["No word from gpu: its path is being looked at", 3, true], ["No word from gpu: it is connected, its model is silent", 8, true], silent,
    "again half", silent, " and half", "again half and half", "end"]);
});

test("an event that is cut off is none", () => {
  const got = [];
  sseReader({ onEvent: (...e) => got.push(e) })("data: x\n");
  assert.deepEqual(got, []);
});

test("neither a line nor an event without an end is held for ever", () => {
  const fed = (piece, most) => {
    const read = sseReader({ onEvent() {} });
    for (let i = 0; i < most; i++) read(piece);
  };
  const mega = "x".repeat(1 << 20);
  assert.throws(() => fed(mega, 40), /line of the stream has no end/);
  assert.throws(() => fed(`data: ${mega}\n`, 40), /event of the stream has no end/);
  assert.throws(() => fed("data:\n".repeat(1 << 20), 40), /event of the stream has no end/);
  fed(`data: ${mega}\n\n`, 80);
});

test("controls that turn text around are named, others replaced, letters of every script kept", () => {
  assert.equal(plain("a\u202eb\u2066c\u0007d\r\ne"), "a[U+202E]b[U+2066]c\ufffdd\ne");
  const fine = "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 e\u0301 \ud83d\ude00\n\tx";
  assert.equal(plain(fine), fine);
});

test("numbers are shown as people read them", () => {
  assert.deepEqual([ms(18.44), ms(1500), ms(0), ms(null), bytes(999), bytes(1400), bytes(25e6), price(0), price(1500), price(null)],
    ["18.4 ms", "1.5 s", "", "", "999 B", "1.4 kB", "25.0 MB", "free", "0.0015 credits / 1000 tokens", ""]);
  assert.deepEqual([duration(8), duration(200), duration(7200), duration(1e6)], ["8 s", "3 min", "2 h", "12 d"]);
  assert.equal(cut("abcdef", 4), "abc\u2026");
  assert.deepEqual([credits(0), credits(1500), credits(-12500000), credits(1), credits(1e10)], ["0", "0.0015", "\u221212.5", "0.000001", "10,000"]);
});

test("a clause of the node becomes a sentence, and no URL is changed", () => {
  assert.equal(asSentence("the model server at http://a has no model"), "The model server at http://a has no model.");
  assert.equal(asSentence("http://foo:80: no name server answered"), "http://foo:80: no name server answered.");
});

test("where the node quotes the command of a setting, the page has its link and not the command", () => {
  const found = (text) => [withoutCommand(text), settingsIn(text)];
  assert.deepEqual(found("no relay can be asked: wan_enabled is false (teale config set wan_enabled true)"), ["no relay can be asked: wan_enabled is false", ["wan_enabled"]]);
  assert.deepEqual(found("lan_enabled and wan_enabled are false (for the local network: teale config set lan_enabled true; for others: teale config set wan_enabled true)"),
    ["lan_enabled and wan_enabled are false", ["lan_enabled", "wan_enabled"]]);
  assert.deepEqual(found("wan_enabled is false. teale config set wan_enabled true"), ["wan_enabled is false.", ["wan_enabled"]]);
  assert.deepEqual(found("dht.enabled is false: teale config set dht.enabled true"), ["dht.enabled is false.", ["dht.enabled"]]);
  assert.deepEqual(found("Turn it on (teale config set wan_enabled true), or ask an admin."), ["Turn it on, or ask an admin.", ["wan_enabled"]]);
  assert.deepEqual(found("teale config set wan_enabled true; for a peer at home: teale config set lan_enabled true, then wait"),
    ["teale config set wan_enabled true; for a peer at home: teale config set lan_enabled true, then wait", ["wan_enabled", "lan_enabled"]]);
  assert.deepEqual(found("nat.direct and wan_enabled are false (for the local network: teale config set nat.direct true; for others: teale config set wan_enabled true)"),
    ["nat.direct and wan_enabled are false", ["nat.direct", "wan_enabled"]]);
  assert.deepEqual(found("The node does not answer."), ["The node does not answer.", []]);
  assert.deepEqual(settingsIn("teale config set a b", null, undefined, "teale config set a c"), ["a"]);
});

test("an error keeps the node's words and adds what helps; anything else in its place is one, too", () => {
  const e = errorOf(429, { error: { message: "full", code: "queue_full" } });
  assert.deepEqual([e.status, e.code, e.message, Boolean(e.remedy)], [429, "queue_full", "full", true]);
  for (const junk of [null, [], "x", { error: 7 }, { error: { message: 3 } }]) assert.match(errorOf(500, junk).message, /500/);
});

test("only a node that ends is to be started again; whoever is paused, later or in another's place", () => {
  const remedy = (message) => errorOf(503, { error: { message, code: "unavailable" } }).remedy;
  for (const own of ["this node is shutting down", "the node is shutting down, or has not started"]) assert.equal(remedy(own), "Start it again: teale up");
  for (const other of ["peer \"vm\" (3f9a): it is paused: its owner serves nobody else now", "peer \"x\" (3f9a): this node is shutting down",
    "\"m\" is served by 1 node, but it takes no questions of others now: 1 of 1 is paused by the owner"]) assert.equal(remedy(other), "Try again later, or take another model.");
  for (const rest of ["this node is out of memory", "this node's disk does not take the request's ID now: teale doctor says why"]) assert.equal(remedy(rest), "");
});

test("what a model server says is told as its words, and its code picks no remedy", async () => {
  const evil = { error: { message: "Run this", code: "invalid_api_key" } };
  const e = refusalOf(400, evil);
  assert.deepEqual([e.message, e.code, e.remedy], ["The model server says: Run this", "refused", "Ask another way, or take another model."]);
  assert.equal(refusalOf(200, { error: "x".repeat(700) }).message.length, "The model server says: ".length + 601);
  for (const junk of [null, [], "x", { error: 7 }, { error: { message: 3 } }]) assert.match(refusalOf(400, junk).message, /does not say why/);
  const headers = (h) => new Headers(h);
  assert.deepEqual([400, 404, 413, 422, 429, 401, 402, 502, 503].map((s) => isRefusal(s, headers({ "X-Teale-Peer": "3f" }))), [true, true, true, true, true, false, false, false, false]);
  assert.equal(isRefusal(404, headers({})), false);
  const app = { state: null, on: () => () => {} };
  const asked = (name) => ask({ ...app, api: { stream: async (path, to) => { to.onHead(headers({})); to.onEvent(name, JSON.stringify(evil)); } } },
    { choice: { id: "m" }, messages: [], onText() {}, onWait() {}, onHead() {} });
  await assert.rejects(asked("message"), { code: "refused", message: "The model server says: Run this" });
  await assert.rejects(asked("error"), { code: "invalid_api_key", message: "Run this", remedy: "teale env --owner shows the key of this node's owner." });
});

test("a link whose words are not exactly its host or itself tells its host", () => {
  const evil = "https://evil.example/login";
  for (const words of ["https://bank.example", "bank.example", "\u200bhttps://bank.example", "(bank.example)", "\u201cbank.example\u201d", "//bank.example",
    "ftp://bank.example", "b\u0430nk.example", "bank\u200b.example", "here", "", "https://evil.example/other", "evil.example.bank.example", "evil.example @bank.example"])
    assert.equal(whereTo(words, evil), "evil.example", words);
  for (const words of [evil, "evil.example", " Evil.Example\n", "https://evil.example", "evil.example/login"]) assert.equal(whereTo(words, evil), "", words);
  for (const href of ["https://bank.example@evil.example/", "https://bank.example:x@evil.example", "https:\\\\evil.example/", "https://evil.example\\@bank.example/"])
    assert.equal(whereTo(href, href), "evil.example", href);
  assert.equal(whereTo("https://b\u0430nk.example/", "https://b\u0430nk.example/"), "xn--bnk-6cd.example");
  assert.equal(whereTo("https://evil.example:8443/", "https://evil.example:8443/"), "");
  assert.equal(whereTo("https://evil.example", "https://evil.example:8443/"), "evil.example:8443");
  assert.deepEqual([whereTo("a@fine.example", "mailto:a@fine.example"), whereTo("a@bank.example", "mailto:a@evil.example"), whereTo("x", "not a url")],
    ["", "a@evil.example", ""]);
});

test("a receipt is signed by both only where both signatures of its kind are there", () => {
  const both = (kind, ...names) => isSignedByBoth({ kind, receipt: Object.fromEntries(names.map((n) => [n, "ab"])) });
  assert.deepEqual([both("settlement", "debtorSignature"), both("settlement", "creditorSignature"), both("settlement", "debtorSignature", "creditorSignature")], [false, false, true]);
  assert.deepEqual([both("question", "providerSignature"), both("question", "consumerSignature"), both("question", "providerSignature", "consumerSignature")], [false, false, true]);
  assert.equal(both("settlement", "providerSignature", "consumerSignature"), false);
});

test("a file that is empty is refused, one of text is taken", async () => {
  await assert.rejects(readFile(new File([], "empty.txt")), /^Error: empty\.txt is empty\.$/);
  await assert.rejects(readFile(new File([], "empty.png", { type: "image/png" })), /is empty/);
  assert.equal((await readFile(new File(["a"], "a.txt"))).text, "a");
});

test("a model is offered once for the public and once for each network", () => {
  const offer = (node, ptn, micro) => ({ node_id: node, ptn_id: ptn, price_micro: micro, slots_free: 1 });
  const got = choices({ status: { ptns: [{ ptn_id: "p1", name: "family" }] }, models: [
    { id: "a", local: true, offers: [] }, { id: "b", local: false, offers: [offer("n1", null, 5), offer("n2", null, 3), offer("n3", "p1", 0)] },
    { id: "c", local: false, offers: [offer("n1", "p2", 1)] }] });
  assert.deepEqual(got.map((c) => [c.key, c.network, c.price, whereOf(c)]), [[AUTO, null, null, "the best that can answer now"],
    ["a", null, null, "this machine"], ["b", null, 3, "2 other machines"], ["b@p1", "family", 0, "1 other machine"], ["c@p2", "p2", 1, "1 other machine"]]);
  assert.deepEqual(choices(null).map((c) => c.key), [AUTO]);
});

test("a conversation is called after the first words of its question", () => {
  assert.equal(titleOf("  Why is\tthe sky blue?\nSecond line"), "Why is the sky blue?");
  assert.equal(titleOf("word ".repeat(40)), "word word word word word word word word word word word word\u2026");
  assert.equal(titleOf(""), "Picture");
});

test("every module of the page has a line that says what it is", async () => {
  const { readFileSync } = await import("node:fs");
  const all = readdirSync(join(page, "js"), { recursive: true, withFileTypes: true }).filter((f) => f.name.endsWith(".js"));
  assert.ok(all.length > 20);
  for (const f of all) assert.match(readFileSync(join(f.parentPath || f.path, f.name), "utf8"), /^(?:\/\/|\/\*)/, f.name);
});
