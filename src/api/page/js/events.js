// events.js - follows /v1/events for as long as the page is open, and says whether the node is there.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10000;

/** @param {{api: Object, onLive: (live: boolean) => void}} to  `onLive(true)`: from here on no event is missed */
export function createEvents({ api, onLive }) {
  const listeners = new Map();
  let wake = null;
  let live = false;

  function tell(name, data) {
    let value;
    try {
      value = JSON.parse(data);
    } catch (e) {
      return;
    }
    for (const fn of [...(listeners.get(name) || []), ...(listeners.get("*") || [])]) fn(value, name);
  }

  function setLive(now) {
    live = now;
    onLive(now);
  }

  function pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async function run() {
    let wait = FIRST_WAIT_MS;
    for (;;) {
      try {
        await api.stream("/v1/events", { onHead: () => {
          wait = FIRST_WAIT_MS;
          setLive(true);
        }, onEvent: tell });
      } catch (e) { /* the node is gone, or is ending: it is tried again */ }
      setLive(false);
      await pause(wait);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  const now = () => {
    if (wake && !live) wake();
  };
  addEventListener("online", now);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) now();
  });

  return {
    run,
    /** Tries at once, where it waits. */
    now,
    /** Calls `fn(fields, name)` at each event of that name; "*" is every event. Returns what ends it. */
    on(name, fn) {
      if (!listeners.has(name)) listeners.set(name, new Set());
      listeners.get(name).add(fn);
      return () => listeners.get(name).delete(fn);
    },
  };
}
