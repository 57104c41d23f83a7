// The page at `/`: shows /v1/app, and again whenever /v1/events says that something changed.
// Names come from strangers: they only ever become text nodes.
"use strict";

const EVENTS_SHOWN = 50;
const RETRY_MS = 3000;
const $ = (id) => document.getElementById(id);
let key = sessionStorage.getItem("key") || "";

function api(path) {
  return fetch(path, key ? { headers: { Authorization: "Bearer " + key } } : {});
}

function row(cells) {
  const tr = document.createElement("tr");
  for (const text of cells) tr.appendChild(document.createElement("td")).textContent = text;
  return tr;
}

function showNode(s) {
  const facts = {
    "Node ID": s.node_id,
    Name: s.display_name,
    Version: s.version,
    "Wide network": s.wan && s.wan.enabled ? s.wan.state : "off",
    Relay: s.wan && s.wan.relay,
    "Model server": s.backend && s.backend.url ? `${s.backend.url} (${s.backend.state})` : "none shared",
    Others: s.share && s.share.paused ? "not served: paused by the owner" : "",
    Requests: s.requests && `${s.requests.active} active, ${s.requests.served} served, ${s.requests.asked} asked, ${s.requests.failed} failed`,
  };
  $("node").replaceChildren(...Object.entries(facts).filter(([, v]) => v).flatMap(([k, v]) => {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = k;
    dd.textContent = v;
    return [dt, dd];
  }));
}

function showNetworks(ptns) {
  $("networks").replaceChildren(...ptns.map((p) =>
    row([p.name, p.role || "", p.state, p.members, p.price_micro ? p.price_micro / 1e6 : "free"])));
  $("networks-section").hidden = !ptns.length;
}

function show(app) {
  showNode(app.status);
  showNetworks(app.status.ptns || []);
  $("models").replaceChildren(...(app.models || []).map((m) =>
    row([m.id, m.local ? "yes" : "", (m.peers || []).length || ""])));
  $("peers").replaceChildren(...(app.peers || []).map((p) =>
    row([p.node_id.slice(0, 16), p.name || "", p.path || "", p.rtt_ms ? p.rtt_ms.toFixed(1) + " ms" : ""])));
  document.querySelector("main").hidden = false;
}

function showEvent(block) {
  const field = (name) => (block.match(new RegExp(`^${name}: (.*)$`, "m")) || [])[1];
  if (!field("event")) return false;
  const li = document.createElement("li");
  li.textContent = `${field("event")} ${field("data") || ""}`;
  $("events").prepend(li);
  while ($("events").childElementCount > EVENTS_SHOWN) $("events").lastChild.remove();
  return true;
}

async function refresh() {
  const answer = await api("/v1/app");
  $("key-form").hidden = answer.status !== 401;
  if (answer.status === 401) throw new Error("locked");
  if (!answer.ok) throw new Error("error " + answer.status);
  show(await answer.json());
}

async function follow() {
  await refresh();
  const answer = await api("/v1/events");
  if (!answer.ok) throw new Error("error " + answer.status);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  $("live").textContent = "live";
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("disconnected");
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    if (blocks.map(showEvent).some(Boolean)) await refresh();
  }
}

async function run() {
  for (;;) {
    try {
      await follow();
    } catch (e) {
      $("live").textContent = e.message;
      if (!$("key-form").hidden) return;
    }
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  sessionStorage.setItem("key", key);
  run();
});
run();
