// run.mjs TEALE TEALE-RELAY CHROMIUM WORKDIR [SCENE...]: every scene of scenes/, in one world and one browser; "1/2" as a
// SCENE is every second file, so that two runs side by side do all of it. A scene file exports `scenes`: a list of
// {name, run(t)}, where `t` has the world, open(options) -> Visitor, and `until`.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";
import { cameraFile, show } from "./camera.mjs";
import { Costs } from "./cost.mjs";
import { Visitor, axeSource } from "./visitor.mjs";
import { World, until } from "./world.mjs";

const [teale, relay, chromium, work, ...wanted] = process.argv.slice(2);
const here = fileURLToPath(new URL(".", import.meta.url));
const [, turn, of] = /^([1-9])\/([1-9])$/.exec(wanted[0]) || [null, 1, 1];
if (of > 1) wanted.shift();
const world = new World(teale, relay);
const FLAGS = ["--host-resolver-rules=MAP rebound.example 127.0.0.1", "--use-fake-device-for-media-stream",
  `--use-file-for-fake-video-capture=${cameraFile(world.folder)}`];

let browser = null;
let failed = 0;
let passed = 0;

async function one(file, scene) {
  const visitors = [];
  const t = { world, browser, until, camera: (code) => show(world.folder, code), open: async (options) => {
    const v = await Visitor.open(tools, options);
    visitors.push(v);
    return v;
  } };
  costs.reset();
  let error = null;
  try {
    world.author.usual();
    world.author.asked = [];
    await scene.run(t);
  } catch (e) {
    error = e;
    for (const [i, v] of visitors.entries()) await v.picture(`failed-${file}-${i}`).catch(() => {});
  }
  for (const v of visitors) await v.close(Boolean(error)).catch((e) => { error = error ? Object.assign(error, { stack: `${error.stack}\n${e.message}` }) : e; });
  console.log(`${error ? "not ok" : "ok"} - ${file}: ${scene.name} (${costs.text()})`);
  if (error) console.log(String(error.stack).replace(/^/gm, "    "));
  if (error) failed++;
  else passed++;
}

const costs = new Costs();
const tools = { costs, seats: [], shots: join(work, "shots"), axe: axeSource(work) };
async function all() {
  show(world.folder, null);
  await world.begin();
  browser = tools.browser = await launch(work, chromium, FLAGS);
  for (const name of readdirSync(join(here, "scenes")).sort().filter((_, i) => i % of === turn - 1)) {
    const file = name.replace(/\.mjs$/, "");
    if (wanted.length && !wanted.some((w) => file === w.split(":")[0])) continue;
    const { scenes } = await import(join(here, "scenes", name));
    for (const scene of scenes)
      if (!wanted.length || wanted.some((w) => file === w || (w.startsWith(`${file}:`) && scene.name.includes(w.slice(file.length + 1)))))
        await one(file, scene);
  }
}

async function end(code) {
  if (browser) await browser.close().catch(() => {});
  await world.end().catch((e) => {
    console.log(`not ok - ${e.message}`);
    code = 1;
  });
  process.exit(code);
}
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => end(1));
try {
  await all();
} catch (e) {
  console.log(e.stack);
  failed++;
}
console.log(`${passed} scenes passed, ${failed} failed`);
await end(failed || !passed ? 1 : 0);
