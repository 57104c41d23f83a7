// client.mjs PACKAGE BASE_URL API_KEY PARROT_URL: the official npm client against a node that shares the
// parrot. Every check is of what a program sees; nothing of the client is changed or configured but its
// address, its key and its retries.
import assert from "node:assert/strict";

const [, , name, baseURL, apiKey, parrotURL] = process.argv;
const { default: OpenAI } = await import(name);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const ask = (content, more = {}) => ({ model: "parrot", messages: [{ role: "user", content }], ...more });
const words = "one two three four five six seven eight nine ten";
const tools = [{ type: "function", function: { name: "say", description: "Says it",
  parameters: { type: "object", properties: { said: { type: "string" } }, required: ["said"] } } }];

async function stats() {
  return (await fetch(parrotURL + "/parrot/stats")).json();
}

async function until(what, condition) {
  const end = Date.now() + 5000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, "waited in vain for " + what);
    await new Promise((done) => setTimeout(done, 5));
  }
}

const checks = {
  async "models are listed, and one is retrieved"() {
    const ids = [];
    for await (const m of client.models.list()) ids.push(m.id);
    assert.ok(ids.includes("parrot") && ids.includes("teale-auto"), ids.join());
    assert.equal((await client.models.retrieve("parrot")).object, "model");
    assert.equal((await client.models.retrieve("fail:status-429")).id, "fail:status-429");
  },
  async "a whole answer"() {
    const { data, response } = await client.chat.completions.create(ask(words)).withResponse();
    assert.equal(data.choices[0].message.content, words);
    assert.equal(data.usage.completion_tokens, 10);
    assert.match(response.headers.get("x-teale-peer"), /^[0-9a-f]{64}$/);
    assert.equal(response.headers.get("x-teale-path"), "local");
    assert.match(response.headers.get("x-teale-request"), /^[0-9a-f]{32}$/);
  },
  async "a streamed answer, chunk by chunk"() {
    const stream = await client.chat.completions.create(
      ask(words, { stream: true, stream_options: { include_usage: true } }));
    let text = "", chunks = 0, usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
      chunks++;
    }
    assert.equal(text, words);
    assert.ok(chunks >= 10);
    assert.equal(usage.completion_tokens, 10);
  },
  async "teale-auto answers"() {
    const answer = await client.chat.completions.create(ask("hello", { model: "teale-auto" }));
    assert.ok(answer.choices.length > 0);
  },
  async "tools go there and calls come back, whole and streamed"() {
    const asked = ask("say it", { model: "tool-call", tools, tool_choice: "auto" });
    const answer = await client.chat.completions.create(asked);
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    assert.equal(answer.choices[0].message.tool_calls[0].function.name, "say");
    assert.deepEqual(JSON.parse(answer.choices[0].message.tool_calls[0].function.arguments), { said: "squawk" });
    const called = [];
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true }))
      for (const call of chunk.choices[0]?.delta?.tool_calls ?? []) called.push(call.function.name);
    assert.deepEqual(called, ["say"]);
  },
  async "an unknown model is NotFoundError"() {
    await assert.rejects(client.chat.completions.create(ask("x", { model: "no-such-model" })), (e) => {
      assert.ok(e instanceof OpenAI.NotFoundError);
      assert.equal(e.code, "model_not_found");
      assert.equal(e.param, "model");
      return true;
    });
    await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
  },
  async "a bad request is BadRequestError"() {
    await assert.rejects(client.chat.completions.create({ messages: [] }), OpenAI.BadRequestError);
    await assert.rejects(client.chat.completions.create(ask("x", { model: "fail:status-400" })), OpenAI.BadRequestError);
  },
  async "the model server's 429 is RateLimitError"() {
    await assert.rejects(client.chat.completions.create(ask("x", { model: "fail:status-429" })), OpenAI.RateLimitError);
  },
  async "the model server's failure is InternalServerError 502"() {
    await assert.rejects(client.chat.completions.create(ask("x", { model: "fail:status-503" })), (e) => {
      assert.ok(e instanceof OpenAI.InternalServerError);
      assert.equal(e.status, 502);
      assert.equal(e.code, "backend_error");
      return true;
    });
  },
  async "a stream that breaks off raises after what had come"() {
    let text = "";
    await assert.rejects(async () => {
      const stream = await client.chat.completions.create(ask(words, { model: "fail:close-mid", stream: true }));
      for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    }, OpenAI.APIError);
    assert.ok(words.startsWith(text) && text.length > 0 && text !== words, text);
  },
  async "an aborted stream is cancelled at the model server"() {
    const before = (await stats()).cancelled;
    const stream = await client.chat.completions.create(ask(words, { model: "fail:stall", stream: true }));
    for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
    stream.controller.abort();
    const at = Date.now();
    await until("the cancel", async () => (await stats()).cancelled > before);
    const took = (await stats()).last_cancel_unix_ms - at;
    assert.ok(took < 1000, `cancelled after ${took} ms`);
    return `${took} ms`;
  },
  async "an aborted request is cancelled before its first byte"() {
    const before = (await stats()).cancelled;
    const abort = new AbortController();
    const asked = client.chat.completions.create(ask("x", { model: "fail:hang" }), { signal: abort.signal });
    await until("the question", async () => (await stats()).active > 0);
    abort.abort();
    const at = Date.now();
    await assert.rejects(asked, OpenAI.APIUserAbortError);
    await until("the cancel", async () => (await stats()).cancelled > before);
    return `${(await stats()).last_cancel_unix_ms - at} ms`;
  },
  async "fifty streams at once"() {
    await Promise.all(Array.from({ length: 50 }, async (_, i) => {
      let text = "";
      for await (const chunk of await client.chat.completions.create(ask(`stream ${i}`, { stream: true })))
        text += chunk.choices[0]?.delta?.content ?? "";
      assert.equal(text, `stream ${i}`);
    }));
  },
};

let failed = 0;
for (const [what, check] of Object.entries(checks)) {
  try {
    const note = await check();
    console.log(`ok - ${name}: ${what}${note ? ` (${note})` : ""}`);
  } catch (e) {
    failed++;
    console.log(`not ok - ${name}: ${what}\n${e.stack}`);
  }
}
process.exit(failed ? 1 : 0);
