// state.js - the last answer of /v1/app, and who wants to hear of the next. Many events become one question.

const SOON_MS = 150; // after an event, others of the same cause come
const BETWEEN_MS = 1000; // two questions, whatever happens
const ANYWAY_MS = 15000; // round trips change without an event

/** Does this node find others on its local network? By the `status` of /v1/app. */
export function isOnLan({ lan }) {
  return Boolean(lan) && lan.discovery !== "off" && lan.discovery !== "failed";
}

export function createState({ api, clock = () => performance.now() }) {
  const watchers = new Set();
  let value = null;
  let timer = 0;
  let last = -Infinity;
  let running = null;
  let again = false;

  async function ask() {
    last = clock();
    value = await api.get("/v1/app");
    for (const fn of [...watchers]) fn(value);
    return value;
  }

  /** Asks now; those who call meanwhile get the same answer. */
  function refresh() {
    clearTimeout(timer);
    timer = 0;
    if (!running) {
      running = ask().finally(() => {
        running = null;
        if (again) soon();
        again = false;
      });
    }
    return running;
  }

  /** Something changed: asks soon, and not more often than it must. */
  function soon() {
    if (running) {
      again = true;
      return;
    }
    if (timer) return;
    const wait = Math.max(SOON_MS, last + BETWEEN_MS - clock());
    timer = setTimeout(() => {
      timer = 0;
      refresh().catch(() => {});
    }, wait);
  }

  setInterval(() => {
    if (!document.hidden && value && clock() - last > ANYWAY_MS) soon();
  }, ANYWAY_MS / 3);

  return {
    get value() {
      return value;
    },
    refresh,
    soon,
    /** Calls `fn(state)` at each new answer, and at once where there is one. Returns what ends it. */
    watch(fn) {
      watchers.add(fn);
      if (value) fn(value);
      return () => watchers.delete(fn);
    },
  };
}
