// layout.js - where everything of the picture stands, for a width: this node, its NAT, its relays, and rows of peers.
// Pure: numbers and texts in, numbers and texts out.

import { LANES, pick, share } from "./model.js";

const ROWS = { wide: 14, narrow: 8 }; // more than these become one row that counts them
const ROW = 42;
const LANE_HEAD = 28;
const PAD = 18;
const LEAST = 250; // height
const CLEAR = 76; // between the local network's last row and the middle of the NAT, which that network does not pass
const BELOW = 84; // what stands below the middle of the NAT
const RELAYS = 3;

const LANE_TITLES = { lan: "Local network", direct: "Direct", relayed: "Through a relay", none: "Not connected" };

/** The relays of this node, and the nodes that relay for it. */
function relaysOf(status, peers) {
  const wan = status.wan || {};
  const found = (wan.relays || []).filter((r) => r.url).map((r) => ({ id: r.url, url: r.url, state: r.state, rtt_ms: r.rtt_ms, error: r.error }));
  if (!found.length && wan.enabled && wan.relay)
    found.push({ id: wan.relay, url: wan.relay, state: wan.state, rtt_ms: wan.relay_rtt_ms, error: wan.error });
  for (const p of peers)
    if (p.relay && p.relay.startsWith("node:") && !found.some((r) => r.id === p.relay))
      found.push({ id: p.relay, url: p.relay, node: p.relay.slice(5), state: "connected" });
  return found.slice(0, RELAYS);
}

/** The rows of the right side: heads of lanes, peers, and "more". */
function rowsOf(lanes, options) {
  const { chosen, before, isBusy, room } = options;
  const drawn = LANES.slice(0, 3);
  const counts = drawn.map((l) => lanes[l].length);
  const places = share(counts, room);
  const rows = [];
  drawn.forEach((lane, i) => {
    if (!counts[i]) return;
    rows.push({ kind: "head", id: `head-${lane}`, lane, text: LANE_TITLES[lane], count: counts[i] });
    const some = counts[i] > places[i];
    for (const peer of pick(lanes[lane], some ? Math.max(1, places[i] - 1) : places[i], { chosen, before, isBusy }))
      rows.push({ kind: "peer", id: peer.node_id, lane, peer });
    if (some) rows.push({ kind: "more", id: `more-${lane}`, lane, count: counts[i] - Math.max(1, places[i] - 1) });
  });
  if (lanes.none.length)
    rows.push({ kind: "more", id: "more-none", lane: "none", count: lanes.none.length });
  return rows;
}

function curve(a, b) {
  const mid = (a.x + b.x) / 2;
  return `M${a.x} ${a.y}C${mid} ${a.y} ${mid} ${b.y} ${b.x} ${b.y}`;
}

/** Past the NAT: up or down from the node, then over to the row. */
function around(a, b) {
  return `M${a.x} ${a.y}C${a.x} ${b.y} ${(a.x + b.x) / 2} ${b.y} ${b.x} ${b.y}`;
}

/** Puts rows one below the other; returns the height that they take. */
function stack(rows, x) {
  let y = PAD;
  for (const row of rows) {
    const high = row.kind === "head" ? LANE_HEAD : ROW;
    row.x = x;
    row.y = y + high / 2;
    y += high;
  }
  return y + PAD;
}

function centre(rows, lane) {
  const own = rows.filter((r) => r.lane === lane && r.kind !== "head");
  return own.length ? own.reduce((sum, r) => sum + r.y, 0) / own.length : null;
}

function bottomOf(rows, lane) {
  return Math.max(0, ...rows.filter((r) => r.lane === lane).map((r) => r.y));
}

/** Relays stand before the rows that they carry, and not upon each other. */
function placeRelays(relays, x, y, gap, height) {
  const first = Math.max(60, Math.min(y - ((relays.length - 1) * gap) / 2, height - 70 - (relays.length - 1) * gap));
  return relays.map((r, i) => ({ ...r, x, y: first + i * gap }));
}

/**
 * @param {{width: number, status: Object, lanes: Object, chosen: string, before: Set, isBusy: Function}} of
 * @returns {{width, height, narrow, node, nat, relays, rows, lines}}
 */
export function layout({ width, status, lanes, chosen, before, isBusy }) {
  const narrow = width < 640;
  const columns = narrow ? [34, width * 0.25, width * 0.42, width * 0.54] : [84, width * 0.25, width * 0.44, width * 0.6];
  const rows = rowsOf(lanes, { chosen, before, isBusy, room: narrow ? ROWS.narrow : ROWS.wide });
  const tall = stack(rows, columns[3]);
  const short = Math.max(0, (LEAST - tall) / 2);
  for (const row of rows) row.y += short;
  const y = Math.max(Math.max(LEAST, tall) / 2, bottomOf(rows, "lan") + CLEAR);
  const height = Math.max(LEAST, tall, y + BELOW);
  const node = { x: columns[0], y };
  const natAt = { x: columns[1], y };
  const relays = placeRelays(relaysOf(status, lanes.relayed), columns[2], centre(rows, "relayed") || y, 92, height);
  const lines = [{ id: "line-nat", kind: "own", d: curve(node, natAt) }];
  for (const r of relays) lines.push({ id: `line-${r.id}`, kind: "relay", state: r.state, d: curve(natAt, r) });
  for (const row of rows) {
    if (row.kind === "head" || row.lane === "none") continue;
    const by = relays.find((r) => row.peer && r.id === row.peer.relay) || relays[0];
    const from = row.lane === "lan" ? node : row.lane === "direct" || !by ? natAt : by;
    const to = { x: row.x - 9, y: row.y };
    lines.push({ id: `line-${row.id}`, kind: row.lane, row, d: row.lane === "lan" ? around(from, to) : curve(from, to) });
  }
  return { width, height, narrow, node, nat: natAt, relays, rows, lines };
}
