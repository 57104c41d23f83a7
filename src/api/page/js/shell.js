// shell.js - what stands around every view: navigation, how this node is, and what is wrong with it right now.

import { createNotice } from "./notice.js";
import { nextTheme, theme } from "./theme.js";
import { placeToasts } from "./ui/toast.js";
import { ui } from "./ui.js";
import { views } from "./views.js";

const { el, fill, icon } = ui;
const THEMES = { auto: "Colours: as the system", light: "Colours: light", dark: "Colours: dark" };

function themeButton() {
  const button = el("button.quiet.icon-only", { onclick: () => show(nextTheme()) });
  const show = (now) => {
    fill(button, icon(now));
    button.title = THEMES[now];
    button.setAttribute("aria-label", THEMES[now]);
  };
  show(theme());
  return button;
}

/** How this node is connected, in words and a dot. */
function connection(status) {
  const wan = status.wan || {};
  const peers = status.peers || {};
  const n = (peers.direct || 0) + (peers.relayed || 0) + (peers.lan || 0);
  const beside = n ? `${n} peer${n === 1 ? "" : "s"}` : "no peers";
  if (!wan.enabled) return n ? ["ok", beside] : ["off", "wide network off"];
  if (wan.state === "connected") return ["ok", beside];
  return ["wait", wan.state === "connecting" ? "connecting" : "no relay"];
}

function nodeCard() {
  const dot = el("span.dot", { "aria-hidden": "true" });
  const title = el("span.node-name");
  const words = el("span.muted");
  const card = el("div.node-card", { role: "status" }, dot, el("span.node-words", null, title, words));
  card.update = (reached, state) => {
    const [kind, text] = !reached ? ["bad", "not reachable"] : state ? connection(state.status) : ["wait", "connecting"];
    dot.className = `dot ${kind}`;
    const own = state ? state.status.display_name || ui.short(state.status.node_id) : "This node";
    if (title.textContent !== own) fill(title, ui.name(own, state ? state.status.node_id : ""));
    if (words.textContent !== text) words.textContent = text;
  };
  card.update(true, null);
  return card;
}

function styles(id) {
  const href = `/css/views/${id}.css`;
  if (document.querySelector(`link[href="${href}"], style[data-views~="${id}"]`)) return null;
  const link = el("link", { rel: "stylesheet", href });
  return new Promise((resolve) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
    document.head.append(link);
  });
}

export function createShell(root, app) {
  const main = el("main#main", { tabindex: "-1" });
  const title = el("p.bar-title");
  const card = nodeCard();
  const notice = createNotice(app);
  const links = views.map((v) => el("a", { href: `#/${v.id}` }, icon(v.icon), el("span", null, v.title)));
  const foot = el("div.nav-foot", null, card, themeButton());
  const nav = el("nav#nav", { "aria-label": "Views" },
    root.querySelector(".brand"), // index.html has it
    el("div.nav-links", null, links), el("span.grow"), foot);
  const menu = el("button.quiet.icon-only.menu", { "aria-label": "Menu", "aria-expanded": "false", "aria-controls": "nav",
    onclick: () => open(!root.classList.contains("nav-open")) }, icon("menu"));
  const shade = el("div.shade", { onclick: () => open(false) });
  let mounted = null; // {id, undo, early}: `early` was opened without the node, and is opened anew when that is back
  let failed = false; // what the address names did not load
  let turn = 0;
  let reached = true;

  function open(yes) {
    root.classList.toggle("nav-open", yes);
    menu.setAttribute("aria-expanded", String(yes));
    if (yes) (nav.querySelector("[aria-current]") || links[0]).focus();
    else if (nav.contains(document.activeElement)) menu.focus();
  }

  function unmount() {
    if (mounted && mounted.undo) mounted.undo();
    mounted = null;
    failed = false;
  }

  async function show() {
    const wanted = views.find((v) => v.id === app.route.view) || views[0];
    open(false);
    if (mounted && mounted.id === wanted.id) return;
    const mine = ++turn;
    views.forEach((v, i) => {
      if (v === wanted) links[i].setAttribute("aria-current", "page");
      else links[i].removeAttribute("aria-current");
    });
    title.textContent = wanted.title;
    document.title = `${wanted.title} · Teale`;
    try {
      const [module] = await Promise.all([wanted.load(), styles(wanted.id)]);
      if (mine !== turn) return;
      const first = !mounted;
      unmount();
      const place = el(`div.view.view-${wanted.id}`);
      main.replaceChildren(place);
      mounted = { id: wanted.id, undo: module.view.mount(place, app), early: !reached && wanted !== views[0] };
      performance.mark("teale-view");
      if (!first && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
    } catch (e) {
      if (mine !== turn) return;
      unmount();
      failed = true;
      const what = { message: "This part of the page did not load.", remedy: reached ? e.message : "It comes by itself when the node answers again." };
      main.replaceChildren(el("div.view", null, ui.problem(what, reached ? () => location.reload() : app.retry)));
    }
  }

  function goOn() {
    if (!failed && !(mounted && mounted.early)) return;
    unmount();
    show();
  }

  root.replaceChildren(
    el("a.skip", { href: "#main", onclick: (event) => {
      event.preventDefault();
      main.focus();
    } }, "Skip to the content"),
    el("header.bar", null, menu, title, el("div.bar-actions#bar-actions")),
    nav, shade, el("div.content", null, notice.node, main));
  placeToasts(foot, main);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && root.classList.contains("nav-open")) open(false);
  });
  app.onRoute(show);
  app.onReach((now) => {
    const back = now && !reached;
    reached = now;
    card.update(reached, app.state);
    if (back) goOn();
  });
  app.watch((state) => card.update(reached, state));
  show();
}
