// Settings: every setting in its group, written as the command writes it, with the node's own words where it is wrong.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const field = (v, key) => v.page.locator(`.setting[data-key="${key}"]`);
const control = (v, key) => field(v, key).locator("input, select, textarea");

async function ready(t, v) {
  await v.page.waitForSelector(".settings-group");
}

/** Saves, and waits for the word of it; that of an earlier save may still stand there. */
async function saved(t, v, words) {
  await v.page.locator(".toast button").evaluateAll((buttons) => buttons.forEach((b) => b.click()));
  await v.page.getByRole("button", { name: "Save", exact: true }).click();
  await v.page.locator(".toast", { hasText: words }).last().waitFor();
}

async function settings(t, node) {
  const answer = await (await fetch(`${node.url}/v1/app/settings`)).json();
  return Object.fromEntries(answer.settings.map((s) => [s.key, s]));
}

export const scenes = [
  {
    name: "Settings > Networking > Enable WAN turns the wide network on, as config set does",
    async run(t) {
      const node = await t.world.startNode("switched", [], { relayed: true });
      await t.world.command(node, "config", "set", "wan_relay_url", t.world.relay.url);
      const v = await t.open({ node, expected: [/status of (404|502|503)/] });
      const away = { name: "Settings \u203a Networking \u203a Enable WAN" };
      await v.page.locator(".welcome").getByRole("link", away).waitFor();
      await v.accessible("no wide network");
      await v.shot("chat-no-wan-wide-light");
      await v.page.locator(".composer textarea").fill("Anybody?");
      await v.page.keyboard.press("Enter");
      const problem = v.page.locator(".answer .problem");
      await problem.getByRole("link", away).first().waitFor();
      assert.doesNotMatch(await problem.innerText(), /teale config set/);
      await v.shot("chat-no-wan-asked-wide-light");
      await problem.getByRole("link", away).first().click();
      await t.until(() => v.page.evaluate(() => document.activeElement.id === "setting-wan_enabled"));
      await v.page.getByRole("link", { name: "Settings", exact: true }).click();
      await v.page.getByRole("link", { name: "Networking", exact: true }).click();
      const wan = v.page.getByRole("region", { name: "Networking" }).getByRole("switch", { name: "Enable WAN" });
      assert.equal(await wan.isChecked(), false);
      assert.match(await field(v, "wan_enabled").innerText(), /Connect to the relay, and through it to peers[^]*wan_enabled · Default: off/);
      await wan.click();
      assert.equal((await settings(t, node)).wan_enabled.value, false, "nothing is written before it is saved");
      await v.page.getByText("1 change not saved").waitFor();
      await saved(t, v, "Saved.");
      await t.until(async () => (await t.world.app(node)).status.wan.state === "connected");
      assert.match(await t.world.command(node, "config", "get", "wan_enabled"), /^true/);
      assert.match(readFileSync(join(t.world.home("switched"), "teale.toml"), "utf8"), /^wan_enabled = true$/m);
      await node.end();
    },
  },
  {
    name: "every setting stands in a group, with help, value and default, and is found by its words",
    async run(t) {
      const v = await t.open({ node: t.world.asker, at: "#/settings" });
      await ready(t, v);
      const all = await settings(t, t.world.asker);
      const drawn = await v.page.locator(".setting").evaluateAll((nodes) => nodes.map((n) => [n.dataset.key, n.closest("section").dataset.group, n.innerText]));
      assert.deepEqual(drawn.map(([key]) => key).sort(), Object.keys(all).sort());
      for (const [key, group, text] of drawn) {
        assert.notEqual(group, "more", `${key} has no group of its own`);
        assert.ok(text.includes(all[key].help), key);
        assert.match(text, /Default: /, key);
      }
      assert.equal(await control(v, "udp_port").inputValue(), String(all.udp_port.value));
      await v.accessible("Settings");
      await v.shot("settings-wide");
      await v.page.getByLabel("Search settings").fill("stun");
      assert.deepEqual(await v.page.locator(".setting:visible").evaluateAll((nodes) => nodes.map((n) => n.dataset.key)), ["nat.stun_servers"]);
      await v.page.getByLabel("Search settings").fill("nothing has this");
      await v.page.getByText("No setting has these words.").waitFor();
    },
  },
  {
    name: "what the node refuses is said at the field, and nothing of it is saved",
    async run(t) {
      const v = await t.open({ node: t.world.asker, at: "#/settings/udp_port", expected: [/400/] });
      await ready(t, v);
      await control(v, "udp_port").fill("70000");
      await control(v, "share_queue_max").fill("many");
      await control(v, "display_name").fill("kept");
      await v.page.getByRole("button", { name: "Save", exact: true }).click();
      await field(v, "udp_port").getByText("It must be a whole number from 0 to 65535").waitFor();
      await field(v, "share_queue_max").getByText("It must be a whole number").waitFor(); // all at once
      for (const key of ["udp_port", "share_queue_max"]) assert.equal(await control(v, key).getAttribute("aria-invalid"), "true");
      assert.equal(await v.page.evaluate(() => document.activeElement.id), "setting-udp_port");
      assert.notEqual((await settings(t, t.world.asker)).display_name.value, "kept");
      await v.accessible("a refused setting");
      await v.shot("settings-refused");
      await v.page.getByRole("link", { name: "Doctor", exact: true }).click();
      await v.page.waitForSelector(".check");
      await v.page.getByRole("link", { name: "Settings", exact: true }).click();
      await v.page.getByText("3 changes not saved").waitFor(); // they wait for the reader
      await v.page.getByRole("button", { name: "Discard" }).click();
      assert.notEqual(await control(v, "display_name").inputValue(), "kept");
    },
  },
  {
    name: "a change that needs a restart says so until it has come; comments in the file stay",
    async run(t) {
      const node = t.world.asker;
      const v = await t.open({ node, at: "#/settings/display_name" });
      await ready(t, v);
      await control(v, "display_name").fill("Ada's \u202elaptop");
      await saved(t, v, "after a restart");
      await field(v, "display_name").getByText("needs a restart").waitFor();
      await v.page.locator(".note-box", { hasText: /takes? effect after a restart/ }).waitFor(); // maybe beside another one
      assert.match(await t.world.command(node, "config", "get", "display_name"), /Ada's/);
      await v.accessible("a restart that is needed");
      await v.shot("settings-restart");
      await field(v, "display_name").getByRole("button", { name: "Use the default" }).click();
      await saved(t, v, "Saved.");
      await t.until(async () => !(await settings(t, node)).display_name.restart, "it still needs a restart");
    },
  },
  {
    name: "a dangerous change is asked about first; no means no",
    async run(t) {
      const v = await t.open({ node: t.world.asker, at: "#/settings/api_listen", dark: true });
      await ready(t, v);
      await control(v, "api_listen").fill("0.0.0.0:11435");
      await v.page.keyboard.press("Control+s");
      const dialog = v.page.getByRole("dialog", { name: "Save this?" });
      await dialog.getByText("Other machines can reach the API").waitFor();
      await v.accessible("the warning");
      await v.shot("settings-danger");
      await dialog.getByRole("button", { name: "Cancel" }).click();
      assert.equal((await settings(t, t.world.asker)).api_listen.value, "127.0.0.1:11435");
      await v.page.getByRole("button", { name: "Discard" }).click();
    },
  },
  {
    name: "a proxy's login is not shown, and stays when another setting is saved",
    async run(t) {
      const secret = "http://me:hunter2@127.0.0.1:9";
      const node = await t.world.startNode("proxied", [], { relayed: true });
      await t.world.command(node, "config", "set", "wan_proxy", secret);
      const v = await t.open({ node, at: "#/settings/wan_proxy", size: "narrow", dark: true });
      await ready(t, v);
      assert.equal(await control(v, "wan_proxy").inputValue(), "http://127.0.0.1:9");
      assert.ok(!(await v.page.content()).includes("hunter2"));
      await v.shot("settings-narrow-dark");
      await v.accessible("Settings, narrow and dark");
      await control(v, "log_level").selectOption("warn");
      await saved(t, v, "Saved.");
      assert.equal((await t.world.command(node, "config", "get", "wan_proxy")).trim(), secret);
      await node.end();
    },
  },
  {
    name: "while the node is away nothing is lost: the change waits, and is saved when it is back",
    async run(t) {
      const v = await t.open({ node: t.world.asker, at: "#/settings/log_level", expected: [/ERR_|Failed to load|net::/] });
      await ready(t, v);
      await control(v, "log_level").selectOption("warn");
      await v.context.setOffline(true);
      await v.page.getByRole("button", { name: "Save", exact: true }).click();
      await v.page.getByText("1 change not saved: The node does not answer.").waitFor();
      assert.equal(await control(v, "log_level").inputValue(), "warn");
      await v.context.setOffline(false);
      await saved(t, v, "Saved.");
      assert.equal((await settings(t, t.world.asker)).log_level.value, "warn");
      await t.world.command(t.world.asker, "config", "set", "log_level", "info");
    },
  },
  {
    name: "all of it goes by the keyboard",
    async run(t) {
      const v = await t.open({ node: t.world.asker, at: "#/settings" });
      await ready(t, v);
      await v.page.getByLabel("Search settings").focus();
      await v.page.keyboard.type("highest price");
      for (let i = 0; i < 40; i++) {
        if (await v.page.evaluate(() => document.activeElement.id === "setting-price-max_micro")) break;
        await v.page.keyboard.press("Tab");
      }
      await v.page.keyboard.press("Control+a");
      await v.page.keyboard.type("1500");
      await v.page.keyboard.press("Control+s");
      await v.page.locator(".toast", { hasText: "Saved." }).waitFor();
      assert.equal((await settings(t, t.world.asker))["price.max_micro"].value, 1500);
      await t.world.command(t.world.asker, "config", "set", "price.max_micro", "--", "-1").catch(() => t.world.command(t.world.asker, "config", "set", "price.max_micro", "-1"));
    },
  },
];
