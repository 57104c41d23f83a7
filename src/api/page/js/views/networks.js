// networks.js - private networks: which this node is in, making one, joining one, and one of them in detail.

import { Detail } from "../networks/detail.js";
import { joinDialog } from "../networks/join.js";
import { roleTitle, stateTag } from "../networks/words.js";
import { field, nameInput } from "../ui/form.js";

async function create(app) {
  const { el, fill } = app.ui;
  const problem = el("div");
  const name = nameInput("new-name");
  name.placeholder = "family";
  let made = null;
  let again = false;
  const make = el("button.primary", { onclick: async () => {
    try {
      made = await app.api.post("/v1/app/ptn", again ? { name: name.value.trim(), again } : { name: name.value.trim() });
      make.closest("dialog").close();
    } catch (e) {
      again = e.code === "exists";
      fill(problem, app.ui.problem(again ? { message: "You are in a network of this name already.", remedy: "Choose another name, or make a second one that is called the same." } : e));
      make.textContent = again ? "Make a second one" : "Create";
    }
  } }, "Create");
  name.addEventListener("input", () => {
    again = false;
    make.textContent = "Create";
    problem.replaceChildren();
  });
  name.addEventListener("keydown", (event) => {
    if (event.key === "Enter") make.click();
  });
  const closed = app.ui.dialog({ title: "Create a network", actions: [], body: el("div.stack", null,
    field("Its name", name, "Its key is made on this machine, which is its first admin. Nobody else learns of it until you invite them."),
    problem, el("div.row.end", null, make)) });
  name.focus();
  await closed;
  if (made) {
    app.refresh().catch(() => {});
    app.go(`#/networks/${made.ptn_id}`);
  }
}

/** Who of a network is connected now, by what the peers show. */
function online(app, ptn) {
  return app.state.peers.filter((p) => p.path && p.ptns.includes(ptn.ptn_id)).length;
}

function card(app, ptn) {
  const { ui } = app;
  const { el, icon } = ui;
  const now = online(app, ptn);
  const facts = ptn.state === "joining" ? ptn.waiting || "waiting for the inviter"
    : `${roleTitle(ptn.role)} \u00b7 ${ptn.members} member${ptn.members === 1 ? "" : "s"}${now ? ` \u00b7 ${now} connected` : ""}${ptn.price_micro ? ` \u00b7 ${ui.price(ptn.price_micro)}` : ""}`;
  return el("li", null, el("a.card.net-card", { href: `#/networks/${ptn.ptn_id}` },
    el("span.net-words", null, el("span.net-name", null, ui.name(ptn.name), " ", ptn.state !== "valid" && stateTag(ptn)),
      el("span.muted", null, facts)), icon("right")));
}

class List {
  constructor(app) {
    const { el, icon } = app.ui;
    Object.assign(this, { app, drawn: "" });
    this.list = el("ul.net-list");
    this.empty = el("div.empty.first", { hidden: true }, icon("networks"),
      el("h2", null, "People you trust, and nobody else"),
      el("p", null, "In a private network its members alone ask and answer each other. Create one and invite your friends, or join theirs."));
    this.own = el("div.own-id", { hidden: true });
    this.node = el("div.stack", null,
      el("div.detail-head", null, el("h1.grow", null, "Private networks"),
        el("div.row", null, el("button", { onclick: () => joinDialog(app) }, icon("qr"), "Join"),
          el("button.primary", { onclick: () => create(app) }, icon("plus"), "Create"))),
      this.list, this.empty, this.own);
    this.off = app.watch((state) => this.draw(state));
  }

  end() {
    this.off();
  }

  draw(state) {
    const { el, fill } = this.app.ui;
    const text = JSON.stringify([state.status.ptns, state.status.ptns.map((p) => online(this.app, p))]);
    if (text === this.drawn) return;
    this.drawn = text;
    this.empty.hidden = state.status.ptns.length > 0;
    const focused = document.activeElement && this.list.contains(document.activeElement) && document.activeElement.getAttribute("href");
    fill(this.list, state.status.ptns.map((p) => card(this.app, p)));
    if (focused) [...this.list.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused)?.focus();
    this.own.hidden = false;
    fill(this.own, el("span.muted", null, "This node, for an invite that is for it alone: "), el("span.mono.wrap", null, state.status.node_id), this.app.ui.copyButton(state.status.node_id, "Copy this node's ID"));
  }
}

export const view = {
  id: "networks",
  title: "Private networks",
  icon: "networks",
  mount(root, app) {
    let shown = null;
    let id = null; // undefined: the list
    const show = (route) => {
      if (route.view !== "networks" || route.rest[0] === id) return;
      [id] = route.rest;
      if (shown) shown.end();
      shown = id && id !== "join" ? new Detail(app, id) : new List(app);
      root.replaceChildren(shown.node);
      if (id === "join") {
        app.go("#/networks", true);
        joinDialog(app);
      }
    };
    show(app.route);
    const off = app.onRoute(show);
    return () => {
      off();
      if (shown) shown.end();
    };
  },
};
