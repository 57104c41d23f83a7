// store.js - the conversations, in this browser's IndexedDB and nowhere else. What the browser does not take is held here
// until the page is closed, so that a full disk, a private window or a closed database loses nothing that is in sight.

const NAME = "teale";
const channel = openChannel();
const TAB = String(Math.random()).slice(2); // this page, among the tabs of this browser
let writes = 0;
const held = new Map(); // by id, {head, body}: what no database has; `body` is missing where it has that
const copy = (value) => structuredClone(value);

/** Where other tabs are told of a change; null where the browser has no such thing for this page. */
function openChannel() {
  try {
    return new BroadcastChannel("teale.chat");
  } catch (e) {
    return null;
  }
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("heads", { keyPath: "id" }); // what the list shows
    request.result.createObjectStore("bodies", { keyPath: "id" }); // the messages
  };
  return result(request);
}

/** All of `work(heads, bodies, fail)` is written, or nothing; `fail` is for what goes wrong later. */
function written(db, work) {
  return new Promise((resolve, reject) => {
    const t = db.transaction(["heads", "bodies"], "readwrite");
    let thrown = null;
    t.oncomplete = () => resolve();
    t.onabort = () => reject(thrown || t.error || new Error("the browser gave it up"));
    const fail = (e) => {
      thrown = e;
      t.abort();
    };
    try {
      work(t.objectStore("heads"), t.objectStore("bodies"), fail);
    } catch (e) {
      fail(e);
    }
  });
}

/** The key of what came last of an answer, when the page was closed in its middle. */
const tailOf = (id) => `tail ${id}`;

/** Puts what the page could not keep any more into the answer that it is of. */
function mendedBy(body, tail) {
  if (!body || !tail) return body;
  for (const v of body.messages.flatMap((m) => m.versions || []))
    if (v.running && v.at === tail.at && v.text.length + v.thoughts.length < tail.text.length + tail.thoughts.length) Object.assign(v, { text: tail.text, thoughts: tail.thoughts });
  return body;
}

function inDatabase(first) {
  let db = first;
  const own = (opened) => {
    opened.onversionchange = () => opened.close(); // whoever deletes it is not kept waiting
    return opened;
  };
  own(db);

  /** A database that the browser has closed is opened anew. */
  async function on(work) {
    try {
      return await work(db);
    } catch (e) {
      if (e.name !== "InvalidStateError") throw e;
      db = own(await open());
      return work(db);
    }
  }

  return {
    list: () => on((d) => result(d.transaction("heads").objectStore("heads").getAll())),
    load: (id) => on(async (d) => {
      const bodies = d.transaction("bodies").objectStore("bodies");
      return mendedBy(...await Promise.all([result(bodies.get(id)), result(bodies.get(tailOf(id)))]));
    }),
    /** A page that is closed comes to no more than this: nothing is read, and nothing waited for. */
    writeNow(value) {
      try {
        const t = db.transaction("bodies", "readwrite");
        t.objectStore("bodies").put(value);
        if (t.commit) t.commit();
      } catch (e) { /* it is closed: what was kept before is there */ }
    },
    write: (work) => on((d) => written(d, work)),
  };
}

/** Why the browser did not do it, in words. */
export function reasonOf(error) {
  const name = (error && error.name) || "Error";
  if (name === "QuotaExceededError") return "The browser's storage is full. Export conversations and delete some, or make room on the disk.";
  return `The browser says: ${(error && error.message) || name}.`.replace(/\.\.$/, ".");
}

function put(list) {
  return (heads, bodies) => {
    for (const { head, body } of list) {
      heads.put(head);
      if (body) bodies.put(body);
    }
  };
}

/**
 * As `put` of one, unless another tab wrote its messages after they were read here: then nothing is written, and `late` is
 * called. What a body was read with stands in its `rev`; what this tab wrote last has its own name.
 */
function putUnlessLate({ head, body }, late) {
  return (heads, bodies, fail) => {
    bodies.get(head.id).onsuccess = ({ target }) => {
      const rev = (target.result && target.result.rev) || "";
      const own = !target.result || rev === (body.rev || "") || rev.startsWith(`${TAB}.`);
      try {
        if (!own) {
          late();
          return;
        }
        put([{ head, body: { ...body, rev: `${TAB}.${++writes}` } }])(heads, bodies);
        bodies.delete(tailOf(head.id));
      } catch (e) {
        fail(e);
      }
    };
  };
}

/**
 * Heads are {id, title, named, created, updated}; bodies {id, messages, model, system, rev}. Each function but `list` and `load`
 * rejects where nothing was written. `onOther` is called when another tab changed something.
 */
export async function openStore(onOther) {
  let base = null;
  try {
    base = inDatabase(await open());
  } catch (e) { /* it is held until the page is closed */ }
  if (channel) channel.onmessage = (event) => onOther(event.data);
  const tell = (what) => {
    if (channel) channel.postMessage(what);
  };
  return {
    lasting: Boolean(base),
    async list() {
      const kept = base ? await base.list() : [];
      return [...[...held.values()].map((one) => copy(one.head)), ...kept.filter((head) => !held.has(head.id))];
    },
    async load(id) {
      const own = held.get(id);
      if (own && own.body) return copy(own.body);
      return base ? base.load(id) : undefined;
    },
    /** Resolves to false, and writes nothing, where another tab wrote the messages after `body` was read. */
    async save(head, body) {
      const whole = { head, body: body || (held.get(head.id) || {}).body };
      let late = false;
      try {
        if (base) await base.write(whole.body ? putUnlessLate(whole, () => { late = true; }) : put([whole]));
        else held.set(head.id, copy(whole));
      } catch (e) {
        held.set(head.id, copy(whole));
        throw e;
      }
      if (late) return false;
      if (base) held.delete(head.id);
      tell(head.id);
      return true;
    },
    /** What came last of an answer, {at, text, thoughts}, while the page is closed. */
    keepTail(id, tail) {
      if (base && !held.has(id)) base.writeNow({ ...tail, id: tailOf(id) });
    },
    /** Many at once: all of them are kept, or none. */
    async add(list) {
      if (base) await base.write(put(list));
      else for (const one of list) held.set(one.head.id, copy(one));
      tell("all");
    },
    async remove(id) {
      if (base) {
        await base.write((heads, bodies) => {
          heads.delete(id);
          bodies.delete(id);
          bodies.delete(tailOf(id));
        });
      }
      held.delete(id);
      tell(id);
    },
    async clear() {
      if (base) {
        await base.write((heads, bodies) => {
          heads.clear();
          bodies.clear();
        });
      }
      held.clear();
      tell("all");
    },
    close() {
      if (channel) channel.onmessage = null;
    },
  };
}
