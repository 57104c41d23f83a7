// detail.js - the panel that tells about what was chosen in the picture: of a peer why its path is what it is and what
// would change it, round trips on demand, and every pair of addresses that was tried.

import { PATHS, laneOf, titleOf } from "./model.js";
import { rates } from "./picture.js";
import { natName, natWords, relayWords } from "./words.js";
import { settingLink, settingsIn, withoutCommand } from "../ui/setting.js";
import { ui } from "../ui.js";

const { el, fill, icon } = ui;
const PINGS = 4;

function facts(pairs) {
  return el("dl.facts", null, pairs.filter(([, value]) => value || value === 0).map(([words, value]) => [el("dt", null, words), el("dd", null, value)]));
}

function idLine(id) {
  return el("span.id-line", null, el("code", { title: id }, ui.short(id)), ui.copyButton(id, "Copy the whole node ID"));
}

/** Commands and settings in a text of the node, with a way to the setting. */
function remedy(text) {
  if (!text) return el("p.muted", null, "Nothing would make this path better.");
  return el("div.remedy", null, el("p", null, text), settingsIn(text).map((key) => settingLink(key)));
}

/** Why a ping came to nothing. */
function failed(text) {
  return [withoutCommand(text), settingsIn(text).map((key) => [" ", settingLink(key)])];
}

function pairsTable(pairs) {
  if (!pairs.length) return null;
  return el("details", null, el("summary", null, `${pairs.length} pair${pairs.length === 1 ? "" : "s"} of addresses tried`),
    el("ul.pairs", null, pairs.map((p) => el("li", { class: p.used ? "used" : p.state },
      el("code", null, p.remote || "?"), el("span.muted", null,
        ` ${p.kind}, ${p.used ? "in use" : p.state}: asked ${p.sent}, answered ${p.answered}`, p.rtt_ms ? `, ${ui.ms(p.rtt_ms)}` : "")))));
}

/** Round trips, one after the other, each shown when it comes. */
function createPing(app, id) {
  const list = el("ol.pings", { "aria-live": "polite" });
  const button = el("button.small", { onclick: run }, icon("network"), "Ping");
  async function run() {
    button.disabled = true;
    fill(list);
    for (let i = 0; i < PINGS && (list.isConnected || i === 0); i++) {
      const waiting = el("li.muted", null, i === 0 ? "Connecting, then asking\u2026" : "Asking\u2026");
      list.append(waiting);
      try {
        const r = await app.api.post(`/v1/app/peers/${id}/ping?count=1`);
        fill(waiting, r.error ? failed(r.error) : `${ui.ms(r.rtt_ms)} ${PATHS[r.path] || r.path}`);
        waiting.classList.toggle("bad", Boolean(r.error));
        if (r.error) break;
      } catch (e) {
        fill(waiting, failed(e.message));
        waiting.classList.add("bad");
        break;
      }
    }
    button.disabled = false;
  }
  return { node: el("div.ping", null, button, list) };
}

/** What the owner of this node calls the peer: a word of one's own, which no other node can choose. */
function createAlias(app, id, had) {
  const input = el("input", { type: "text", value: had, maxlength: "64", autocomplete: "off", spellcheck: "false", dir: "auto" });
  const error = el("p.error", { role: "alert", hidden: true });
  const button = el("button.small", { onclick: save }, "Keep");
  async function save() {
    const alias = input.value.trim();
    error.hidden = true;
    try {
      if (alias) await app.api.put(`/v1/app/aliases/${id}`, { alias });
      else await app.api.delete(`/v1/app/aliases/${id}`);
      ui.toast(alias ? "The alias is kept." : "The alias is gone.", "ok");
      app.refresh().catch(() => {});
    } catch (e) {
      error.textContent = e.message;
      error.hidden = false;
    }
  }
  return el("form.alias", { onsubmit: (event) => {
    event.preventDefault();
    save();
  } }, el("label", null, "Your own name for it", input), button, error);
}

function networksOf(app, ptns) {
  const known = (app.state && app.state.status.ptns) || [];
  return ptns.map((p) => (known.find((k) => k.ptn_id === (p.ptn_id || p)) || {}).name || ui.short(p.ptn_id || p)).join(", ");
}

/** @param {{app: Object, model: Object, close: () => void}} options */
export function createDetail({ app, model, close }) {
  const title = el("h2", { tabindex: "-1" });
  const live = el("div.live-facts");
  const body = el("div.detail-body");
  const node = el("section.detail.card", { "aria-label": "What was chosen", hidden: true },
    el("header", null, title, el("button.quiet.icon-only", { "aria-label": "Close", onclick: close }, icon("close"))), live, body);
  let chosen = "";
  let asked = 0;
  let told = "";

  async function why(id) {
    const mine = ++asked;
    try {
      const w = await app.api.get(`/v1/app/peers/${id}/why`);
      if (mine !== asked || chosen !== id) return;
      fill(body.querySelector(".why"),
        el("h3", null, "Why this path"), el("p", null, w.because), w.rule && el("p.muted", null, `Rule: ${w.rule}`),
        w.carrier && el("p.muted", null, `Carried by: ${w.carrier}`),
        el("h3", null, "What would change it"), remedy(w.remedy),
        facts([["NAT here", natWords(app.state.status).title], ["NAT there", natName(w.theirs.nat)], ["Port mapping here", w.ours.mapped_by],
          ["Tries", w.attempt && w.attempt.attempts]]),
        pairsTable(w.pairs || []));
    } catch (e) {
      if (mine === asked && chosen === id) fill(body.querySelector(".why"), ui.problem(e, () => why(id)));
    }
  }

  function peer(id) {
    const p = model.peers.get(id);
    fill(title, ui.name(p ? titleOf(p) : ui.short(id), id));
    fill(body, createPing(app, id).node, p && p.alias !== undefined && createAlias(app, id, p.alias || ""), el("div.why", null, el("p.muted", { role: "status" }, "Asking why\u2026")));
    why(id);
  }

  function peerFacts(p, id) {
    if (!p) return [["Node ID", idLine(id)], ["State", "not present"]];
    return [
      ["Node ID", idLine(id)], ["Alias", p.alias && ui.name(p.alias)], ["Name", p.alias && p.name && ui.name(p.name)],
      ["Path", el("span.path", { class: laneOf(p.path) }, p.path ? `${PATHS[p.path] || p.path}${p.via ? ` (${p.via})` : ""}` : "not connected")],
      ["Address", p.remote], ["Relay", p.relay], ["Round trip", ui.ms(p.rtt_ms)], ["Now", rates(p)],
      ["Since connected", typeof p.bytes_in === "number" && `\u2193 ${ui.bytes(p.bytes_in)} \u2191 ${ui.bytes(p.bytes_out)}`],
      ["Connected", p.path && ui.time(p.since)], ["Models", (p.models || []).slice(0, 12).join(", ")],
      ["Private networks", networksOf(app, p.ptns || [])], ["Serves", p.paused ? "paused by its owner" : ""],
    ];
  }

  function nodeFacts() {
    const s = model.status;
    return [["Node ID", idLine(s.node_id)], ["Version", s.version], ["Runs for", ui.duration(s.uptime_s)], ["UDP port", s.nat.port],
      ["Wide network", s.wan.enabled ? s.wan.state : el("a", { href: "#/settings/wan_enabled" }, "off: turn it on")],
      ["Relays for others", s.relaying && s.relaying.state]];
  }

  function natFacts() {
    const n = model.status.nat;
    return [["Public address", n.public], ["Mapping", n.mapping], ["Filtering", n.filtering], ["Type for others", n.tesseras_type],
      ["Port kept", n.port_preserved === null ? "" : n.port_preserved ? "yes" : "no"], ["Hairpinning", n.hairpin],
      ["Port mapping", n.mapped_by ? `${n.mapped_by}, ${n.mapped}` : n.mapping_error || "none"], ["IPv6", n.ipv6 || "no"],
      ["STUN servers", `${n.stun_answered} of ${n.stun_asked} answered`]];
  }

  function relayFacts(id) {
    const r = (model.status.wan.relays || []).find((one) => one.url === id);
    if (!r) return [["Relay", id]];
    return [["URL", r.url], ["State", r.state], ["Round trip", ui.ms(r.rtt_ms)], ["Proxy", r.proxy], ["Error", r.error && el("span.bad", null, r.error)]];
  }

  function isPeer(id) {
    return /^[0-9a-f]{64}$/.test(id);
  }

  function update() {
    if (!chosen || !model.status) return;
    const pairs = isPeer(chosen) ? peerFacts(model.peers.get(chosen), chosen)
      : chosen === "node" ? nodeFacts() : chosen === "nat" ? natFacts() : relayFacts(chosen);
    const said = pairs.map(([words, value]) => `${words}${value && value.nodeType ? value.textContent : value}`).join("|");
    if (said === told) return;
    told = said;
    fill(live, facts(pairs));
  }

  function head() {
    if (chosen === "node") fill(title, "This node");
    else if (chosen === "nat") fill(title, natWords(model.status).title);
    else fill(title, "Relay ", ui.name(relayWords({ url: chosen }).title));
    const doctor = el("a.button", { href: "#/doctor" }, icon("doctor"), "What stands in the way");
    fill(body, el("div.row", null, doctor));
  }

  return {
    node,
    update,
    get chosen() {
      return chosen;
    },
    /** "" for nothing; else "node", "nat", a relay's URL or a node ID. */
    show(id, focus) {
      if (!model.status) return;
      node.hidden = !id;
      if (id !== chosen) {
        chosen = id;
        told = "";
        if (isPeer(id)) peer(id);
        else if (id) head();
      }
      update();
      if (id && focus) title.focus({ preventScroll: true });
    },
    /** Its path changed: the story is another one. */
    again(id) {
      if (chosen === id && isPeer(id)) why(id);
    },
  };
}
