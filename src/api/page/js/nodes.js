// nodes.js - how a node is named wherever the page speaks of one.

import { ui } from "./ui.js";

const { el } = ui;

/** The peer of that ID in the page's state, or undefined. */
export const peerOf = (app, id) => app.state && app.state.peers.find((p) => p.node_id === id);

/** What it is called: by its owner here, else by itself; "" where neither is known. `known`: an answer's own words. */
function called(app, id, known) {
  const peer = peerOf(app, id) || {};
  const own = app.state && app.state.status.node_id === id ? app.state.status.display_name : "";
  return (known && known.alias) || peer.alias || own || (known && known.name) || peer.name || "";
}

/** Is it shown by a name, and not by its ID? */
export const isNamed = (app, id) => called(app, id) !== "";

/** Its name where one is known, else the first digits of its ID. `known`: {alias, name}, each may be missing. */
export function nodeName(app, id, known) {
  const text = called(app, id, known);
  return text ? ui.name(text, id) : el("span.mono", { title: id }, ui.short(id));
}

/** The same as plain text, for a label or a sentence in a dialog's title. */
export function nodeText(app, id, known) {
  return ui.cut(ui.plain(called(app, id, known) || ui.short(id)), 40);
}
