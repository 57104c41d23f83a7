// router.js - which view the address names: "#/network/ID" is the view `network` with the rest ["ID"].

function read() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map((p) => {
    try {
      return decodeURIComponent(p);
    } catch (e) {
      return p;
    }
  });
  return { view: parts[0] || "", rest: parts.slice(1) };
}

export function createRouter() {
  const watchers = new Set();
  let route = read();
  addEventListener("hashchange", () => {
    route = read();
    for (const fn of [...watchers]) fn(route);
  });
  return {
    get route() {
      return route;
    },
    /** @param {string} hash  "#/network/ID" @param {boolean} [replace]  without a step back to where it was */
    go(hash, replace) {
      if (location.hash === hash) return;
      if (!replace) {
        location.hash = hash;
        return;
      }
      history.replaceState(null, "", hash);
      route = read();
      for (const fn of [...watchers]) fn(route);
    },
    watch(fn) {
      watchers.add(fn);
      return () => watchers.delete(fn);
    },
  };
}
