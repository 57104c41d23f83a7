// kept.mjs PAGE: conversations in the browser's database, held where that fails, and read from files. Each test's name is
// a sentence.

import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { test } from "node:test";

const page = resolve(process.argv[2]);
const load = (path) => import(join(page, "js", path));

/** As much of IndexedDB as the store needs: `fail` decides which step fails, and with what. */
class FakeDatabase {
  constructor() {
    Object.assign(this, { stores: { heads: new Map(), bodies: new Map() }, fail: () => null, opened: 0, closed: false });
  }

  /** `before`: the transaction that must be over first. */
  request(work, before, event = () => undefined) {
    const r = {};
    const run = () => {
      if (before && !before.over) {
        setTimeout(run);
        return;
      }
      try {
        r.result = work();
        if (r.onsuccess) r.onsuccess(event());
      } catch (e) {
        r.error = e;
        if (r.onerror) r.onerror();
      }
    };
    setTimeout(run);
    return r;
  }

  check(step) {
    const e = this.fail(step);
    if (e) throw Object.assign(new Error(`${step} failed`), { name: e });
  }

  connect() {
    return this.request(() => {
      this.check("open");
      this.opened++;
      this.closed = false;
      return { close() {}, transaction: (names) => this.transaction(names) };
    });
  }

  transaction() {
    if (this.closed) throw Object.assign(new Error("it is closed"), { name: "InvalidStateError" });
    const t = { error: null, todo: [], pending: 0, aborted: false, oncomplete() {}, onabort() {} };
    const before = this.last;
    this.last = t;
    t.objectStore = (name) => {
      const store = this.stores[name];
      const later = (step, work) => {
        this.check(`${step} now`);
        t.todo.push([step, work]);
      };
      return {
        put: (value) => { const kept = structuredClone(value); later("put", () => store.set(kept.id, kept)); },
        delete: (id) => later("delete", () => store.delete(id)),
        clear: () => later("clear", () => store.clear()),
        get: (id) => {
          t.pending++;
          const r = this.request(() => {
            setTimeout(() => { t.pending--; }); // after what its answer makes be written
            this.check("get");
            return structuredClone(store.get(id));
          }, before, () => ({ target: r }));
          return r;
        },
        getAll: () => this.request(() => { this.check("getAll"); return structuredClone([...store.values()]); }),
      };
    };
    t.abort = () => { t.aborted = true; };
    const commit = () => {
      if (t.pending || (before && !before.over)) {
        setTimeout(commit);
        return;
      }
      t.over = true;
      const whole = Object.fromEntries(Object.entries(this.stores).map(([name, store]) => [name, new Map(store)]));
      try {
        if (t.aborted) throw Object.assign(new Error("aborted"), { name: "AbortError" });
        for (const [step, work] of t.todo) {
          this.check(step);
          work();
        }
        t.oncomplete();
      } catch (e) {
        for (const [name, store] of Object.entries(whole)) { this.stores[name].clear(); for (const [k, v] of store) this.stores[name].set(k, v); }
        t.error = t.aborted ? null : e;
        t.onabort();
      }
    };
    setTimeout(commit);
    return t;
  }
}

delete globalThis.BroadcastChannel; // no other tab
const database = new FakeDatabase();
globalThis.indexedDB = { open: () => database.connect() };
const { openStore, reasonOf } = await load("chat/store.js");
const { readConversations, newOnes } = await load("chat/imported.js");
const { messagesOf } = await load("chat/ask.js");

const one = (id, words = id) => [{ id, title: words, updated: 1 }, { id, messages: [{ role: "user", text: words }] }];
const ids = async (store) => (await store.list()).map((h) => h.id).sort();
const failing = async (what, name, work) => {
  database.fail = (step) => (step === what ? name : null);
  try {
    return await work();
  } finally {
    database.fail = () => null;
  }
};

test("what the browser does not keep is held, also for the next view, and kept when there is room again", async () => {
  const store = await openStore(() => {});
  await store.save(...one("a"));
  await assert.rejects(failing("put", "QuotaExceededError", () => store.save(...one("b"))), { name: "QuotaExceededError" });
  assert.equal(database.stores.heads.has("b"), false);
  const next = await openStore(() => {});
  assert.deepEqual(await ids(next), ["a", "b"]);
  assert.equal((await next.load("b")).messages[0].text, "b");
  await assert.rejects(failing("put now", "DataCloneError", () => next.save(...one("b"))), { name: "DataCloneError" });
  await assert.rejects(failing("put now", "DataCloneError", () => next.save({ id: "a", title: "A", updated: 2 })));
  assert.equal((await next.list()).find((h) => h.id === "a").title, "A");
  assert.equal((await next.load("a")).messages[0].text, "a");
  await next.save({ id: "b", title: "B", updated: 3 }); // the name alone; what was held goes along
  assert.equal(database.stores.bodies.get("b").messages[0].text, "b");
  await next.save(...one("a"));
  await next.clear();
});

test("what cannot be deleted stays, and is said", async () => {
  const store = await openStore(() => {});
  await store.save(...one("a"));
  await assert.rejects(failing("delete", "UnknownError", () => store.remove("a")));
  await assert.rejects(failing("clear now", "UnknownError", () => store.clear()));
  assert.deepEqual(await ids(store), ["a"]);
  await store.remove("a");
  assert.deepEqual(await ids(store), []);
});

test("what another tab wrote after a conversation was read here is never written over", async () => {
  const here = await openStore(() => {});
  const { openStore: openOther } = await load("chat/store.js?tab=2");
  const there = await openOther(() => {});
  const more = async (store, body, words) => store.save({ id: "t", title: "t", updated: 1 }, Object.assign(body, { messages: [...body.messages, { role: "user", text: words }] }));
  const own = one("t")[1];
  assert.equal(await here.save(...one("t")), true);
  const [a, b] = [await here.load("t"), await there.load("t")];
  assert.deepEqual(await Promise.all([more(here, a, "a"), more(there, b, "b"), more(here, a, "a2")]), [true, false, true]);
  assert.deepEqual((await there.load("t")).messages.map((m) => m.text), ["t", "a", "a2"]);
  assert.equal(await there.save({ id: "t", title: "renamed", updated: 2 }), true); // the title alone
  assert.equal(await more(there, await there.load("t"), "b2"), true);
  assert.equal(await more(here, a, "a3"), false);
  assert.equal(await more(here, own, "x"), false); // of one that has no mark, too
  assert.equal(await more(here, await here.load("t"), "a4"), true);
  assert.deepEqual((await here.load("t")).messages.map((m) => m.text), ["t", "a", "a2", "b2", "a4"]);
  await here.clear();
});

test("what came last of an answer before the page was closed is in it when it is read again, and goes with it", async () => {
  const store = await openStore(() => {});
  const answer = (text, more) => ({ id: "w", messages: [{ role: "user", text: "?" }, { role: "assistant", shown: 0, versions: [{ text, thoughts: "", at: 7, running: true, ...more }] }] });
  const shown = async () => (await store.load("w")).messages[1].versions[0].text;
  const tail = (text, at = 7) => store.keepTail("w", { at, text, thoughts: "" });
  await store.save({ id: "w", title: "w", updated: 1 }, answer("half"));
  tail("half an");
  assert.equal(await shown(), "half an");
  tail("of another answer", 8);
  assert.equal(await shown(), "half");
  tail("ha");
  assert.equal(await shown(), "half");
  tail("half an");
  await store.save({ id: "w", title: "w", updated: 1 }, answer("half", { stopped: true, running: undefined }));
  assert.equal(await shown(), "half");
  assert.deepEqual([...database.stores.bodies.keys()], ["w"]);
  tail("half an");
  await store.remove("w");
  assert.equal(await store.load("w"), undefined);
  assert.equal(database.stores.bodies.size, 0);
  assert.deepEqual(await ids(store), []);
});

test("a list or a conversation that cannot be read is an error, not an empty one", async () => {
  const store = await openStore(() => {});
  await assert.rejects(failing("getAll", "UnknownError", () => store.list()));
  await assert.rejects(failing("get", "UnknownError", () => store.load("a")));
});

test("a database that the browser has closed is opened anew", async () => {
  const store = await openStore(() => {});
  const before = database.opened;
  database.closed = true;
  await store.save(...one("c"));
  assert.equal(database.opened, before + 1);
  database.closed = true;
  assert.deepEqual(await ids(store), ["c"]);
  await store.clear();
});

test("a browser without a database keeps all until the page is closed, whatever view is open", async () => {
  const store = await failing("open", "SecurityError", () => openStore(() => {}));
  assert.equal(store.lasting, false);
  await store.save(...one("p"));
  await store.add([{ head: one("q")[0], body: one("q")[1] }]);
  const next = await failing("open", "SecurityError", () => openStore(() => {}));
  assert.deepEqual(await ids(next), ["p", "q"]);
  assert.equal((await next.load("q")).messages[0].text, "q");
  await next.remove("p");
  await next.clear();
  assert.deepEqual(await ids(next), []);
});

test("many are added at once: all of them, or none", async () => {
  const store = await openStore(() => {});
  const list = ["x", "y", "z"].map((id) => ({ head: one(id)[0], body: one(id)[1] }));
  let puts = 0;
  for (const step of ["put", "put now"]) {
    puts = 0;
    database.fail = (s) => (s === step && ++puts === 5 ? "QuotaExceededError" : null);
    await assert.rejects(store.add(list), { name: "QuotaExceededError" });
    database.fail = () => null;
    assert.deepEqual(await ids(store), []);
  }
  await store.add(list);
  assert.deepEqual(await ids(store), ["x", "y", "z"]);
  await store.clear();
});

test("the reason is in words", () => {
  assert.match(reasonOf({ name: "QuotaExceededError", message: "x" }), /storage is full/);
  assert.equal(reasonOf(new Error("The disk failed.")), "The browser says: The disk failed.");
  assert.equal(reasonOf(null), "The browser says: Error.");
});

const PNG = "data:image/png;base64,iVBORw0KGgo=";
const exported = (conversations, more) => JSON.stringify({ format: "teale-conversations", version: 1, conversations, ...more }, null, 1);
const GOOD = {
  id: "0123456789abcdef01234567", title: "Whales", named: true, created: 5, updated: 9, model: "author@family", messages: [
    { role: "user", text: "Look", at: 1, files: [{ kind: "picture", name: "a.png", type: "image/png", size: 8, url: PNG }, { kind: "text", name: "n.txt", type: "x", size: 3, text: "abc" }] },
    { role: "assistant", shown: 1, versions: [{ text: "", thoughts: "", facts: null, error: { message: "m", remedy: "r", code: "c" }, stopped: false, at: 2 },
      { text: "Blue.", thoughts: "hm", facts: { model: "author", peer: "a".repeat(64), path: "lan", tokens: 3, rate: 1.5 }, error: null, stopped: true, at: 3 }] }] };
const changed = (change) => {
  const copy = structuredClone(GOOD);
  change(copy);
  return exported([GOOD, copy]);
};

test("what this page exports is read back as it was", () => {
  const [{ head, body }] = readConversations(exported([GOOD]), 7);
  assert.deepEqual(head, { id: GOOD.id, title: "Whales", named: true, created: 5, updated: 9 });
  assert.deepEqual([body.model, body.messages[1], body.messages[0].files[0]], [GOOD.model, GOOD.messages[1], GOOD.messages[0].files[0]]);
  assert.deepEqual(readConversations(exported([]), 7), []);
  assert.equal(readConversations(`\ufeff${exported([GOOD])}\n`, 7).length, 1);
});

test("nothing strange comes along: no unknown field, no foreign address, no answer that still runs", () => {
  const [, { head, body }] = readConversations(changed((c) => {
    Object.assign(c, { evil: 1, id: "../x", updated: "soon" });
    c.messages[0].evil = c.messages[1].versions[1].evil = 1;
    Object.assign(c.messages[1].versions[1], { running: true, stopped: false, facts: { peer: "<b>", rate: "x", model: "m".repeat(999), __proto__: null } });
  }), 7);
  assert.match(head.id, /^[0-9a-f]{24}$/);
  assert.equal(head.updated, 7);
  const v = body.messages[1].versions[1];
  assert.deepEqual([v.stopped, v.running, v.facts, "evil" in v, "evil" in body, "evil" in body.messages[0]], [true, undefined, { model: "m".repeat(256) }, false, false, false]);
});

test("a bad file is refused as a whole, with where and why", () => {
  const refused = (text, why) => assert.throws(() => readConversations(text, 7), why);
  for (const junk of ["", "null", "[]", "{}", "hello", "{\"format\":\"teale-conversations\"", "{\"a\":1}\n{\"b\":2}"]) refused(junk, /It is no file of conversations\./);
  refused(exported([], { version: 2 }), /newer program/);
  refused(exported({}), /no list/);
  refused(exported(Array(10001).fill(0)), /more than 10000/);
  refused(changed((c) => { c.messages[0].text = 5; }), /^Error: Conversation 2, message 1: the question is no text\.$/);
  refused(changed((c) => { c.messages[0].role = "system"; }), /message 1: its role/);
  refused(changed((c) => { c.messages[1].shown = 2; }), /message 2: the answer that is shown is not there/);
  refused(changed((c) => { c.messages[1].shown = "__proto__"; }), /not there/);
  refused(changed((c) => { c.messages[1].versions = []; }), /no answer/);
  refused(changed((c) => { c.title = null; }), /^Error: Conversation 2: its title is no text\.$/);
  for (const url of ["https://evil.example/a.png", "data:image/svg+xml;base64,PHN2Zz4=", "data:text/html;base64,PGI+", "data:image/png;base64,a b", "data:image/png;base64,", "data:image/png;base64,\"><b>"])
    refused(changed((c) => { c.messages[0].files[0].url = url; }), /message 1: a picture/);
});

const CHAT = ["{\"teale_chat\":1,\"model\":\"qwen3:8b\"}", "{\"role\":\"system\",\"content\":\"Be brief.\"}", "{\"role\":\"user\",\"content\":\"why is the sky blue?\"}",
  "{\"role\":\"assistant\",\"content\":\"Because.\"}", `{"role":"user","content":[{"type":"text","text":"and this?"},{"type":"image_url","image_url":{"url":"${PNG}"}}]}`];

test("what `teale chat` saves is read, with its instruction, which is asked with each question", () => {
  for (const end of ["", "\n", "\r\n"]) {
    const [{ head, body }] = readConversations(CHAT.join("\n") + end, 7);
    assert.deepEqual([head.title, head.updated, body.model, body.system], ["why is the sky blue?", 7, "qwen3:8b", "Be brief."]);
    assert.deepEqual(body.messages.map((m) => m.role), ["user", "assistant", "user"]);
    assert.deepEqual(messagesOf(body.messages, body.system).map((m) => m.content), ["Be brief.", "why is the sky blue?", "Because.",
      [{ type: "text", text: "and this?" }, { type: "image_url", image_url: { url: PNG } }]]);
  }
});

test("a file of `teale chat` that is not whole is refused with the line", () => {
  const refused = (at, line, why) => assert.throws(() => readConversations(CHAT.map((l, i) => (i === at ? line : l)).join("\n"), 7), why);
  refused(0, "{\"teale_chat\":2,\"model\":\"x\"}", /^Error: Line 1: it was saved by a newer program/);
  refused(0, "{\"teale_chat\":1}", /Line 1: the model is no text/);
  refused(3, "{\"role\":\"assistant\"", /Line 4: it is no JSON/);
  refused(3, "", /Line 4: it is no JSON/);
  refused(3, "{\"role\":\"assistant\",\"content\":\"x\",\"name\":\"y\"}", /Line 4: it is no message/);
  refused(3, "{\"role\":\"system\",\"content\":\"x\"}", /Line 4: its role/);
  refused(3, "{\"role\":\"tool\",\"content\":\"x\"}", /Line 4: its role/);
  refused(4, "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"http://evil.example/\"}}]}", /Line 5: a picture/);
  refused(4, "{\"role\":\"assistant\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]}", /Line 5: it has a picture/);
  const many = [CHAT[0], ...Array(10001).fill("{\"role\":\"user\",\"content\":\"x\"}")].join("\n");
  assert.throws(() => readConversations(many, 7), /more than 10000 messages/);
});

test("an import writes over nothing, and twice the same adds nothing", () => {
  const list = readConversations(exported([GOOD, { ...GOOD, updated: 10, title: "Other" }]), 7);
  assert.deepEqual(newOnes(list.slice(0, 1), [{ id: GOOD.id, updated: 9 }]), []);
  const both = newOnes(list, []);
  assert.equal(both[0].head.id, GOOD.id);
  assert.notEqual(both[1].head.id, GOOD.id);
  assert.equal(both[1].head.id, both[1].body.id);
  const [changedHere] = newOnes(list.slice(0, 1), [{ id: GOOD.id, updated: 11 }]);
  assert.notEqual(changedHere.head.id, GOOD.id);
});
