// fakenode.mjs - a node with as many peers as a scene wants: it serves the page of a real node, and tells of peers that
// there are not. Events go out when the scene sends them.

import { createServer } from "node:http";

const TYPES = ["fullCone", "restrictedCone", "portRestricted", "symmetric", "unknown"];

/** A key that looks like one: 64 hex digits. */
export function idOf(i) {
  return (i + 1).toString(16).padStart(8, "0").repeat(8);
}

/** Peer number `i`: most of them relayed or direct, some on the local network, some not connected. */
export function peerOf(i, relay) {
  const path = [null, "lan", "direct", "direct", "direct", "relayed", "relayed", "relayed"][i % 8];
  return {
    node_id: idOf(i), name: `peer ${i}`, path, via: path === "relayed" ? "udp" : null, relay: path === "relayed" ? relay : null,
    remote: path && path !== "relayed" ? `192.0.2.${i % 250}:${20000 + i}` : null, rtt_ms: path ? 5 + (i * 7) % 190 + 0.25 : null,
    since: path ? "2026-01-31T18:00:00Z" : null, models: i % 3 ? [] : ["author"], ptns: [], nat_type: TYPES[i % 5], available: true,
    paused: false, bytes_in: path ? i * 1000 : null, bytes_out: path ? i * 500 : null,
  };
}

export class FakeNode {
  /** @param {{url: string}} real  the node whose files are served, and whose status is told */
  constructor(real, peers) {
    Object.assign(this, { real, peers, streams: new Set(), asked: {}, begun: Date.now() });
    this.server = createServer((request, answer) => this.answer(request, answer).catch(() => answer.destroy()));
  }

  async listen() {
    this.app = await (await fetch(`${this.real.url}/v1/app`)).json();
    this.app.status.nat = Object.assign({}, this.app.status.nat, { type: "portRestricted", mapping: "endpointIndependent", state: "known",
      public: "203.0.113.7:41820", mapped_by: "PCP", mapped: "203.0.113.7:41820" });
    await new Promise((resolve) => { this.server.listen(0, "127.0.0.1", resolve); });
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  get relay() {
    return this.app.status.wan.relay;
  }

  async answer(request, answer) {
    const path = request.url.split("?")[0];
    this.asked[path] = (this.asked[path] || 0) + 1;
    const json = (value) => answer.setHeader("Content-Type", "application/json").end(JSON.stringify(value));
    if (path === "/v1/app") return json({ ...this.app, peers: this.peers });
    if (path === "/v1/app/traffic") return json(this.traffic());
    if (path.endsWith("/why")) return json(this.why(path.split("/")[4]));
    if (path === "/v1/events") {
      answer.writeHead(200, { "Content-Type": "text/event-stream" });
      answer.write(": connected\n\n");
      this.streams.add(answer);
      return answer.on("close", () => this.streams.delete(answer));
    }
    const from = await fetch(this.real.url + request.url, { headers: { "Accept-Encoding": "identity" } });
    for (const [name, value] of from.headers)
      if (!/^(connection|transfer-encoding|content-length|content-encoding|keep-alive)$/.test(name)) answer.setHeader(name, value);
    answer.statusCode = from.status;
    return answer.end(Buffer.from(await from.arrayBuffer()));
  }

  why(id) {
    const p = this.peers.find((one) => one.node_id === id) || {};
    return { node_id: id, name: p.name, path: p.path, reason: "fake", because: `the path is ${p.path}`, remedy: "teale config set nat.port_mapping true",
      rule: "the first that answered", ours: { nat: "portRestricted", mapped_by: null }, theirs: { nat: p.nat_type },
      attempt: { attempts: 1 }, carrier: null, pairs: [{ remote: "192.0.2.1:1", kind: "host", state: "failed", used: false, sent: 7, answered: 0, rtt_ms: null }] };
  }

  traffic() {
    const ms = Date.now() - this.begun;
    const of = (p, i) => ({ node_id: p.node_id, path: p.path, rtt_ms: p.rtt_ms, bytes_in: (p.bytes_in || 0) + (i % 10 ? 0 : ms * 40 * (i % 7)),
      bytes_out: (p.bytes_out || 0) + (i % 10 ? 0 : ms * 3 * (i % 7)), answers: i % 40 === 2 ? 1 : 0 });
    return { at_ms: ms, peers: this.peers.filter((p) => p.path).map(of) };
  }

  event(name, fields) {
    const text = `event: ${name}\ndata: ${JSON.stringify({ at: new Date().toISOString(), ...fields })}\n\n`;
    for (const s of this.streams) s.write(text);
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise((resolve) => { this.server.close(resolve); });
  }
}
