// pause.js - the owner takes the machine back from others, for a while or until told otherwise.

import { ui } from "../ui.js";
import { during, section } from "../ui/form.js";

const { el, fill, icon } = ui;
const SPANS = [["15 min", 15 * 60], ["1 hour", 3600], ["Until I resume", 0]];

export function createPause(app, changed) {
  const problem = el("div");
  const now = el("input", { type: "checkbox" });
  const words = el("p.paused", { role: "status" });
  const run = async (button, label, path, body) => {
    const done = await during(button, label, problem, () => app.api.post(path, body));
    if (done) changed();
  };
  const spans = el("div.row", null, SPANS.map(([label, seconds]) => {
    const button = el("button", { onclick: () => run(button, "Pausing\u2026", "/v1/app/pause", Object.assign({ now: now.checked }, seconds ? { for_s: seconds } : {})) }, label);
    return button;
  }));
  const resume = el("button.primary", { onclick: () => run(resume, "Resuming\u2026", "/v1/app/resume", {}) }, icon("play"), "Resume");
  const pausing = el("div.stack", null, spans, el("label.check", null, now, "Also end the answers that run now"));
  const paused = el("div", { hidden: true }, resume);
  const node = el("section.card.stack", null, section("Take the machine back"), words, pausing, paused, problem);
  let drawn = "";
  node.update = (share, off) => {
    node.hidden = off && !share.paused;
    const text = JSON.stringify([share.paused, share.until]);
    if (text === drawn) return;
    drawn = text;
    const had = node.contains(document.activeElement);
    pausing.hidden = share.paused;
    paused.hidden = !share.paused;
    if (!share.paused) fill(words, "Pause, and only your own questions are answered.");
    else fill(words, icon("pause"), " Paused: others are not served", share.until ? [" until ", ui.time(share.until)] : " until you resume", ".");
    if (had) (share.paused ? resume : spans.firstChild).focus();
  };
  return node;
}
