// settle.js - recording that a debt was paid outside: both sides sign it.

import { ui } from "../ui.js";
import { nodeTextInFull } from "../nodes.js";
import { during, field } from "../ui/form.js";
import { credits, typed } from "./money.js";

const { el, fill } = ui;

/** `one`: the peer's row of the wallet. Resolves to whether the wallet changed. */
export async function settleDialog(app, one) {
  const owed = one.balance_micro > 0;
  const whole = Math.abs(one.balance_micro);
  const name = nodeTextInFull(app, one.node_id, one);
  const problem = el("div");
  const value = el("input#settle-amount", { value: credits(whole).replace(/,/g, ""), inputmode: "decimal", autocomplete: "off" });
  let done = null;
  const record = el("button.primary", { onclick: async () => {
    const micro = typed(value.value);
    if (!(micro >= 1 && micro <= whole)) {
      fill(problem, ui.problem({ message: `The amount is a number up to ${credits(whole)}, with six digits behind the point at most.` }));
      return;
    }
    done = await during(record, "Waiting for the other side\u2026", problem, () => app.api.post("/v1/app/wallet/settlements", { peer: one.node_id, amount_micro: micro }));
    if (done) record.closest("dialog").close();
  } }, "Record it");
  value.addEventListener("keydown", (event) => {
    if (event.key === "Enter") record.click();
  });
  await ui.dialog({ title: `Settle with ${name}`, actions: [], body: el("div.stack", null,
    el("p", null, owed ? `${name} owes this node ${credits(whole)} credits.` : `This node owes ${name} ${credits(whole)} credits.`),
    field("Credits that were paid", value, owed
      ? "How it was paid is between you two. It counts when the other node, which must be online, has signed it."
      : "How it was paid is between you two. It counts when the other side records it, too."),
    problem, el("div.row.end", null, record)) });
  if (done) ui.toast(done.state === "settled" ? "Settled: both sides have signed." : "Proposed. It counts when the other side records it, too.", "ok");
  return Boolean(done);
}
