// Doctor: every check with its evidence and what helps, the worst first; run again, and copied as a report.

import assert from "node:assert/strict";

async function looked(v) {
  await v.page.waitForSelector(".check");
}

export const scenes = [
  {
    name: "it finds what `teale doctor` finds, the worst first",
    async run(t) {
      const v = await t.open({ node: t.world.asker, at: "#/doctor" });
      await looked(v);
      const told = JSON.parse(await t.world.command(t.world.asker, "doctor", "--json").catch((e) => e.stdout)).checks;
      assert.equal(await v.page.locator(".check").count(), told.length);
      const states = await v.page.locator(".check .tag").allInnerTexts();
      const order = ["Problem", "Warning", "Fine"];
      assert.deepEqual(states, [...states].sort((a, b) => order.indexOf(a) - order.indexOf(b)));
      await v.accessible("Doctor");
      await v.shot("doctor-wide");
      await v.page.route("**/v1/app/doctor", async (route) => {
        await new Promise((done) => setTimeout(done, 2500)); // servers that do not answer
        await route.continue();
      });
      await v.page.getByRole("button", { name: "Run again" }).click();
      await v.page.getByText("Looking at the network: servers are asked again, 2 s").waitFor();
      await v.page.getByText("as of").waitFor();
    },
  },
  {
    name: "the report can be copied, and a remedy leads to its setting",
    async run(t) {
      const node = await t.world.startNode("sick", [], { relayed: true });
      const v = await t.open({ node, at: "#/doctor", size: "narrow", dark: true });
      await v.context.grantPermissions(["clipboard-read", "clipboard-write"]);
      await looked(v);
      await v.accessible("Doctor, narrow and dark");
      await v.shot("doctor-narrow-dark");
      await v.page.getByRole("button", { name: "Copy the report" }).click();
      const text = await t.until(() => v.page.evaluate(() => navigator.clipboard.readText()));
      assert.match(text, /^teale \S+, 20\d\d-/);
      assert.match(text, /^(FAIL|warn) {2}\S+ +.+$/m);
      await v.page.getByRole("link", { name: "Settings \u203a Networking \u203a Enable WAN" }).first().click();
      await t.until(() => v.page.evaluate(() => document.activeElement.id === "setting-wan_enabled"));
      await node.end();
    },
  },
  {
    name: "while the node is away it says so, and the last report stays",
    async run(t) {
      const node = await t.world.startNode("leaving", [], { relayed: true });
      const v = await t.open({ node, at: "#/doctor", expected: [/ERR_CONNECTION|Failed to load|net::/] });
      await looked(v);
      await node.end();
      await v.page.getByRole("button", { name: "Run again" }).click();
      await v.page.locator(".checks").getByText("The node does not answer.").waitFor();
      assert.ok(await v.page.locator(".check").count() > 3);
      await v.accessible("Doctor without its node");
    },
  },
];
