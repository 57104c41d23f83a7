// nodes.js - how a node is named wherever the page speaks of one.

import { ui } from "./ui.js";

const { el } = ui;

/** The peer of that ID in the page's state, or undefined. */
export const peerOf = (app, id) => app.state && app.state.peers.find((p) => p.node_id === id);

/** Is it shown by a name, and not by its ID? */
export const isNamed = (app, id) => Boolean((peerOf(app, id) || {}).name);

/** Its name where one is known, else the first digits of its ID. */
export function nodeName(app, id, known) {
  const own = app.state && app.state.status.node_id === id;
  const peer = peerOf(app, id);
  const text = known || (own ? app.state.status.display_name : peer && peer.name) || "";
  return text ? ui.name(text, id) : el("span.mono", { title: id }, ui.short(id));
}

/** The same as plain text, for a label or a sentence in a dialog's title. */
export function nodeText(app, id, known) {
  const peer = peerOf(app, id);
  return ui.cut(ui.plain(known || (peer && peer.name) || ui.short(id)), 40);
}
