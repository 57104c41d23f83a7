// words.js - what a NAT, a relay and a path are called for people. Touches no document.

import { isOnLan } from "../state.js";

const NATS = {
  fullCone: ["Full-cone NAT", "full cone", "ok"],
  restrictedCone: ["Restricted-cone NAT", "restricted", "ok"],
  portRestricted: ["Port-restricted NAT", "port-restr.", "ok"],
  symmetric: ["Symmetric NAT", "symmetric", "wait"],
};

/** {title, brief, address, state} of this node's NAT. */
export function natWords(status) {
  const nat = status.nat || {};
  const address = nat.public || "";
  if (status.wan && !status.wan.enabled) // nobody beyond the local network is asked
    return { title: "NAT not looked at", brief: "NAT ?", address: isOnLan(status) ? "local network only" : "this machine only", state: "off" };
  if (nat.mapping === "none") return { title: "No NAT", brief: "no NAT", address, state: "ok" };
  if (nat.state === "off") return { title: "No UDP", brief: "no UDP", address: "relay only", state: "off" };
  if (nat.state === "blocked" || nat.state === "unanswered")
    return { title: "UDP gets no answer", brief: "no answer", address, state: "wait" };
  const known = NATS[nat.type];
  if (known) return { title: known[0], brief: known[1], address, state: known[2] };
  return { title: nat.state === "asking" ? "NAT: asking\u2026" : "NAT not known", brief: "NAT ?", address, state: "off" };
}

/** A NAT of another node, by its type alone, which is the same where there is none. */
export function natName(type) {
  if (type === "fullCone") return "None, or full-cone NAT";
  return NATS[type] ? NATS[type][0] : type && type !== "unknown" ? String(type) : "not known";
}

/** {title, state} of a relay. */
export function relayWords(relay) {
  if (relay.node) return { title: relay.node.slice(0, 16), state: "a node that relays", brief: "a node" };
  let host = relay.url;
  try {
    host = new URL(relay.url.replace(/^ws/, "http")).host;
  } catch (e) { /* shown as it is */ }
  const rtt = typeof relay.rtt_ms === "number" && relay.rtt_ms > 0 ? ` ${relay.rtt_ms.toFixed(1)} ms` : "";
  const up = relay.state === "connected";
  return { title: host, state: up ? `connected${rtt}` : relay.state || "", brief: (up && rtt.trim()) || relay.state || "" };
}
