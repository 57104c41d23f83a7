// network.js - a live picture of this node, its NAT, its relays and its peers, and a table of the same. What happens
// is collected, and drawn ten times a second at most, within one frame of the screen: a thousand events cost as much
// as one.

import { createDetail } from "../network/detail.js";
import { CHANGED_MS, createModel } from "../network/model.js";
import { createPeers } from "../network/peers.js";
import { Picture } from "../network/picture.js";

const TRAFFIC_MS = 2000;
const DRAW_MS = 100; // what changes more often is not seen
const TABLE_MS = 1000; // nor read
const EVENTS = ["PathChanged", "PeerJoined", "PeerLeft"];

function summary(status, peers) {
  const n = { lan: 0, direct: 0, relayed: 0, none: 0 };
  for (const p of peers.values()) n[p.path === "lan" || p.path === "direct" ? p.path : p.path ? "relayed" : "none"]++;
  const words = [[n.lan, "on the local network"], [n.direct, "direct"], [n.relayed, "relayed"], [n.none, "not connected"]]
    .filter(([count]) => count).map(([count, text]) => `${count} ${text}`);
  return words.length ? words.join(" \u00b7 ") : status.wan.enabled ? "No peer yet" : "The wide network is off";
}

class Network {
  constructor(root, app) {
    Object.assign(this, { root, app, model: createModel(), frame: 0, waits: 0, drew: -DRAW_MS, tabled: -TABLE_MS, width: 0, offs: [] });
    const { el } = app.ui;
    const choose = (id) => this.choose(id);
    this.picture = new Picture({ choose });
    this.peers = createPeers({ choose, find: async (text) => (await app.api.get(`/v1/app/peers/${encodeURIComponent(text)}/why`)).node_id });
    this.detail = createDetail({ app, model: this.model, close: () => this.choose("") });
    this.words = el("p.muted", { role: "status" });
    this.box = el("div.picture-box.card", null, el("p.muted.waiting", { role: "status" }, "Looking around\u2026"));
    this.off = el("div.wan-off", { hidden: true }, el("p", null, "Peers across the internet are reached when the wide network is on."),
      el("a.button", { href: "#/settings/wan_enabled" }, "Settings \u203a Networking \u203a Enable WAN"));
    root.append(el("div.network-head", null, el("h1", null, "Network"), this.words), this.off,
      el("div.network-body", null, this.box, this.detail.node, this.peers.node));
    this.begin();
  }

  begin() {
    const { app } = this;
    this.observer = new ResizeObserver(() => {
      this.width = Math.floor(this.box.clientWidth) - 2;
      this.soon();
    });
    this.observer.observe(this.box);
    this.offs.push(
      app.watch((state) => {
        this.model.take(state);
        this.soon();
      }),
      ...EVENTS.map((name) => app.on(name, (fields) => {
        this.model.event(name, fields);
        if (name === "PathChanged") this.detail.again(fields.node_id);
        this.soon();
        clearTimeout(this.calm);
        this.calm = setTimeout(() => this.soon(), CHANGED_MS + 50); // the mark of what changed goes
      })),
      app.onRoute((route) => {
        if (route.view === "network") this.show(route.rest[0], true);
      }),
      () => this.observer.disconnect());
    this.count();
  }

  /** One drawing soon, in a frame of its own, however often it is called. */
  soon() {
    if (this.frame || this.waits) return;
    const wait = this.drew + DRAW_MS - performance.now();
    if (wait > 0) {
      this.waits = setTimeout(() => {
        this.waits = 0;
        this.soon();
      }, wait);
      return;
    }
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const { model, picture } = this;
    this.drew = performance.now();
    if (!model.status || !this.width) return;
    if (!picture.svg.isConnected) {
      this.box.replaceChildren(picture.svg);
      this.show(this.app.route.rest[0], false);
    }
    picture.draw({ model, width: this.width, chosen: this.detail.chosen });
    this.detail.update();
    this.off.hidden = model.status.wan.enabled;
    if (!this.later) this.later = setTimeout(() => this.list(), Math.max(20, this.tabled + TABLE_MS - this.drew));
  }

  /** The table, in another frame than the picture. */
  list() {
    const { model } = this;
    this.later = 0;
    this.tabled = performance.now();
    this.peers.update(model);
    const text = summary(model.status, model.peers);
    if (this.words.textContent !== text) this.words.textContent = text;
  }

  /** Counts of bytes, while somebody looks. */
  async count() {
    if (!document.hidden && this.model.status) {
      try {
        this.model.traffic(await this.app.api.get("/v1/app/traffic"));
        this.soon();
      } catch (e) { /* the frame says that the node is away */ }
    }
    if (!this.gone) this.timer = setTimeout(() => this.count(), TRAFFIC_MS);
  }

  choose(id) {
    if (id.startsWith("more-")) this.peers.show(id.slice(5));
    else this.app.go(id ? `#/network/${encodeURIComponent(id)}` : "#/network");
  }

  show(id, focus) {
    this.detail.show(id || "", focus);
    this.root.classList.toggle("with-detail", Boolean(id));
    this.soon();
  }

  end() {
    this.gone = true;
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    clearTimeout(this.later);
    clearTimeout(this.waits);
    clearTimeout(this.calm);
    this.offs.forEach((off) => off());
  }
}

export const view = {
  id: "network",
  title: "Network",
  icon: "network",
  mount(root, app) {
    const n = new Network(root, app);
    return () => n.end();
  },
};
