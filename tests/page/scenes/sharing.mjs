// What this machine does for others, as its owner sees and steers it.

import assert from "node:assert/strict";

const ask = (node, words = "hello") => fetch(`${node.url}/v1/chat/completions`, { method: "POST",
  headers: { "Content-Type": "application/json" }, body: JSON.stringify({ model: "author", stream: true, messages: [{ role: "user", content: words }] }) });

const sharing = async (node) => (await fetch(`${node.url}/v1/app/sharing`)).json();

export const scenes = [
  {
    name: "who is served now is shown while it streams, and a pause ends it and stands until it is resumed",
    async run(t) {
      const { server, asker, author } = t.world;
      author.say = "word ".repeat(4000);
      author.gap = 20;
      author.piece = 5;
      const v = await t.open({ node: server, at: "#/sharing" });
      await v.page.getByText("Nobody is served at this moment.").waitFor();
      await v.accessible("an idle machine");
      await v.shot("sharing-idle-1440");
      const answer = await ask(asker);
      const reader = answer.body.getReader();
      await reader.read();
      const row = v.page.getByRole("row", { name: /answering/ });
      await row.waitFor();
      await t.until(async () => Number((await v.page.locator(".speed-number").textContent())) > 0, "no speed is shown");
      assert.match(await row.textContent(), /author/);
      await t.until(async () => await v.page.locator(".speed-line path").evaluate((p) => new Set(p.getAttribute("d").match(/ [\d.]+(?=L|$)/g)).size > 2), "the line stays flat");
      await v.accessible("a machine at work");
      await v.shot("sharing-busy-1440");
      await v.page.getByLabel("Also end the answers that run now").check();
      await v.page.getByRole("button", { name: "15 min" }).click();
      await v.page.getByText(/others are not served until/).waitFor();
      await v.page.getByText("Nobody is served at this moment.").waitFor();
      assert.equal((await sharing(server)).share.paused, true);
      while (!(await reader.read()).done);
      assert.match(await (await ask(asker)).text(), /no_provider|unavailable|paused|serves/);
      await v.accessible("a pause");
      await v.shot("sharing-paused-1440");
      assert.equal(await v.page.evaluate(() => document.activeElement.textContent), "Resume");
      await v.page.keyboard.press("Enter");
      await v.page.getByRole("button", { name: "15 min" }).waitFor();
      assert.equal((await sharing(server)).share.paused, false);
      await t.until(async () => (await t.world.app(asker)).models.some((m) => m.id === "author"), "the model never came back");
    },
  },
  {
    name: "who may ask is a switch, and takes effect at once",
    async run(t) {
      const { server } = t.world;
      for (const { ptn_id: id } of (await t.world.app(server)).status.ptns)
        await fetch(`${server.url}/v1/app/ptn/${id}?delete=true`, { method: "DELETE" });
      const v = await t.open({ node: server, at: "#/sharing", size: "narrow", dark: true });
      const mine = v.page.getByRole("radio", { name: /My networks/ });
      await mine.waitFor();
      await v.accessible("a narrow screen");
      await v.shot("sharing-360-dark");
      await mine.check();
      await t.until(async () => (await sharing(server)).sharing.with === "networks", "it never took effect");
      await v.page.getByText(/Only members of this node's private networks may ask/).waitFor();
      await v.shot("sharing-nobody-360-dark");
      await v.page.getByRole("radio", { name: /Anyone/ }).check();
      await t.until(async () => (await sharing(server)).sharing.with === "public", "it never took effect");
    },
  },
  {
    name: "a wrong address is told, and corrected where it stands",
    async run(t) {
      const { asker, author } = t.world;
      const v = await t.open({ node: asker, at: "#/sharing", size: "narrow" });
      const address = v.page.getByLabel("Or by its address");
      await address.fill("127.0.0.1:1");
      assert.ok((await address.boundingBox()).width > 250, "an address is cut at 360 px");
      await v.page.keyboard.press("Enter");
      await v.page.locator("section .problem").waitFor();
      await v.page.locator("section .problem").getByText("Start the model server: this node finds it by itself. Or give its address:").waitFor();
      assert.doesNotMatch(await v.page.locator("section .problem p").first().innerText(), /^Http|\?\./);
      await t.until(async () => (await address.inputValue()) === "http://127.0.0.1:1", "the address is not there to be corrected");
      await v.accessible("a wrong address");
      await v.shot("sharing-wrong-360");
      await address.fill(author.url);
      await v.page.getByRole("button", { name: "Share this one" }).click();
      await v.page.locator(".models").getByText("author").waitFor();
      await address.waitFor({ state: "detached" });
      await v.page.getByRole("button", { name: "Stop sharing" }).click();
      await v.page.locator("dialog").getByRole("button", { name: "Stop sharing" }).click();
      await v.page.getByText("This machine shares no model.").waitFor();
      assert.equal(await address.inputValue(), "");
    },
  },
  {
    name: "a model server is shared from the page, and not shared any more",
    async run(t) {
      const { asker, author } = t.world;
      author.models = ["author", "<b>bold\u202edlob</b>", "x".repeat(60)];
      const v = await t.open({ node: asker, at: "#/sharing", size: "middle" });
      await v.page.getByText("This machine shares no model.").waitFor();
      await v.accessible("nothing is shared");
      await v.shot("sharing-off-768");
      await v.page.getByLabel("Or by its address").fill(author.url.replace("http://", ""));
      await v.page.keyboard.press("Enter");
      await v.page.locator(".models").getByText("author").waitFor();
      await v.page.getByText("<b>bold[U+202E]dlob</b>").waitFor();
      await v.accessible("hostile names of models");
      await v.shot("sharing-hostile-768");
      await v.page.getByRole("button", { name: "Stop sharing" }).click();
      await v.page.locator("dialog").getByRole("button", { name: "Stop sharing" }).click();
      await v.page.getByText("This machine shares no model.").waitFor();
      author.models = ["author", "other"];
    },
  },
  {
    name: "where an option names a model server that is not there, the page says what helps, and that the option decides",
    async run(t) {
      const node = await t.world.startNode("fixed", ["--share", "http://127.0.0.1:1"]);
      const v = await t.open({ node, at: "#/sharing", size: "narrow" });
      await v.page.getByText("Start the model server: this node finds it by itself.", { exact: true }).waitFor();
      await v.page.getByText("The option --share decides it while the node runs.").waitFor();
      assert.equal(await v.page.getByLabel("Or by its address").count(), 0);
      await v.accessible("a model server that is not there");
      await v.shot("sharing-fixed-360");
      await node.end();
    },
  },
];
