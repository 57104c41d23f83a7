// peers.js - the table beside the picture: the same peers in rows, with a search and fifty at a time. This is the way
// for the keyboard, for screen readers, and for whoever looks for one of 500.

import { PATHS, laneOf, titleOf } from "./model.js";
import { natName } from "./words.js";
import { ui } from "../ui.js";
import { drawnName } from "../nodes.js";

const PAGE = 50;
const { el, icon } = ui;

const FILTERS = { all: "All", lan: "Local network", direct: "Direct", relayed: "Relayed", none: "Not connected" };

function text(p) {
  return `${p.alias || ""} ${p.name} ${p.node_id} ${p.path || ""} ${(p.models || []).join(" ")} ${p.remote || ""}`.toLowerCase();
}

/** One line, or two where the column is narrow. */
function traffic(p) {
  const solid = (n) => ui.bytes(n).replace(" ", "\u00a0");
  return typeof p.bytes_in === "number" ? `\u2193\u00a0${solid(p.bytes_in)} \u2191\u00a0${solid(p.bytes_out)}` : "";
}

const CELLS = [
  { title: "Peer", className: "peer-cell", text: (p) => `${titleOf(p)} ${p.node_id}`,
    cell: (p) => [drawnName(titleOf(p), p.node_id, Boolean(p.alias)), el("span.mono.muted", null, ui.short(p.node_id))] },
  { title: "Path", text: (p) => p.path || "", cell: (p) => el("span.path", { class: laneOf(p.path) }, p.path ? PATHS[p.path] || p.path : "not connected") },
  { title: "Round trip", className: "number", text: (p) => ui.ms(p.rtt_ms), cell: (p) => ui.ms(p.rtt_ms) },
  { title: "Traffic", className: "number", text: traffic, cell: traffic },
  { title: "NAT", text: (p) => p.nat_type || "", cell: (p) => natName(p.nat_type) },
  { title: "Models", text: (p) => String((p.models || []).length), cell: (p) => (p.models && p.models.length ? p.models.length : "") },
];

/** @param {{choose: (id: string) => void, find: (text: string) => Promise<string>}} options  `find` resolves to the ID of
 *         whoever is meant by a text, and fails with an ApiError */
export function createPeers({ choose, find }) {
  let page = 0;
  let filter = "all";
  let peers = [];
  const table = ui.table({ caption: "All peers", columns: CELLS, key: (p) => p.node_id, onopen: (p) => choose(p.node_id), empty: "Nobody here. Peers come when they are at the same relay or on this network, or when a question goes to them." });
  const search = el("input", { type: "search", placeholder: "Search peers", "aria-label": "Search peers", oninput: () => to(0) });
  const lane = el("select", { "aria-label": "Which peers", onchange: () => {
    filter = lane.value;
    to(0);
  } }, Object.entries(FILTERS).map(([value, words]) => el("option", { value }, words)));
  const words = el("p.muted.grow", { role: "status" });
  const looked = el("p.grow", { role: "status" });
  const looking = el("button.small", { onclick: look }, icon("search"), "Look for this node");
  const beyond = el("div.peers-find", { hidden: true }, looking, looked);
  const back = el("button.small", { onclick: () => to(page - 1) }, icon("left"), "Back");
  const on = el("button.small", { onclick: () => to(page + 1) }, "On", icon("right"));
  const node = el("section.peers", { "aria-labelledby": "peers-title" },
    el("div.peers-head", null, el("h2#peers-title", null, "Peers"), el("div.search", null, icon("search"), search), lane),
    beyond, table, el("div.row.peers-foot", null, words, back, on));

  /** For one that is not connected: a whole ID, or a name that this node knows. */
  async function look() {
    looking.disabled = true;
    try {
      choose(await find(search.value.trim()));
    } catch (e) {
      looked.textContent = e.message;
    }
    looking.disabled = false;
  }

  function to(n) {
    page = n;
    draw();
  }

  function draw() {
    const wanted = search.value.trim().toLowerCase();
    const found = peers.filter((p) => (filter === "all" || laneOf(p.path) === filter) && (!wanted || text(p).includes(wanted)));
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.max(0, Math.min(page, pages - 1));
    const first = page * PAGE;
    table.update(found.slice(first, first + PAGE));
    const said = found.length ? `${first + 1} to ${Math.min(first + PAGE, found.length)} of ${found.length}` : "";
    if (words.textContent !== said) words.textContent = said;
    if (beyond.hidden !== (found.length > 0 || !wanted)) {
      beyond.hidden = !beyond.hidden;
      looked.textContent = "";
    }
    back.hidden = on.hidden = pages === 1;
    back.disabled = page === 0;
    on.disabled = page === pages - 1;
  }

  return {
    node,
    update(model) {
      peers = [...model.peers.values()].sort((a, b) => a.seq - b.seq); // no row jumps while it is read
      draw();
    },
    /** Shows one lane, for "and 312 more" in the picture. */
    show(which) {
      filter = lane.value = which;
      search.value = "";
      to(0);
      search.focus();
      node.scrollIntoView({ block: "start" });
    },
  };
}
