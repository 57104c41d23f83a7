// nodes.mjs PAGE: how the page names nodes: what a node calls itself never looks like the owner's own word. Each test's
// name is a sentence.

import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { test } from "node:test";

/** As much of a document as el() needs. */
class Node {
  constructor(tag) {
    Object.assign(this, { tag, list: [], classList: { add: (...words) => this.classes.push(...words) }, classes: [], attributes: {} });
  }

  append(...more) {
    this.list.push(...more);
  }

  addEventListener() {}

  setAttribute(key, value) {
    this.attributes[key] = value;
  }

  get textContent() {
    return this.list.map((one) => (one instanceof Node ? one.textContent : one)).join("");
  }

  /** The texts of all elements with this class. */
  find(word) {
    return [...(this.classes.includes(word) ? [this.textContent] : []), ...this.list.flatMap((one) => (one instanceof Node ? one.find(word) : []))];
  }
}
globalThis.Node = Node;
globalThis.document = { createElement: (tag) => new Node(tag), createElementNS: (space, tag) => new Node(tag) };

const page = resolve(process.argv[2]);
const load = (path) => import(join(page, "js", path));
const { nodeInFull, nodeName, nodeText, nodeTextInFull } = await load("nodes.js");
const { stateTag } = await load("networks/words.js");
const { ui } = await load("ui.js");
const { markOf, titleOf } = await load("network/model.js");

const ID = { friend: "a".repeat(64), stranger: "b".repeat(64), silent: "c".repeat(64), own: "d".repeat(64) };
const short = (who) => ID[who].slice(0, 16);
const app = { state: { status: { node_id: ID.own, display_name: "my desk" }, peers: [{ node_id: ID.friend, alias: "alice", name: "box" },
  { node_id: ID.stranger, alias: null, name: "alice" }, { node_id: ID.silent, alias: null, name: "" }] } };

test("an alias is shown as the owner's word, a display name with the first digits of its ID", () => {
  const friend = nodeName(app, ID.friend);
  const stranger = nodeName(app, ID.stranger);
  assert.deepEqual([friend.textContent, friend.find("own"), friend.find("id")], ["alice", ["alice"], []]);
  assert.deepEqual([stranger.textContent, stranger.find("own"), stranger.find("id")], [`alice ${short("stranger")}`, [], [short("stranger")]]);
  assert.deepEqual([nodeText(app, ID.friend), nodeText(app, ID.stranger)], ["alice", `alice (${short("stranger")})`]);
  assert.deepEqual([nodeName(app, ID.own).textContent, nodeName(app, ID.own).find("own")], ["my desk", ["my desk"]]);
});

test("an answer's own words count as the state does: its alias first, its name with digits", () => {
  const away = "e".repeat(64);
  assert.equal(nodeText(app, away, { alias: "bob", name: "x" }), "bob");
  assert.equal(nodeText(app, away, { alias: null, name: "bob" }), `bob (${away.slice(0, 16)})`);
  assert.equal(nodeText(app, ID.friend, { name: "else" }), "alice");
  assert.equal(nodeText({ state: null }, away), away.slice(0, 16));
});

test("who answered keeps its name when it is gone, and is asked for where it was met for this question", async () => {
  const { ask } = await load("chat/ask.js");
  const other = { state: { status: { node_id: ID.own }, peers: [] }, on: () => () => {}, api: { async stream(path, to) {
    to.onHead(new Headers({ "X-Teale-Peer": ID.stranger }));
    to.onEvent("message", "{\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}");
  } }, async refresh() {
    other.state = { ...other.state, peers: [{ node_id: ID.stranger, name: "box", path: "lan" }] };
  } };
  const facts = await ask(other, { choice: { id: "m" }, messages: [], onText() {}, onWait() {}, onHead() {} });
  assert.deepEqual([facts.name, facts.path, facts.peer], ["box", "lan", ID.stranger]);
});

test("where a person decides over a node the digits are always there, and once", () => {
  for (const who of ["friend", "stranger", "own"]) {
    assert.deepEqual(nodeInFull(app, ID[who]).find("id"), [short(who)]);
    assert.ok(nodeTextInFull(app, ID[who]).endsWith(` (${short(who)})`));
  }
  assert.deepEqual([nodeInFull(app, ID.silent).textContent, nodeTextInFull(app, ID.silent)], [short("silent"), short("silent")]);
});

test("no name is so long, or turns text so, that the digits are lost behind it", () => {
  const text = nodeText({ state: null }, ID.stranger, { name: "\u202e" + "W".repeat(500) });
  assert.match(text, /^\[U\+202E\]W+\u2026 \(b{16}\)$/);
  assert.ok(text.length < 64);
});

test("the tag beside a network's title says the node's true role, or why it is no member now", () => {
  const said = (state, role) => stateTag({ state, role }).textContent;
  assert.deepEqual(["admin", "provider", "consumer"].map((role) => said("valid", role)), ["Admin", "Provider", "Consumer"]);
  assert.deepEqual([said("revoked", "admin"), said("expired", "admin"), said("joining")], ["Revoked", "Expired", "Joining"]);
});

test("an error that quotes the command of a setting shows a link to the setting in its place", () => {
  const links = (one) => (one instanceof Node ? [...(one.tag === "a" ? [one.attributes.href] : []), ...one.list.flatMap(links)] : []);
  const box = ui.problem({ message: "wan_enabled is false (teale config set wan_enabled true)", remedy: "Or use the local network." });
  assert.deepEqual(links(box), ["#/settings/wan_enabled"]);
  assert.equal(box.textContent, "wan_enabled is falseOr use the local network.Settings \u203a Networking \u203a Enable WAN");
  assert.deepEqual(links(ui.problem({ message: "no" })), []);
});

test("where the browser lets the page keep nothing, the key is asked for all the same", async () => {
  for (const name of ["sessionStorage", "localStorage"])
    Object.defineProperty(globalThis, name, { configurable: true, get() { throw new DOMException("The operation is insecure.", "SecurityError"); } });
  const { createKey } = await load("key.js");
  assert.equal(createKey().get(), "");
});

test("the picture marks whoever is not called by an alias", () => {
  const [friend, stranger, silent] = app.state.peers;
  assert.deepEqual([titleOf(friend), markOf(friend)], ["alice", ""]);
  assert.deepEqual([titleOf(stranger), markOf(stranger)], ["alice", "bbbbbbbb"]);
  assert.deepEqual([titleOf(silent), markOf(silent)], [short("silent"), ""]);
});

test("what decides over a node names it in full", async () => {
  const { readFileSync } = await import("node:fs");
  for (const path of ["wallet/settle.js", "networks/members.js", "networks/invite.js", "networks/join.js", "networks/detail.js"]) {
    const source = readFileSync(join(page, "js", path), "utf8");
    assert.match(source, /node(Text)?InFull\(/, path);
    assert.doesNotMatch(source, /\bnode(Name|Text)\(/, path);
  }
});
