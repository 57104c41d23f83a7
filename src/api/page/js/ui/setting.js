// setting.js - texts of the node that tell what to type ("teale config set NAME VALUE"), for a page where one clicks: the
// settings that they name, and the text without the command where it stands in brackets or at the end.

import { el } from "./el.js";

const COMMAND = /teale config set ([a-z_]+(?:\.[a-z_]+)?)/g;
const BRACKETS = / \((?:for [a-z ]{1,40}: )?teale config set [\w.]+ [^()\n]{1,160}\)/g;
const AT_END = /[:.] teale config set [\w.]+ [^\s()]{1,80}$/;

/** What the view Settings calls those that errors of a question name; others are called by their own names. */
export const PLACES = {
  wan_enabled: "Settings \u203a Networking \u203a Enable WAN",
  lan_enabled: "Settings \u203a Networking \u203a Enable LAN",
  "nat.direct": "Settings \u203a Networking \u203a Direct connections",
  wan_relay_url: "Settings \u203a Networking \u203a Relay",
};

/** The settings that these texts tell to set, each once. */
export function settingsIn(...texts) {
  return [...new Set(texts.flatMap((text) => [...String(text || "").matchAll(COMMAND)].map((m) => m[1])))];
}

/** The text without the command that a link stands for. */
export function withoutCommand(text) {
  return text.replace(BRACKETS, "").replace(AT_END, ".");
}

/** A link to a setting, which closes the dialog around it; as a button it is called `a.button`. */
export function settingLink(key, what = "a") {
  const onclick = (event) => {
    const box = event.currentTarget.closest("dialog");
    if (box) box.close();
  };
  return el(what, { href: `#/settings/${key}`, onclick }, PLACES[key] || ["Open this setting: ", el("code", null, key)]);
}
