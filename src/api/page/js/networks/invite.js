// invite.js - making an invite, and showing it as a QR code and as a text to copy.

import { ui } from "../ui.js";
import { qrPicture } from "./qr.js";
import { ROLES, until } from "./words.js";
import { nodeTextInFull } from "../nodes.js";
import { during, field } from "../ui/form.js";

const { el, fill, icon } = ui;
const HOUR = 3600;
const DAY = 86400;
const ENDS = [[HOUR, "1 hour"], [DAY, "1 day"], [7 * DAY, "7 days"], [30 * DAY, "30 days"]];
const VALID = [[0, "No end"], [DAY, "1 day"], [30 * DAY, "30 days"], [365 * DAY, "1 year"]];

function choice(id, options, chosen) {
  return el("select", { id }, options.map(([value, text]) => el("option", { value: String(value), selected: value === chosen }, text)));
}

function roleChoice(ptn) {
  return el("fieldset.roles", null, el("legend", null, "Role"),
    Object.entries(ROLES).map(([role, { title, means }]) => {
      const able = role !== "admin" || ptn.ca_key;
      return el("label.role", { class: able ? "" : "off" },
        el("input", { type: "radio", name: "role", value: role, checked: role === "consumer", disabled: !able }),
        el("span", null, el("strong", null, title), el("span.muted", null, able ? means : "only the node that made the network can invite admins")));
    }));
}

/** Peers that are no members yet, for whom an invite can be made alone. */
function others(app, ptn) {
  const peers = app.state ? app.state.peers.filter((p) => !p.ptns.includes(ptn.ptn_id)).slice(0, 200) : [];
  return [["", "Anyone who has the code, once"], ...peers.map((p) => [p.node_id, nodeTextInFull(app, p.node_id)]), ["other", "Another node, by its ID"]];
}

/** What was made: `place` shows it instead of the form. */
async function show(app, ptn, made, place, onChange) {
  const problem = el("div");
  const code = el("textarea#invite-code.mono", { rows: "4", readOnly: true, "aria-label": "Code of the invite", onfocus: () => code.select() }, made.invite);
  code.value = made.invite;
  const picture = el("div.qr-box", null, el("p.muted", null, "\u00a0"));
  const withdraw = el("button", { onclick: async () => {
    const gone = await during(withdraw, "Withdrawing\u2026", problem, () => app.api.delete(`/v1/app/ptn/${ptn.ptn_id}/invites/${made.nonce}`));
    if (!gone) return;
    onChange();
    ui.toast("The invite is withdrawn. Nobody can join by it any more.", "ok");
    place.closest("dialog").close();
  } }, "Withdraw");
  const done = el("button.primary", { onclick: () => place.closest("dialog").close() }, "Done");
  const whom = made.for ? ["Only ", el("strong", null, nodeTextInFull(app, made.for)), " can join by it"] : ["Whoever has it first can join by it, once"];
  fill(place, el("div.invite-made", null, picture,
    el("div.stack", null,
      el("p", null, whom, `; it ends ${until(made.expires_at)}. Keep it as you keep a key.`),
      made.certificate_until && el("p.muted", null, "The membership ends with your own: ", ui.time(made.certificate_until)),
      el("div.row.copy-row", null, el("label", { for: "invite-code" }, "As text"), ui.copyButton(made.invite, "Copy the invite")), code,
      el("p.muted", null, "The other side: Private networks \u203a Join, or ", el("code", null, "teale join"), " and this word."), problem)),
    el("div.row.end", null, withdraw, done));
  place.closest(".dialog-body").scrollTop = 0;
  done.focus({ preventScroll: true });
  try {
    fill(picture, qrPicture(await app.api.post("/v1/app/qr/draw", { text: made.invite }), `QR code of the invite to ${ui.cut(ptn.name, 40)}`));
  } catch (e) {
    fill(picture, ui.problem(e));
  }
}

/** Opens the dialog. `onChange` is called when there is one invite more, or less. */
export function inviteDialog(app, ptn, onChange) {
  const problem = el("div");
  const roles = roleChoice(ptn);
  const ends = choice("invite-ends", ENDS, DAY);
  const valid = choice("invite-valid", VALID, 0);
  const whom = choice("invite-whom", others(app, ptn), "");
  const node = el("input#invite-node.mono", { maxlength: "64", spellcheck: "false", autocomplete: "off", placeholder: "64 hex digits" });
  const nodeField = field("Its node ID", node, "It stands under Private networks there, and teale status shows it.");
  nodeField.hidden = true;
  whom.addEventListener("change", () => {
    nodeField.hidden = whom.value !== "other";
    if (!nodeField.hidden) node.focus();
  });
  const make = el("button.primary", { onclick: async () => {
    const bound = whom.value === "other" ? node.value.trim().toLowerCase() : whom.value;
    const made = await during(make, "Making it\u2026", problem, () => app.api.post(`/v1/app/ptn/${ptn.ptn_id}/invites`, {
      role: roles.querySelector("input:checked").value, expires_s: Number(ends.value), valid_s: Number(valid.value),
      for: whom.value === "other" ? bound : bound || null }));
    if (!made) return;
    onChange();
    show(app, ptn, made, place, onChange);
  } }, icon("qr"), "Make the invite");
  const place = el("div.invite", null, el("div.stack", null, roles,
    el("div.pair", null, field("The invite ends after", ends), field("The membership ends after", valid)),
    field("For whom", whom), nodeField, problem), el("div.row.end", null, make));
  return ui.dialog({ title: `Invite to ${ui.cut(ui.plain(ptn.name), 40)}`, body: place, actions: [], className: "wide" });
}
