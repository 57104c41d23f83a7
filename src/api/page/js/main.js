// main.js - makes the parts of the page, and hands them to the shell and its views as `app`.

import { createApi } from "./api.js";
import { createEvents } from "./events.js";
import { createKey } from "./key.js";
import { createRouter } from "./router.js";
import { createShell } from "./shell.js";
import { createState } from "./state.js";
import { ui } from "./ui.js";

const LEFT = "teale.worker";

/** This page has no service worker. One that is here is of another program, which answered at this address while the node
 * was down. It goes, and the page is loaded once without it. */
async function dropWorkers() {
  if (!navigator.serviceWorker) return;
  try {
    const all = await navigator.serviceWorker.getRegistrations();
    await Promise.all(all.map((one) => one.unregister()));
    if (all.length && !sessionStorage.getItem(LEFT)) {
      sessionStorage.setItem(LEFT, "1");
      location.reload();
    } else if (sessionStorage.getItem(LEFT)) {
      sessionStorage.removeItem(LEFT);
      ui.toast("Another program answered at this address while the node was down, and had left a service worker in this browser. " +
        "It is removed. teale doctor tells what to do.", "error");
    }
  } catch (e) { /* a browser that keeps nothing for a page has no workers either */ }
}

const reach = new Set(); // told whether the node was reached
const api = createApi({ key: createKey(), onReach: (reached) => reach.forEach((fn) => fn(reached)) });
const state = createState({ api });
const router = createRouter();
let beside = true; // the first question for the state goes out right behind that for events, and waits for no answer
const events = createEvents({ api, onLive: (live) => {
  reach.forEach((fn) => fn(live));
  if (live && !beside) state.refresh().catch(() => {});
  else if (live && state.value) state.soon(); // what happened between the two answers
  beside = false;
} });
events.on("*", () => state.soon());

const app = {
  api,
  ui,
  /** The last answer of GET /v1/app, or null before the first. */
  get state() {
    return state.value;
  },
  watch: state.watch,
  refresh: state.refresh,
  on: events.on,
  go: router.go,
  get route() {
    return router.route;
  },
  onRoute: router.watch,
  /** Calls `fn(reached)` whenever the node answers or does not. Returns what ends it. */
  onReach(fn) {
    reach.add(fn);
    return () => reach.delete(fn);
  },
  /** Tries at once to reach a node that is away. */
  retry: events.now,
};

events.run();
dropWorkers();
state.refresh().catch(() => {});
createShell(document.getElementById("app"), app);
