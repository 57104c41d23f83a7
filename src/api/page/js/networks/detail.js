// detail.js - one private network: who is in it, its invites, what it costs, and how programs use it.

import { ui } from "../ui.js";
import { inviteDialog } from "./invite.js";
import { createMembers } from "./members.js";
import { inviteTag, roleTitle, stateTag, until } from "./words.js";
import { nodeInFull, nodeTextInFull } from "../nodes.js";
import { during, field, nameInput, section } from "../ui/form.js";

const { el, fill, icon } = ui;

/** Renaming is of this machine alone. */
async function rename(app, ptn) {
  const problem = el("div");
  const name = nameInput("net-name", ptn.name);
  let done = false;
  const save = el("button.primary", { onclick: async () => {
    done = await during(save, "Saving\u2026", problem, () => app.api.put(`/v1/app/ptn/${ptn.ptn_id}/name`, { name: name.value.trim() }));
    if (done) save.closest("dialog").close();
  } }, "Rename");
  name.addEventListener("keydown", (event) => {
    if (event.key === "Enter") save.click();
  });
  await ui.dialog({ title: "Rename", actions: [], body: el("div.stack", null,
    field("Name on this machine", name, "Other members call it as before. Programs that ask for a model by MODEL@NAME need the new name."),
    problem, el("div.row.end", null, save)) });
  return Boolean(done);
}

const CREDIT = 1e6;

async function price(app, ptn) {
  const problem = el("div");
  const value = el("input#net-price", { value: String(ptn.price_micro / CREDIT), inputmode: "decimal", autocomplete: "off" });
  let done = false;
  const save = el("button.primary", { onclick: async () => {
    const micro = Math.round(Number(value.value.replace(",", ".")) * CREDIT);
    if (!(micro >= 0) || value.value.trim() === "") {
      fill(problem, ui.problem({ message: "A price is a number from 0, in credits." }));
      return;
    }
    done = await during(save, "Signing\u2026", problem, () => app.api.put(`/v1/app/ptn/${ptn.ptn_id}/price`, { price_micro: micro }));
    if (done) save.closest("dialog").close();
  } }, "Set the price");
  value.addEventListener("keydown", (event) => {
    if (event.key === "Enter") save.click();
  });
  await ui.dialog({ title: "Price", actions: [], body: el("div.stack", null,
    field("Credits for 1000 tokens", value, "What members pay each other, for questions and answers alike; 0 is free. It is signed, and every member learns it."),
    problem, el("div.row.end", null, save)) });
  return Boolean(done);
}

/** The key for OpenAI clients; shown only when a person asks for it. */
function keys(app, ptn) {
  const problem = el("div");
  const place = el("div.stack");
  const base = `${location.origin}/v1`;
  const where = `/v1/app/ptn/${ptn.ptn_id}/key`;
  const line = (label, id, value, hidden) => {
    const input = el("input.mono", { id, readOnly: true, value, type: hidden ? "password" : "text", autocomplete: "off", onfocus: () => input.select() });
    const eye = hidden && el("button.quiet", { "aria-pressed": "false", onclick: () => {
      const shown = input.type === "text";
      input.type = shown ? "password" : "text";
      eye.setAttribute("aria-pressed", String(!shown));
      eye.textContent = shown ? "Show" : "Hide";
    } }, "Show");
    return el("div.field", null, el("label", { for: id }, label), el("div.row.key-row", null, input, eye, ui.copyButton(value, `Copy: ${label}`)));
  };
  const show = ({ key }) => fill(place, line("Base URL", "net-url", base), line("API key", "net-key", key, true),
    el("div.row.end", null, renew));
  const ask = (button, words, body) => during(button, words, problem, () => app.api.post(where, body));
  const first = el("button", { onclick: async () => {
    const got = await ask(first, "Fetching it\u2026", {});
    if (got) show(got);
  } }, icon("key"), "Show the key");
  const renew = el("button", { onclick: async () => {
    const sure = await ui.confirm({ title: "Make a new key?", body: "Programs that use the present key are refused from then on.", action: "New key", danger: true });
    const got = sure && await ask(renew, "Making it\u2026", { new: true });
    if (got) show(got);
  } }, "New key\u2026");
  fill(place, el("div", null, first));
  return el("section.card.stack", null, section("For OpenAI clients"),
    el("p.muted", null, "Every question with this key is answered by members of this network alone. Or name a model ", el("code", null, `MODEL@${ui.cut(ui.plain(ptn.name), 40)}`), "."),
    place, problem);
}

/** `gone(yes)`: the network is not to be asked for any more. */
async function leave(app, ptn, gone) {
  const destroy = el("input", { type: "checkbox" });
  const body = el("div.stack", null,
    el("p", null, "This node's membership is forgotten here. To come back, it needs a new invite."),
    ptn.ca_key && el("p", null, "The network was made here, and its key is on this machine alone, unless you exported it. Without that key nobody can make an admin any more."),
    ptn.ca_key && el("label.check", null, destroy, "Destroy the network's key, too"));
  const sure = await ui.confirm({ title: `Leave ${ui.cut(ui.plain(ptn.name), 40)}?`, body, action: "Leave", danger: true });
  if (!sure) return;
  gone(true);
  try {
    await app.api.delete(`/v1/app/ptn/${ptn.ptn_id}${ptn.ca_key && destroy.checked ? "?delete=true" : ""}`);
    ui.toast("You have left the network.", "ok");
    app.go("#/networks");
    app.refresh().catch(() => {});
  } catch (e) {
    gone(false);
    ui.toast(e.message, "error");
  }
}

/** What is not right with this node's membership, and what helps. */
function trouble(app, ptn) {
  if (ptn.state === "joining") return { kind: "wait", text: "Joining: the inviter has not answered yet. The node goes on trying by itself.", more: ptn.waiting };
  if (ptn.state === "expired") return { kind: "bad", text: "This node's membership has ended. Ask an admin to renew it, by this node's ID.", id: ptn.node_id };
  if (ptn.state !== "revoked") return null;
  return ptn.issuer_revoked
    ? { kind: "bad", text: "The admin who let this node in was revoked. Another admin can renew this node's membership, by its ID.", id: app.state.status.node_id }
    : { kind: "bad", text: "This node was revoked. It neither asks nor answers here any more." };
}

export class Detail {
  constructor(app, id) {
    Object.assign(this, { app, id, ptn: null, turn: 0, over: false, drawn: "" });
    this.head = el("div.detail-head");
    this.trouble = el("div");
    this.members = createMembers(app, () => this.load());
    this.membersHead = section("Members");
    this.invites = el("section.stack", { hidden: true });
    this.rest = el("div.detail-cards");
    this.problem = el("div");
    this.more = el("div.stack", { hidden: true }, el("section.stack", null, this.membersHead, this.members.node), this.invites, this.rest);
    this.node = el("div.stack.detail", null, el("a.back", { href: "#/networks" }, icon("left"), "Private networks"), this.head, this.trouble, this.problem, this.more);
    this.timer = setInterval(() => {
      if (!document.hidden) this.load();
    }, 10000);
    this.offs = [app.on("Membership", () => this.load()), app.on("PeerJoined", () => this.soon()), app.on("PeerLeft", () => this.soon()),
      app.on("PathChanged", () => this.soon())];
    this.load();
  }

  end() {
    this.over = true;
    clearInterval(this.timer);
    clearTimeout(this.later);
    for (const off of this.offs) off();
  }

  soon() {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.load(), 500);
  }

  async load() {
    if (this.over) return;
    const mine = ++this.turn;
    const where = `/v1/app/ptn/${this.id}`;
    try {
      const ptn = await this.app.api.get(where);
      const [members, invites] = ptn.role ? await Promise.all([this.app.api.get(`${where}/members`),
        ptn.role === "admin" ? this.app.api.get(`${where}/invites`) : null]) : [null, null];
      if (mine !== this.turn || this.over) return;
      this.problem.replaceChildren();
      this.draw(ptn, members ? members.members : [], invites ? invites.invites : []);
    } catch (e) {
      if (mine !== this.turn || this.over) return;
      if (e.status === 404) {
        this.app.go("#/networks", true);
        return;
      }
      fill(this.problem, ui.problem(e, () => this.load()));
    }
  }

  draw(ptn, members, invites) {
    this.ptn = ptn;
    const text = JSON.stringify([ptn, this.id]);
    if (text !== this.drawn) this.frame(ptn);
    this.drawn = text;
    this.more.hidden = !ptn.role;
    this.members.update(ptn, members);
    this.drawInvites(ptn, invites);
  }

  /** All that depends on the network alone. */
  frame(ptn) {
    const { app } = this;
    const admin = ptn.role === "admin" && ptn.state === "valid";
    const after = (what) => async () => {
      if (await what(app, ptn)) this.load();
    };
    fill(this.head, el("div.grow", null, el("h1.detail-name", null, ui.name(ptn.name), " ", stateTag(ptn)),
      el("p.muted.id-line", null, "Network ", el("span.mono", { title: ptn.ptn_id }, ui.short(ptn.ptn_id)), ui.copyButton(ptn.ptn_id, "Copy the network's ID"))),
    el("div.row", null, admin && el("button.primary", { onclick: () => inviteDialog(app, ptn, () => this.load()) }, icon("plus"), "Invite")));
    const what = trouble(app, ptn);
    fill(this.trouble, what && el("div.problem.trouble", { class: what.kind }, icon(what.kind === "wait" ? "info" : "warn"),
      el("div", null, el("p", null, what.text), what.more && el("p.muted", null, what.more),
        what.id && el("p.row", null, el("span.mono.wrap", null, what.id), ui.copyButton(what.id, "Copy the node ID")))));
    if (ptn.dispute)
      this.trouble.append(el("div.problem", null, icon("warn"), el("div", null, el("p", null, "Admins do not agree who is revoked: ", nodeInFull(app, ptn.dispute.by), " says that ", nodeInFull(app, ptn.dispute.node_id), " is."))));
    fill(this.rest, ptn.role && el("section.card.stack", null, section("Membership"),
      el("dl.facts", null,
        el("dt", null, "You are"), el("dd", null, roleTitle(ptn.role), ptn.ca_key && el("span.muted", null, " \u2013 the network was made here")),
        el("dt", null, "Ends"), el("dd", null, ptn.expires_at ? [ui.time(ptn.expires_at), el("span.muted", null, ` (${until(ptn.expires_at)}); it is renewed by itself`)] : "never"),
        el("dt", null, "Price"), el("dd", null, ui.price(ptn.price_micro)),
        el("dt", null, "Hidden"), el("dd", null, ptn.hide ? "the relay does not learn who belongs together" : ["the relay sees who belongs together; ", el("a", { href: "#/settings/ptn.hide" }, "change it")])),
      el("div.row", null, admin && el("button", { onclick: after(price) }, "Price\u2026"),
        ptn.expires_at && el("button", { onclick: (event) => this.renew(event.currentTarget) }, icon("again"), "Renew now"))),
    ptn.state === "valid" && keys(app, ptn),
    el("section.card.stack", null, section("On this machine"),
      el("div.row", null, el("button", { onclick: after(rename) }, icon("edit"), "Rename\u2026"), el("button", { onclick: () => leave(app, ptn, (yes) => { this.over = yes; }) }, "Leave\u2026"))));
  }

  async renew(button) {
    const done = await during(button, "Asking an admin\u2026", this.problem, () => this.app.api.post(`/v1/app/ptn/${this.id}/renewals`, {}));
    if (!done) return;
    ui.toast("Renewed.", "ok");
    this.load();
  }

  drawInvites(ptn, invites) {
    const text = JSON.stringify(invites);
    if (text === this.invitesDrawn) return;
    this.invitesDrawn = text;
    this.invites.hidden = invites.length === 0;
    if (!invites.length) return;
    const problem = el("div");
    const withdraw = (invite) => async (event) => {
      const gone = await during(event.currentTarget, "\u2026", problem, () => this.app.api.delete(`/v1/app/ptn/${ptn.ptn_id}/invites/${invite.nonce}`));
      if (gone) this.load();
    };
    const grid = ui.table({ caption: "Invites", key: (i) => i.nonce, columns: [
      { title: "State", cell: (i) => inviteTag(i.state) },
      { title: "Role", cell: (i) => roleTitle(i.role) },
      { title: "For", cell: (i) => (i.used_by ? ["used by ", nodeInFull(this.app, i.used_by)] : i.for ? nodeInFull(this.app, i.for) : el("span.muted", null, "anyone")) },
      { title: "Ends", cell: (i) => (i.state === "open" ? until(i.expires_at) : ui.time(i.expires_at)) },
      { title: "Actions", className: "actions", cell: (i) => i.state === "open" && el("button.small", { onclick: withdraw(i), "aria-label": `Withdraw the invite for a ${roleTitle(i.role)}${i.for ? `, ${nodeTextInFull(this.app, i.for)}` : ""}` }, "Withdraw") },
    ] });
    grid.classList.add("stacks");
    grid.update([...invites].sort((a, b) => (b.state === "open") - (a.state === "open") || String(b.expires_at).localeCompare(String(a.expires_at))).slice(0, 100));
    fill(this.invites, section("Invites"), grid, problem);
  }
}
