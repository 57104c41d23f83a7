// chat.js - the chat: conversations on the side, one of them open, and the field for the next question. Everything that
// is said stays in this browser; the node passes questions on and keeps none.

import { createComposer } from "../chat/composer.js";
import { createConversations } from "../chat/conversations.js";
import { createLibrary } from "../chat/library.js";
import { createPicker } from "../chat/picker.js";
import { emptyTalk, runOf, startAnswer, titleOf } from "../chat/talk.js";
import { listenForKeys, showShortcuts } from "../chat/shortcuts.js";
import { createThread } from "../chat/thread.js";
import { isOnLan } from "../state.js";
import { settingLink } from "../ui/setting.js";
import { ui } from "../ui.js";

const { el, icon } = ui;
const MODEL_KEY = "teale.chat.model";
let lastOpen = ""; // whoever comes back from another view finds the conversation open

function lastModel() {
  try {
    return localStorage.getItem(MODEL_KEY) || "";
  } catch (e) {
    return "";
  }
}

function rememberModel(key) {
  try {
    localStorage.setItem(MODEL_KEY, key);
  } catch (e) { /* it holds for this visit */ }
}

/** Where a question looks for a model that nobody has named yet; "" where it can look nowhere. */
function lookedThrough(status) {
  if (status.asks_others === false) return "";
  return status.wan.enabled ? "other machines are looked for" : isOnLan(status) ? "the local network is looked through" : "";
}

function howToGetOne(where, wan) {
  return [el("h2", null, where ? "No model is known yet" : "No model can be asked yet"),
    where && el("p.muted", null, `Ask all the same: ${where}.`),
    el("p.muted", null, "Share one of this machine's model server, or join the network of somebody who does."),
    !wan && el("p.muted", null, "Other machines are found when the wide network is on."),
    el("div.row", null, el("a.button", { href: "#/sharing" }, icon("sharing"), "Share a model"),
      el("a.button", { href: "#/networks" }, icon("networks"), "Join a network"),
      !wan && settingLink("wan_enabled", "a.button"))];
}

function greeting(wan) {
  return [el("h2", null, "What would you like to know?"),
    el("p.muted", null, "Models run here and on your friends' machines. Questions travel encrypted, and conversations stay in this browser."),
    !wan && el("p.muted", null, "The wide network is off: ", settingLink("wan_enabled"))];
}

/** What an empty conversation shows: a greeting, or how to get a model where none is known. */
function createWelcome(app) {
  const node = el("div.welcome");
  let shown = "";
  const off = app.watch((state) => {
    const any = (state.models || []).length > 0;
    const where = lookedThrough(state.status);
    const wan = state.status.wan.enabled;
    const what = `${any} ${wan} ${where}`;
    if (what === shown) return;
    shown = what;
    ui.fill(node, any ? greeting(wan) : howToGetOne(where, wan));
  });
  return { node, off };
}

function mount(root, app) {
  const picker = createPicker(app, (choice) => {
    rememberModel(choice.key);
    talk.body.model = choice.key;
    composer.focus();
  });
  const composer = createComposer({ picker, onSend: send, onStop: stop, onUp: editLast });
  const thread = createThread(app, { onAgain: again, onEdit: editAndAsk, onVersion: showVersion });
  const conversations = createConversations({
    onOpen: () => showList(false), onNew: fresh, onRename: rename, onDelete: remove, onClear: clear,
    onExport: (head) => library.exportOne(head, openBody), onExportAll: () => library.exportAll(openBody), onImport: (file) => library.importFile(file),
  });
  const welcome = createWelcome(app);
  const hint = el("p.composer-hint.muted", null, "Models make mistakes. ", el("button.link", { onclick: showShortcuts }, "Keys"));
  const title = el("h1.visually-hidden", null, "Chat");
  const told = el("p.visually-hidden", { role: "status" });
  const shade = el("div.chat-shade", { onclick: () => showList(false) });
  const listButton = () => el("button.quiet.icon-only", { title: "Conversations", "aria-label": "Conversations",
    "aria-controls": "conversations", onclick: () => showList(true) }, icon("list"));
  const newButton = () => el("button.quiet.icon-only", { title: "New chat", "aria-label": "New chat", onclick: fresh }, icon("plus"));
  const headTitle = el("span.chat-title");
  const place = el("section.chat-main", { "aria-label": "Conversation" },
    el("div.chat-head", null, listButton(), headTitle, newButton()),
    thread.node, welcome.node, el("div.composer-place", null, thread.jump, composer.node, hint));
  const inBar = document.getElementById("bar-actions");
  const barButtons = [listButton(), newButton()];
  let talk = emptyTalk(lastModel());
  let gone = false;
  let loading = 0;
  const library = createLibrary({ onChange: drawHeads, onOther: reload, onMoved });

  function showList(open) {
    root.classList.toggle("list-open", open);
    if (open) (conversations.node.querySelector("[aria-current]") || conversations.node.querySelector("button")).focus();
  }

  function drawHeads() {
    conversations.set(library.heads, talk.head.id);
    ui.fill(headTitle, talk.head.title ? ui.name(talk.head.title) : "New chat");
  }

  /** Is there anything to be read, or the greeting? */
  function drawEmpty() {
    const empty = talk.body.messages.length === 0;
    root.classList.toggle("is-empty", empty);
    welcome.node.hidden = !empty;
  }

  function onMoved(head) {
    if (talk.head !== head) return;
    lastOpen = head.id;
    app.go(`#/chat/${head.id}`, true);
  }

  const running = () => runOf(talk.head.id);

  function follow(one, run) {
    composer.setBusy(true);
    run.over.then(() => {
      if (gone || talk !== one) return;
      composer.setBusy(false);
      told.textContent = "The answer is complete.";
    });
  }

  function leave() {
    if (running()) running().attach(null);
  }

  function show(one) {
    leave();
    talk = one;
    lastOpen = talk.body.messages.length ? talk.head.id : "";
    picker.set(talk.body.model || lastModel());
    thread.set(talk.body.messages, talk.body.system);
    composer.setBusy(false);
    const run = running();
    if (run) {
      run.attach(thread.answer(talk.body.messages.indexOf(run.message)) || null);
      follow(talk, run);
    }
    const shown = library.isElsewhere(talk.head.id) && thread.answer(talk.body.messages.length - 1);
    if (shown) shown.waiting("Another tab waits for this answer", 0, true);
    drawHeads();
    drawEmpty();
  }

  /** Does an answer come already, here or in another tab? That one is told. */
  function isBusy() {
    if (running()) return true;
    const other = library.isElsewhere(talk.head.id);
    if (other) ui.toast("Another tab waits for an answer in this conversation. Ask when it is complete, or begin a new chat.", "info");
    return other;
  }

  function stop() {
    if (running()) running().stop();
  }

  function fresh() {
    showList(false);
    app.go("#/chat");
    show(emptyTalk(lastModel()));
    composer.focus();
  }

  function begin(message, answer) {
    const mine = talk;
    told.textContent = "";
    follow(mine, startAnswer(app, mine, message, { choice: picker.choice, answer,
      keep: () => library.keep(mine), keepTail: (tail) => library.keepTail(mine, tail) }));
  }

  /** A new answer to the question that stands last. */
  function answerLast() {
    const { messages } = talk.body;
    messages.push({ role: "assistant", versions: [], shown: 0 });
    begin(messages[messages.length - 1], thread.add(messages.length - 1));
  }

  function ask(text, files) {
    const { messages } = talk.body;
    messages.push({ role: "user", text, files, at: Date.now() });
    if (!talk.head.title) talk.head.title = titleOf(text);
    talk.body.model = picker.choice.key;
    lastOpen = talk.head.id;
    drawEmpty();
    thread.add(messages.length - 1);
    answerLast();
    library.keep(talk);
    if (app.route.rest[0] !== talk.head.id) app.go(`#/chat/${talk.head.id}`, true);
  }

  function send(text, files) {
    if (isBusy()) return false;
    ask(text.trim(), files);
    return true;
  }

  function again(i) {
    if (isBusy()) return;
    const { messages } = talk.body;
    messages.length = i + 1;
    thread.cutFrom(i + 1);
    const answer = thread.answer(i);
    begin(messages[i], answer);
    answer.draw();
  }

  function editAndAsk(i, text) {
    if (!running() && isBusy()) return;
    stop();
    const { messages } = talk.body;
    const { files } = messages[i];
    messages.length = i;
    thread.cutFrom(i);
    if (!talk.head.named && i === 0) talk.head.title = titleOf(text);
    const mine = talk;
    const go = () => {
      if (talk === mine) ask(text.trim(), files);
    };
    if (running()) running().over.then(go);
    else go();
    composer.focus();
  }

  function showVersion(i, v) {
    const m = talk.body.messages[i];
    if (!m.versions[v] || isBusy()) return;
    m.shown = v;
    thread.answer(i).draw();
    library.keep(talk);
  }

  function editLast() {
    if (running()) return;
    for (let i = talk.body.messages.length - 1; i >= 0; i--) {
      if (talk.body.messages[i].role === "user") {
        thread.edit(i);
        return;
      }
    }
  }

  function rename(head, words) {
    const known = library.find(head.id);
    if (talk.head.id === head.id) talk.head = known || talk.head;
    library.rename(head, words);
  }

  async function remove(head) {
    const body = el("p", null, ui.name(head.title), " is kept nowhere else.");
    const yes = await ui.confirm({ title: "Delete this conversation?", body, action: "Delete", danger: true });
    if (yes && await library.remove([head]) && talk.head.id === head.id) fresh();
  }

  async function clear() {
    const body = "They are kept in this browser alone, and cannot be brought back.";
    const yes = await ui.confirm({ title: "Delete all conversations?", body, action: "Delete all", danger: true });
    if (!yes || !await library.remove([...library.heads])) return;
    fresh();
    ui.toast("All conversations are deleted.", "ok");
  }

  const openBody = (head) => (head.id === talk.head.id ? talk.body : null);

  async function openById(id) {
    const mine = ++loading;
    if (runOf(id)) {
      show(runOf(id).talk);
      return;
    }
    await library.opened;
    if (app.route.rest[0] !== id) return;
    const head = library.find(id);
    const body = head && await library.load(id);
    if (mine !== loading || gone) return;
    if (body) {
      show({ head, body });
      composer.focus();
    } else {
      app.go(talk.body.messages.length ? `#/chat/${talk.head.id}` : "#/chat", true);
    }
  }

  function onRoute({ view, rest }) {
    if (view && view !== "chat") return;
    if (rest[0] && rest[0] !== talk.head.id) openById(rest[0]);
    else if (!rest[0] && talk.body.messages.length) fresh();
  }

  async function reload(what) {
    await library.reload();
    if (what !== talk.head.id || running()) return;
    const head = library.find(what);
    const body = head && await library.load(what);
    if (body && !gone && talk.head.id === what && !running()) show({ head, body });
  }

  function step(by) {
    const { heads } = library;
    const at = heads.findIndex((h) => h.id === talk.head.id);
    const next = heads[at < 0 ? 0 : at + by];
    if (next) app.go(`#/chat/${next.id}`);
  }

  function lastAnswer() {
    const buttons = thread.node.querySelectorAll(".answer:last-of-type .message-actions button");
    return (label) => [...buttons].find((b) => b.title === label);
  }

  root.append(title, told, conversations.node, shade, place);
  inBar.append(...barButtons);
  const offKeys = listenForKeys({
    "/": () => composer.focus(),
    n: fresh,
    m: () => picker.open(),
    j: () => step(1),
    k: () => step(-1),
    e: editLast,
    r: () => { const b = lastAnswer()("Answer anew"); if (b) b.click(); },
    c: () => { const b = lastAnswer()("Copy the answer"); if (b) b.click(); },
    Escape: () => {
      if (root.classList.contains("list-open")) showList(false);
      else stop();
    },
  });
  const offRoute = app.onRoute(onRoute);
  for (const kind of ["dragover", "drop"]) {
    place.addEventListener(kind, (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      if (kind === "drop") composer.take([...event.dataTransfer.files]);
    });
  }
  const wanted = app.route.rest[0] || lastOpen;
  if (runOf(wanted)) talk = runOf(wanted).talk;
  show(talk);
  if (matchMedia("(hover: hover)").matches) composer.focus();
  library.opened.then(() => {
    if (gone || !wanted) return;
    if (app.route.rest[0] !== wanted) app.go(`#/chat/${wanted}`, true);
    else if (wanted !== talk.head.id) openById(wanted);
  });

  return () => {
    gone = true;
    leave();
    offKeys();
    offRoute();
    welcome.off();
    picker.stop();
    thread.stop();
    library.end();
    barButtons.forEach((b) => b.remove());
  };
}

export const view = { id: "chat", title: "Chat", icon: "chat", mount };
