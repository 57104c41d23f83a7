// notice.js - the line above a view that says what is wrong now: the node is gone, or no relay answers. What passes
// within a moment is not told.

import { ui } from "./ui.js";

const { el, fill, icon } = ui;
const PATIENCE_MS = 1500;

/** {kind, text, remedy, retry} of what is wrong, or null. */
function wrong(reached, state) {
  if (!reached)
    return { kind: "bad", text: "The node does not answer.", remedy: "It is tried again by itself. Does it run?", command: "teale up", retry: true };
  const wan = state && state.status.wan;
  if (!wan || !wan.enabled || wan.state === "connected") return null;
  if (wan.portal) return { kind: "wait", text: "This network asks you to log in first.", link: wan.portal };
  const relay = wan.relay ? `The relay ${wan.relay} ` : "The relay ";
  return {
    kind: "wait",
    text: wan.state === "connecting" ? `${relay}is not connected yet.` : `${relay}does not answer.`,
    remedy: "Models of this machine, direct connections and the local network work meanwhile.",
  };
}

export function createNotice(app) {
  const node = el("div.notice", { role: "status", hidden: true });
  let reached = true;
  let shown = "";
  let timer = 0;

  function draw(what) {
    const text = what ? JSON.stringify(what) : "";
    if (text === shown) return;
    shown = text;
    node.hidden = !what;
    if (!what) return;
    node.className = `notice is-${what.kind}`;
    const link = what.link && /^https?:\/\//.test(what.link) &&
      el("a", { href: what.link, target: "_blank", rel: "noopener noreferrer" }, "Open its page");
    fill(node, icon("warn"), el("p", null, what.text, " ", what.remedy && el("span.muted", null, what.remedy), what.command && [" ", el("code", null, what.command)], link),
      what.retry && el("button", { onclick: app.retry }, "Try now"));
  }

  function update() {
    const what = wrong(reached, app.state);
    clearTimeout(timer);
    if (!what || shown) draw(what);
    else timer = setTimeout(() => draw(wrong(reached, app.state)), PATIENCE_MS);
  }

  app.onReach((now) => {
    if (now === reached) return;
    reached = now;
    update();
  });
  app.watch(update);
  return { node };
}
