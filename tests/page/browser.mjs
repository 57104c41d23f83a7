// browser.mjs - Debian's Chromium by playwright-core, which install.sh put into the folder `work`. It asks nobody but the
// page that it is shown.

import { createRequire } from "node:module";
import { join } from "node:path";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--no-proxy-server", "--disable-dev-shm-usage"];

/** Starts `chromium`, with `more` options. */
export function launch(work, chromium, more = []) {
  const playwright = createRequire(join(work, "x.js"))("playwright-core");
  return playwright.chromium.launch({ executablePath: chromium, args: [...FLAGS, ...more] });
}
