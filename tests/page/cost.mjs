// cost.mjs - what a scene costs: its time, the computing of every process below this one (nodes, relay, Chromium), and
// how much of its time went to axe-core, to opening pages and to pictures.

import { readFileSync, readdirSync } from "node:fs";

const TICK_MS = 10; // of /proc/PID/stat: USER_HZ is 100 on every Linux

/** The fields of /proc/PID/stat after the name, which may have spaces in it; null when the process is gone. */
function stat(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  } catch {
    return null;
  }
}

/** Milliseconds of computing of this process and of all below it, also of those that were waited for. */
export function computed() {
  const parents = new Map();
  const spent = new Map();
  for (const name of readdirSync("/proc")) {
    const fields = /^\d+$/.test(name) ? stat(name) : null;
    if (!fields) continue;
    parents.set(Number(name), fields[1]);
    spent.set(Number(name), fields.slice(11, 15).reduce((a, b) => a + b, 0));
  }
  const below = (pid) => {
    for (let p = pid, depth = 0; p && depth < 64; p = parents.get(p), depth++) if (p === process.pid) return true;
    return false;
  };
  let sum = 0;
  for (const [pid, ticks] of spent) if (below(pid)) sum += ticks;
  return sum * TICK_MS;
}

/** Times by name: `await costs.of("axe", work)` adds up how long such work took, and counts it. */
export class Costs {
  constructor() {
    this.reset();
  }

  reset() {
    this.sums = new Map();
    this.began = performance.now();
    this.computed = computed();
  }

  async of(name, work) {
    const begun = performance.now();
    try {
      return await work();
    } finally {
      const [ms, count] = this.sums.get(name) || [0, 0];
      this.sums.set(name, [ms + performance.now() - begun, count + 1]);
    }
  }

  /** "1234 ms; computed 800 ms; axe 3x 400 ms". */
  text() {
    const parts = [...this.sums].map(([name, [ms, count]]) => `${name} ${count}x ${Math.round(ms)} ms`);
    return [`${Math.round(performance.now() - this.began)} ms`, `computed ${Math.max(0, computed() - this.computed)} ms`, ...parts].join("; ");
  }
}
