// patterns.mjs PAGE: no pattern of the page goes back and forth over a long text: each one's work grows with the text's
// length, and not with its square. What strangers send passes most of them, in the page's own thread. Each test's name is
// a sentence.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import vm from "node:vm";

const page = resolve(process.argv[2]);
const { createBlocks, LINE_MAX, PIECE_MAX } = await import(join(page, "js", "chat/blocks.js"));

// Time of this process's processor, which other processes of a busy machine do not take. A pattern that is in order needs
// less than a hundredth of it, the mildest that is not ten times as much.
const RUN = 100000; // characters
const RUN_MS = 400;
const PAIRS = 20000; // characters, of two in turn
const PAIRS_MS = 40;
const DEADLINE_MS = 30000; // by the clock, for all texts of one pattern: it would never come to its end

const LITERAL = /(?:[(,=:[!&|?;{}]\s*|return )(\/(?![*/])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[dgimsuvy]*)/g;

/** The sources of the page, by path. */
function sources() {
  return readdirSync(join(page, "js"), { recursive: true, withFileTypes: true }).filter((f) => f.name.endsWith(".js"))
    .map((f) => join(f.parentPath || f.path, f.name)).map((path) => [path.slice(page.length + 4), readFileSync(path, "utf8")]);
}

/** Every pattern that is written in a source: {source, flags}. */
function patternsOf(text) {
  return [...text.replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, "").matchAll(LITERAL)].map(([, literal]) => {
    const end = literal.lastIndexOf("/");
    return { source: literal.slice(1, end), flags: literal.slice(end + 1) };
  });
}

/** One character at least of each class that the pattern may know, and the words that it looks for. */
function alphabet({ source }) {
  const plain = source.replace(/\\u([0-9a-f]{4})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))).replace(/\\[a-z](?:\{\w+\})?/gi, "");
  const signs = plain.replace(/\\(.)|[\^$|?*+(){}[\]]/g, "$1").replace(/\w/g, "");
  return { signs: [...new Set([..." a0\n`~", ...signs])].slice(0, 16), words: (plain.replace(/\\/g, "").match(/[\w<>/: =-]{3,}/g) || []).slice(0, 4) };
}

const ATTACK = new vm.Script(`
  const worst = { ms: 0, what: "" };
  const cost = (text) => {
    const before = cpu();
    text.replace(pattern, "");
    return cpu() - before;
  };
  const attack = (before, pump, after, length, most) => {
    const text = before + pump.repeat(length / pump.length) + after;
    let ms = cost(text);
    for (let again = 0; ms > most && again < 2; again++) ms = Math.min(ms, cost(text)); // not the collector's time
    if (ms / most > worst.ms) Object.assign(worst, { ms: ms / most, what: JSON.stringify([before, pump, after]) });
  };
  const befores = ["", ...words];
  for (const before of befores)
    for (const pump of signs)
      for (const after of ["\\u0001", ...signs]) {
        attack(before, pump, after, 4096, runMs);
        attack(before, pump, after, run, runMs);
      }
  for (const before of befores)
    for (const one of signs)
      for (const other of signs)
        if (one !== other) attack(before, one + other, "\\u0001", pairs, pairsMs);
  worst;
`);

/** The worst text for a pattern, {ms, what}, `ms` in parts of what is allowed; Infinity where it came to no end. */
function worstOf(one, deadline = DEADLINE_MS) {
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const within = vm.createContext({ pattern: new RegExp(one.source, one.flags), cpu, ...alphabet(one),
    run: RUN, runMs: RUN_MS, pairs: PAIRS, pairsMs: PAIRS_MS });
  try {
    return ATTACK.runInContext(within, { timeout: deadline });
  } catch (e) {
    if (e.code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw e;
    return { ms: Infinity, what: "no end" };
  }
}

test("the attack finds patterns that go back and forth, and lets others pass", () => {
  for (const bad of [/^ {0,3}(`{3,}|~{3,})\s*([^`\s]*)[^`]*$/, /\s+$/, /(?:a+)+$/, /^(?:a|0)*:.*:.*x$/]) assert.ok(worstOf(bad, 3000).ms > 1, String(bad));
  for (const good of [/^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/, /\s+/g, /^\s*<think>/]) assert.ok(worstOf(good).ms < 1, String(good));
});

test("no pattern of the page needs more than time in proportion to the text", () => {
  const found = sources().flatMap(([path, text]) => patternsOf(text).map((one) => [path, one]));
  assert.ok(found.length > 50, `${found.length} patterns`);
  for (const word of ["<think>", "queue position=", "teale config set", "[.)])(?:"]) assert.ok(found.some(([, one]) => one.source.includes(word)), word);
  for (const [path, one] of found) {
    const { ms, what } = worstOf(one);
    assert.ok(ms < 1, `${path}: /${one.source}/ takes ${ms.toFixed(1)} times as long as it may for ${what}`);
  }
});

test("the page makes no pattern out of texts", () => {
  for (const [path, text] of sources()) assert.doesNotMatch(text, /\bRegExp\(/, path);
});

test("Markdown is cut in time in proportion to its length, whatever marks its lines repeat", () => {
  const used = () => process.cpuUsage().user / 1000;
  for (const pump of ["`", "~", " ", "\t", "-", "1", "a", "~ ", "` ", " ~", "~`", "\u00a0"]) {
    for (const after of ["`", "~", " ", "a", "\u0001"]) {
      for (const length of [LINE_MAX - 8, RUN]) {
        const line = `~~~${pump.repeat(length / pump.length)}${after}\n`;
        const before = used();
        const blocks = createBlocks();
        const got = [...blocks.push(line.repeat(4)), ...blocks.push(line.slice(3)), ...blocks.end()];
        assert.ok(used() - before < RUN_MS, JSON.stringify([pump, after, length]));
        for (const p of got) assert.ok(p.text.length <= PIECE_MAX + LINE_MAX + 1);
      }
    }
  }
});
