// words.js - what roles and states mean, in words.

import { ui } from "../ui.js";

const { el } = ui;

export const ROLES = {
  consumer: { title: "Consumer", means: "may ask the models of the others" },
  provider: { title: "Provider", means: "may ask, and answers with its own models" },
  admin: { title: "Admin", means: "may also invite, revoke and set the price" },
};

export const roleTitle = (role) => (ROLES[role] ? ROLES[role].title : role || "");

const STATES = {
  joining: ["wait", "Joining"],
  expired: ["bad", "Expired"],
  revoked: ["bad", "Revoked"],
};

/** A <span> with what this node is in the network: its role, or why it is none of the members now. */
export function stateTag({ state, role }) {
  const [kind, text] = state === "valid" ? ["ok", roleTitle(role) || "Member"] : STATES[state] || ["", state];
  return el("span.tag", { class: kind }, text);
}

const INVITES = {
  open: ["ok", "Open"], used: ["", "Used"], withdrawn: ["", "Withdrawn"], expired: ["", "Expired"],
};

export function inviteTag(state) {
  const [kind, text] = INVITES[state] || ["", state];
  return el("span.tag", { class: kind }, text);
}

/** "in 3 h", "in 5 d", from a time to come; "ended" where it is past. */
export function until(iso) {
  if (!iso) return "never";
  const seconds = (new Date(iso).getTime() - Date.now()) / 1000;
  return seconds > 0 ? `in ${ui.duration(seconds)}` : "ended";
}
