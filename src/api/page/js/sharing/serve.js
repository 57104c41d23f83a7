// serve.js - what is shared with whom: a model server, chosen or looked for, and who may ask it. By the settings.

import { ui } from "../ui.js";
import { settingsIn } from "../ui/setting.js";
import { asSentence } from "../ui/text.js";
import { during, field, section } from "../ui/form.js";

const { el, fill, icon } = ui;

const WHO = {
  public: ["Anyone", "whoever is at the same relay or on the same network"],
  networks: ["My networks", "members of your private networks alone"],
};

const optionWords = (option) => `The option --${option} decides it while the node runs.`;

async function put(app, button, words, problem, values) {
  const done = await during(button, words, problem, () => app.api.put("/v1/app/settings", values));
  if (!done) return false;
  for (const one of done.settings) if (one.state === "restart") ui.toast(one.message || "It takes effect after a restart.", "info");
  return true;
}

/** Shares what is found here, or a server by its address. It stays the same element, so that nothing typed is lost. */
function createOffer(app, changed, problem) {
  const url = el("input#share-url", { placeholder: "http://127.0.0.1:11434", spellcheck: "false", autocomplete: "off", inputmode: "url" });
  const find = el("button.primary", { onclick: async () => {
    if (await put(app, find, "Looking\u2026", problem, { share: "auto" })) changed();
  } }, icon("search"), "Look for a model server here");
  const take = el("button", { onclick: async () => {
    const text = url.value.trim();
    if (!text) {
      url.focus();
      return;
    }
    if (await put(app, take, "Sharing it\u2026", problem, { share: /^https?:\/\//.test(text) ? text : `http://${text}` })) changed();
  } }, "Share this one");
  url.addEventListener("keydown", (event) => {
    if (event.key === "Enter") take.click();
  });
  const node = el("div.stack", null, el("div", null, find), el("div.row.share-row", null, el("div.grow", null, field("Or by its address", url)), take));
  let known = "";
  /** `address`: what is shared now; it can be corrected. */
  node.update = (address) => {
    if (address === known) return;
    known = address;
    url.value = address;
  };
  return node;
}

function models(sharing) {
  return el("div.row.models", null, sharing.models.slice(0, 60).map((m) => el("span.tag", null, ui.name(m))),
    sharing.models.length > 60 && el("span.muted", null, `and ${sharing.models.length - 60} more`));
}

/** Where this page can mend it, by the node's word for the reason. */
const MENDS = {
  no_network: ["#/networks", "Private networks"],
  consumer: ["#/networks", "Private networks"],
  no_relay: ["#/settings/wan_enabled", "Settings \u203a Enable WAN"],
};

/**
 * The node's remedy where it tells of the command line, as one does it here; `fixed`: an option decides it while the node runs,
 * so that no field for an address stands below.
 */
export function remedyHere(text, fixed) {
  return text
    .replace(/^(Start [^.]{1,80}), or name its (?:right )?URL: --share URL \(setting share\)\.$/, `$1: this node finds it by itself.${fixed ? "" : " Or give its address:"}`)
    .replace(/^Name the URL( of a server that [^()]{1,80}): --share URL \(setting share\)\.$/, fixed ? "Start this node with the address$1." : "Give the address$1:");
}

/** What is wrong, in the node's own words. */
function trouble(sharing, fixed) {
  if (!sharing.cause) return null;
  const text = asSentence(sharing.cause);
  const [href, words] = MENDS[sharing.reason] || [];
  const linked = settingsIn(text, sharing.remedy).some((key) => href === `#/settings/${key}`);
  return [ui.problem({ message: text, remedy: remedyHere(sharing.remedy || "", fixed) }), href && !linked && el("div", null, el("a.button", { href }, words))];
}

export function createServe(app, changed) {
  const what = el("div.stack");
  const problem = el("div");
  const offer = createOffer(app, changed, problem);
  const who = el("fieldset.who", null, el("legend", null, "Who may ask"));
  const fixedWords = el("p.muted", { hidden: true });
  const stop = el("button", { onclick: async () => {
    const sure = await ui.confirm({ title: "Stop sharing?", body: "The model server is not asked for others any more. Your own questions go on.", action: "Stop sharing" });
    if (sure && await put(app, stop, "Stopping\u2026", problem, { share: "" })) changed();
  } }, icon("stop"), "Stop sharing\u2026");
  for (const [value, [title, means]] of Object.entries(WHO)) {
    const input = el("input", { type: "radio", name: "share-with", value, onchange: async () => {
      const done = await put(app, input, "", problem, { share_with: value });
      if (done) changed();
      else drawWho();
    } });
    who.append(el("label.role", null, input, el("span", null, el("strong", null, title), el("span.muted", null, means))));
  }
  const node = el("section.card.stack", null, section("What is shared"), what, who, fixedWords, problem);
  let now = null;
  let settings = new Map();
  let drawn = "";

  function drawWho() {
    const fixed = settings.get("share_with") && settings.get("share_with").option;
    for (const input of who.querySelectorAll("input")) {
      input.checked = now && input.value === now.with;
      input.disabled = Boolean(fixed);
    }
    fixedWords.hidden = !fixed;
    if (fixed) fixedWords.textContent = optionWords(fixed);
  }

  node.update = (sharing) => {
    now = sharing;
    const share = settings.get("share");
    if (share) offer.update(share.value === "auto" ? "" : share.value);
    const text = JSON.stringify([sharing, [...settings.values()].map((s) => s.option)]);
    if (text === drawn) return;
    drawn = text;
    const fixed = share && share.option;
    const off = sharing.state === "off";
    const had = offer.contains(document.activeElement) && document.activeElement;
    if (off) fill(what, el("p", null, "This machine shares no model. Ollama, llama-server, vLLM, LM Studio and whatever else speaks the OpenAI API can be shared."),
      fixed ? el("p.muted", null, optionWords(fixed)) : offer);
    else fill(what, sharing.state === "starting" && el("div", null, el("p", null, "Looking at the model server\u2026"), el("progress", { "aria-label": "Looking at the model server" })),
      trouble(sharing, Boolean(fixed)), fixed && sharing.state === "nothing" && el("p.muted", null, optionWords(fixed)), sharing.models.length > 0 && models(sharing),
      sharing.missing.length > 0 && el("p.wait", null, `Not there: ${sharing.missing.map((m) => ui.plain(m)).join(", ")}`),
      !fixed && sharing.state === "nothing" && offer, !fixed && el("div", null, stop));
    if (had && had.isConnected) had.focus();
    who.hidden = off;
    drawWho();
  };
  /** Which options of the command line fix something. */
  node.settings = (list) => {
    settings = new Map(list.map((s) => [s.key, s]));
    if (now) node.update(now);
  };
  return node;
}
