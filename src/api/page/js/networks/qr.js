// qr.js - draws the QR code of a text, which the node lays out. Dark on white in every theme: scanners want it so.

const SVG = "http://www.w3.org/2000/svg";

function part(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** One path for all dark modules, a run of them in a row at a time. */
function modules(rows, quiet) {
  let d = "";
  rows.forEach((row, y) => {
    for (const run of row.matchAll(/1+/g)) d += `M${run.index + quiet} ${y + quiet}h${run[0].length}v1h-${run[0].length}z`;
  });
  return d;
}

/** An <svg> of the answer of POST /v1/app/qr/draw. */
export function qrPicture({ side, quiet, rows }, label) {
  const all = side + 2 * quiet;
  const svg = part("svg", { viewBox: `0 0 ${all} ${all}`, class: "qr", role: "img", "aria-label": label, "shape-rendering": "crispEdges" });
  svg.append(part("rect", { width: all, height: all, class: "qr-paper" }), part("path", { d: modules(rows, quiet), class: "qr-ink" }));
  return svg;
}
