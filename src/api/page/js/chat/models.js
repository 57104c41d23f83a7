// models.js - what can be asked, out of the node's state: each model once for the public and once for each network that
// serves it, with who and at what price. Pure.

export const AUTO = "teale-auto";

function cheapest(offers) {
  return offers.reduce((best, o) => (best === null || o.price_micro < best ? o.price_micro : best), null);
}

function networkName(state, ptn) {
  const found = (state.status.ptns || []).find((p) => p.ptn_id === ptn);
  return found ? found.name : String(ptn).slice(0, 8);
}

function choiceOf(state, m, ptn, offers) {
  return {
    key: ptn ? `${m.id}@${ptn}` : m.id,
    id: m.id,
    ptn: ptn || null,
    network: ptn ? networkName(state, ptn) : null,
    local: Boolean(m.local) && !ptn,
    machines: new Set(offers.map((o) => o.node_id)).size,
    price: cheapest(offers),
    free: offers.some((o) => o.slots_free > 0),
  };
}

/** @returns {{key, id, ptn, network, local, machines, price, free}[]}  `teale-auto` first */
export function choices(state) {
  const all = [{ key: AUTO, id: AUTO, ptn: null, network: null, local: false, machines: 0, price: null, free: true, auto: true }];
  for (const m of (state && state.models) || []) {
    const offers = m.offers || [];
    const open = offers.filter((o) => !o.ptn_id);
    if (m.local || open.length || offers.length === 0) all.push(choiceOf(state, m, null, open));
    for (const ptn of new Set(offers.map((o) => o.ptn_id).filter(Boolean)))
      all.push(choiceOf(state, m, ptn, offers.filter((o) => o.ptn_id === ptn)));
  }
  return all;
}

/** Where a model runs, in words. */
export function whereOf(choice) {
  if (choice.auto) return "the best that can answer now";
  const parts = [];
  if (choice.local) parts.push("this machine");
  if (choice.machines) parts.push(`${choice.machines} other machine${choice.machines === 1 ? "" : "s"}`);
  return parts.join(", ") || "not connected now";
}
