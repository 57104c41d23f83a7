// The wallet of two nodes that bought and sold: balances, history in pages, a settlement that both sign, the proof.

import assert from "node:assert/strict";

const api = async (node, method, path, body) => {
  const answer = await fetch(node.url + path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  const value = await answer.json();
  assert.ok(answer.ok, JSON.stringify(value));
  return value;
};

const question = async (node, model) => {
  const answer = await fetch(`${node.url}/v1/chat/completions`, { method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hello" }], stream: true }) });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
};

export const scenes = [
  {
    name: "nothing was bought yet, and what is wrong is told",
    async run(t) {
      const fresh = await t.world.startNode("fresh", []);
      const v = await t.open({ node: fresh, at: "#/wallet", size: "narrow", dark: true, expected: [/503/] });
      await v.page.getByText("Nothing was bought or sold yet.").waitFor();
      await v.accessible("an empty wallet");
      await v.shot("wallet-empty-360-dark");
      await v.context.route("**/v1/app/wallet", (route) => route.fulfill({ status: 503, contentType: "application/json",
        body: JSON.stringify({ error: { message: "the ledger cannot be read: <b>disk</b>", code: "store" } }) }));
      await v.page.reload();
      await v.page.getByText("the ledger cannot be read: <b>disk</b>").waitFor();
    },
  },
  {
    name: "what was sold is in the history, is settled, and is proven",
    async run(t) {
      const { server, asker } = t.world;
      const { ptn_id: net } = await api(server, "POST", "/v1/app/ptn", { name: "shop" });
      await api(server, "PUT", `/v1/app/ptn/${net}/price`, { price_micro: 250000 });
      const { invite } = await api(server, "POST", `/v1/app/ptn/${net}/invites`, {});
      await api(asker, "POST", "/v1/app/ptn/join", { invite });
      await t.until(async () => (await api(asker, "GET", "/v1/models")).data.some((m) => m.id === "author@shop"), "the model never came");
      for (let i = 0; i < 3; i++) await question(asker, "author@shop");
      await t.until(async () => (await api(server, "GET", "/v1/app/wallet")).balance_micro > 0, "nothing was earned");
      await t.until(async () => (await api(server, "GET", "/v1/app/wallet/audit")).unsigned === 0, "it never was signed");
      const v = await t.open({ node: server, at: "#/wallet" });
      await v.page.getByRole("table", { name: "History" }).getByRole("row").nth(3).waitFor();
      await v.accessible("a wallet");
      await v.shot("wallet-1440");
      const { balance_micro: owed } = await api(server, "GET", "/v1/app/wallet");
      assert.ok((await v.page.locator(".balance").textContent()).startsWith(String(owed / 1e6)));
      await t.world.command(asker, "wallet", "settle", server.id, String(owed));
      const d = await t.open({ node: asker, at: "#/wallet" });
      const proposed = d.page.getByRole("row").filter({ hasText: "Paid by you" });
      await proposed.getByText("signed by one").waitFor(); // it counts when the other side says the same
      assert.match(await proposed.innerText(), new RegExp(`\\+${owed / 1e6} open`));
      await d.shot("wallet-proposed-1440");
      await v.page.getByRole("button", { name: "Check every sum" }).click();
      await v.page.getByText("Every sum and signature is right").waitFor();
      await v.page.getByRole("button", { name: /^Settle with/ }).click();
      const amount = v.page.getByLabel("Credits that were paid");
      await amount.fill("1000000");
      await v.page.keyboard.press("Enter");
      await v.page.getByText("The amount is a number up to").waitFor();
      await v.accessible("a settlement");
      await v.shot("wallet-settle-1440");
      await amount.fill(String(owed / 1e6));
      await v.page.keyboard.press("Enter");
      await v.page.getByText("both sides have signed").waitFor();
      await v.page.getByRole("row").filter({ hasText: "Paid to you" }).getByText("signed by both").waitFor();
      await v.page.getByText("nobody owes anybody").waitFor();
      const n = await t.open({ node: asker, at: "#/wallet", size: "narrow" });
      await d.page.getByText("nobody owes anybody").waitFor();
      await n.page.getByText("Paid by you").waitFor();
      await n.accessible("a narrow wallet");
      await n.shot("wallet-360");
      const m = await t.open({ node: asker, at: "#/wallet", size: "middle", dark: true });
      await m.page.getByText("Paid by you").waitFor();
      await m.shot("wallet-768-dark");
    },
  },
  {
    name: "a long history is read a page at a time, by peer, network and time",
    async run(t) {
      const { server } = t.world;
      const v = await t.open({ node: server, at: "#/wallet" });
      const asked = [];
      const entry = (i) => ({ at: new Date(1.79e12 - i * 60000).toISOString(), request: `r${i}`, kind: "question", role: i % 2 ? "asked" : "served", peer: server.id,
        ptn_id: null, model: i ? "m" : "<script>alert(1)</script>\u202e", tokens_in: 1, tokens_out: 2, price_micro: 5, amount_micro: i, state: i === 3 ? "voided" : "posted", receipt: null });
      await v.context.route("**/v1/app/wallet/history?*", (route) => {
        const query = new URL(route.request().url()).searchParams;
        asked.push(Object.fromEntries(query));
        const from = query.get("after") ? Number(query.get("after").split("-")[1]) : 0;
        const entries = Array.from({ length: Math.min(50, 120 - from) }, (_, i) => entry(from + i));
        route.fulfill({ contentType: "application/json", body: JSON.stringify(from + 50 < 120 ? { entries, next: { at: 1, id: from + 50 } } : { entries }) });
      });
      await v.page.reload();
      const rows = v.page.getByRole("table", { name: "History" }).locator("tbody tr");
      await t.until(async () => await rows.count() === 50);
      const more = v.page.getByRole("button", { name: "Show more" });
      await more.click();
      await t.until(async () => await rows.count() === 100);
      await more.click();
      await t.until(async () => await rows.count() === 120);
      assert.equal(await more.isVisible(), false);
      await v.page.getByText("<script>alert(1)</script>[U+202E]").waitFor();
      await v.page.getByLabel("When", { exact: true }).selectOption("7d");
      await t.until(async () => await rows.count() === 50);
      assert.deepEqual(asked.at(-1), { order: "newest", limit: "50", since: "7d" });
      await v.page.getByLabel("Network", { exact: true }).selectOption({ label: "shop" });
      await t.until(() => asked.at(-1).ptn);
      await v.accessible("a long history");
    },
  },
];
