// ui.js - everything that views draw with.

import { el, append, fill, name } from "./ui/el.js";
import { copyButton } from "./ui/copy.js";
import { icon } from "./ui/icons.js";
import { dialog, confirm } from "./ui/dialog.js";
import { settingLink, settingsIn, withoutCommand } from "./ui/setting.js";
import { toast } from "./ui/toast.js";
import { table } from "./ui/table.js";
import { plain, cut, short, ms, bytes, price, duration } from "./ui/text.js";

/** A <time> in the words of the reader's own country; "" for nothing. */
function time(iso) {
  const at = new Date(iso);
  if (!iso || Number.isNaN(at.getTime())) return "";
  const today = at.toDateString() === new Date().toDateString();
  const text = today
    ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
    : at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  return el("time", { datetime: at.toISOString(), title: at.toLocaleString() }, text);
}

/** What an ApiError says and what helps, for a place in the page; a setting that it tells to change is a link. */
function problem(error, retry) {
  const [message, remedy] = [error.message, error.remedy || ""].map(withoutCommand);
  const links = settingsIn(error.message, error.remedy).map((key) => el("p", null, settingLink(key)));
  return el("div.problem", { role: "alert" }, icon("warn"),
    el("div", null, el("p", null, message), remedy && el("p.muted", null, remedy), links),
    retry && el("button", { onclick: retry }, "Try again"));
}

export const ui = {
  el, append, fill, name, icon, dialog, confirm, toast, table, time, copyButton, problem,
  plain, cut, short, ms, bytes, price, duration,
};
