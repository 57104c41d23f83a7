// members.js - who is in a network, and what an admin does with a member.

import { ui } from "../ui.js";
import { roleTitle, until } from "./words.js";
import { nodeInFull, nodeTextInFull, peerOf } from "../nodes.js";
import { during } from "../ui/form.js";

const { el, icon } = ui;

const ORDER = { admin: 0, provider: 1, consumer: 2 };
const SOON_S = 7 * 86400; // a membership that ends within it is worth a word

/** How the member is reached now. */
function presence(app, m, own) {
  const peer = peerOf(app, m.node_id);
  if (own) return ["ok", "this node"];
  if (peer && peer.path) return ["ok", [peer.path, ui.ms(peer.rtt_ms)].filter(Boolean).join(" \u00b7 ")];
  return m.online ? ["ok", "online"] : ["", m.last_seen ? "offline" : "not met yet"];
}

function state(m) {
  if (m.state === "revoked") return ["bad", "revoked"];
  if (m.state === "expired") return ["bad", "expired"];
  const left = m.expires_at ? (new Date(m.expires_at) - Date.now()) / 1000 : Infinity;
  return left < SOON_S ? ["wait", `ends ${until(m.expires_at)}`] : ["", m.expires_at ? `ends ${until(m.expires_at)}` : ""];
}

/** What a person must know before a member is shut out. `fallen`: those who go with it. */
function revokeWords(app, m, fallen, keep) {
  return el("div.stack", null,
    el("p", null, nodeInFull(app, m.node_id, m), " is shut out for good: within seconds at every member that is reached, also in the middle of an answer. A new invite does not let it in again."),
    m.role === "admin" && el("p", null, fallen.length
      ? `It is an admin. ${fallen.length} member${fallen.length === 1 ? "" : "s"} that it let in or renewed go${fallen.length === 1 ? "es" : ""} out with it:`
      : "It is an admin. Nobody else is here by its word."),
    fallen.length > 0 && el("ul.fallen", null, fallen.slice(0, 20).map((f) => el("li", null, nodeInFull(app, f.node_id, f)))),
    fallen.length > 20 && el("p.muted", null, `and ${fallen.length - 20} more`),
    fallen.length > 0 && el("label.check", null, keep, "Keep those of them that this node has met"),
    el("p.muted", null, "A node that shares with the public still answers it as it answers anybody."));
}

async function revoke(app, ptn, m, button, problem) {
  const where = `/v1/app/ptn/${ptn.ptn_id}/revocations`;
  const dry = await during(button, "Looking\u2026", problem, () => app.api.post(where, { node_id: m.node_id, dry_run: true }));
  if (!dry) return false;
  const keep = el("input", { type: "checkbox" });
  const fallen = dry.members || [];
  const sure = await ui.confirm({ title: `Revoke ${nodeTextInFull(app, m.node_id, m)}?`, body: revokeWords(app, m, fallen, keep), action: "Revoke", danger: true });
  if (!sure) return false;
  const done = await during(button, "Revoking\u2026", problem, () => app.api.post(where, { node_id: m.node_id, keep_members: keep.checked && fallen.length > 0 }));
  if (done) ui.toast(`Revoked. ${done.told} member${done.told === 1 ? " was" : "s were"} told at once.`, "ok");
  return Boolean(done);
}

async function act(app, ptn, m, what, button, problem) {
  const where = `/v1/app/ptn/${ptn.ptn_id}/${what}`;
  const done = await during(button, what === "admins" ? "Signing\u2026" : "Renewing\u2026", problem, () => app.api.post(where, { node_id: m.node_id }));
  if (done) ui.toast(what === "admins" ? "It is an admin now." : done.expires_at ? `Renewed: it ends ${until(done.expires_at)}.` : "Renewed, without end.", "ok");
  return Boolean(done);
}

/** One member: what is known of it, and what an admin may do. */
function memberDialog(app, ptn, m, own, changed) {
  const problem = el("div");
  const admin = ptn.role === "admin" && ptn.state === "valid";
  const closing = (what) => async (event) => {
    const box = event.currentTarget.closest("dialog");
    if (!await what(event.currentTarget)) return;
    changed();
    box.close();
  };
  const [, how] = presence(app, m, own);
  const body = el("div.stack", null,
    el("dl.facts", null,
      el("dt", null, "Node"), el("dd.row", null, el("span.mono.wrap", null, m.node_id), ui.copyButton(m.node_id, "Copy the node ID")),
      el("dt", null, "Role"), el("dd", null, roleTitle(m.role)),
      el("dt", null, "Now"), el("dd", null, how, !own && !m.online && m.last_seen && [", last seen ", ui.time(m.last_seen)]),
      el("dt", null, "Member since"), el("dd", null, ui.time(m.issued_at) || "unknown"),
      el("dt", null, "Membership ends"), el("dd", null, m.expires_at ? ui.time(m.expires_at) : "never"),
      el("dt", null, "Signed by"), el("dd", null, m.issuer === ptn.ptn_id ? "the network's own key" : nodeInFull(app, m.issuer)),
      m.revoked_at && [el("dt", null, "Revoked"), el("dd", null, ui.time(m.revoked_at))]),
    admin && !own && el("div.row", null,
      m.state !== "valid" || m.role !== "admin" ? el("button", { onclick: closing((b) => act(app, ptn, m, "renewals", b, problem)) }, icon("again"), "Renew") : null,
      ptn.ca_key && m.role !== "admin" && m.state === "valid" && el("button", { onclick: closing((b) => act(app, ptn, m, "admins", b, problem)) }, icon("key"), "Make admin"),
      m.state !== "revoked" && el("button.danger", { onclick: closing((b) => revoke(app, ptn, m, b, problem)) }, "Revoke\u2026")),
    problem);
  return ui.dialog({ title: own ? "This node" : nodeTextInFull(app, m.node_id, m), body });
}

/** A table of members with update({ptn, members}). */
export function createMembers(app, changed) {
  let ptn = null;
  const own = (m) => app.state && m.node_id === app.state.status.node_id;
  const grid = ui.table({
    caption: "Members",
    key: (m) => m.node_id,
    columns: [
      { title: "Name", text: (m) => `${m.alias} ${m.name}`, cell: (m) => el("span.member-name", null, nodeInFull(app, m.node_id, m)) },
      { title: "Role", text: (m) => m.role, cell: (m) => roleTitle(m.role) },
      { title: "Now", text: (m) => presence(app, m, own(m)).join(), cell: (m) => {
        const [kind, words] = presence(app, m, own(m));
        return el("span.now", null, el("span.dot", { class: kind, "aria-hidden": "true" }), words);
      } },
      { title: "Membership", text: (m) => state(m).join(), cell: (m) => {
        const [kind, words] = state(m);
        return kind ? el("span.tag", { class: kind }, words) : el("span.muted", null, words || "no end");
      } },
      { title: "Actions", className: "actions", text: (m) => `${m.alias} ${m.name}`, cell: (m) => el("button.small", {
        "aria-label": `More about ${nodeTextInFull(app, m.node_id, m)}`, onclick: () => memberDialog(app, ptn, latest.get(m.node_id) || m, own(m), changed) }, "More") },
    ],
  });
  let latest = new Map();
  grid.classList.add("stacks");
  return {
    node: grid,
    update(now, members) {
      ptn = now;
      latest = new Map(members.map((m) => [m.node_id, m]));
      grid.update([...members].sort((a, b) => (ORDER[a.role] ?? 3) - (ORDER[b.role] ?? 3) || a.node_id.localeCompare(b.node_id)));
    },
  };
}
