// views.mjs PAGE: what the views Network, Settings and Doctor compute without a document. Each test's name is a sentence.

import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { test } from "node:test";

const page = resolve(process.argv[2]);
const load = (path) => import(join(page, "js", path));
const { createModel, laneOf, pick, share } = await load("network/model.js");
const { layout } = await load("network/layout.js");
const { natName, natWords, relayWords } = await load("network/words.js");
const { danger, groups, grouped, placeOf } = await load("settings/groups.js");
const { remedyHere } = await load("sharing/serve.js");
const { PLACES } = await load("ui/setting.js");
const { TITLES, report } = await load("views/doctor.js");

const id = (n) => String(n).padStart(64, "0");
const peer = (n, path, more) => ({ node_id: id(n), name: `p${n}`, path, models: [], ptns: [], bytes_in: path ? 0 : null, bytes_out: path ? 0 : null, ...more });
const status = { wan: { enabled: true, state: "connected", relay: "wss://r/ws", relays: [{ url: "wss://r/ws", state: "connected", rtt_ms: 5 }] }, nat: {} };
const modelOf = (peers, clock) => {
  const model = createModel(clock);
  model.take({ status, peers });
  return model;
};
const drawn = (model, more) => layout({ width: 1000, status, lanes: model.lanes(), chosen: "", before: new Set(), isBusy: model.isBusy, ...more });

test("an event moves a peer to another lane before the node is asked again", () => {
  const model = modelOf([peer(1, "relayed"), peer(2, null)]);
  model.event("PathChanged", { node_id: id(1), path: "direct", remote: "192.0.2.1:1", rtt_ms: 3 });
  model.event("PeerJoined", { node_id: id(3), name: "new", path: "lan" });
  model.event("PeerLeft", { node_id: id(2) });
  model.event("PathChanged", null);
  model.event("PathChanged", { node_id: 5 });
  const lanes = model.lanes();
  assert.deepEqual([lanes.direct, lanes.lan, lanes.none, lanes.relayed].map((l) => l.map((p) => p.name)), [["p1"], ["new"], ["p2"], []]);
  assert.equal(laneOf("relayed-plaintext"), "relayed");
});

test("rates come from two counts; a count that went back is none", () => {
  const model = modelOf([peer(1, "direct")]);
  model.traffic({ at_ms: 1000, peers: [{ node_id: id(1), bytes_in: 1000, bytes_out: 0, answers: 0, rtt_ms: 7 }] });
  assert.equal(model.peers.get(id(1)).in, 0);
  model.traffic({ at_ms: 3000, peers: [{ node_id: id(1), bytes_in: 9000, bytes_out: 500, answers: 0, rtt_ms: 7 }] });
  assert.deepEqual([model.peers.get(id(1)).in, model.peers.get(id(1)).out], [4000, 250]);
  assert.ok(model.isBusy(model.peers.get(id(1))));
  model.traffic({ at_ms: 5000, peers: [{ node_id: id(1), bytes_in: 10, bytes_out: 500, answers: 0, rtt_ms: 7 }, { node_id: id(9), bytes_in: 1 }] });
  assert.equal(model.peers.get(id(1)).in, 0);
});

test("a peer that the node does not name any more is gone, and what changed is marked for a moment", () => {
  let now = 0;
  const model = modelOf([peer(1, "direct"), peer(2, "relayed")], () => now);
  assert.ok(!model.isChanged(model.peers.get(id(1))));
  now = 10;
  model.take({ status, peers: [peer(1, "relayed")] });
  assert.deepEqual([...model.peers.keys()], [id(1)]);
  assert.ok(model.isChanged(model.peers.get(id(1))));
  now = 5000;
  assert.ok(!model.isChanged(model.peers.get(id(1))));
});

test("room is shared in turns: no lane starves beside a full one", () => {
  assert.deepEqual(share([500, 2, 500], 14), [6, 2, 6]);
  assert.deepEqual(share([0, 3, 0], 14), [0, 3, 0]);
  assert.deepEqual(share([9, 9, 9], 2), [1, 1, 0]);
});

test("the chosen and the busy are drawn, and whoever was drawn stays while nobody needs the place", () => {
  const list = Array.from({ length: 100 }, (_, i) => ({ node_id: id(i), seq: i }));
  const busy = new Set([id(70)]);
  const first = pick(list, 4, { chosen: id(99), before: new Set(), isBusy: (p) => busy.has(p.node_id) });
  assert.deepEqual(first.map((p) => p.node_id), [id(0), id(1), id(70), id(99)]);
  busy.clear();
  const then = pick(list, 4, { chosen: "", before: new Set(first.map((p) => p.node_id)), isBusy: () => false });
  assert.deepEqual(then, first);
});

test("500 peers take the rows of 14, and the rows lie below each other", () => {
  const paths = ["lan", "direct", "relayed", null];
  const model = modelOf(Array.from({ length: 500 }, (_, i) => peer(i, paths[i % 4])));
  for (const width of [300, 700, 2000]) {
    const l = drawn(model, { width });
    assert.ok(l.rows.length <= 14 + 3 + 1);
    l.rows.slice(1).forEach((r, i) => assert.ok(r.y >= l.rows[i].y + 28));
    assert.ok(l.rows.every((r) => r.y > 0 && r.y < l.height) && l.relays.every((r) => r.y < l.height));
    const more = l.rows.filter((r) => r.kind === "more").reduce((sum, r) => sum + r.count, 0);
    assert.equal(more + l.rows.filter((r) => r.kind === "peer").length, 500);
  }
});

test("the local network goes round the NAT, direct paths through it, relayed ones from their relay", () => {
  const model = modelOf([peer(1, "lan"), peer(2, "direct"), peer(3, "relayed", { relay: `node:${id(8)}` }), peer(4, "relayed", { relay: "wss://r/ws" })]);
  const l = drawn(model);
  const from = (n) => /^M([\d.]+) ([\d.]+)/.exec(l.lines.find((x) => x.id === `line-${id(n)}`).d).slice(1).map(Number);
  assert.deepEqual(from(1), [l.node.x, l.node.y]);
  assert.deepEqual(from(2), [l.nat.x, l.nat.y]);
  assert.deepEqual(from(3)[1], l.relays.find((r) => r.node).y);
  assert.deepEqual(from(4)[1], l.relays.find((r) => r.url === "wss://r/ws").y);
  assert.ok(l.rows.find((r) => r.id === id(1)).y < l.nat.y - 34);
});

test("without a peer, a relay or a network there is a picture all the same", () => {
  const l = layout({ width: 320, status: { wan: { enabled: false }, nat: { state: "off" } }, lanes: createModel().lanes(), chosen: "", before: new Set(), isBusy: () => false });
  assert.deepEqual([l.rows.length, l.relays.length, l.lines.length], [0, 0, 1]);
  assert.equal(natWords({}).title, "NAT not known");
  const alone = { wan: { enabled: false }, nat: { state: "off" } };
  assert.equal(natWords({ ...alone, lan: { discovery: "own" } }).address, "local network only");
  for (const discovery of ["off", "failed"]) assert.equal(natWords({ ...alone, lan: { discovery } }).address, "this machine only");
  assert.equal(natWords({ ...alone, wan: { enabled: true } }).title, "No UDP");
  assert.equal(relayWords({ url: "not a url", state: "offline" }).title, "not a url");
});

test("every setting stands in one group, one that is new under More, and none is lost", () => {
  const keys = groups.flatMap((g) => Object.keys(g.settings));
  assert.equal(new Set(keys).size, keys.length);
  const all = grouped([...keys, "nat.brand_new"].map((key) => ({ key })));
  assert.deepEqual(all.flatMap((g) => g.settings.map((s) => s.key)).sort(), [...keys, "nat.brand_new"].sort());
  assert.deepEqual(placeOf("nat.brand_new"), { group: { id: "more", title: "More", settings: {} }, title: "nat.brand_new" });
  assert.deepEqual([placeOf("wan_enabled").group.title, placeOf("wan_enabled").title], ["Networking", "Enable WAN"]);
});

test("the links of errors call a setting what the view Settings calls it", () => {
  for (const [key, words] of Object.entries(PLACES)) {
    const { group, title } = placeOf(key);
    assert.equal(words, `Settings \u203a ${group.title} \u203a ${title}`);
  }
});

test("an address beyond this machine is a danger, each form of loopback is none", () => {
  for (const safe of ["127.0.0.1:11435", "127.9.9.9:1", "localhost:11435", "[::1]:11435"]) assert.equal(danger("api_listen", safe), null, safe);
  for (const open of ["0.0.0.0:11435", "[::]:11435", "192.168.1.2:1", "127.0.0.1.evil.example:1", "localhost.evil:1", ""])
    assert.match(danger("api_listen", open), /Other machines/, open);
  assert.equal(danger("legacy_plaintext", false), null);
  assert.match(danger("legacy_plaintext", true), /in clear/);
  assert.equal(danger("api_allowed_origins", []), null);
  assert.match(danger("api_allowed_origins", ["https://a"]), /as you do/);
});

test("the doctor's report is text for a mail, the worst first", () => {
  const text = report([{ id: "wan", state: "ok", evidence: "fine", remedy: "" }, { id: "relay", state: "problem", evidence: "down", remedy: "start it" },
    { id: "odd", state: "new", evidence: "?", remedy: "" }], new Date(0), { version: "0.1.0" });
  assert.equal(text, "teale 0.1.0, 1970-01-01T00:00:00.000Z\nFAIL  relay         down\n                    -> start it\nFAIL  odd           ?\nok    wan           fine\n");
});

test("every check of the node's doctor has a title in the page", async () => {
  const { readFileSync, readdirSync } = await import("node:fs");
  const tell = resolve(page, "../../tell");
  const ids = new Set();
  for (const file of readdirSync(tell).filter((f) => f.endsWith(".c")))
    for (const [, one] of readFileSync(join(tell, file), "utf8").matchAll(/tl_finding_[a-z_]+\(\s*&?\w+,\s*"([a-z0-9_]+)"/g)) ids.add(one);
  assert.ok(ids.size > 20 && ids.has("ipv6"), `${ids.size} checks`);
  for (const one of ids) assert.ok(TITLES[one], one);
});

test("what helps where nothing is shared is done on the page, and no text of the command line", async () => {
  const { readFileSync } = await import("node:fs");
  const source = readFileSync(resolve(page, "../../node/sharing.c"), "utf8").replace(/"\s*\n\s*"/g, "");
  const told = [...source.matchAll(/remedy\(s,\s*"([^"]*--share URL[^"]*)"/g)].map((m) => m[1]);
  assert.equal(told.length, 3);
  for (const text of told) {
    for (const fixed of [false, true]) assert.doesNotMatch(remedyHere(text, fixed), /--share|setting share/, text);
    assert.match(remedyHere(text, false), /address.*:$/);
    assert.match(remedyHere(text, true), /\.$/);
  }
  assert.equal(remedyHere("Load one there, as with: ollama pull qwen3:8b", false), "Load one there, as with: ollama pull qwen3:8b");
});

test("a node without a NAT is called so, and of another nobody says that it has one", () => {
  const nat = (more) => natWords({ wan: { enabled: true }, nat: { type: "fullCone", state: "known", ...more } }).title;
  assert.deepEqual([nat({ mapping: "none" }), nat({ mapping: "endpointIndependent" })], ["No NAT", "Full-cone NAT"]);
  assert.deepEqual([natName("fullCone"), natName("symmetric"), natName("unknown")], ["None, or full-cone NAT", "Symmetric NAT", "not known"]);
});
