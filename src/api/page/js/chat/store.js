// store.js - the conversations, in this browser's IndexedDB and nowhere else. A browser that has none keeps them until
// the page is closed.

const NAME = "teale";
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("teale.chat") : null;

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
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

function inMemory() {
  const heads = new Map();
  const bodies = new Map();
  const copy = (value) => structuredClone(value);
  return {
    lasting: false,
    list: async () => [...heads.values()].map(copy),
    load: async (id) => copy(bodies.get(id)),
    save: async (head, body) => {
      heads.set(head.id, copy(head));
      if (body) bodies.set(head.id, copy(body));
    },
    remove: async (id) => {
      heads.delete(id);
      bodies.delete(id);
    },
    clear: async () => {
      heads.clear();
      bodies.clear();
    },
  };
}

function inDatabase(db) {
  const both = (mode) => db.transaction(["heads", "bodies"], mode);
  return {
    lasting: true,
    list: () => result(db.transaction("heads").objectStore("heads").getAll()),
    load: (id) => result(db.transaction("bodies").objectStore("bodies").get(id)),
    save(head, body) {
      const t = both("readwrite");
      t.objectStore("heads").put(head);
      if (body) t.objectStore("bodies").put(body);
      return finished(t);
    },
    remove(id) {
      const t = both("readwrite");
      t.objectStore("heads").delete(id);
      t.objectStore("bodies").delete(id);
      return finished(t);
    },
    clear() {
      const t = both("readwrite");
      t.objectStore("heads").clear();
      t.objectStore("bodies").clear();
      return finished(t);
    },
  };
}

/**
 * Heads are {id, title, named, created, updated}; bodies {id, messages, model}.
 * `onOther` is called when another tab changed something.
 */
export async function openStore(onOther) {
  let base;
  try {
    base = inDatabase(await open());
  } catch (e) {
    base = inMemory();
  }
  if (channel) channel.onmessage = (event) => onOther(event.data);
  const telling = (fn) => async (...args) => {
    await fn(...args);
    if (channel) channel.postMessage(args[0] && args[0].id ? args[0].id : args[0] || "all");
  };
  return Object.assign({}, base, {
    save: telling(base.save), remove: telling(base.remove), clear: telling(base.clear),
    close() {
      if (channel) channel.onmessage = null;
    },
  });
}
