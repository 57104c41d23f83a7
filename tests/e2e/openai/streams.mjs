// streams.mjs PACKAGE: exits 0 if this client can read a stream from Node's own HTTP server here. Debian 12's
// Node.js 18.20.4 with its security patches breaks node-fetch 2, and with it openai 4, against every server
// that sends chunks ("Premature close"); where that is so, the client says nothing about Teale.
import http from "node:http";

const { default: OpenAI } = await import(process.argv[2]);
const chunk = { id: "x", object: "chat.completion.chunk", choices: [{ index: 0, delta: { content: "a" } }] };
const server = http.createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  setTimeout(() => response.end("data: [DONE]\n\n"), 20);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const client = new OpenAI({ apiKey: "x", baseURL: `http://127.0.0.1:${server.address().port}/v1`, maxRetries: 0 });
let text = "";
try {
  for await (const part of await client.chat.completions.create({ model: "m", stream: true, messages: [] }))
    text += part.choices[0].delta.content;
} catch (e) {
  text = "";
  console.log(`# ${process.argv[2]} on Node.js ${process.version}, against Node's own server: ${e.message}`);
}
process.exit(text === "a" ? 0 : 1);
