// The frame around every view: what it costs, how it looks at every width, how it is used without a mouse, and what it
// says when the node or its relay is away, or a key is wanted.

import assert from "node:assert/strict";
import { WIDTHS } from "../visitor.mjs";
import { MARKDOWN, answered, ask, lastAnswer } from "./chat.mjs";

async function dotIs(t, v, kind) {
  await t.until(() => v.page.evaluate((k) => document.querySelector(".node-card .dot").classList.contains(k), kind), `never ${kind}`);
}

export const scenes = [
  {
    name: "it opens with 200 KB at most, and at the second visit with what has changed",
    async run(t) {
      const v = await t.open({ node: t.world.asker, fresh: true });
      await v.page.waitForSelector(".composer");
      const times = () => v.page.evaluate(() => [performance.getEntriesByName("first-contentful-paint")[0], performance.getEntriesByName("teale-view")[0]]
        .map((e) => Math.round(e.startTime)));
      await dotIs(t, v, "ok");
      const first = await times();
      console.log(`# first view: ${Math.round(v.bytes / 1000)} kB, drawn after ${first[0]} ms, chat ready after ${first[1]} ms`);
      assert.ok(v.bytes > 5000 && v.bytes <= 200000, `${v.bytes} bytes`);
      await v.accessible("the first view");
      const cdp = await v.context.newCDPSession(v.page);
      await cdp.send("Network.setCacheDisabled", { cacheDisabled: true });
      const rounds = [];
      while (rounds.length < (process.env.PAGE_FULL ? 10 : 1)) {
        await v.page.reload();
        await v.page.waitForSelector(".composer");
        await dotIs(t, v, "ok");
        rounds.push(await times());
      }
      const median = (k) => rounds.map((r) => r[k]).sort((a, b) => a - b)[rounds.length >> 1];
      console.log(`# with an empty cache, in a process that runs already: drawn after ${median(0)} ms, chat ready after ${median(1)} ms`);
      await cdp.send("Network.setCacheDisabled", { cacheDisabled: false });
      await v.page.reload(); // fills the cache again
      await v.page.waitForSelector(".composer");
      await dotIs(t, v, "ok");
      v.bytes = 0;
      await v.page.reload();
      await v.page.waitForSelector(".composer");
      await dotIs(t, v, "ok");
      const again = await times();
      console.log(`# second visit: ${Math.round(v.bytes / 1000)} kB, drawn after ${again[0]} ms, chat ready after ${again[1]} ms`);
      assert.ok(v.bytes <= 60000, `${v.bytes} bytes at the second visit`);
    },
  },
  {
    name: "it is whole and accessible on a phone, a tablet and a wide screen, in light and dark",
    async run(t) {
      t.world.author.say = MARKDOWN;
      const v = await t.open({ node: t.world.asker, size: "narrow" });
      await v.page.waitForSelector(".welcome h2");
      await v.shot("chat-empty-narrow-light");
      await ask(v, "Which steps are there, and in which order?");
      await answered(v);
      await lastAnswer(v).locator(".hljs-keyword").first().waitFor();
      for (const [size, viewport] of Object.entries(WIDTHS)) {
        await v.page.setViewportSize(viewport);
        for (const colorScheme of ["light", "dark"]) {
          await v.page.emulateMedia({ colorScheme });
          await v.shot(`chat-${size}-${colorScheme}`);
          const where = `the chat, ${size} and ${colorScheme}`;
          if (size === "narrow" || (size === "wide" && colorScheme === "dark")) await v.accessible(where);
          else await v.fits(where); // the wide one in light, by "a conversation" of the chat
        }
      }
      await v.page.setViewportSize(WIDTHS.narrow);
      await v.page.getByRole("button", { name: "Menu" }).click();
      await v.shot("menu-narrow-dark");
      await v.accessible("the menu");
      await v.page.keyboard.press("Escape");
      await v.page.getByRole("button", { name: "Conversations" }).click();
      await v.shot("conversations-narrow-dark");
      await v.accessible("the conversations");
      await v.page.keyboard.press("Escape");
      await v.page.setViewportSize({ width: 320, height: 640 });
      await v.fits("320 px");
    },
  },
  {
    name: "colours follow the switch, also after a reload",
    async run(t) {
      const v = await t.open({ node: t.world.asker });
      const ground = () => v.page.evaluate(async () => {
        await new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); });
        await Promise.all(document.documentElement.getAnimations().map((a) => a.finished.catch(() => {}))); // colours move for a moment
        return getComputedStyle(document.documentElement).backgroundColor;
      });
      await v.page.getByRole("button", { name: "Colours: as the system" }).click();
      const light = await ground();
      await v.page.getByRole("button", { name: "Colours: light" }).click();
      await v.page.getByRole("button", { name: "Colours: dark" }).waitFor();
      const dark = await ground();
      assert.notEqual(light, dark);
      await v.page.reload();
      assert.equal(await ground(), dark);
    },
  },
  {
    name: "everything is done by keys alone",
    async run(t) {
      const v = await t.open({ node: t.world.asker });
      const { keyboard } = v.page;
      const focused = () => v.page.evaluate(() => document.activeElement.getAttribute("aria-label") || document.activeElement.textContent);
      await dotIs(t, v, "ok");
      await t.until(async () => (await focused()) === "Your question");
      await keyboard.type("Hello?");
      await keyboard.press("Enter");
      await answered(v);
      await keyboard.press("ArrowUp");
      await v.page.waitForSelector(".editing");
      await keyboard.press("Escape");
      await v.page.waitForSelector(".editing", { state: "detached" });
      await v.page.evaluate(() => document.activeElement.blur());
      await keyboard.press("?");
      await v.page.getByRole("dialog", { name: "Keys" }).waitFor();
      await v.shot("keys-wide-light");
      await v.accessible("the keys");
      await keyboard.press("Escape");
      await v.page.locator("dialog").waitFor({ state: "detached" }); // the next key is the page's
      await keyboard.press("n");
      await v.page.getByText("What would you like to know?").waitFor();
      assert.equal(await focused(), "Your question");
      await keyboard.press("Escape");
      await keyboard.press("m");
      assert.equal(await focused(), "Find a model");
      await keyboard.press("ArrowDown");
      await keyboard.press("Enter");
      await keyboard.press("Escape");
      await keyboard.press("j");
      await v.page.locator(".question").getByText("Hello?").waitFor();
      await v.page.reload();
      await v.page.waitForSelector(".composer");
      const first = await v.page.evaluate(() => document.querySelector("a, button, input, textarea, [tabindex]").textContent);
      assert.equal(first, "Skip to the content");
      await v.page.focus(".skip");
      await keyboard.press("Enter");
      assert.equal(await v.page.evaluate(() => document.activeElement.id), "main");
    },
  },
  {
    name: "beyond loopback it asks for the key, once for all requests, and takes the right one alone",
    async run(t) {
      const node = await t.world.startNode("keyed", ["--relay", t.world.relay.url], { api: "0.0.0.0:0" });
      const v = await t.open({ node, expected: [/status of 401/] });
      const field = v.page.locator("#key");
      await field.waitFor();
      await v.accessible("the question for the key");
      await v.shot("key-wide-light");
      await field.fill("tl-wrong");
      await v.page.getByRole("button", { name: "Unlock" }).click();
      await v.page.getByText("That was not its key.").waitFor();
      assert.equal(await v.page.locator("dialog").count(), 1);
      await field.fill(t.world.key("keyed"));
      await v.page.keyboard.press("Enter");
      await dotIs(t, v, "ok");
      await v.page.reload();
      await dotIs(t, v, "ok");
      assert.equal(await v.page.locator("dialog").count(), 0);
      await node.end();
    },
  },
  {
    name: "when the node is gone it says so and keeps what is there; when the node is back it goes on by itself",
    async run(t) {
      const args = ["--relay", t.world.relay.url];
      const node = await t.world.startNode("guest", args);
      const expected = [/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE/];
      const v = await t.open({ node, expected });
      const other = await t.open({ node, expected, at: "#/settings" });
      const to = (who, hash) => who.page.evaluate((h) => { location.hash = h; }, hash);
      await dotIs(t, v, "ok");
      await other.page.locator(".setting").first().waitFor();
      await to(other, "#/chat");
      await other.page.locator(".composer").waitFor();
      await node.end();
      await v.page.locator(".notice").getByText("The node does not answer.").waitFor();
      await dotIs(t, v, "bad");
      await v.shot("gone-wide-light");
      await v.accessible("the notice");
      await ask(v, "Anybody?");
      await lastAnswer(v).locator(".problem").getByText("The node does not answer.").waitFor();
      await to(v, "#/doctor"); // it was not opened before: its module cannot come
      await v.page.getByText("It comes by itself when the node answers again.").waitFor();
      await dotIs(t, other, "bad");
      await to(other, "#/settings"); // its module is there, what it shows is not
      await other.page.locator(".settings-body .problem").waitFor();
      await t.world.startNode("guest", args, { api: `127.0.0.1:${node.port}` });
      await v.page.getByRole("heading", { name: "Doctor" }).waitFor();
      await other.page.locator(".setting").first().waitFor();
      await to(v, "#/chat");
      await dotIs(t, v, "ok");
      await v.page.waitForSelector(".notice", { state: "hidden" });
      await lastAnswer(v).getByRole("button", { name: "Try again" }).click();
      await lastAnswer(v).locator(".problem").waitFor({ state: "detached" });
    },
  },
  {
    name: "when the relay is away it says so and goes on",
    async run(t) {
      const { relay } = t.world;
      const v = await t.open({ node: t.world.server });
      await dotIs(t, v, "ok");
      await relay.end();
      await v.page.locator(".notice").getByText(/The relay .+(does not answer|is not connected yet)\./).waitFor();
      await v.shot("no-relay-wide-light");
      await ask(v, "Still there?");
      await lastAnswer(v).getByText("Hello.").waitFor();
      assert.match(await lastAnswer(v).locator(".facts-line").innerText(), /this machine/);
      t.world.relay = await t.world.startRelay(relay.port);
      await v.page.waitForSelector(".notice", { state: "hidden" });
      await t.until(async () => (await t.world.app(t.world.asker)).models.some((m) => m.id === "author"));
    },
  },
];
