// The camera's picture with another emotion, frame by frame, and its recording.

import * as detector from "./detector.js";
import * as pixels from "./pixels.js";
import { putBack } from "./put_back.js";
import { Faces, smooth } from "./smoothing.js";

const SIDES = [320]; // pixels of the longer side at which faces are looked for
const MOST = 3; // faces that are edited, the largest
const RATES = 30; // frames whose time says how many there are in a second

// Returns {stop} of a loop that draws a video on a canvas, mirrored, with the chosen emotion on its faces.
//
// networks: () -> those of networks.js, if there are any. chosen: () -> {label, strength, original}. told: is called with
// the frames a second, failed with an error that ended the loop.
export function show(video, canvas, networks, chosen, told, failed) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const faces = new Faces();
  const times = [];
  let running = true;
  let label = null;

  async function frame(time) {
    const [width, height] = [video.videoWidth, video.videoHeight];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.setTransform(-1, 0, 0, 1, width, 0);
    context.drawImage(video, 0, 0, width, height);
    context.resetTransform();
    const now = chosen();
    if (now.original) return;
    const { about, look, editInPhoto } = networks();
    if (now.label !== label) faces.forget();
    label = now.label;
    const found = await detector.find(look, canvas, width, height, about.detector, SIDES);
    const largest = faces.follow(found.filter(({ turned }) => !turned), time).sort((a, b) => b.square.side - a.square.side);
    const edits = [];
    for (const one of largest.slice(0, MOST)) {
      const before = pixels.face(context, one.square);
      const [drawing] = await editInPhoto(before, [now.label], now.strength);
      const after = pixels.levels(drawing.after);
      const smoothed = smooth(one, before, { ...drawing, after: Float32Array.from(after) }, time);
      edits.push(putBack(context, one.square, before, smoothed, about.blending));
    }
    for (const edit of edits) if (edit) context.putImageData(edit.pixels, edit.left, edit.top);
    mark(context, width, height);
  }

  async function loop() {
    try {
      while (running) {
        await new Promise(requestAnimationFrame);
        if (!running || !video.videoWidth) continue;
        const begin = performance.now();
        await frame(begin / 1000);
        times.push(begin);
        if (times.length > RATES) times.shift();
        if (times.length > 1) told((1000 * (times.length - 1)) / (begin - times[0]));
      }
    } catch (error) {
      failed(error);
    }
  }

  loop();
  return { stop: () => (running = false) };
}

// Writes into the picture that it is synthetic, so that a recording says so, too.
function mark(context, width, height) {
  const size = Math.max(12, Math.round(height / 24));
  context.font = `600 ${size}px system-ui, sans-serif`;
  const text = "synthetic";
  const wide = context.measureText(text).width + size;
  context.fillStyle = "rgb(0 0 0 / 55%)";
  context.fillRect(width - wide - size / 2, height - 2 * size, wide, 1.6 * size);
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(text, width - wide, height - 1.2 * size);
}

// Returns {stop} of a recording of a canvas; `stop` gives the video as a Blob.
export function record(canvas) {
  const parts = [];
  const recorder = new MediaRecorder(canvas.captureStream());
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  recorder.start();
  return {
    stop: () =>
      new Promise((resolve) => {
        recorder.addEventListener("stop", () => resolve(new Blob(parts, { type: recorder.mimeType })));
        recorder.stop();
      }),
  };
}
