// model.js - the network as it is now: what /v1/app told, with each event and each count of bytes since. Touches no
// document, and asks nobody.

export const LANES = ["lan", "direct", "relayed", "none"];
const BUSY_BYTES = 2000; // a second; more than keeps a path alive
export const CHANGED_MS = 1500; // so long a change is marked

/** The lane of a path: "relayed-plaintext" runs over the relay, too. */
export function laneOf(path) {
  if (!path) return "none";
  return path === "lan" || path === "direct" ? path : "relayed";
}

export const PATHS = {
  lan: "Local network", direct: "Direct", relayed: "Relayed", "relayed-plaintext": "Relayed, in clear",
};

/** What a person calls the peer. */
export function titleOf(peer) {
  return peer.alias || peer.name || peer.node_id.slice(0, 16);
}

/** What tells a peer from one that the owner calls so: the first digits of its ID, where its title is its own word. */
export function markOf(peer) {
  return peer.alias || !peer.name ? "" : peer.node_id.slice(0, 8);
}

function rate(now, before, ms) {
  return now >= before ? ((now - before) * 1000) / ms : 0;
}

export function createModel(clock = () => performance.now()) {
  const peers = new Map();
  let order = 0;
  let status = null;
  let at = 0; // of the counts, by the node's own clock

  function entry(id) {
    let p = peers.get(id);
    if (!p) peers.set(id, p = { node_id: id, name: "", models: [], ptns: [], seq: order++, in: 0, out: 0, answers: 0, changed: 0 });
    return p;
  }

  function drop(p) {
    Object.assign(p, { in: 0, out: 0, answers: 0, bytes_in: null, bytes_out: null, rtt_ms: null, remote: null, path: null });
  }

  const model = {
    peers,
    get status() {
      return status;
    },

    /** The answer of /v1/app. */
    take(app) {
      const first = !status;
      status = app.status;
      const seen = new Set();
      for (const p of app.peers || []) {
        seen.add(p.node_id);
        const one = entry(p.node_id);
        if (!first && one.path !== p.path) one.changed = clock();
        Object.assign(one, p);
        if (!p.path) drop(one);
      }
      for (const id of [...peers.keys()])
        if (!seen.has(id)) peers.delete(id);
    },

    /** PathChanged, PeerJoined, PeerLeft. */
    event(name, fields) {
      if (!fields || typeof fields.node_id !== "string") return;
      const one = entry(fields.node_id);
      one.changed = clock();
      if (fields.name) one.name = fields.name;
      if (name === "PeerLeft") drop(one);
      else Object.assign(one, { path: fields.path, remote: fields.remote, rtt_ms: fields.rtt_ms });
    },

    /** The answer of /v1/app/traffic. */
    traffic(answer) {
      const ms = at ? answer.at_ms - at : 0;
      at = answer.at_ms;
      for (const t of answer.peers) {
        const one = peers.get(t.node_id);
        if (!one) continue;
        const counted = ms > 0 && typeof one.bytes_in === "number";
        one.in = counted ? rate(t.bytes_in, one.bytes_in, ms) : 0;
        one.out = counted ? rate(t.bytes_out, one.bytes_out, ms) : 0;
        Object.assign(one, { bytes_in: t.bytes_in, bytes_out: t.bytes_out, answers: t.answers, rtt_ms: t.rtt_ms || one.rtt_ms });
      }
    },

    isBusy: (p) => p.answers > 0 || p.in + p.out > BUSY_BYTES,
    isChanged: (p) => p.changed > 0 && clock() - p.changed < CHANGED_MS,

    /** The peers of each lane, in the order in which they were first seen. */
    lanes() {
      const all = { lan: [], direct: [], relayed: [], none: [] };
      for (const p of peers.values()) all[laneOf(p.path)].push(p);
      for (const list of Object.values(all)) list.sort((a, b) => a.seq - b.seq);
      return all;
    },
  };
  return model;
}

/** How many rows each lane gets of `room`: in turns, so that no lane starves. */
export function share(counts, room) {
  const rows = counts.map(() => 0);
  let left = room;
  for (let gave = true; left > 0 && gave;) {
    gave = false;
    counts.forEach((n, i) => {
      if (left > 0 && rows[i] < n) {
        rows[i]++;
        left--;
        gave = true;
      }
    });
  }
  return rows;
}

/**
 * Which `n` of a lane are drawn: the chosen one, those with traffic, those that were drawn before, and then the oldest.
 * In the order of the lane, so that nothing jumps.
 */
export function pick(list, n, { chosen, before, isBusy }) {
  if (list.length <= n) return list;
  const rank = (p) => (p.node_id === chosen ? 0 : isBusy(p) ? 1 : before.has(p.node_id) ? 2 : 3);
  return list.map((p) => [rank(p), p]).sort((a, b) => a[0] - b[0] || a[1].seq - b[1].seq).slice(0, n)
    .map(([, p]) => p).sort((a, b) => a.seq - b.seq);
}
