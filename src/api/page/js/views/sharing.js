// sharing.js - what this machine does for others: what is shared, who may ask, who is served now, how fast; and the
// pause that takes the machine back.

import { createPause } from "../sharing/pause.js";
import { createServe } from "../sharing/serve.js";
import { createSpeed, perSecond } from "../sharing/speed.js";
import { nodeName } from "../nodes.js";
import { section } from "../ui/form.js";

const EVERY_MS = 1000;
const STATES = { working: ["wait", "working"], answering: ["ok", "answering"] };

/** Whole numbers as people read them. */
const count = (n) => Number(n || 0).toLocaleString("en");

function state(q) {
  if (q.state !== "waiting") return STATES[q.state] || ["", q.state];
  return ["", `waits, place ${q.position}`];
}

function questions(app) {
  const { ui } = app;
  const { el, table } = ui;
  return table({
    caption: "Questions of others",
    key: (q) => `${q.peer} ${q.request}`,
    empty: "Nobody is served at this moment.",
    columns: [
      { title: "Who", text: (q) => `${q.peer}${q.alias || ""}${q.name}`, cell: (q) => el("span.who-name", null, nodeName(app, q.peer, q)) },
      { title: "Model", text: (q) => q.model, cell: (q) => ui.name(q.model) },
      { title: "For", text: (q) => q.ptn || "", cell: (q) => (q.ptn ? ui.name(q.ptn) : el("span.muted", null, "public")) },
      { title: "State", text: (q) => state(q).join(), cell: (q) => {
        const [kind, words] = state(q);
        return el("span.tag", { class: kind }, words);
      } },
      { title: "Path", text: (q) => q.path || "", cell: (q) => q.path || el("span.muted", null, "\u2013") },
      { title: "Since", className: "number", text: (q) => ui.duration((q.for_ms || 0) / 1000), cell: (q) => ui.duration((q.for_ms || 0) / 1000) },
      { title: "Tokens", className: "number", text: (q) => String(q.tokens), cell: (q) => (q.state === "waiting" ? "" : count(q.tokens)) },
      { title: "Tokens/s", className: "number", text: (q) => perSecond(q.tokens_per_s), cell: (q) => (q.tokens_per_s ? perSecond(q.tokens_per_s) : "") },
    ],
  });
}

const HEADS = { on: ["ok", "On"], off: ["", "Not shared"], starting: ["wait", "Starting"], nobody: ["wait", "Nobody can ask"], nothing: ["bad", "Nothing to share"] };

class Sharing {
  constructor(root, app) {
    const { el } = app.ui;
    Object.assign(this, { app, timer: 0, over: false, running: false });
    this.tag = el("span.tag", { role: "status" });
    this.problem = el("div");
    this.again = () => this.load();
    this.pause = createPause(app, this.again);
    this.serve = createServe(app, () => {
      this.load();
      this.loadSettings();
    });
    this.speed = createSpeed();
    this.numbers = el("dl.numbers");
    this.table = questions(app);
    this.table.classList.add("stacks");
    this.more = el("p.muted", { hidden: true });
    this.totals = el("dl.numbers.totals");
    this.live = el("section.card.live", null, this.speed, this.numbers);
    this.body = el("div.stack", { hidden: true }, el("div.share-grid", null, this.serve, el("div.stack", null, this.live, this.pause)),
      section("Served now"), this.table, this.more, section("Since the node started"), this.totals);
    root.append(el("div.stack", null, el("div.detail-head", null, el("h1", null, "Sharing"), this.tag), this.problem, this.body));
    this.onShow = () => {
      if (!document.hidden) this.load();
    };
    document.addEventListener("visibilitychange", this.onShow);
    this.loadSettings();
    this.load();
  }

  end() {
    this.over = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.onShow);
  }

  async loadSettings() {
    try {
      const { settings } = await this.app.api.get("/v1/app/settings");
      if (!this.over) this.serve.settings(settings);
    } catch (e) { /* the switches say it when they are used */ }
  }

  async load() {
    if (this.running) return;
    clearTimeout(this.timer);
    this.running = true;
    try {
      const now = await this.app.api.get("/v1/app/sharing");
      if (this.over) return;
      this.problem.replaceChildren();
      this.draw(now);
    } catch (e) {
      if (!this.over && e.status) this.app.ui.fill(this.problem, this.app.ui.problem(e));
    } finally {
      this.running = false;
      if (!this.over && !document.hidden) this.timer = setTimeout(this.again, EVERY_MS);
    }
  }

  facts(place, pairs) {
    const { el, fill } = this.app.ui;
    const text = JSON.stringify(pairs);
    if (place.drawn === text) return;
    place.drawn = text;
    fill(place, pairs.map(([name, value]) => el("div", null, el("dt", null, name), el("dd", null, value))));
  }

  draw(now) {
    const { sharing, share, totals } = now;
    const [kind, words] = share.paused ? ["wait", "Paused"] : HEADS[sharing.state] || ["", sharing.state];
    const off = sharing.state === "off";
    if (this.tag.textContent !== words) this.tag.textContent = words;
    this.tag.className = `tag ${kind}`;
    this.body.hidden = false;
    this.serve.update(sharing);
    this.pause.update(share, off);
    this.live.hidden = off && !now.questions.length;
    this.speed.add(now.tokens_per_s);
    this.facts(this.numbers, [["Running", `${share.running} of ${share.slots}`], ["Waiting, networks", count(share.queued.private)], ["Waiting, public", count(share.queued.public)]]);
    this.table.update(now.questions);
    this.more.hidden = !now.more;
    this.more.textContent = `and ${count(now.more)} more`;
    this.facts(this.totals, [["Answered", count(totals.served)], ["Failed", count(totals.failed)], ["Tokens read", count(totals.tokens_in)],
      ["Tokens written", count(totals.tokens_out)], ["Turned away", count(totals.turned_away)], ["Waited too long", count(totals.late)]]);
  }
}

export const view = {
  id: "sharing",
  title: "Sharing",
  icon: "sharing",
  mount(root, app) {
    const sharing = new Sharing(root, app);
    return () => sharing.end();
  },
};
