// friends.mjs WORKDIR GPU-CHROMIUM FRIEND-CHROMIUM RELAY MODELS PROMPT [SHOTS]: what two people do in the pages of their
// nodes, from the first look to the first answer of the friend's model. Each has a Chromium, given by the program that
// starts it. Prints a line of JSON for each step: {machine, step, seconds}. Pictures of the steps go into SHOTS.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch } from "./browser.mjs";
import { answered, ask, lastAnswer } from "./scenes/chat.mjs";

const PAGE = "http://127.0.0.1:11435/";
const PATIENCE_MS = 30000;
const [work, gpuChromium, friendChromium, relay, models, prompt, shots] = process.argv.slice(2);

/** A person before the page of a machine's node. */
class Person {
  constructor(machine) {
    Object.assign(this, { machine, steps: 0 });
  }

  /** Does it, and tells how long it took; the picture that is taken then is not in the seconds. */
  async does(step, what) {
    const begun = performance.now();
    const value = await what();
    console.log(JSON.stringify({ machine: this.machine, step, seconds: (performance.now() - begun) / 1000 }));
    this.steps++;
    if (shots) await this.page.screenshot({ path: join(shots, `${this.machine}-${this.steps}.png`), animations: "disabled" });
    return value;
  }

  opens(chromium) {
    return this.does(`the browser is started, at ${PAGE}`, async () => {
      this.browser = await launch(work, chromium);
      this.page = await this.browser.newPage({ viewport: { width: 1280, height: 800 }, locale: "en-GB" });
      this.page.setDefaultTimeout(PATIENCE_MS);
      await this.page.goto(PAGE);
      await this.page.getByText("wide network off").waitFor();
    });
  }

  view(name) {
    return this.page.getByRole("navigation", { name: "Views" }).getByRole("link", { name, exact: true }).click();
  }

  inDialog(name) {
    return this.page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
  }

  enablesWan() {
    return this.does("Settings > Networking: Enable WAN, the relay's address, Save", async () => {
      await this.view("Settings");
      await this.page.getByRole("link", { name: "Networking", exact: true }).click();
      await this.page.getByRole("switch", { name: "Enable WAN" }).click();
      await this.page.locator('.setting[data-key="wan_relay_url"] textarea').fill(relay);
      await this.page.getByRole("button", { name: "Save", exact: true }).click();
      await this.page.locator(".node-card .dot.ok").waitFor();
    });
  }

  shares() {
    return this.does("Sharing: the model server's address, Share this one", async () => {
      await this.view("Sharing");
      await this.page.getByLabel("Or by its address").fill(models);
      await this.page.getByRole("button", { name: "Share this one" }).click();
      await this.page.locator(".models .tag").first().waitFor();
    });
  }

  creates() {
    return this.does('Private networks: Create, "family"', async () => {
      await this.view("Private networks");
      await this.page.getByRole("button", { name: "Create" }).click();
      await this.page.getByLabel("Its name").fill("family");
      await this.inDialog("Create");
      await this.page.getByRole("heading", { name: /family/ }).waitFor();
    });
  }

  /** Returns the code of the invite. */
  invites() {
    return this.does("Invite, Make the invite", async () => {
      await this.page.getByRole("button", { name: "Invite", exact: true }).click();
      await this.inDialog("Make the invite");
      await this.page.locator("svg.qr").waitFor();
      return this.page.getByRole("textbox", { name: "Code of the invite" }).inputValue();
    });
  }

  joins(code) {
    return this.does("Private networks: Join, the code is pasted, Join", async () => {
      await this.view("Private networks");
      await this.page.getByRole("button", { name: "Join" }).click();
      await this.page.getByLabel("Invite", { exact: true }).focus();
      await this.page.keyboard.insertText(code);
      await this.inDialog("Join");
      await this.page.getByRole("heading", { name: /family/ }).waitFor();
    });
  }

  asks() {
    return this.does(`Chat: "${prompt}"`, async () => {
      await this.view("Chat");
      await ask(this, prompt);
      await answered(this);
      assert.ok((await lastAnswer(this).innerText()).includes(prompt), "that is no answer of the friend's model");
      assert.match(await lastAnswer(this).locator(".facts-line").innerText(), /(direct|relayed)/);
    });
  }
}

if (shots) mkdirSync(shots, { recursive: true });
const gpu = new Person("gpu");
const friend = new Person("friend");
try {
  await gpu.opens(gpuChromium);
  await gpu.enablesWan();
  await gpu.shares();
  await gpu.creates();
  const code = await gpu.invites();
  await friend.opens(friendChromium);
  await friend.enablesWan();
  await friend.joins(code);
  await friend.asks();
} catch (e) {
  for (const { page, machine } of [gpu, friend])
    if (page && shots) await page.screenshot({ path: join(shots, `${machine}-failed.png`) }).catch(() => {});
  console.error(e.stack);
  process.exitCode = 1;
} finally {
  for (const { browser } of [gpu, friend]) if (browser) await browser.close().catch(() => {});
}
