// files.js - what a reader attaches: pictures, made no larger than models look at them, and files of text.

import { ui } from "../ui.js";

const { el, icon } = ui;
const PICTURE_MAX = 20 * 1024 * 1024; // bytes of the file that is chosen
const PICTURE_SIDE = 1568; // px; models scale larger ones down themselves
const KEEP_MAX = 1024 * 1024; // bytes of a picture that is sent as it is, if its sides fit
const TEXT_MAX = 1024 * 1024; // bytes
export const FILES_MAX = 10;
const PICTURES = new Set(["image/png", "image/jpeg", "image/webp", "image/gif"]);

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

async function picture(file) {
  if (file.size > PICTURE_MAX) throw new Error(`${file.name} is larger than ${ui.bytes(PICTURE_MAX)}.`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch (e) {
    throw new Error(`${file.name} is no picture that this browser can read.`);
  }
  const scale = Math.min(1, PICTURE_SIDE / Math.max(bitmap.width, bitmap.height));
  const one = { kind: "picture", name: file.name, type: file.type, size: file.size };
  if (scale === 1 && file.size <= KEEP_MAX && file.type !== "image/gif") {
    one.url = await dataUrl(file);
  } else {
    const canvas = el("canvas", { width: Math.round(bitmap.width * scale) || 1, height: Math.round(bitmap.height * scale) || 1 });
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    one.url = canvas.toDataURL(file.type === "image/png" ? "image/png" : "image/jpeg", 0.9);
  }
  bitmap.close();
  return one;
}

async function textFile(file) {
  if (file.size > TEXT_MAX) throw new Error(`${file.name} is larger than ${ui.bytes(TEXT_MAX)}.`);
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch (e) {
    text = "\u0000";
  }
  if (text.includes("\u0000")) throw new Error(`${file.name} is neither text nor a picture.`);
  return { kind: "text", name: file.name, type: file.type || "text/plain", size: file.size, text };
}

/** @param {File} file  rejects with an Error whose message says why */
export async function readFile(file) {
  if (file.size === 0) throw new Error(`${file.name} is empty.`);
  return PICTURES.has(file.type) ? picture(file) : textFile(file);
}

/** A small sign of an attached file; with `onRemove` it can be taken away. */
export function fileChip(file, onRemove) {
  return el("span.chip", null,
    file.kind === "picture" ? el("img", { src: file.url, alt: "" }) : icon("file"),
    ui.name(file.name), el("span.muted", null, ui.bytes(file.size)),
    onRemove && el("button.quiet.icon-only.small", { "aria-label": `Remove ${file.name}`, onclick: onRemove }, icon("close")));
}

function fenced(file) {
  const longest = (file.text.match(/`{3,}/g) || []).reduce((n, run) => Math.max(n, run.length), 2);
  const mark = "`".repeat(longest + 1);
  return `File ${file.name}:\n${mark}\n${file.text}\n${mark}`;
}

/** The `content` of a message with files, as the OpenAI API has it. */
export function contentOf(text, files) {
  const words = [text, ...files.filter((f) => f.kind === "text").map(fenced)].filter(Boolean).join("\n\n");
  const pictures = files.filter((f) => f.kind === "picture");
  if (pictures.length === 0) return words;
  return [{ type: "text", text: words }, ...pictures.map((f) => ({ type: "image_url", image_url: { url: f.url } }))];
}
