// settings.js - every setting of the node: what it does, what it is, and what it would be by default. Changes are kept
// until they are saved, also while another view is open; the node itself says what is wrong with one.

import { createField, same, shown } from "../settings/field.js";
import { danger, grouped, placeOf } from "../settings/groups.js";

const drafts = new Map(); // by the name of the setting; they live as long as the page

addEventListener("beforeunload", (event) => {
  if (drafts.size) event.preventDefault();
});

/** What must be known before these changes are saved: [{title, text}]. */
function warnings() {
  return [...drafts].map(([key, value]) => ({ title: placeOf(key).title, text: danger(key, value) })).filter((w) => w.text);
}

function matches(setting, words) {
  const { group, title } = placeOf(setting.key);
  const text = `${setting.key} ${title} ${group.title} ${setting.help} ${shown(setting.value)}`.toLowerCase();
  return words.every((w) => text.includes(w));
}

/** The list of groups, and the one that the address names. */
function createIndex(app, found) {
  const { el } = app.ui;
  const links = found.map((g) => el("a", { href: `#/settings/${g.id}` }, g.title));
  return {
    node: el("div.settings-index", { role: "navigation", "aria-label": "Groups of settings" }, links),
    mark(id) {
      found.forEach((g, i) => {
        if (g.id === id) links[i].setAttribute("aria-current", "true");
        else links[i].removeAttribute("aria-current");
      });
    },
  };
}

function createSaveBar(app, { save, discard }) {
  const { el } = app.ui;
  const words = el("p.grow", { role: "status" });
  const saving = el("button.primary", { onclick: save }, "Save");
  const dropping = el("button", { onclick: discard }, "Discard");
  const node = el("div.save-bar", { hidden: true }, words, dropping, saving);
  return { node, update(busy, failed) {
    const n = drafts.size;
    const said = `${n} change${n === 1 ? "" : "s"} not saved`;
    node.hidden = n === 0;
    words.textContent = busy ? "Saving…" : failed ? `${said}: ${failed}` : n ? said : "";
    words.classList.toggle("bad", Boolean(failed) && !busy);
    saving.disabled = dropping.disabled = busy;
  } };
}

class Settings {
  constructor(root, app) {
    Object.assign(this, { app, root, fields: new Map(), errors: new Map(), sections: [], settings: [], busy: false });
    const { el, icon } = app.ui;
    this.search = el("input", { type: "search", placeholder: "Search settings", "aria-label": "Search settings", oninput: () => this.filter() });
    this.none = el("p.empty", { hidden: true, role: "status" }, "No setting has these words.");
    this.notes = el("div.settings-notes");
    this.list = el("div.settings-list");
    this.bar = createSaveBar(app, { save: () => this.save(), discard: () => this.discard() });
    this.body = el("div.settings-body", null, el("p.muted", { role: "status" }, "Reading the settings…"));
    root.append(
      el("div.settings-head", null, el("h1", null, "Settings"), el("div.search", null, icon("search"), this.search)),
      this.notes, this.body, this.bar.node);
    this.onkey = (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "s") {
        event.preventDefault();
        this.save();
      }
    };
    root.addEventListener("keydown", this.onkey);
  }

  async load() {
    const { el, fill, problem } = this.app.ui;
    try {
      this.take(await this.app.api.get("/v1/app/settings"));
    } catch (e) {
      if (this.gone || this.fields.size) return; // what is drawn stays
      fill(this.body, e.code === "not_supported" ? el("p.empty", null, e.message) : problem(e, () => this.load()));
    }
  }

  take(answer) {
    if (this.gone) return;
    this.settings = answer.settings;
    if (!this.fields.size) this.draw();
    this.draw_notes(answer);
    for (const [key, value] of drafts) {
      const one = this.settings.find((s) => s.key === key);
      if (!one || same(one.value, value)) drafts.delete(key);
    }
    this.update();
  }

  draw() {
    const { el, fill } = this.app.ui;
    const found = grouped(this.settings);
    this.index = createIndex(this.app, found);
    this.sections = found.map((group) => {
      const fields = group.settings.map((setting) => {
        const field = createField({ setting, onchange: (value) => this.change(setting.key, value) });
        this.fields.set(setting.key, field);
        return field.node;
      });
      const node = el("section.settings-group", { "aria-labelledby": `group-${group.id}`, dataset: { group: group.id } },
        el("h2", { id: `group-${group.id}`, tabindex: "-1" }, group.title), el("div.card", null, fields));
      return { group, node };
    });
    fill(this.list, this.sections.map((s) => s.node), this.none);
    fill(this.body, this.index.node, this.list);
    this.filter();
    this.goto(this.app.route.rest[0]);
  }

  draw_notes(answer) {
    const { el, fill, icon } = this.app.ui;
    const restart = answer.settings.filter((s) => s.restart).map((s) => placeOf(s.key).title);
    fill(this.notes,
      answer.error && el("div.problem", { role: "alert" }, icon("warn"), el("div", null,
        el("p", null, "The file of the settings cannot be read, so nothing can be saved: ", answer.error),
        el("p.muted", null, "What you see is in force. Mend the file: ", answer.file))),
      restart.length > 0 && el("div.note-box", { role: "status" }, icon("info"), el("p.grow", null,
        restart.join(", "), restart.length === 1 ? " is saved and takes effect" : " are saved and take effect",
        " after a restart: ", el("code", null, "teale restart"))));
  }

  update() {
    for (const setting of this.settings) {
      const field = this.fields.get(setting.key);
      if (field) field.update(setting, drafts.get(setting.key), this.errors.get(setting.key));
    }
    this.bar.update(this.busy, this.failed);
  }

  change(key, value) {
    const setting = this.settings.find((s) => s.key === key);
    if (same(setting.value, value)) drafts.delete(key);
    else drafts.set(key, value);
    this.errors.delete(key);
    this.fields.get(key).update(setting, drafts.get(key), "");
    this.bar.update(this.busy);
  }

  discard() {
    drafts.clear();
    this.failed = "";
    this.errors.clear();
    this.search.focus();
    this.update();
  }

  async save() {
    const { el, dialog, toast } = this.app.ui;
    if (this.busy || !drafts.size) return;
    const told = warnings();
    if (told.length && await dialog({
      title: "Save this?", body: told.map((w) => el("div.warning", null, el("h3", null, w.title), el("p", null, w.text))),
      actions: [{ label: "Cancel", value: null }, { label: "Save it all the same", value: true, kind: "danger" }],
    }) !== true) return;
    this.busy = true;
    this.failed = "";
    this.errors.clear();
    this.bar.update(true);
    try {
      const answer = await this.app.api.put("/v1/app/settings", Object.fromEntries(drafts));
      const later = answer.settings.filter((s) => s.state === "restart").length;
      drafts.clear();
      toast(later ? "Saved. A part takes effect after a restart." : "Saved.", "ok");
      this.app.refresh().catch(() => {});
    } catch (e) {
      this.refused(e);
    }
    this.busy = false;
    if (this.gone) return;
    await this.load();
    this.update();
  }

  refused(e) {
    const key = [...drafts.keys()].find((k) => k === e.param || e.message.startsWith(`${k} `));
    if (!key) {
      this.failed = e.message;
      return;
    }
    for (const [k, why] of Object.entries({ [key]: e.message, ...e.values }))
      if (drafts.has(k)) this.errors.set(k, String(why).startsWith(`${k} `) ? `It ${String(why).slice(k.length + 1)}` : String(why));
    this.search.value = "";
    this.filter();
    this.update();
    this.fields.get(key).focus();
  }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let any = false;
    for (const { group, node } of this.sections) {
      let here = false;
      for (const setting of group.settings) {
        const hit = matches(setting, words);
        this.fields.get(setting.key).node.hidden = !hit;
        here = here || hit;
      }
      node.hidden = !here;
      any = any || here;
    }
    this.none.hidden = any;
  }

  /** To a group, or to one setting by its name. */
  goto(where) {
    if (!where || !this.index) return;
    const field = this.fields.get(where);
    const id = field ? placeOf(where).group.id : where;
    const section = this.sections.find((s) => s.group.id === id);
    if (!section) return;
    this.index.mark(id);
    if (field) {
      field.node.scrollIntoView({ block: "center" });
      field.focus();
      return;
    }
    section.node.scrollIntoView({ block: "start" });
    section.node.querySelector("h2").focus({ preventScroll: true });
  }
}

export const view = {
  id: "settings",
  title: "Settings",
  icon: "settings",
  mount(root, app) {
    const s = new Settings(root, app);
    s.load();
    const off = app.onRoute((route) => {
      if (route.view === "settings") s.goto(route.rest[0]);
    });
    return () => {
      s.gone = true;
      off();
    };
  },
};
