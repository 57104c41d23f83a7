// What strangers send: answers and names that would run, load, deceive or freeze; pages of other origins that would use
// the node through the reader's browser.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { answered, ask, lastAnswer } from "./chat.mjs";

const ATTACKS = [
  "<script>window.pwned = 1</script>", "<img src=x onerror='window.pwned=2'>", "[a](javascript:window.pwned=3)", "<javascript:window.pwned=4>",
  "[b](data:text/html;base64,PHNjcmlwdD5wd25lZD01PC9zY3JpcHQ+)", "[c](JaVa\tScript:window.pwned=6)", "[d](&#106;avascript:window.pwned=7)",
  "![tracked](https://evil.example/pixel.png)", "![p](javascript:window.pwned=8)", "<iframe srcdoc='<script>parent.pwned=9</script>'></iframe>",
  "<svg onload=window.pwned=10><a xlink:href='javascript:1'>x</a></svg>", "<a href='https://evil.example' class='primary'>Unlock</a>",
  "<style>* { display: none }</style>", "<form action='https://evil.example'><input name=key></form>", "[e]: javascript:window.pwned=11\n\n[e]",
  "<math><mtext><table><mglyph><style><img src=x onerror=window.pwned=12>", "`<b onmouseover=window.pwned=13>`", "<base href='https://evil.example/'>",
  "```\"><img src=x onerror=window.pwned=14>\ncode\n```", "| <img src=x onerror=window.pwned=15> |\n|--|\n| [f](vbscript:1) |",
  "[https://bank.example](https://evil.example/login)", "[\u201cbank.example\u201d](https://evil.example/login)", "[here](https://evil.example/x)",
  "access \u202egnp.exe\u202c", "~".repeat(4000) + "`", "<https://fine.example/x>",
].join("\n\n");

/** The page may have these and no others inside of an answer. */
async function inspected(v, within) {
  return v.page.evaluate((selector) => {
    const own = "button, svg, path, bdi, .code, .code-head, .code-head > span, .scroll";
    const place = document.querySelector(selector);
    const tags = new Set(["P", "BR", "HR", "H3", "UL", "OL", "LI", "BLOCKQUOTE", "PRE", "CODE", "SPAN", "STRONG", "EM", "DEL", "A", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "DIV"]);
    const bad = [];
    for (const e of place.querySelectorAll("*")) {
      if (e.closest(own) && e.matches(`${own}, ${own.split(", ").map((o) => `${o} *`).join(", ")}`) && !e.matches("a")) continue;
      if (!tags.has(e.tagName)) bad.push(e.tagName);
      for (const a of e.attributes) if (/^on|^style$|^src|^id$/.test(a.name)) bad.push(`${e.tagName} ${a.name}`);
    }
    const links = [...place.querySelectorAll("a")].map((a) => a.getAttribute("href"));
    return { bad, links, pwned: window.pwned, text: place.textContent }; // innerText leaves out what is not in sight
  }, within);
}

async function elsewhere(page) {
  const server = createServer((request, answer) => answer.writeHead(200, { "Content-Type": "text/html" }).end(page));
  await new Promise((resolve) => { server.listen(0, "127.0.0.2", resolve); });
  return { url: `http://127.0.0.2:${server.address().port}/`, close: () => { server.closeAllConnections(); server.close(); } };
}

export const scenes = [
  {
    name: "an answer full of scripts, pictures and false links runs, loads and pretends nothing",
    async run(t) {
      t.world.author.say = ATTACKS;
      const v = await t.open({ node: t.world.server });
      await v.page.waitForSelector(".node-card .dot.ok");
      await ask(v, "Attack me");
      await answered(v);
      await lastAnswer(v).locator("a[href='https://fine.example/x']").waitFor();
      const { bad, links, pwned, text } = await inspected(v, ".answer .markdown");
      assert.deepEqual(bad, []);
      assert.equal(pwned, undefined);
      for (const href of links) assert.match(href, /^https:\/\//);
      assert.match(text, /https:\/\/bank\.example \(evil\.example\)/);
      assert.match(text, /\u201cbank\.example\u201d \(evil\.example\)/);
      assert.match(text, /here \(evil\.example\)/);
      assert.doesNotMatch(text, /\(fine\.example\)/);
      assert.match(text, /\[U\+202E\]gnp\.exe/);
      assert.match(text, /<script>window\.pwned = 1<\/script>/);
      await v.accessible("a hostile answer");
      await v.shot("hostile-wide-light");
    },
  },
  {
    name: "HTML that got past the reader of Markdown would not get past the cleaning",
    async run(t) {
      // The policy tells of what it stopped in the document that the cleaning reads.
      const v = await t.open({ node: t.world.server, expected: [/Content Security Policy/] });
      await v.page.waitForSelector(".composer");
      const shown = await v.page.evaluate(async () => {
        const { clean } = await import("/js/chat/clean.js");
        const place = document.createElement("div");
        place.append(await clean(`<p onclick="window.pwned=1" style="position:fixed" class="primary hljs-title" id="key">a</p><script>window.pwned=2</script>
          <a href="javascript:window.pwned=3">b</a><a href="https://x.example/">c</a><img src="https://evil.example/"><svg><script>window.pwned=4</script></svg>
          <pre data-lang='"><b>'><code class="hljs">d</code></pre><form><input></form><td align="right" data-x="1">e</td><iframe src="//evil.example"></iframe>
          <math><mi><style><img src=x onerror=window.pwned=5></style></mi></math><a href=" &#x1;javascript:window.pwned=6">f</a><object data="x"></object>`));
        document.body.append(place);
        const all = [...place.querySelectorAll("*")].filter((e) => !e.closest(".code-head"));
        return { tags: [...new Set(all.map((e) => e.tagName))].sort(), hrefs: [...place.querySelectorAll("a")].map((a) => a.getAttribute("href")),
          first: [...place.querySelector("p").attributes].map((a) => a.name), pwned: window.pwned };
      });
      assert.deepEqual(shown.tags.filter((x) => !["A", "CODE", "DIV", "P", "PRE", "TD", "SPAN"].includes(x)), []);
      assert.deepEqual(shown.hrefs, [null, "https://x.example/", null]);
      assert.deepEqual(shown.first, ["dir"]);
      assert.equal(shown.pwned, undefined);
    },
  },
  {
    name: "megabytes of Markdown, lines without an end and nests without a floor leave the page quick",
    async run(t) {
      const { author } = t.world;
      const size = process.env.PAGE_FULL ? 9e6 : 1.1e6; // PAGE_FULL=1: 10 MB in all
      const nest = process.env.PAGE_FULL ? 1 : 0.25;
      const rich = "# Title\n\n* a *b* **c** [d](https://e.example) `f`\n\n```js\nlet a = 1;\n```\n\n";
      const tale = rich.repeat(Math.ceil(size * 7 / 9 / rich.length)) + "x".repeat(size * 2 / 9) + "\n\n" + "> ".repeat(3e4 * nest) + "\n" + "[".repeat(3e5 * nest) + "\n" +
        "*a _b ".repeat(1e5 * nest) + "\n" + "- ".repeat(2e4 * nest) + "\n" + "|".repeat(3e5 * nest) + "\n";
      Object.assign(author, { say: tale, piece: 65536 });
      assert.ok(tale.length > size);
      const v = await t.open({ node: t.world.server });
      await v.page.waitForSelector(".node-card .dot.ok");
      await v.page.evaluate(() => {
        window.gaps = [];
        let last = performance.now();
        const beat = () => {
          const now = performance.now();
          window.gaps.push(now - last);
          last = now;
          setTimeout(beat, 0);
        };
        beat();
      });
      await ask(v, "Talk for ever");
      await v.page.waitForSelector(".answer h3", { timeout: 60000 });
      await v.page.waitForSelector(".composer .send[title=Send]", { timeout: 120000 });
      await v.page.locator(".answer .more").waitFor({ timeout: 60000 });
      const { longest, elements } = await v.page.evaluate(() => ({ longest: Math.max(...window.gaps), elements: document.querySelectorAll(".answer *").length }));
      console.log(`# ${(tale.length / 1e6).toFixed(1)} MB of Markdown: the page was busy for ${Math.round(longest)} ms at most, ${elements} elements`);
      assert.ok(elements < 60000, `${elements} elements`);
      assert.ok(longest < 20000, `${longest} ms`); // a page that freezes is busy for minutes
      await v.page.fill(".composer textarea", "still alive");
    },
  },
  {
    name: "a text that its reader never finishes is shown as it is",
    async run(t) {
      const piece = `${"word ".repeat(900)}\n\n`;
      t.world.author.say = `<b>start\n\n${piece.repeat(3)}`;
      const v = await t.open({ node: t.world.server });
      await v.page.route("**/js/chat/worker.js", (route) => route.fulfill({ contentType: "text/javascript",
        body: "let n = 0; self.onmessage = (e) => { while (n++) {} self.postMessage({ id: e.data.id, html: '<p>read</p>' }); };" }));
      await v.page.waitForSelector(".node-card .dot.ok");
      await ask(v, "Confuse me");
      await answered(v);
      await lastAnswer(v).locator(".piece.as-is").first().waitFor();
      await v.page.fill(".composer textarea", "still alive");
    },
  },
  {
    name: "names of peers and models are shown as names, however long and whatever is in them",
    async run(t) {
      const app = await t.world.app(t.world.asker);
      const evil = "<img src=x onerror=window.pwned=1>\u202egpj" + "W".repeat(300);
      app.status.display_name = evil;
      app.models = Array.from({ length: 150 }, (_, i) => ({ id: i ? `model-${i}-\u2067${"x".repeat(200)}` : evil, local: false, peers: [], ptns: {},
        offers: [{ node_id: "a".repeat(64), name: evil, ptn_id: i % 3 ? "b".repeat(64) : null, price_micro: i, slots_free: 1, queued: 0 }] }));
      app.status.ptns = [{ ptn_id: "b".repeat(64), name: evil }];
      const v = await t.open({ size: "narrow" });
      await v.page.route("**/v1/app", (route) => route.fulfill({ json: app }));
      await v.page.goto(t.world.asker.url);
      await v.page.waitForSelector(".composer");
      await t.until(() => v.page.evaluate(() => document.querySelector(".node-card .dot").classList.contains("ok")));
      await v.page.click(".picker");
      await v.page.waitForSelector(".picker-panel li:nth-child(100)");
      assert.match(await v.page.locator(".picker-panel li").nth(1).innerText(), /<img src=x onerror=window\.pwned=1>\[U\+202E\]gpj/);
      await v.accessible("hostile names");
      await v.shot("hostile-names-narrow-light");
      await v.page.locator(".picker-panel li").nth(1).click();
      await v.page.getByRole("button", { name: "Menu" }).click();
      await v.accessible("a hostile name of this node");
      assert.equal(await v.page.evaluate(() => window.pwned), undefined);
    },
  },
  {
    name: "no page of another origin frames it, posts to the node, or reads it under another name",
    async run(t) {
      const node = t.world.server;
      const refused = async () => Number(/teale_api_refused_total\{reason="origin"\} (\d+)/.exec(await (await fetch(`${node.url}/metrics`)).text())[1]);
      const other = await elsewhere(`<!DOCTYPE html><title>other</title><iframe src="${node.url}/"></iframe>`);
      try {
        const v = await t.open({ expected: [/Content Security Policy|frame|CORS|ERR_FAILED|ERR_BLOCKED|status of 403|Cross-Origin/i] });
        const before = await refused();
        await v.page.goto(other.url);
        assert.equal(await v.page.frames()[1].evaluate(() => document.querySelector("#app")).catch(() => null), null);
        const body = JSON.stringify({ model: "author", messages: [{ role: "user", content: "spend" }] });
        const outcomes = await v.page.evaluate(async ({ url, text }) => {
          const tried = [];
          for (const options of [{ mode: "no-cors", method: "POST", body: text }, { method: "POST", body: text, headers: { "Content-Type": "application/json" } }, {}]) {
            const path = options.method ? "/v1/chat/completions" : "/v1/app";
            tried.push(await fetch(url + path, options).then((r) => `${r.type} ${r.status}`, () => "failed"));
          }
          return tried;
        }, { url: node.url, text: body });
        assert.deepEqual(outcomes, ["opaque 0", "failed", "failed"]);
        assert.equal(t.world.author.asked.length, 0);
        assert.ok(await refused() > before);
        const answer = await v.page.goto(`http://rebound.example:${node.port}/`);
        assert.equal(answer.status(), 403);
        assert.match(await answer.text(), /host_not_allowed/);
      } finally {
        other.close();
      }
    },
  },
  {
    name: "what another program at the node's address left in the browser, a service worker, is gone at the next visit",
    async run(t) {
      const args = ["--relay", t.world.relay.url];
      const node = await t.world.startNode("guest", args);
      const expected = [/./]; // the other program's page breaks every rule
      const v = await t.open({ node, expected });
      await v.page.locator(".composer").waitFor();
      await node.end();
      const page = "<!DOCTYPE html><title>Teale</title><body>impostor<script>navigator.serviceWorker.register('/a/sw.js', {scope: '/'})</script>";
      const worker = `self.addEventListener("install", () => self.skipWaiting());
        self.addEventListener("activate", (e) => e.waitUntil(clients.claim()));
        self.addEventListener("fetch", (e) => { if (e.request.mode === "navigate")
          e.respondWith(new Response(${JSON.stringify(page)}, {headers: {"Content-Type": "text/html"}})); });`;
      const impostor = createServer((request, answer) => {
        const script = request.url === "/a/sw.js";
        answer.writeHead(200, { "Content-Type": script ? "text/javascript" : "text/html", "Service-Worker-Allowed": "/" }).end(script ? worker : page);
      });
      await new Promise((resolve) => { impostor.listen(node.port, "127.0.0.1", resolve); });
      await v.page.goto(node.url);
      await v.page.evaluate(() => navigator.serviceWorker.ready.then(() => new Promise((resolve) => {
        if (navigator.serviceWorker.controller) resolve();
        else navigator.serviceWorker.addEventListener("controllerchange", resolve);
      })));
      impostor.closeAllConnections();
      await new Promise((resolve) => { impostor.close(resolve); });
      const again = await t.world.startNode("guest", args, { api: `127.0.0.1:${node.port}` });
      assert.ok((await v.page.goto(node.url)).fromServiceWorker(), "the other program's worker is not there");
      await v.page.locator(".composer").waitFor();
      await v.page.getByText("Another program answered at this address").waitFor();
      assert.equal(await v.page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0);
      await v.page.reload();
      await v.page.locator(".composer").waitFor();
      assert.equal(await v.page.getByText("Another program answered at this address").count(), 0);
      assert.match(await t.world.command(again, "doctor").catch((e) => e.stdout), /a browser had a service worker/);
      await again.end();
    },
  },
];
