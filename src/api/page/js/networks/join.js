// join.js - joining a network by an invite: pasted, before the camera, or in a picture that is chosen, dropped or
// pasted. What it says is shown before it is taken.

import { ui } from "../ui.js";
import { Camera, hasCamera, scanFile } from "./scan.js";
import { roleTitle, ROLES, until } from "./words.js";
import { nodeInFull } from "../nodes.js";
import { field, nameInput } from "../ui/form.js";

const { el, fill, icon } = ui;
const INVITE_MAX = 2048; // characters, as the node takes them
const SETTLED_MS = 250; // after a key was pressed
const WAITING_MS = 2000; // how often it is asked why a join waits

const KINDS = [[/^https?:/i, "an address on the web"], [/^WIFI:/i, "the key of a Wi-Fi network"], [/^(BEGIN:VCARD|MECARD:)/i, "a business card"],
  [/^otpauth:/i, "a key for one-time passwords"], [/^(tel|sms|mailto|geo):/i, "a contact"], [/^bitcoin:/i, "a payment"]];

/** What a code is that is no invite, as far as one can tell. */
function kindOf(text) {
  const kind = KINDS.find(([form]) => form.test(text));
  return kind ? kind[1] : "something else";
}

/** The dialog's parts and what they do to each other. */
class Join {
  constructor(app) {
    Object.assign(this, { app, camera: null, timer: 0, turn: 0, waiting: 0, invite: "", abort: new AbortController() });
    this.code = el("textarea#join-code", { rows: "3", spellcheck: "false", autocapitalize: "off", autocomplete: "off", placeholder: "teale:inv1:\u2026",
      "aria-describedby": "join-said", oninput: () => this.typed() });
    this.said = el("div#join-said.join-said", { "aria-live": "polite" });
    this.file = el("input.visually-hidden", { type: "file", accept: "image/*", tabindex: "-1", "aria-label": "Picture of an invite", onchange: () => this.picture(this.file.files[0]) });
    this.video = el("video.camera-view", { muted: true, playsinline: true, "aria-label": "What the camera sees" });
    this.video.muted = true;
    this.stopButton = el("button.small", { onclick: () => this.cameraOff() }, icon("stop"), "Stop the camera");
    this.view = el("div.camera", { hidden: true }, el("div.camera-box", null, this.video, el("div.camera-frame", { "aria-hidden": "true" })), this.stopButton);
    this.scan = el("button", { onclick: () => this.cameraOn() }, icon("camera"), "Scan with the camera");
    this.choose = el("button", { onclick: () => this.file.click() }, icon("image"), "Choose a picture");
    this.body = el("div.join", null,
      field("Invite", this.code),
      this.ways = el("div.row.join-ways", null, hasCamera() && this.scan, this.choose, el("span.muted", null, "or drop or paste one here")),
      this.file, this.view, this.said);
    this.listen();
  }

  listen() {
    const { body } = this;
    body.addEventListener("dragover", (event) => {
      event.preventDefault();
      body.classList.add("dragged");
    });
    body.addEventListener("dragleave", () => body.classList.remove("dragged"));
    body.addEventListener("drop", (event) => {
      event.preventDefault();
      body.classList.remove("dragged");
      const [file] = event.dataTransfer.files;
      if (file) this.picture(file);
      else if (event.dataTransfer.getData("text")) this.take(event.dataTransfer.getData("text"));
    });
    this.pasted = (event) => {
      const file = [...event.clipboardData.files].find((f) => f.type.startsWith("image/"));
      if (!file) return;
      event.preventDefault();
      this.picture(file);
    };
    document.addEventListener("paste", this.pasted);
  }

  end() {
    this.cameraOff();
    clearTimeout(this.timer);
    clearInterval(this.waiting);
    this.abort.abort();
    this.turn++;
    document.removeEventListener("paste", this.pasted);
  }

  say(...what) {
    fill(this.said, what);
  }

  problem(message, remedy) {
    this.say(ui.problem({ message, remedy }));
  }

  typed() {
    clearTimeout(this.timer);
    this.turn++;
    this.timer = setTimeout(() => this.read(this.code.value.trim()), SETTLED_MS);
  }

  take(text) {
    this.code.value = text.trim();
    this.read(this.code.value);
  }

  /** A code that was scanned. True: it is an invite. */
  scanned({ text, invite }) {
    if (invite) {
      this.take(text);
      return true;
    }
    if (text === null) this.problem("This QR code holds bytes that are no text, not an invite.");
    else this.say(ui.problem({ message: `This QR code is no invite. It is ${kindOf(text)}:` }),
      el("p.foreign", null, el("bdi.mono", { dir: "auto" }, ui.cut(text, 300))));
    return false;
  }

  async picture(file) {
    this.file.value = "";
    if (!file) return;
    this.cameraOff();
    const mine = ++this.turn;
    this.say(el("p.muted", null, "Looking for a QR code\u2026"));
    try {
      const found = await scanFile(this.app.api, file);
      if (mine === this.turn) this.scanned(found);
    } catch (e) {
      if (mine === this.turn) this.problem(e.message, e.remedy);
    }
  }

  cameraOn() {
    this.cameraOff();
    this.view.hidden = false;
    this.scan.hidden = true;
    this.say(el("p.muted", null, "Hold the code of the invite before the camera."));
    this.camera = new Camera(this.app.api, this.video, {
      onFound: (found) => {
        const invite = this.scanned(found);
        if (invite) this.cameraOff();
        return invite;
      },
      onProblem: (why) => {
        this.cameraOff();
        this.problem(why);
      },
    });
    this.camera.start();
    this.stopButton.focus();
  }

  cameraOff() {
    if (this.camera) this.camera.stop();
    this.camera = null;
    const had = this.view.contains(document.activeElement);
    this.view.hidden = true;
    this.scan.hidden = false;
    if (had) this.scan.focus();
  }

  /** Shows what the text says, if it is an invite. */
  async read(text) {
    const mine = ++this.turn;
    if (!text) {
      this.say();
      return;
    }
    if (text.length > INVITE_MAX) {
      this.say(ui.problem({ message: `This is no invite: it has ${text.length} characters, and an invite ${INVITE_MAX} at most.`, remedy: "Paste the code of the invite alone." }));
      return;
    }
    if (!/^teale:/.test(text)) {
      this.say(ui.problem({ message: `This is no invite. It looks like ${kindOf(text)}.`, remedy: "An invite is one long word that begins with teale:inv1:" }));
      return;
    }
    try {
      const said = await this.app.api.post("/v1/app/ptn/join/preview", { invite: text }, { signal: this.abort.signal });
      if (mine === this.turn) this.offer(text, said);
    } catch (e) {
      if (mine !== this.turn || e.name === "AbortError") return;
      this.problem(e.message, e.remedy);
    }
  }

  offer(text, said) {
    const as = nameInput("join-as", said.as);
    const join = el("button.primary", { onclick: () => this.join(text, as.value.trim(), join) }, "Join");
    as.addEventListener("keydown", (event) => {
      if (event.key === "Enter") join.click();
    });
    this.say(el("div.card.offer", null,
      el("p.offer-name", null, ui.name(said.name)),
      el("dl.facts", null,
        el("dt", null, "You become"), el("dd", null, roleTitle(said.role), el("span.muted", null, ` \u2013 ${ROLES[said.role] ? ROLES[said.role].means : ""}`)),
        el("dt", null, "Invited by"), el("dd", null, nodeInFull(this.app, said.inviter)),
        el("dt", null, "Invite ends"), el("dd", null, until(said.expires_at), said.bound && " \u2013 for this node alone"),
        said.valid_s && [el("dt", null, "Membership"), el("dd", null, `${ui.duration(said.valid_s)}, then it is renewed`)],
        said.member_as && [el("dt", null, "Already in it"), el("dd", null, `as ${roleTitle(said.member_role)}, called `, ui.name(said.member_as))]),
      said.member_as ? null : field("Call it here", as),
      el("div.row.end", null, join)));
    join.focus({ preventScroll: true });
    join.scrollIntoView({ block: "nearest" });
  }

  /** Waits until the inviter has answered; the seconds and the cause show that it goes on. */
  async join(text, as, button) {
    const mine = ++this.turn;
    const begun = performance.now();
    const words = el("span", null, "Asking the inviter\u2026");
    const why = el("p.muted");
    const bar = el("progress", { "aria-label": "Joining" });
    this.say(el("div.card.offer", null, el("p", null, words), bar, why));
    button.disabled = this.code.readOnly = this.ways.hidden = true;
    this.waiting = setInterval(() => this.tell(text, words, why, begun), WAITING_MS);
    try {
      const body = as ? { invite: text, as } : { invite: text };
      const joined = await this.app.api.post("/v1/app/ptn/join", body, { signal: this.abort.signal });
      if (mine === this.turn) this.joined(joined);
    } catch (e) {
      if (mine !== this.turn || e.name === "AbortError") return;
      if (e.code === "timeout" && e.status === 504) this.later();
      else this.problem(e.message, e.remedy);
    } finally {
      clearInterval(this.waiting);
      this.code.readOnly = this.ways.hidden = false;
      this.app.refresh().catch(() => {});
    }
  }

  async tell(text, words, why, begun) {
    words.textContent = `Asking the inviter\u2026 ${Math.round((performance.now() - begun) / 1000)} s`;
    const state = await this.app.refresh().catch(() => null);
    const ptn = state && state.status.ptns.find((n) => n.state === "joining" && n.waiting);
    if (ptn) fill(why, ptn.waiting);
  }

  joined(joined) {
    ui.toast(`You are in ${ui.cut(joined.name, 40)} now.`, "ok");
    this.close(joined.ptn_id);
  }

  later() {
    ui.toast("The inviter is not reached yet. The node goes on trying by itself.", "info");
    this.close("");
  }

  close(id) {
    this.body.closest("dialog").close();
    this.app.go(id ? `#/networks/${id}` : "#/networks");
  }
}

/** Opens the dialog; resolves when it is closed. `text`: an invite that is known already. */
export async function joinDialog(app, text) {
  const join = new Join(app);
  const closed = ui.dialog({ title: "Join a network", body: join.body, actions: [], className: "wide" });
  join.code.focus();
  if (text) join.take(text);
  await closed;
  join.end();
}
