// speed.js - tokens a second as a number and a line of the last minute.

import { ui } from "../ui.js";

const { el } = ui;
const SVG = "http://www.w3.org/2000/svg";
const POINTS = 60;
const WIDTH = 240;
const HEIGHT = 48;

/** "0", "3.4", "118" */
export function perSecond(n) {
  if (!(n > 0)) return "0";
  return n < 10 ? n.toFixed(1) : String(Math.round(n));
}

/** A place with add(tokensPerSecond), once a second. */
export function createSpeed() {
  const number = el("span.speed-number", null, "0");
  const svg = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "speed-line");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("vector-effect", "non-scaling-stroke");
  svg.append(line);
  const values = new Array(POINTS).fill(0);
  const node = el("div.speed", null, el("p", null, number, el("span.muted", null, " tokens a second")), svg);
  node.add = (now) => {
    values.push(now > 0 ? now : 0);
    values.shift();
    const most = Math.max(10, ...values);
    line.setAttribute("d", values.map((v, i) => `${i ? "L" : "M"}${(i * WIDTH / (POINTS - 1)).toFixed(1)} ${(HEIGHT - 2 - v / most * (HEIGHT - 4)).toFixed(1)}`).join(""));
    const text = perSecond(now);
    if (number.textContent !== text) number.textContent = text;
  };
  node.add(0);
  return node;
}
