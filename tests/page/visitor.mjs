// visitor.mjs - a reader of the page, whom nobody shares a browser context with, and who notes whatever must not happen.
// Errors of scripts, breaches of the content security policy, and requests to any other host fail the scene.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

export const WIDTHS = { narrow: { width: 360, height: 740 }, middle: { width: 768, height: 1024 }, wide: { width: 1440, height: 900 } };

/** How long a reader waits for what comes in a moment: for a machine that has much else to do. */
const PATIENCE_MS = 30000;

/**
 * A context with one page, which one reader after another uses: to open them anew costs a second of computing. What a
 * reader leaves (storage, rights, routes, other pages) is taken away before the next one comes.
 */
class Seat {
  static async open(browser, touch) {
    const s = new Seat();
    Object.assign(s, { touch, reader: null, origins: new Set() });
    s.context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", hasTouch: touch, acceptDownloads: true });
    s.context.setDefaultTimeout(PATIENCE_MS);
    s.page = await s.context.newPage();
    s.cdp = await s.context.newCDPSession(s.page);
    const told = (f) => (what) => { if (s.reader) f(s.reader, what); };
    s.page.on("pageerror", told((v, e) => v.note(`error: ${e.stack}`)));
    s.page.on("console", told((v, m) => {
      if (m.type() === "error" || /Content Security Policy|TrustedType/i.test(m.text())) v.note(`console: ${m.text()}`);
    }));
    await s.page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (e) => console.error(`Content Security Policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
    });
    s.page.on("request", told((v, r) => {
      const url = new URL(r.url());
      if (/^http/.test(url.protocol)) s.origins.add(url.origin);
      if (!["data:", "blob:"].includes(url.protocol) && v.node && url.origin !== v.node.url) v.note(`asks ${r.url()}`);
    }));
    s.page.on("response", told(async (v, r) => {
      const sizes = await r.request().sizes().catch(() => null);
      if (sizes) v.bytes += sizes.responseBodySize + sizes.responseHeadersSize;
    }));
    return s;
  }

  /** Goes where nothing runs, and stays with the node's site, if the node is there: a browser has a process for a site, and
   * to make one costs more than to open the page. */
  async stay(node) {
    const calm = node && `${node.url}/icon.svg`;
    const there = calm && await fetch(calm).then((answer) => answer.ok, () => false);
    await this.page.goto(there ? calm : "about:blank");
  }

  async leave(node) {
    this.reader = null;
    await this.context.setOffline(false);
    await this.page.evaluate(() => sessionStorage.clear()).catch(() => {}); // a page without an origin has none
    for (const page of this.context.pages()) if (page !== this.page) await page.close();
    await this.stay(node);
    await this.page.unrouteAll({ behavior: "ignoreErrors" });
    await this.context.unrouteAll({ behavior: "ignoreErrors" });
    await this.context.clearPermissions();
    await this.context.clearCookies();
    for (const origin of this.origins) await this.cdp.send("Storage.clearDataForOrigin", { origin, storageTypes: "all" });
    this.origins.clear();
  }
}

export class Visitor {
  static open(tools, options) {
    return tools.costs.of("open", () => Visitor.opened(tools, options));
  }

  static async opened(tools, options = {}) {
    const v = new Visitor();
    Object.assign(v, { tools, problems: [], expected: options.expected || [], node: options.node, bytes: 0 });
    const touch = options.size === "narrow";
    const free = options.fresh ? -1 : tools.seats.findIndex((s) => s.touch === touch);
    v.seat = free < 0 ? await Seat.open(tools.browser, touch) : tools.seats.splice(free, 1)[0];
    Object.assign(v, { context: v.seat.context, page: v.seat.page });
    await v.page.setViewportSize(WIDTHS[options.size || "wide"]);
    await v.page.emulateMedia({ colorScheme: options.dark ? "dark" : "light", reducedMotion: options.moving ? "no-preference" : "reduce" });
    v.seat.reader = v;
    if (options.node) await v.page.goto(options.node.url + "/" + (options.at || ""));
    return v;
  }

  note(what) {
    if (!this.expected.some((e) => e.test(what))) this.problems.push(what);
  }

  /** Fails where axe-core finds a violation, or the page is wider than its window. Over a dialog, the dialog alone is
   * looked at: what is behind it is out of reach, and was looked at without it. */
  async accessible(where) {
    await this.tools.costs.of("axe", () => this.checked(where));
    await this.fits(where);
  }

  async checked(where) {
    if (!await this.page.evaluate(() => Boolean(window.axe))) await this.page.evaluate(this.tools.axe);
    const said = await this.page.evaluate(async () => {
      // A colour that moves is none of the page's: one move begins when that of the element around it has ended.
      const moving = () => document.getAnimations().filter((a) => a.effect && a.effect.getComputedTiming().endTime < Infinity);
      for (let round = 0, moves = null; round < 50 && (!moves || moves.length); round++) {
        await new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); });
        moves = moving();
        await Promise.all(moves.map((a) => a.finished.catch(() => {})));
      }
      const dialog = [...document.querySelectorAll("dialog:modal")].pop();
      const options = { resultTypes: ["violations"], preload: false };
      let found = await window.axe.run(dialog || document, { ...options, selectors: false }); // names for what is well cost a third of it
      if (found.violations.length) found = await window.axe.run(dialog || document, options);
      return found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`);
    });
    assert.deepEqual(said, [], `axe at ${where}`);
  }

  /** Fails where the page is wider than its window. */
  async fits(where) {
    const [wide, window] = await this.page.evaluate(() => {
      const main = document.querySelector("main"); // it scrolls by itself
      return [document.documentElement.scrollWidth + (main ? main.scrollWidth - main.clientWidth : 0), innerWidth];
    });
    assert.ok(wide <= window, `${where}: ${wide} px of content in a window of ${window}`);
  }

  /** Fails where a notice lies over something that is used, at any of the widths; the notices are there already. */
  async uncovered() {
    for (const width of [1440, 1119, 820, 819, 768, 360, 320]) {
      await this.page.setViewportSize({ width, height: 640 });
      const covered = await this.page.evaluate(async () => {
        const over = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
        const found = () => {
          const notices = [...document.querySelectorAll(".toast")].map((n) => n.getBoundingClientRect());
          if (!notices.length) return ["no notice"];
          return [...document.querySelectorAll("a, button, input, textarea, select")].filter((e) => !e.closest(".toasts") && e.checkVisibility({ visibilityProperty: true }) && !e.matches(".skip"))
            .filter((e) => notices.some((n) => over(n, e.getBoundingClientRect()))).map((e) => `${e.tagName} ${e.className} ${e.title || e.textContent}`);
        };
        for (let round = 0; round < 100 && found().length; round++) // the sidebar takes a moment to go
          await new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); });
        return found();
      });
      assert.deepEqual(covered, [], `under a notice at ${width} px`);
      await this.fits(`a notice at ${width} px`);
    }
  }

  /** A picture in the folder `shots`, where PAGE_SHOTS asks for them. */
  async shot(name) {
    if (process.env.PAGE_SHOTS) await this.tools.costs.of("shot", () => this.picture(name));
  }

  async picture(name) {
    mkdirSync(this.tools.shots, { recursive: true });
    await this.page.screenshot({ path: join(this.tools.shots, `${name}.png`), animations: "disabled" });
  }

  /** A reader whose scene failed takes the seat along. */
  async close(failed = false) {
    if (failed) {
      await this.seat.context.close();
    } else {
      await this.tools.costs.of("leave", () => this.seat.leave(this.node));
      this.tools.seats.push(this.seat);
    }
    assert.deepEqual(this.problems, []);
  }
}

/** The source of axe-core, as what a page may evaluate. */
export function axeSource(work) {
  return readFileSync(createRequire(join(work, "x.js")).resolve("axe-core/axe.min.js"), "utf8");
}
