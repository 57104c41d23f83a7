// nodes.js - how a node is named wherever the page speaks of one.

import { ui } from "./ui.js";

const { el } = ui;

/** The peer of that ID in the page's state, or undefined. */
export const peerOf = (app, id) => app.state && app.state.peers.find((p) => p.node_id === id);

/**
 * What it is called, {text, own}: by its owner here (`own`), else by itself; "" where neither is known. A node chooses
 * its name itself, also one that the owner gave another. `known`: an answer's own words.
 */
function called(app, id, known) {
  const peer = peerOf(app, id) || {};
  const alias = (known && known.alias) || peer.alias || (app.state && app.state.status.node_id === id ? app.state.status.display_name : "");
  return { text: alias || (known && known.name) || peer.name || "", own: Boolean(alias) };
}

/** A name as an element: the owner's own word for the node looks otherwise than what a node calls itself. */
export const drawnName = (text, id, own) => ui.name(text, id, own && "own");

const digits = (id) => el("span.mono.muted.id", { title: id }, ui.short(id));

function drawn(app, id, known, whole) {
  const { text, own } = called(app, id, known);
  if (!text) return el("span.mono", { title: id }, ui.short(id));
  return el("span.node-name", null, drawnName(text, id, own), (whole || !own) && [" ", digits(id)]);
}

function said(app, id, known, whole) {
  const { text, own } = called(app, id, known);
  if (!text) return ui.short(id);
  const name = ui.cut(ui.plain(text), 40);
  return whole || !own ? `${name} (${ui.short(id)})` : name;
}

/**
 * Its name; behind one that is not the owner's own word, the first digits of its ID, which are all where no name is
 * known. `known`: {alias, name}, each may be missing.
 */
export const nodeName = (app, id, known) => drawn(app, id, known, false);

/** The same with the digits always: where a person decides over the node. */
export const nodeInFull = (app, id, known) => drawn(app, id, known, true);

/** nodeName as plain text, for a label or a sentence. */
export const nodeText = (app, id, known) => said(app, id, known, false);

/** nodeInFull as plain text, for a dialog's title. */
export const nodeTextInFull = (app, id, known) => said(app, id, known, true);
