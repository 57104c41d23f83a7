// page.mjs CHROMIUM NODE-MODULES URL FOLDER: pictures of the page at URL, by playwright-core: the chat with an answer, in
// light, and the network, in dark.

import { createRequire } from "node:module";
import { join } from "node:path";

const [chromium, modules, url, folder] = process.argv.slice(2);
const playwright = createRequire(join(modules, "x.js"))("playwright-core");
const browser = await playwright.chromium.launch({ executablePath: chromium, args: [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--no-proxy-server", "--disable-dev-shm-usage"] });

async function visit(colorScheme, at) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 760 }, colorScheme, reducedMotion: "reduce",
    locale: "en-GB", timezoneId: "UTC" });
  context.setDefaultTimeout(20000);
  const page = await context.newPage();
  await page.goto(url + at);
  return page;
}

const shot = (page, name) => page.screenshot({ path: join(folder, name), animations: "disabled", caret: "hide" });
try {
  const chat = await visit("light", "/");
  await chat.waitForSelector(".node-card .dot.ok");
  await chat.fill(".composer textarea", "Why is the sky blue?");
  await chat.press(".composer textarea", "Enter");
  await chat.waitForSelector(".composer .send[title=Send]");
  await chat.waitForSelector(".answer:last-child .message-actions button");
  await chat.locator("pre .hljs-keyword").first().waitFor();
  await shot(chat, "chat.png");
  const network = await visit("dark", "/#/network");
  await network.locator(".picture .peer").first().waitFor();
  await network.waitForTimeout(1500); // the traffic of two readings
  await shot(network, "network.png");
} finally {
  await browser.close();
}
