// The frame around every view: what the browser is let do, how it looks, what it says when the node or its relay is away.

import assert from "node:assert/strict";

export const scenes = [
  {
    name: "it opens with 200 KB at most, breaks no policy and asks no other host",
    async run(t) {
      const v = await t.open({ node: t.world.asker });
      await v.page.waitForSelector("main .view");
      const painted = await v.page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
      await t.until(() => v.page.evaluate(() => document.querySelector(".node-card .dot").classList.contains("ok")));
      console.log(`# first view: ${Math.round(v.bytes / 1000)} kB, drawn after ${Math.round(painted)} ms`);
      assert.ok(v.bytes > 5000 && v.bytes <= 200000, `${v.bytes} bytes`);
      await v.accessible("the first view");
    },
  },
];
