// camera.mjs - what the browser's camera shows: a file of frames that Chromium plays in its place
// (--use-file-for-fake-video-capture). A scene writes it before it opens the camera.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

const WIDTH = 640;
const HEIGHT = 480;

/** The brightness of each pixel of a frame with the code in its middle, as large as it fits; `code` null: a grey wall. */
function frame(code) {
  const pixels = Buffer.alloc(WIDTH * HEIGHT, 120);
  if (!code) return pixels;
  const all = code.side + 2 * code.quiet;
  const scale = Math.floor(HEIGHT / all);
  const left = Math.floor((WIDTH - all * scale) / 2);
  const top = Math.floor((HEIGHT - all * scale) / 2);
  for (let y = 0; y < all * scale; y++)
    for (let x = 0; x < all * scale; x++) {
      const row = code.rows[Math.floor(y / scale) - code.quiet];
      const dark = row && row[Math.floor(x / scale) - code.quiet] === "1";
      pixels[(top + y) * WIDTH + left + x] = dark ? 30 : 220;
    }
  return pixels;
}

export const cameraFile = (folder) => join(folder, "camera.y4m");

/** @param {Object|null} code  the answer of POST /v1/app/qr/draw */
export function show(folder, code) {
  const colour = Buffer.alloc(WIDTH * HEIGHT / 2, 128);
  const one = Buffer.concat([Buffer.from("FRAME\n"), frame(code), colour]);
  writeFileSync(cameraFile(folder), Buffer.concat([Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F10:1 Ip A1:1 C420jpeg\n`), one, one, one]));
}
