// history.js - what was bought and sold, the newest first, a page at a time, by peer, network and time.

import { ui } from "../ui.js";
import { nodeName, nodeTextInFull } from "../nodes.js";
import { amount } from "./money.js";

const { el, fill } = ui;
const PAGE = 50;
const SINCE = [["", "All time"], ["24h", "Last day"], ["7d", "Last 7 days"], ["30d", "Last 30 days"]];
const STATES = { held: ["wait", "open"], voided: ["", "void"] };

/** What the entry does to this node's balance once it is posted. */
function change(e) {
  return (e.kind === "question") === (e.role === "served") ? e.amount_micro : -e.amount_micro;
}

/** Have both sides signed its receipt? */
export function isSignedByBoth({ kind, receipt }) {
  return Boolean(kind === "settlement" ? receipt.debtorSignature && receipt.creditorSignature : receipt.consumerSignature && receipt.providerSignature);
}

/** The amount, or why there is none yet; what a side proposed to have settled is told beside it. */
function creditsOf(e) {
  if (e.state === "posted") return amount(change(e), true);
  const [kind, words] = STATES[e.state] || ["", e.state];
  const proposed = e.state === "held" && e.kind === "settlement";
  return el("span", null, proposed && [amount(change(e), true), " "], el("span.tag", { class: kind }, words));
}

function what(app, e) {
  if (e.kind === "settlement") return el("span", null, e.role === "served" ? "Paid to you" : "Paid by you");
  return el("span", null, e.role === "served" ? "Answered " : "Asked ", ui.name(e.model || ""));
}

export class History {
  constructor(app) {
    Object.assign(this, { app, turn: 0, over: false, entries: [], next: null, names: new Map(), ptns: new Map() });
    this.peer = el("select#by-peer", { onchange: () => this.reload() });
    this.net = el("select#by-net", { onchange: () => this.reload() });
    this.since = el("select#by-time", { onchange: () => this.reload() }, SINCE.map(([value, text]) => el("option", { value }, text)));
    this.problem = el("div");
    this.more = el("button", { hidden: true, onclick: () => this.page() }, "Show more");
    this.table = ui.table({ caption: "History", key: (e) => `${e.at} ${e.peer} ${e.role} ${e.kind} ${e.request}`, empty: "Nothing was bought or sold.", columns: [
      { title: "When", text: (e) => e.at, cell: (e) => ui.time(e.at) },
      { title: "What", text: (e) => e.request, cell: (e) => what(app, e) },
      { title: "With", text: (e) => `${e.peer} ${JSON.stringify(this.names.get(e.peer))}`, cell: (e) => nodeName(app, e.peer, this.names.get(e.peer)) },
      { title: "Network", text: (e) => `${e.ptn_id} ${this.ptns.get(e.ptn_id)}`, cell: (e) => this.network(e) },
      { title: "Tokens", className: "number", text: (e) => `${e.tokens_in} ${e.tokens_out}`, cell: (e) => (e.tokens_in === null ? "" : `${e.tokens_in} + ${e.tokens_out}`) },
      { title: "Credits", className: "number", text: (e) => `${e.state}${e.amount_micro}`, cell: creditsOf },
      { title: "Receipt", text: (e) => String(e.receipt ? isSignedByBoth(e) : ""), cell: (e) => this.receipt(e) },
    ] });
    this.table.classList.add("stacks");
    this.node = el("section.stack", null, el("div.filters", null,
      el("div.field", null, el("label", { for: "by-peer" }, "With"), this.peer),
      el("div.field", null, el("label", { for: "by-net" }, "Network"), this.net),
      el("div.field", null, el("label", { for: "by-time" }, "When"), this.since)), this.problem, this.table, el("div.row.middle", null, this.more));
    this.choices([], []);
    this.reload();
  }

  end() {
    this.over = true;
    this.turn++;
  }

  network({ ptn_id: id, kind }) {
    if (!id) return kind === "settlement" ? "" : el("span.muted", null, "public");
    return this.ptns.get(id) ? ui.name(this.ptns.get(id)) : el("span.mono", { title: id }, ui.short(id));
  }

  receipt(e) {
    if (e.kind === "question" && e.state !== "posted") return "";
    if (!e.receipt) return el("span.muted", null, "not yet");
    const both = isSignedByBoth(e);
    return el("span.signed", { class: both ? "ok" : "muted" }, both ? "signed by both" : "signed by one");
  }

  /** Fills the filters; what was chosen stays. */
  choices(peers, ptns) {
    this.names = new Map(peers.map((p) => [p.node_id, { alias: p.alias, name: p.name }]));
    this.ptns = new Map(ptns.map((p) => [p.ptn_id, p.name]));
    this.table.update(this.entries);
    const set = (select, first, list) => {
      const text = JSON.stringify(list);
      if (select.drawn === text) return;
      select.drawn = text;
      const chosen = select.value;
      fill(select, el("option", { value: "" }, first), list.map(([value, words]) => el("option", { value }, words)));
      select.value = list.some(([value]) => value === chosen) ? chosen : "";
    };
    set(this.peer, "Everybody", peers.slice(0, 500).map((p) => [p.node_id, nodeTextInFull(this.app, p.node_id, p)]));
    set(this.net, "All networks", ptns.map((p) => [p.ptn_id, p.name ? ui.cut(ui.plain(p.name), 40) : ui.short(p.ptn_id)]));
  }

  /** Something new was written: what is shown is read again, unless a person reads further back. */
  fresh() {
    if (this.entries.length <= PAGE) this.reload();
  }

  reload() {
    Object.assign(this, { entries: [], next: null });
    this.page();
  }

  async page() {
    const mine = ++this.turn;
    const query = new URLSearchParams({ order: "newest", limit: String(PAGE) });
    if (this.peer.value) query.set("peer", this.peer.value);
    if (this.net.value) query.set("ptn", this.net.value);
    if (this.since.value) query.set("since", this.since.value);
    if (this.next) query.set("after", `${this.next.at}-${this.next.id}`);
    this.more.disabled = true;
    try {
      const got = await this.app.api.get(`/v1/app/wallet/history?${query}`);
      if (mine !== this.turn) return;
      this.problem.replaceChildren();
      this.entries = this.entries.concat(got.entries);
      this.next = got.next || null;
      this.table.update(this.entries);
      this.more.hidden = !this.next;
    } catch (e) {
      if (mine === this.turn) fill(this.problem, ui.problem(e, () => this.page()));
    } finally {
      if (mine === this.turn) this.more.disabled = false;
    }
  }
}
