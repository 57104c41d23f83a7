// visitor.mjs - a reader of the page: a browser context of its own, which notes whatever must not happen. Errors of
// scripts, breaches of the content security policy, and requests to any other host fail the scene.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

export const WIDTHS = { narrow: { width: 360, height: 740 }, middle: { width: 768, height: 1024 }, wide: { width: 1440, height: 900 } };

export class Visitor {
  static async open(tools, options = {}) {
    const v = new Visitor();
    Object.assign(v, { tools, problems: [], expected: options.expected || [], bytes: 0 });
    v.context = await tools.browser.newContext({
      viewport: WIDTHS[options.size || "wide"], colorScheme: options.dark ? "dark" : "light", reducedMotion: options.moving ? "no-preference" : "reduce",
      locale: "en-GB", timezoneId: "UTC", hasTouch: options.size === "narrow", acceptDownloads: true,
    });
    v.context.setDefaultTimeout(20000);
    v.page = await v.context.newPage();
    v.page.on("pageerror", (e) => v.note(`error: ${e.stack}`));
    v.page.on("console", (m) => {
      if (m.type() === "error" || /Content Security Policy|TrustedType/i.test(m.text())) v.note(`console: ${m.text()}`);
    });
    await v.page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (e) => console.error(`Content Security Policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
    });
    v.page.on("request", (r) => {
      const url = new URL(r.url());
      if (!["data:", "blob:"].includes(url.protocol) && options.node && url.origin !== options.node.url) v.note(`asks ${r.url()}`);
    });
    v.page.on("response", async (r) => {
      const sizes = await r.request().sizes().catch(() => null);
      if (sizes) v.bytes += sizes.responseBodySize + sizes.responseHeadersSize;
    });
    if (options.node) await v.page.goto(options.node.url + "/" + (options.at || ""));
    return v;
  }

  note(what) {
    if (!this.expected.some((e) => e.test(what))) this.problems.push(what);
  }

  /** Fails where axe-core finds a violation, or the page is wider than its window. */
  async accessible(where) {
    await this.page.evaluate(this.tools.axe);
    const found = await this.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const said = found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`);
    assert.deepEqual(said, [], `axe at ${where}`);
    const [wide, window] = await this.page.evaluate(() => {
      const main = document.querySelector("main"); // it scrolls by itself
      return [document.documentElement.scrollWidth + (main ? main.scrollWidth - main.clientWidth : 0), innerWidth];
    });
    assert.ok(wide <= window, `${where}: ${wide} px of content in a window of ${window}`);
  }

  /** A picture in the folder `shots`. */
  async shot(name) {
    mkdirSync(this.tools.shots, { recursive: true });
    await this.page.screenshot({ path: join(this.tools.shots, `${name}.png`), animations: "disabled" });
  }

  async close() {
    await this.context.close();
    assert.deepEqual(this.problems, []);
  }
}

/** The source of axe-core, as what a page may evaluate. */
export function axeSource(work) {
  return readFileSync(createRequire(join(work, "x.js")).resolve("axe-core/axe.min.js"), "utf8");
}
