// world.mjs - a relay, two nodes and a model server on loopback, of the real programs. Every port is the kernel's
// choice, every file below one temporary folder; end() ends what was started, by its process id.

import { spawn, execFile } from "node:child_process";
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const PATIENCE_MS = 30000;

/** Waits until `what` returns something true, and returns that. */
export async function until(what, why = "it never came true", patience = PATIENCE_MS) {
  const begun = performance.now();
  for (;;) {
    const value = await what();
    if (value) return value;
    if (performance.now() - begun > patience) throw new Error(why);
    await sleep(20);
  }
}

/** A program that says `ready ...` on its first line; its last words are kept. */
class Program {
  constructor(file, args) {
    this.said = "";
    this.child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream.on("data", (data) => { this.said = (this.said + data).slice(-20000); });
    this.over = new Promise((resolve) => { this.child.on("exit", (code, signal) => resolve({ code, signal })); });
    this.running = true;
    this.over.then(() => { this.running = false; });
  }

  async ready() {
    await until(() => /^ready .*$/m.test(this.said) || !this.running, `it never was ready: ${this.said}`);
    const line = /^ready .*$/m.exec(this.said);
    if (!line) throw new Error(`it ended: ${this.said}`);
    return line[0];
  }

  async end(signal = "SIGTERM") {
    if (this.running) this.child.kill(signal);
    const late = setTimeout(() => this.child.kill("SIGKILL"), 15000);
    const how = await this.over;
    clearTimeout(late);
    return how;
  }
}

/**
 * A model server that says what a test tells it: `say` is the answer's text, sent in pieces of `piece` characters,
 * `gap` ms apart, after `first` ms. A promise in `hold` stops it in the middle. `asked` are the bodies of all questions.
 */
class Author {
  constructor() {
    Object.assign(this, { models: ["author", "other"], asked: [] });
    this.usual();
    this.server = createServer((request, answer) => this.answer(request, answer));
  }

  usual() {
    Object.assign(this, { say: "Hello.", piece: 12, gap: 0, first: 0, status: 200, error: "", usage: true, broken: false, hold: null });
  }

  async listen() {
    await new Promise((resolve) => { this.server.listen(0, "127.0.0.1", resolve); });
    this.url = `http://127.0.0.1:${this.server.address().port}`;
  }

  async answer(request, answer) {
    let text = "";
    for await (const piece of request) text += piece;
    if (request.url === "/v1/models") {
      answer.setHeader("Content-Type", "application/json");
      answer.end(JSON.stringify({ object: "list", data: this.models.map((id) => ({ id, object: "model", created: 1, owned_by: "a" })) }));
      return;
    }
    if (!request.url.endsWith("/chat/completions")) {
      answer.writeHead(404, { "Content-Type": "application/json" }).end('{"error":{"message":"no"}}');
      return;
    }
    const body = JSON.parse(text);
    this.asked.push(body);
    await this.stream(answer, body).catch(() => answer.destroy());
  }

  async stream(answer, body) {
    let gone = false;
    answer.on("close", () => { gone = true; });
    const { say, piece, gap, hold } = this;
    const event = (choice, more) => answer.write(`data: ${JSON.stringify({
      id: "c", object: "chat.completion.chunk", created: 1, model: body.model, choices: choice ? [Object.assign({ index: 0 }, choice)] : [], ...more })}\n\n`);
    for (let waited = 0; waited < this.first && !gone; waited += 20) await sleep(20);
    if (this.status !== 200) {
      answer.writeHead(this.status, { "Content-Type": "application/json" })
        .end(JSON.stringify({ error: { message: this.error || "no", type: "x", code: "x" } }));
      return;
    }
    answer.writeHead(200, { "Content-Type": "text/event-stream" });
    event({ delta: { role: "assistant", content: "" } });
    for (let at = 0; at < say.length && !gone; at += piece) {
      if (!event({ delta: { content: say.slice(at, at + piece) } })) await until(() => gone || !answer.writableNeedDrain);
      if (gap) await sleep(gap);
      if (hold && at > say.length / 2) await hold;
      if (this.broken && at > say.length / 2) {
        answer.destroy();
        return;
      }
    }
    event({ delta: {}, finish_reason: "stop" });
    if (this.usage) event(null, { usage: { prompt_tokens: 7, completion_tokens: Math.ceil(say.length / 4), total_tokens: 9 } });
    answer.end("data: [DONE]\n\n");
  }
}

export class World {
  constructor(teale, relay) {
    this.programs = { teale, relay };
    this.folder = mkdtempSync(join(tmpdir(), "teale-page-"));
    this.started = [];
    this.author = new Author();
  }

  async begin() {
    await this.author.listen();
    this.relay = await this.startRelay(0);
    this.server = await this.startNode("server", ["--share", this.author.url, "--relay", this.relay.url]);
    this.asker = await this.startNode("asker", ["--relay", this.relay.url]);
    await until(async () => (await this.app(this.asker)).models.some((m) => m.id === "author"), "the model never came");
  }

  start(file, args) {
    const program = new Program(file, args);
    this.started.push(program);
    return program;
  }

  async startRelay(port) {
    const relay = this.start(this.programs.relay, ["--listen", `ws://127.0.0.1:${port}`, "--drain-secs", "1"]);
    const line = await relay.ready();
    relay.url = /ws=(ws:\/\/[^,\s]+)/.exec(line)[1];
    relay.port = Number(/:(\d+)\/ws/.exec(relay.url)[1]);
    return relay;
  }

  home(name) {
    return join(this.folder, name);
  }

  /** A node with its files in home(name); `relay`: its URL. It speaks by the relay alone unless told otherwise. */
  async startNode(name, args, { api = "127.0.0.1:0", relayed = true } = {}) {
    const node = this.start(this.programs.teale,
      ["--home", this.home(name), "serve", "--api", api, ...(relayed ? ["--relayed"] : []), ...args]);
    const line = await node.ready();
    node.name = name;
    node.port = Number(/api=http:\/\/[^ ]*:(\d+)\//.exec(line)[1]);
    node.id = /node=([0-9a-f]{64})/.exec(line)[1];
    node.url = `http://127.0.0.1:${node.port}`;
    return node;
  }

  /** What a person types at this node. */
  async command(node, ...args) {
    const { stdout } = await promisify(execFile)(this.programs.teale, ["--home", this.home(node.name), ...args]);
    return stdout;
  }

  key(name) {
    return readFileSync(join(this.home(name), "owner-key"), "utf8").trim();
  }

  async app(node) {
    return (await fetch(`${node.url}/v1/app`)).json();
  }

  async end() {
    const hows = [];
    for (const program of [...this.started].reverse()) hows.push([program.child.spawnfile, await program.end(), program.said]);
    this.author.server.closeAllConnections();
    this.author.server.close();
    rmSync(this.folder, { recursive: true, force: true });
    const bad = hows.filter(([, how]) => how.code !== 0 && !["SIGTERM", "SIGKILL"].includes(how.signal));
    if (bad.length) throw new Error(`a program ended badly: ${JSON.stringify(bad)}`);
  }
}
