// picture.js - draws the network as SVG. Elements stay the same while their values change, and only what changed is
// set. Everything is placed by attributes; the look is in css/views/network.css.

import { layout } from "./layout.js";
import { PATHS, markOf, titleOf } from "./model.js";
import { natWords, relayWords } from "./words.js";
import { ui } from "../ui.js";

const SVG = "http://www.w3.org/2000/svg";
const FONT = "500 13px system-ui, -apple-system, \"Segoe UI\", Roboto, \"Noto Sans\", \"Liberation Sans\", sans-serif"; // as in css
const FITS_MAX = 2000; // texts whose cut is remembered

function make(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** Sets what differs from what was set before. */
function assign(node, attributes) {
  const had = node.had || (node.had = {});
  for (const [name, value] of Object.entries(attributes)) {
    if (had[name] === value) continue;
    had[name] = value;
    node.setAttribute(name, String(value));
  }
}

function say(node, text) {
  if (node.said === text) return;
  node.said = text;
  node.textContent = text;
}

const ruler = document.createElement("canvas").getContext("2d");
ruler.font = FONT;
const fits = new Map();

/** As much of a text as has room; a hostile one is named in its place by `plain`. */
function fit(text, pixels) {
  const key = `${Math.floor(pixels)} ${text}`;
  const known = fits.get(key);
  if (known !== undefined) return known;
  const whole = ui.cut(ui.plain(text), 120);
  let most = whole.length;
  while (most > 1 && ruler.measureText(ui.cut(whole, most)).width > pixels) most--;
  if (fits.size > FITS_MAX) fits.clear();
  const cut = ui.cut(whole, most);
  fits.set(key, cut);
  return cut;
}

/** "↓ 1.2 MB/s  ↑ 3 kB/s"; "" where nothing to speak of passes. */
export function rates(p) {
  if (p.in + p.out < 200) return "";
  return `\u2193 ${ui.bytes(p.in)}/s \u2191 ${ui.bytes(p.out)}/s`;
}

/** Widths of lines go by powers of ten of the bytes a second. */
function weight(p) {
  const all = p.in + p.out;
  return all < 200 ? 0 : all < 20e3 ? 1 : all < 1e6 ? 2 : 3;
}

/** A thing that can be chosen: a sign with two lines of text below it. */
function createSign(id, shape, choose) {
  const title = make("text", { class: "sign-title" });
  const words = make("text", { class: "sign-words" });
  const g = make("g", { class: `sign ${id}`, role: "button", tabindex: "-1" }, shape, title, words);
  g.addEventListener("click", () => choose(id));
  return { g, title, words, id };
}

function createRow(kind, id, choose) {
  const title = make("text", { class: "peer-title", x: 16, y: -3 });
  const words = make("text", { class: "peer-words", x: 16, y: 14 });
  if (kind === "head") {
    assign(title, { class: "lane-title", x: -9, y: 6 });
    return { g: make("g", { class: "lane", "aria-hidden": "true" }, title), title, words, kind };
  }
  const dot = make("circle", { r: kind === "more" ? 4 : 6 });
  const ground = make("rect", { class: "hit", x: -14, y: -20, height: 40, rx: 8 });
  const g = make("g", { role: "button", tabindex: "-1" }, ground, dot, title, words);
  g.addEventListener("click", () => choose(id));
  return { g, title, words, ground, kind, id };
}

export class Picture {
  /** @param {{choose: (id: string) => void}} options  told "node", "nat", a relay's id, a node ID, or "more-LANE" */
  constructor({ choose }) {
    this.choose = choose;
    this.lines = new Map();
    this.rows = new Map();
    this.relays = new Map();
    this.before = new Set();
    this.tab = "node"; // the one thing in the tab order
    this.lineLayer = make("g", { class: "lines", "aria-hidden": "true" });
    this.rowLayer = make("g");
    this.node = createSign("node", make("circle", { r: 24 }), choose);
    this.node.title.before(make("path", { class: "mark", d: "M-9-8H9M0-8V10" }));
    this.nat = createSign("nat", make("rect", { x: -9, y: -34, width: 18, height: 68, rx: 6 }), choose);
    this.svg = make("svg", { class: "picture", role: "group", "aria-label": "Picture of the network: arrow keys move, Enter chooses" },
      this.lineLayer, this.nat.g, this.node.g, this.rowLayer);
    this.svg.addEventListener("keydown", (event) => this.onKey(event));
  }

  draw({ model, width, chosen }) {
    const l = layout({ width, status: model.status, lanes: model.lanes(), chosen, before: this.before, isBusy: model.isBusy });
    this.before = new Set(l.rows.filter((r) => r.kind === "peer").map((r) => r.id));
    assign(this.svg, { width: l.width, height: l.height, viewBox: `0 0 ${l.width} ${l.height}`, class: l.narrow ? "picture narrow" : "picture" });
    this.drawSigns(l, model.status, chosen);
    this.sync(this.relays, l.relays, (r) => r.id, (r) => {
      const sign = createSign(r.id, make("path", { d: "M0-19 17-9V9L0 19-17 9V-9z" }), this.choose);
      this.rowLayer.append(sign.g);
      return sign;
    }, (sign, r) => this.drawRelay(sign, r, l, chosen));
    this.sync(this.rows, l.rows, (r) => r.id, (r) => {
      const row = createRow(r.kind, r.id, this.choose);
      this.rowLayer.append(row.g);
      return row;
    }, (row, r) => this.drawRow(row, r, l, model, chosen));
    this.sync(this.lines, l.lines, (r) => r.id, () => {
      const g = make("path", { class: "line" });
      this.lineLayer.append(g);
      return { g };
    }, (line, r) => this.drawLine(line, r, model, chosen));
    this.settle();
  }

  /** Makes, updates and removes elements so that they are those of `wanted`. */
  sync(known, wanted, key, create, update) {
    const seen = new Set();
    for (const w of wanted) {
      const id = key(w);
      seen.add(id);
      let one = known.get(id);
      if (!one) known.set(id, one = create(w));
      update(one, w);
    }
    for (const [id, one] of known)
      if (!seen.has(id)) {
        one.g.remove();
        known.delete(id);
      }
  }

  place(sign, at, { title, words, below, room, what, state, chosen }) {
    assign(sign.g, {
      transform: `translate(${Math.round(at.x)} ${Math.round(at.y)})`, "aria-description": what, "aria-pressed": chosen === sign.id,
      class: `sign ${sign.kind || sign.id} ${state || ""}`,
    });
    assign(sign.title, { y: below });
    assign(sign.words, { y: below + 16 });
    say(sign.title, fit(title, room));
    say(sign.words, words && ` ${fit(words, room + 12)}`);
  }

  drawSigns(l, status, chosen) {
    const nat = natWords(status);
    const room = l.narrow ? 88 : l.width * 0.19;
    const name = status.display_name || "This node";
    this.place(this.node, l.node, { title: name, words: "this node", below: l.narrow ? 44 : 46, room: l.narrow ? 64 : room, chosen, what: "this node" });
    this.place(this.nat, l.nat, {
      title: l.narrow ? nat.brief : nat.title, words: l.narrow ? "" : nat.address, below: l.narrow ? -46 : 56, room, chosen, state: nat.state,
      what: `NAT: ${nat.title}`,
    });
  }

  drawRelay(sign, r, l, chosen) {
    const words = relayWords(r);
    sign.kind = "relay";
    this.place(sign, r, {
      title: l.narrow ? "relay" : words.title, words: l.narrow ? words.brief : words.state, below: 36, room: l.narrow ? 64 : l.width * 0.15, chosen,
      state: r.state, what: `Relay ${words.title}`,
    });
  }

  drawRow(row, r, l, model, chosen) {
    assign(row.g, { transform: `translate(${Math.round(r.x)} ${Math.round(r.y)})` });
    if (r.kind === "head") {
      say(row.title, `${r.text} \u00b7 ${r.count}`);
      return;
    }
    const room = l.width - r.x - 30;
    assign(row.ground, { width: Math.max(60, l.width - r.x + 8) });
    if (r.kind === "more") {
      const text = r.lane === "none" ? `${r.count} not connected` : `and ${r.count} more`;
      assign(row.g, { class: `peer more ${r.lane}`, "aria-description": "shows them in the table" });
      assign(row.title, { y: 5 });
      say(row.title, fit(text, room));
      return;
    }
    const p = r.peer;
    const busy = model.isBusy(p);
    const words = [markOf(p), ui.ms(p.rtt_ms), rates(p) || (p.path === "relayed-plaintext" ? "in clear" : "")].filter(Boolean).join(" \u00b7 ");
    assign(row.g, {
      class: `peer ${r.lane}${busy ? " busy" : ""}${model.isChanged(p) ? " changed" : ""}`, "aria-pressed": chosen === p.node_id,
      "aria-description": PATHS[p.path] || p.path,
    });
    assign(row.title, { y: words ? -3 : 5 });
    say(row.title, fit(titleOf(p), room));
    say(row.words, words && ` ${fit(words, room + 14)}`);
  }

  drawLine(line, r, model, chosen) {
    const p = r.row && r.row.peer;
    const parts = ["line", r.kind, r.state || ""];
    if (p) parts.push(`w${weight(p)}`, model.isBusy(p) ? "busy" : "", chosen === p.node_id ? "chosen" : "");
    assign(line.g, { d: r.d, class: parts.filter(Boolean).join(" ") });
  }

  // --- the keyboard: one stop in the tab order, arrows inside ---

  things() {
    return [this.node, this.nat, ...this.relays.values(), ...[...this.rows.values()].filter((r) => r.kind !== "head")
      .sort((a, b) => this.at(a) - this.at(b))];
  }

  at(row) {
    return Number(/ (-?[\d.]+)\)/.exec(row.g.had.transform)[1]);
  }

  settle() {
    const all = this.things();
    if (!all.some((t) => t.id === this.tab)) this.tab = "node";
    for (const t of all) assign(t.g, { tabindex: t.id === this.tab ? "0" : "-1" });
  }

  onKey(event) {
    const all = this.things();
    const i = all.findIndex((t) => t.g === document.activeElement);
    if (i < 0) return;
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter" || event.key === " ") this.choose(all[i].id);
    else if (event.key === "Home" || event.key === "End") this.focus(all[event.key === "Home" ? 0 : all.length - 1]);
    else if (step) this.focus(all[(i + step + all.length) % all.length]);
    else return;
    event.preventDefault();
  }

  focus(thing) {
    this.tab = thing.id;
    this.settle();
    thing.g.focus();
  }
}
