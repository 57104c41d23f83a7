// The chat, as a reader uses it: by the asker's node, which reaches the server's models through the relay.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { WIDTHS } from "../visitor.mjs";

export const MARKDOWN = `Two things *matter* here, and [one link](https://example.org/a).

## Steps

1. First
2. Second
   - with **more**

| a | b |
|---|--:|
| 1 | 2 |

\`\`\`python
def greet(name):
    return f"hello {name}"  # a comment
\`\`\`

> Quoted.
`;

/** Writes a question and sends it. */
export async function ask(v, text) {
  await v.page.fill(".composer textarea", text);
  await v.page.press(".composer textarea", "Enter");
}

/** Waits until the last answer is over. */
export async function answered(v) {
  await v.page.waitForSelector(".composer .send[title=Send]");
  await v.page.waitForSelector(".answer:last-child .message-actions button");
}

export const lastAnswer = (v) => v.page.locator(".answer").last();

async function ready(v) {
  await v.page.waitForSelector(".node-card .dot.ok");
}

export const scenes = [
  {
    name: "a question is answered word by word, and the answer says who gave it, how and at what price",
    async run(t) {
      Object.assign(t.world.author, { say: MARKDOWN, gap: 5 });
      const v = await t.open({ node: t.world.asker });
      await ready(v);
      await v.shot("chat-empty-wide-light");
      await ask(v, "What is first?");
      await v.page.waitForSelector(".piece");
      await answered(v);
      const answer = lastAnswer(v);
      await answer.locator("pre .hljs-keyword").first().waitFor();
      assert.equal(await answer.locator("ol > li").count(), 2);
      assert.equal(await answer.locator("td").nth(1).innerText(), "2");
      const link = answer.locator("a[href='https://example.org/a']");
      assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow");
      const facts = await answer.locator(".facts-line").innerText();
      assert.match(facts, /author · .+ · relayed .*first word after .+ · \d+ tokens · free/);
      assert.deepEqual(t.world.author.asked[0].messages, [{ role: "user", content: "What is first?" }]);
      assert.equal(await answer.locator("td").nth(1).getAttribute("align"), "right");
      assert.equal(await answer.locator(".code-head").innerText(), "python");
      await v.accessible("a conversation");
      await v.shot("chat-answer-wide-light");
    },
  },
  {
    name: "an answer is stopped, asked for anew, and both stay to be chosen from",
    async run(t) {
      const { author } = t.world;
      Object.assign(author, { say: "word ".repeat(2000), piece: 5, gap: 10 });
      const v = await t.open({ node: t.world.asker });
      await ready(v);
      await ask(v, "Talk.");
      await v.page.waitForSelector(".piece");
      await v.page.click(".send[title=Stop]");
      await answered(v);
      assert.match(await lastAnswer(v).locator(".facts-line").innerText(), /stopped/);
      author.usual();
      author.say = "The second answer.";
      await lastAnswer(v).getByRole("button", { name: "Answer anew" }).click();
      await lastAnswer(v).getByText("The second answer.").waitFor();
      await lastAnswer(v).getByText("2 of 2").waitFor();
      await lastAnswer(v).getByRole("button", { name: "Previous answer" }).click();
      await lastAnswer(v).getByText("word word").first().waitFor();
      assert.equal(author.asked.length, 2);
      assert.equal(author.asked[1].messages.length, 1);
    },
  },
  {
    name: "an answer goes on while another conversation or view is open",
    async run(t) {
      const { author } = t.world;
      let release = null;
      Object.assign(author, { say: "first ".repeat(150) + "the end", piece: 6, hold: new Promise((resolve) => { release = resolve; }) });
      const v = await t.open({ node: t.world.asker });
      await ready(v);
      await ask(v, "A long tale");
      await v.page.waitForSelector(".piece");
      await v.page.getByRole("button", { name: "New chat" }).first().click();
      author.usual();
      await ask(v, "A short one");
      await lastAnswer(v).getByText("Hello.").waitFor();
      await v.page.locator("nav a").nth(1).click();
      await v.page.waitForSelector(".view-chat", { state: "detached" });
      await v.page.locator("nav a").first().click();
      await lastAnswer(v).getByText("Hello.").waitFor();
      await v.page.locator(".conversation-list a").getByText("A long tale").click();
      await lastAnswer(v).getByText("first first").waitFor();
      await v.page.locator(".send[title=Stop]").waitFor();
      release();
      await answered(v);
      await lastAnswer(v).getByText("the end").waitFor();
      assert.equal(author.asked.length, 2);
    },
  },
  {
    name: "a question is edited and asked again; what came after it is gone",
    async run(t) {
      const v = await t.open({ node: t.world.asker });
      await ready(v);
      await ask(v, "One?");
      await answered(v);
      await ask(v, "Two?");
      await answered(v);
      await v.page.locator(".question").first().hover();
      await v.page.locator(".question").first().getByRole("button", { name: "Edit and ask again" }).click();
      await v.page.fill(".editing textarea", "Three?");
      await v.shot("chat-edit-wide-light");
      await v.page.getByRole("button", { name: "Ask again", exact: true }).click();
      await t.until(() => t.world.author.asked.length === 3);
      await answered(v);
      assert.deepEqual(t.world.author.asked[2].messages, [{ role: "user", content: "Three?" }]);
      assert.equal(await v.page.locator(".message").count(), 2);
    },
  },
  {
    name: "conversations stay in the browser: found again after a reload, renamed, exported, deleted, all cleared, imported",
    async run(t) {
      const v = await t.open({ node: t.world.asker });
      await ready(v);
      await ask(v, "Remember the blue whale");
      await answered(v);
      await v.page.reload();
      await v.page.locator(".question").getByText("Remember the blue whale").waitFor();
      await lastAnswer(v).getByText("Hello.").waitFor();
      await v.page.getByRole("button", { name: "New chat" }).first().click();
      await ask(v, "Second one");
      await answered(v);
      assert.equal(await v.page.locator(".conversation-list li").count(), 2);
      await v.page.locator(".conversation-list a").getByText("Remember the blue whale").click();
      await v.page.locator(".question").getByText("Remember the blue whale").waitFor();
      const menu = () => v.page.getByRole("button", { name: "Rename, export or delete: Remember" }).click();
      await menu();
      const [download] = await Promise.all([v.page.waitForEvent("download"), v.page.getByRole("button", { name: "Export", exact: true }).click()]);
      assert.match(readFileSync(await download.path(), "utf8"), /# Remember the blue whale\n\n## You\n\nRemember the blue whale\n\n## author\n\nHello\.\n/);
      await v.page.getByRole("button", { name: "Rename, export or delete: Remember" }).click();
      await v.page.getByLabel("Title").fill("Whales");
      await v.page.getByRole("button", { name: "Save" }).click();
      await v.page.locator(".conversation-list a").getByText("Whales").waitFor();
      await v.page.reload();
      await v.page.getByRole("button", { name: "Rename, export or delete: Whales" }).click();
      await v.page.getByRole("button", { name: "Delete", exact: true }).click();
      await v.page.locator("dialog .danger").click();
      await t.until(async () => await v.page.locator(".conversation-list li").count() === 1);
      const all = (name) => v.page.getByRole("button", { name: "All conversations" }).click().then(() => v.page.getByRole("button", { name }).click());
      const [whole] = await Promise.all([v.page.waitForEvent("download"), all("Export all")]);
      const file = readFileSync(await whole.path());
      await all("Delete all");
      await v.page.locator("dialog .danger").click();
      await t.until(async () => await v.page.locator(".conversation-list li").count() === 0);
      const give = async (name, buffer) => {
        const [chooser] = await Promise.all([v.page.waitForEvent("filechooser"), all("Import")]);
        await chooser.setFiles({ name, mimeType: "application/json", buffer });
      };
      await give("cut.json", file.subarray(0, -20));
      await v.page.getByText("cut.json: It is no file of conversations. Nothing was imported.").waitFor();
      assert.equal(await v.page.locator(".conversation-list li").count(), 0);
      await give("all.json", file);
      await v.page.getByText("1 conversation is imported.").waitFor();
      await give("all.json", file);
      await v.page.getByText("0 conversations are imported. 1 was here already.").waitFor();
      await give("sky.jsonl", Buffer.from('{"teale_chat":1,"model":"author"}\n{"role":"system","content":"Be brief."}\n{"role":"user","content":"Why is the sky blue?"}\n{"role":"assistant","content":"Because."}\n'));
      await v.page.locator(".conversation-list a").getByText("Why is the sky blue?").click();
      await lastAnswer(v).getByText("Because.").waitFor();
      await v.shot("chat-imported-wide-light");
      t.world.author.asked = [];
      await ask(v, "And at night?");
      await answered(v);
      assert.deepEqual(t.world.author.asked[0].messages.map((m) => m.content), ["Be brief.", "Why is the sky blue?", "Because.", "And at night?"]);
      await all("Delete all");
      await v.page.locator("dialog .danger").click();
      await t.until(async () => await v.page.locator(".conversation-list li").count() === 0);
      await v.page.reload();
      await v.page.getByText("What would you like to know?").waitFor();
      assert.equal(await v.page.locator(".conversation-list li").count(), 0);
    },
  },
  {
    name: "what the browser cannot keep, read or delete is said, and stays as long as the page is open",
    async run(t) {
      const v = await t.open({ node: t.world.asker });
      await ready(v);
      await ask(v, "Kept");
      await answered(v);
      await v.page.evaluate(() => {
        for (const [name, of] of [["put", "QuotaExceededError"], ["delete", "UnknownError"], ["clear", "UnknownError"]])
          IDBObjectStore.prototype[name] = () => { throw new DOMException("The disk failed", of); };
      });
      await v.page.getByRole("button", { name: "New chat" }).first().click();
      await ask(v, "Not kept");
      await answered(v);
      await v.page.getByText("The browser does not keep this conversation. It stays until the page is closed. The browser's storage is full.").waitFor();
      await v.shot("chat-not-kept-wide-light");
      const row = (words) => v.page.locator(".conversation-list a").getByText(words, { exact: true });
      await row("Kept").click();
      await v.page.locator(".question").getByText("Kept", { exact: true }).waitFor();
      await v.page.locator("nav a").nth(5).click(); // another view, and back
      await v.page.waitForSelector(".view-chat", { state: "detached" });
      await v.page.locator("nav a").first().click();
      await row("Not kept").click();
      await v.page.locator(".question").getByText("Not kept", { exact: true }).waitFor();
      await v.page.getByRole("button", { name: "Rename, export or delete: Kept" }).click();
      await v.page.getByRole("button", { name: "Delete", exact: true }).click();
      await v.page.locator("dialog .danger").click();
      await v.page.getByText("The browser deleted nothing. The browser says: The disk failed.").waitFor();
      assert.equal(await row("Kept").count(), 1);
      await v.page.evaluate(() => { IDBObjectStore.prototype.get = () => { throw new DOMException("The disk failed", "UnknownError"); }; });
      await row("Kept").click();
      await v.page.getByText("This conversation cannot be read. The browser says: The disk failed.").waitFor();
      await v.page.locator(".question").getByText("Not kept", { exact: true }).waitFor();
      await v.page.reload();
      await row("Kept").waitFor();
      assert.equal(await row("Not kept").count(), 0);
    },
  },
  {
    name: "the model is chosen from a list that is filtered by typing",
    async run(t) {
      const v = await t.open({ node: t.world.asker });
      await ready(v);
      await v.page.click(".picker");
      await v.accessible("the list of models");
      await v.shot("chat-models-wide-light");
      await v.page.keyboard.type("oth");
      await v.page.keyboard.press("Enter");
      await ask(v, "Hi");
      await answered(v);
      assert.equal(t.world.author.asked[0].model, "other");
    },
  },
  {
    name: "a picture and a file of text go with a question",
    async run(t) {
      const v = await t.open({ node: t.world.asker });
      await ready(v);
      const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP8z4AATAxEcQAz0QEHOoQ+uAAAAABJRU5ErkJggg==", "base64");
      await v.page.setInputFiles(".composer input[type=file]", [
        { name: "dot.png", mimeType: "image/png", buffer: png },
        { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("remember the milk") },
        { name: "junk.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0, 1, 2, 255]) },
      ]);
      await v.page.getByText("junk.bin is neither text nor a picture.").waitFor();
      assert.equal(await v.page.locator(".composer .chip").count(), 2);
      await v.accessible("a notice");
      await v.shot("chat-files-wide-light");
      await v.uncovered();
      await v.page.setViewportSize(WIDTHS.narrow);
      await v.shot("chat-files-narrow-light");
      await ask(v, "Look");
      await answered(v);
      const [{ content }] = t.world.author.asked[0].messages;
      assert.match(content[0].text, /^Look\n\nFile notes.txt:\n```\nremember the milk\n```$/);
      assert.match(content[1].image_url.url, /^data:image\/png;base64,/);
    },
  },
  {
    name: "who waits in the queue of a provider is told the place",
    async run(t) {
      const { author, server } = t.world;
      await t.world.command(server, "config", "set", "share_slots", "1");
      Object.assign(author, { say: "word ".repeat(4000), gap: 15, piece: 5 });
      const v = await t.open({ node: t.world.asker });
      await ready(v);
      await ask(v, "A long one");
      await v.page.waitForSelector(".piece");
      const second = await v.context.newPage();
      await second.goto(t.world.asker.url);
      await second.waitForSelector(".node-card .dot.ok");
      await second.fill(".composer textarea", "And me?");
      await second.press(".composer textarea", "Enter");
      await second.getByText(/Waiting in the queue: place 1/).waitFor();
      author.usual();
      await v.page.bringToFront();
      await v.page.click(".send[title=Stop]");
      await second.locator(".answer").getByText("Hello.").waitFor();
      await second.locator(".facts-line a").getByText(/./).first().waitFor(); // told by an event: the stream was open before
      await t.world.command(server, "config", "set", "share_slots", "0");
    },
  },
  {
    name: "while a model loads it says so, and an error tells what helps",
    async run(t) {
      const { author } = t.world;
      Object.assign(author, { first: 3600 });
      const v = await t.open({ node: t.world.asker, expected: [/status of 400/] });
      await ready(v);
      await ask(v, "Slow?");
      await v.page.getByText("No word yet: the model may have to be loaded first").waitFor();
      await v.shot("chat-waiting-wide-light");
      await answered(v);
      Object.assign(author, { first: 0, status: 400, error: "this model is out of sorts" });
      await ask(v, "And now?");
      await lastAnswer(v).locator(".problem").getByText("The model server says: this model is out of sorts").waitFor();
      author.usual();
      await lastAnswer(v).getByRole("button", { name: "Try again" }).click();
      await lastAnswer(v).getByText("Hello.").waitFor();
      assert.equal(await lastAnswer(v).locator(".versions").count(), 0); // what failed is no version
    },
  },
  {
    name: "of a peer that is paused it says so, and not that this node ends",
    async run(t) {
      const { asker, server } = t.world;
      const isAvailable = async () => (await t.world.app(asker)).peers.find((p) => p.node_id === server.id).available;
      const v = await t.open({ node: asker, expected: [/status of 503/] });
      await ready(v);
      await t.world.command(server, "pause");
      try {
        await ask(v, "Anybody?");
        const problem = lastAnswer(v).locator(".problem");
        await problem.getByText("paused").waitFor();
        await problem.getByText("Try again later, or take another model.").waitFor();
        assert.doesNotMatch(await problem.innerText(), /teale up|ending/);
        await v.shot("chat-paused-wide-light");
      } finally {
        await t.world.command(server, "resume");
      }
      await t.until(isAvailable);
      await lastAnswer(v).getByRole("button", { name: "Try again" }).click();
      await lastAnswer(v).getByText("Hello.").waitFor();
    },
  },
  {
    name: "an answer that stops in its middle says so below it, moves nothing above, and goes on",
    async run(t) {
      const { author, asker, server } = t.world;
      let release = null;
      Object.assign(author, { say: "many words ".repeat(400) + "the end", piece: 44, hold: new Promise((resolve) => { release = resolve; }) });
      const v = await t.open({ node: asker });
      await ready(v);
      await ask(v, "A tale");
      const line = lastAnswer(v).locator(".waiting.is-middle");
      const text = lastAnswer(v).locator(".answer-body");
      const place = () => text.evaluate(async (e) => { // when two frames have it at the same place
        for (let last = "", now = " "; ; last = now) {
          await new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); });
          now = JSON.stringify(e.getBoundingClientRect());
          if (now === last) return now;
        }
      });
      await t.until(async () => (await text.innerText()).length > 2200);
      const before = await place();
      await line.getByText("it is connected, its model is silent").waitFor();
      assert.match(await line.innerText(), /^No word from .+: it is connected, its model is silent\s+\d+ s$/);
      assert.equal(await place(), before);
      await v.accessible("a silence in the middle of an answer");
      await v.shot("chat-silence-wide-light");
      server.child.kill("SIGSTOP");
      try {
        await line.getByText("its path is being looked at").waitFor();
        await v.shot("chat-silence-path-wide-light");
      } finally {
        server.child.kill("SIGCONT");
      }
      release();
      await answered(v);
      await lastAnswer(v).getByText("the end").waitFor();
      assert.equal(await line.isHidden(), true);
    },
  },
  {
    name: "two tabs ask in the same conversation at once: each keeps its question and answer, and it is said",
    async run(t) {
      const { author, asker } = t.world;
      const v = await t.open({ node: asker });
      await ready(v);
      await ask(v, "Begin");
      await answered(v);
      const page = await v.context.newPage();
      const second = { page };
      await page.goto(v.page.url());
      await ready(second);
      await page.locator(".question").getByText("Begin").waitFor();
      for (const p of [v.page, page]) await p.evaluate(() => { BroadcastChannel.prototype.postMessage = () => {}; }); // the other is not told in time
      let release = null;
      Object.assign(author, { say: "many words ".repeat(9) + "the end", hold: new Promise((resolve) => { release = resolve; }) });
      await ask(v, "From the first");
      await v.page.waitForSelector(".answer:last-child .piece");
      await ask(second, "From the second");
      await page.getByText("This conversation went on in another tab at the same time. What was asked here is kept as one of its own.").waitFor();
      await page.bringToFront();
      await page.waitForSelector(".answer:last-child .piece");
      if (process.env.PAGE_SHOTS) await page.screenshot({ path: `${v.tools.shots}/chat-two-tabs-wide-light.png` });
      release();
      await answered(second);
      await answered(v);
      for (const [one, words, title] of [[second, "From the second", "Begin (2)"], [v, "From the first", "Begin"]]) {
        await one.page.reload();
        await one.page.locator("[aria-current] .name").getByText(title, { exact: true }).waitFor();
        assert.deepEqual(await one.page.locator(".question-text").allInnerTexts(), ["Begin", words]);
        await lastAnswer(one).getByText("the end").waitFor();
        assert.equal(await one.page.locator(".conversation-list li").count(), 2);
      }
      assert.equal(author.asked.length, 3);
    },
  },
  {
    name: "while one tab waits for an answer, another says so, and keeps what is written there; a tab that is closed leaves what came",
    async run(t) {
      const { author, asker } = t.world;
      const v = await t.open({ node: asker });
      await ready(v);
      await ask(v, "Begin");
      await answered(v);
      const page = await v.context.newPage();
      const second = { page };
      await page.goto(v.page.url());
      await ready(second);
      let release = null;
      const slow = () => Object.assign(author, { say: "many words ".repeat(9) + "the end", hold: new Promise((resolve) => { release = resolve; }) });
      slow();
      await ask(second, "From the second");
      await v.page.bringToFront();
      await v.page.getByText("Another tab waits for this answer").waitFor();
      assert.doesNotMatch(await lastAnswer(v).innerText(), /stopped/);
      await ask(v, "And I?");
      await v.page.getByText("Another tab waits for an answer in this conversation.").waitFor();
      assert.equal(await v.page.inputValue(".composer textarea"), "And I?");
      await v.shot("chat-other-tab-wide-light");
      release();
      await lastAnswer(v).getByText("the end").waitFor();
      await v.page.getByText("Another tab waits for this answer").waitFor({ state: "hidden" });
      slow();
      await page.bringToFront();
      await ask(second, "Once more");
      await page.waitForSelector(".answer:last-child .piece");
      await v.page.bringToFront();
      await v.page.getByText("Another tab waits for this answer").waitFor();
      await page.close();
      await lastAnswer(v).locator(".facts-line").getByText("stopped").waitFor();
      release();
      author.usual();
      await v.page.press(".composer textarea", "Enter");
      await lastAnswer(v).getByText("Hello.").waitFor();
      await answered(v);
      assert.deepEqual(await v.page.locator(".question-text").allInnerTexts(), ["Begin", "From the second", "Once more", "And I?"]);
      assert.equal(await v.page.locator(".conversation-list li").count(), 1);
    },
  },
  {
    name: "whoever reloads in the middle of an answer finds all of it that was shown",
    async run(t) {
      const { author, asker } = t.world;
      let release = null;
      Object.assign(author, { say: "many words ".repeat(20) + "the end", piece: 11, hold: new Promise((resolve) => { release = resolve; }) });
      const v = await t.open({ node: asker });
      await ready(v);
      await ask(v, "A tale");
      const words = async () => (await lastAnswer(v).locator(".answer-body").innerText()).match(/words/g)?.length || 0;
      await t.until(async () => await words() >= 11);
      await v.page.reload();
      await lastAnswer(v).locator(".facts-line").getByText("stopped").waitFor();
      await t.until(async () => await words() >= 11);
      release();
    },
  },
];
