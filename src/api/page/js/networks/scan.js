// scan.js - looks for the QR code in a picture or before a camera. The browser decodes the picture; what the node gets
// is how bright each pixel is, so no file of a stranger is ever parsed there.

import { asSentence } from "../ui/text.js";

const SIDE_MAX = 2000; // pixels: more shows the grain, not the code
const FRAME_MAX = 1280;
const FILE_MAX = 64e6; // bytes; photos of phones have 12
const BETWEEN_MS = 150; // two frames of the camera

/** Brightness, a byte a pixel (ITU-R BT.601), of what can be drawn, shrunk to `most` pixels a side. */
function brightness(source, width, height, most) {
  const scale = Math.min(1, most / Math.max(width, height));
  const w = Math.max(1, Math.round(width * scale));
  const h = Math.max(1, Math.round(height * scale));
  const canvas = document.createElement("canvas");
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // under what is transparent
  context.fillRect(0, 0, w, h);
  context.drawImage(source, 0, 0, w, h);
  const { data } = context.getImageData(0, 0, w, h);
  const bytes = new Uint8Array(w * h);
  for (let i = 0, at = 0; i < bytes.length; i++, at += 4) bytes[i] = (data[at] * 77 + data[at + 1] * 150 + data[at + 2] * 29) >> 8;
  return { w, h, bytes };
}

/** {found, text, invite, message} as the node says; throws its ApiError. */
function find(api, picture, signal) {
  return api.post(`/v1/app/qr?width=${picture.w}&height=${picture.h}`, picture.bytes, { signal });
}

/** The code in an image file: {text, invite}. Errors have `message` and perhaps `remedy`. */
export async function scanFile(api, file) {
  if (file.size > FILE_MAX) throw new Error("This file is too large for a picture of a code.");
  let image;
  try {
    image = await createImageBitmap(file);
  } catch (e) {
    throw new Error("This is no picture that the browser can read.");
  }
  try {
    const found = await find(api, brightness(image, image.width, image.height, SIDE_MAX));
    if (!found.found) throw new Error(asSentence(found.message));
    return found;
  } finally {
    image.close();
  }
}

/** Can this page use a camera at all? Browsers allow it on this machine's own address and by https. */
export const hasCamera = () => Boolean(window.isSecureContext && navigator.mediaDevices && navigator.mediaDevices.getUserMedia);

const REFUSALS = {
  NotAllowedError: "The browser does not let this page use the camera. Allow it beside the address, then try again.",
  NotFoundError: "There is no camera on this machine.",
  NotReadableError: "Another program uses the camera.",
};

/**
 * Shows the camera in `video` and looks at it until `onFound({text, invite})` returns true, or stop() is called.
 * The camera is off after that, in every case.
 */
export class Camera {
  constructor(api, video, { onFound, onProblem }) {
    Object.assign(this, { api, video, onFound, onProblem, stream: null, over: false, abort: new AbortController() });
    this.hidden = () => {
      if (document.hidden) this.fail("The camera was switched off, because this page was hidden.");
    };
  }

  async start() {
    document.addEventListener("visibilitychange", this.hidden);
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: false, video: { facingMode: "environment", width: { ideal: FRAME_MAX }, height: { ideal: 960 } },
      });
      if (this.over) { // stopped while the browser asked
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      this.stream = stream;
      for (const track of stream.getTracks()) track.addEventListener("ended", () => this.fail("The camera was switched off."));
      this.video.srcObject = stream;
      await this.video.play();
      await this.look();
    } catch (e) {
      if (!this.over) this.fail(REFUSALS[e.name] || e.message || "The camera does not work.");
    }
  }

  async look() {
    while (!this.over) {
      const { video } = this;
      if (video.videoWidth) {
        try {
          const found = await find(this.api, brightness(video, video.videoWidth, video.videoHeight, FRAME_MAX), this.abort.signal);
          if (this.over) return;
          if (found.found && this.onFound(found)) {
            this.stop();
            return;
          }
        } catch (e) {
          if (!["queue_full", "timeout"].includes(e.code)) throw e;
        }
      }
      await new Promise((resolve) => { setTimeout(resolve, BETWEEN_MS); });
    }
  }

  fail(why) {
    if (this.over) return;
    this.stop();
    this.onProblem(why);
  }

  stop() {
    this.over = true;
    this.abort.abort();
    document.removeEventListener("visibilitychange", this.hidden);
    if (this.stream) for (const track of this.stream.getTracks()) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }
}
