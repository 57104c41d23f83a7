// frames.mjs - what Chromium's own trace says of a span of time: the frames that were drawn and dropped, and how long the
// page's main thread computed between two of them.

const CATEGORIES = ["-*", "devtools.timeline", "disabled-by-default-devtools.timeline", "disabled-by-default-devtools.timeline.frame", "toplevel",
  "__metadata"];

/** Traces what happens in `during`, and returns the events. */
export async function traced(browser, page, during) {
  await browser.startTracing(page, { categories: CATEGORIES });
  await during();
  return JSON.parse((await browser.stopTracing()).toString()).traceEvents;
}

function at(list, share) {
  return list.length ? list[Math.min(list.length - 1, Math.floor(list.length * share))] : 0;
}

/** The process and thread on which the page's scripts ran: that of the most animation frames. */
function mainThread(events) {
  const counts = new Map();
  for (const e of events)
    if (e.name === "FireAnimationFrame") counts.set(`${e.pid}:${e.tid}`, (counts.get(`${e.pid}:${e.tid}`) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0][0];
}

/**
 * Figures of the main thread, in milliseconds of its own computing time (not of waiting for a processor): of whole
 * tasks, and in windows of one frame at 60 a second.
 */
export function figures(events) {
  const own = mainThread(events);
  const pid = Number(own.split(":")[0]);
  const on = events.filter((e) => `${e.pid}:${e.tid}` === own);
  const tasks = on.filter((e) => e.ph === "X" && e.name === "RunTask" && e.tdur !== undefined);
  const begin = Math.min(...tasks.map((e) => e.ts));
  const end = Math.max(...tasks.map((e) => e.ts + e.dur));
  const frames = new Array(Math.ceil((end - begin) / (1e6 / 60))).fill(0);
  for (const e of tasks) frames[Math.min(frames.length - 1, Math.floor((e.ts - begin) / (1e6 / 60)))] += e.tdur / 1000;
  const lasted = tasks.map((e) => e.tdur / 1000).sort((a, b) => a - b);
  frames.sort((a, b) => a - b);
  const named = (name) => events.filter((e) => e.name === name && e.pid === pid);
  const fired = named("FireAnimationFrame").map((e) => e.ts).sort((a, b) => a - b).filter((ts, i, all) => !i || ts - all[i - 1] > 4000); // one a frame
  const gaps = fired.slice(1).map((ts, i) => (ts - fired[i]) / 1000).sort((a, b) => a - b);
  return {
    seconds: (end - begin) / 1e6, drawn: named("DrawFrame").length, dropped: named("DroppedFrame").length, fired: fired.length,
    gap: { median: at(gaps, 0.5), p99: at(gaps, 0.99) },
    frame: { median: at(frames, 0.5), p95: at(frames, 0.95), p99: at(frames, 0.99), most: frames[frames.length - 1] },
    task: { p99: at(lasted, 0.99), most: lasted[lasted.length - 1] },
    busy: lasted.reduce((a, b) => a + b, 0) / ((end - begin) / 1000),
  };
}
