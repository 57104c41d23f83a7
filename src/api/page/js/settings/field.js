// field.js - one setting of the view Settings: its control, help, default, and what stands in the way of a change.
// Knows nothing of the node: the view tells it the setting and the draft, and hears of every change.

import { placeOf } from "./groups.js";
import { ui } from "../ui.js";

const { el, fill, icon } = ui;

/** What a person reads for a value. */
export function shown(value) {
  if (value === true) return "on";
  if (value === false) return "off";
  if (Array.isArray(value)) return value.length ? value.join(", ") : "none";
  return value === "" ? "empty" : String(value);
}

export function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The number that was typed; what is none goes to the node as it is, which says what it must be. */
function numberOf(text) {
  return /^\s*-?\d{1,15}\s*$/.test(text) ? Number(text) : text;
}

function switchOf(setting, id, changed) {
  const box = el("input", { type: "checkbox", role: "switch", id, class: "switch", onchange: () => changed(box.checked) });
  return { node: box, show: (value) => { box.checked = value === true; } };
}

function choiceOf(setting, id, changed) {
  const box = el("select", { id, onchange: () => changed(box.value) },
    setting.choices.map((c) => el("option", { value: c }, c)));
  return { node: box, show: (value) => { box.value = value; } };
}

function linesOf(setting, id, changed) {
  const box = el("textarea", { id, rows: "2", spellcheck: "false", autocapitalize: "off", dir: "auto", oninput: () => {
    grow();
    changed(box.value.split("\n").map((line) => line.trim()).filter(Boolean));
  } });
  const grow = () => { box.rows = Math.min(8, Math.max(2, box.value.split("\n").length)); };
  return { node: box, hint: "One on each line.", show: (value) => {
    if (document.activeElement === box) return;
    box.value = value.join("\n");
    grow();
  } };
}

function lineOf(setting, id, changed) {
  const number = setting.type === "integer";
  const box = el("input", { id, type: "text", inputmode: number ? "numeric" : "text", spellcheck: "false", autocomplete: "off",
    autocapitalize: "off", dir: "auto", class: number ? "number" : "", oninput: () => changed(number ? numberOf(box.value) : box.value) });
  return { node: box, show: (value) => {
    if (document.activeElement !== box) box.value = String(value);
  } };
}

function controlOf(setting, id, changed) {
  if (setting.type === "boolean") return switchOf(setting, id, changed);
  if (setting.choices) return choiceOf(setting, id, changed);
  return (setting.type === "strings" ? linesOf : lineOf)(setting, id, changed);
}

function range(setting) {
  return setting.type === "integer" && setting.min !== null ? `${setting.min} to ${setting.max}. ` : "";
}

/** The words under the help: default, range, what wins. */
function notes(setting) {
  return [
    range(setting), `Default: ${shown(setting.default)}.`,
    !setting.live && " In force after a restart.",
    setting.login && " The login is not shown; to change it, write the whole URL.",
  ].filter(Boolean).join("");
}

function onlyByCommand(setting) {
  const command = `teale config set ${setting.key} `;
  return el("p.by-command", null, "Set it on the command line: ", el("code", null, command + "FILE"), ui.copyButton(command, "Copy the command"));
}

/**
 * @param {{setting: Object, onchange: (value: any) => void}} options
 * @returns {{node: HTMLElement, update: (setting, draft, error) => void, focus: () => void}}
 *          `draft` is undefined where nothing is changed
 */
export function createField({ setting, onchange }) {
  const id = `setting-${setting.key.replace(/\./g, "-")}`;
  const { title } = placeOf(setting.key);
  const control = controlOf(setting, id, onchange);
  const state = el("span.states");
  const note = el("p.muted.note");
  const error = el("p.error", { id: `${id}-error`, hidden: true });
  const back = el("button.quiet.small", { onclick: () => onchange(current.default) }, "Use the default");
  let current = setting;

  control.node.setAttribute("aria-describedby", `${id}-help ${id}-error`);
  control.node.disabled = setting.names_file;
  const node = el("div.setting", { class: setting.type, dataset: { key: setting.key } },
    el("div.setting-words", null,
      el("div.setting-title", null, el("label", { for: id }, title), state),
      el("p.help", { id: `${id}-help` }, setting.help, control.hint && ` ${control.hint}`),
      note, setting.names_file && onlyByCommand(setting)),
    el("div.setting-control", null, control.node, error, back));

  function update(now, draft, problem) {
    current = now;
    const value = draft === undefined ? now.value : draft;
    control.show(value);
    control.node.hidden = now.names_file && value === "";
    note.textContent = notes(now);
    note.prepend(el("code", null, now.key), " · ");
    fill(state,
      draft !== undefined && el("span.tag.wait", null, "not saved"),
      now.restart && el("span.tag.wait", null, "needs a restart"),
      now.option && el("span.tag", null, `--${now.option} wins while this node runs`));
    back.hidden = now.names_file || same(value, now.default);
    error.hidden = !problem;
    fill(error, problem && [icon("warn"), problem]);
    control.node.setAttribute("aria-invalid", String(Boolean(problem)));
    node.classList.toggle("changed", draft !== undefined);
  }

  update(setting, undefined, "");
  return { node, update, focus: () => control.node.focus() };
}
