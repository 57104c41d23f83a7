// wallet.js - who owes whom: the balance, each peer and network, what was bought and sold, and the proof of it.

import { nodeName, nodeTextInFull } from "../nodes.js";
import { during, section } from "../ui/form.js";
import { History } from "../wallet/history.js";
import { amount, credits } from "../wallet/money.js";
import { settleDialog } from "../wallet/settle.js";

const EVERY_MS = 10000;

class Wallet {
  constructor(root, app) {
    const { el } = app.ui;
    Object.assign(this, { app, over: false, running: false, drawn: "" });
    this.problem = el("div");
    this.sums = el("dl.numbers");
    this.words = el("p.muted");
    this.balance = el("p.balance");
    this.history = new History(app);
    this.peers = this.peerTable();
    this.ptns = this.ptnTable();
    this.ptnPart = el("section.stack", { hidden: true }, section("By network"), this.ptns);
    this.audit = el("div.audit", { role: "status" });
    this.proof = el("button.small", { onclick: () => this.check() }, app.ui.icon("check"), "Check every sum and signature");
    this.peers.classList.add("stacks");
    this.body = el("div.stack", { hidden: true },
      el("section.card.balance-card", null, el("div.grow", null, el("p.muted", null, "Balance"), this.balance, this.words), this.sums),
      el("section.stack", null, section("By peer"), this.peers), this.ptnPart,
      section("History", this.proof), this.audit, this.history.node);
    root.append(el("div.stack", null, el("div.detail-head", null, el("h1", null, "Wallet")), this.problem, this.body));
    this.timer = setInterval(() => {
      if (!document.hidden) this.load();
    }, EVERY_MS);
    this.off = app.on("Request", () => this.soon());
    this.load();
  }

  end() {
    this.over = true;
    clearInterval(this.timer);
    clearTimeout(this.later);
    this.off();
    this.history.end();
  }

  soon() {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.load(), 1000);
  }

  peerTable() {
    const { app } = this;
    const { el, table } = app.ui;
    const money = (title, key) => ({ title, className: "number", text: (p) => String(p[key]), cell: (p) => credits(p[key]) });
    return table({ caption: "Balances by peer", key: (p) => p.node_id, empty: "Nothing was bought or sold yet.", columns: [
      { title: "Peer", text: (p) => `${p.alias} ${p.name}`, cell: (p) => nodeName(app, p.node_id, p) },
      { title: "Balance", className: "number", text: (p) => String(p.balance_micro), cell: (p) => amount(p.balance_micro, true) },
      money("Earned", "earned_micro"), money("Spent", "spent_micro"), money("Settled", "settled_micro"),
      { title: "Limit", className: "number", text: (p) => String(p.limit_micro), cell: (p) => el("span", { title: "So much it may owe this node before it must settle" }, credits(p.limit_micro)) },
      { title: "Settle", className: "actions", text: (p) => String(p.balance_micro), cell: (p) => p.balance_micro !== 0 && el("button.small", { "aria-label": `Settle with ${nodeTextInFull(app, p.node_id, p)}`, onclick: async () => {
        if (await settleDialog(app, p)) {
          this.load();
          this.history.reload();
        }
      } }, "Settle\u2026") },
    ] });
  }

  ptnTable() {
    const { ui } = this.app;
    return ui.table({ caption: "Sums by network", key: (p) => p.ptn_id || "public", columns: [
      { title: "Network", text: (p) => p.name || "", cell: (p) => (p.name ? ui.name(p.name) : p.ptn_id ? ui.el("span.mono", null, ui.short(p.ptn_id)) : "public") },
      { title: "Earned", className: "number", text: (p) => String(p.earned_micro), cell: (p) => credits(p.earned_micro) },
      { title: "Spent", className: "number", text: (p) => String(p.spent_micro), cell: (p) => credits(p.spent_micro) },
    ] });
  }

  async load() {
    if (this.running) return;
    this.running = true;
    try {
      const now = await this.app.api.get("/v1/app/wallet");
      if (this.over) return;
      this.problem.replaceChildren();
      this.draw(now);
    } catch (e) {
      if (!this.over && e.status) this.app.ui.fill(this.problem, this.app.ui.problem(e, () => this.load()));
    } finally {
      this.running = false;
    }
  }

  draw(now) {
    const text = JSON.stringify(now);
    if (text === this.drawn) return;
    const first = !this.drawn;
    this.drawn = text;
    const { el, fill } = this.app.ui;
    this.body.hidden = false;
    fill(this.balance, amount(now.balance_micro), el("span.muted", null, " credits"));
    this.words.textContent = now.balance_micro > 0 ? "owed to this node" : now.balance_micro < 0 ? "this node owes it" : "nobody owes anybody";
    fill(this.sums, [["Earned", now.earned_micro], ["Spent", now.spent_micro], ["Held", now.held_micro]].map(([name, n]) =>
      el("div", null, el("dt", null, name), el("dd", null, credits(n)))));
    this.peers.update([...now.peers].sort((a, b) => Math.abs(b.balance_micro) - Math.abs(a.balance_micro) || a.node_id.localeCompare(b.node_id)));
    this.ptnPart.hidden = now.ptns.length === 0;
    this.ptns.update(now.ptns);
    this.history.choices(now.peers, now.ptns.filter((p) => p.ptn_id));
    if (!first) this.history.fresh();
  }

  async check() {
    const { el, fill, icon, problem } = this.app.ui;
    const found = await during(this.proof, "Checking\u2026", this.audit, () => this.app.api.get("/v1/app/wallet/audit"));
    if (!found || this.over) return;
    const entries = `${found.transactions.toLocaleString("en")} entries, ${found.receipts.toLocaleString("en")} receipts` +
      (found.unsigned ? `, ${found.unsigned.toLocaleString("en")} not signed by the other side yet` : "");
    if (found.ok) fill(this.audit, el("p.proof.ok", null, icon("check"), ` Every sum and signature is right: ${entries}.`));
    else fill(this.audit, problem({ message: `Something is wrong: ${found.problems[0] || "see teale wallet audit"}`, remedy: `${found.problems.length > 1 ? `And ${found.problems.length - 1} more. ` : ""}${entries}.` }));
  }
}

export const view = {
  id: "wallet",
  title: "Wallet",
  icon: "wallet",
  mount(root, app) {
    const wallet = new Wallet(root, app);
    return () => wallet.end();
  },
};
