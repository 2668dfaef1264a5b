// The camera's picture with another emotion, frame by frame, and its recording.

import * as detector from "./detector.js";
import * as pixels from "./pixels.js";
import { putBack } from "./put_back.js";
import { Faces, smooth } from "./smoothing.js";

const SIDES = [320]; // pixels of the longer side at which faces are looked for
const AGAIN = [160]; // those at which a tilted face is looked at again
const EVERY = 2; // of so many frames, one is searched for faces
const MOST = 3; // faces that are edited, the largest
const RATES = 30; // frames whose time says how many there are in a second

// Returns {stop} of a loop that draws a video on a canvas, mirrored, with the chosen emotion on its faces.
//
// networks: () -> those of networks.js, if there are any. chosen: () -> {label, strength, original}. told: is called with
// the frames a second, failed with an error that ended the loop.
export function show(video, canvas, networks, chosen, told, failed) {
  const context = canvas.getContext("2d");
  const frames = [0, 1].map(() => document.createElement("canvas").getContext("2d", { willReadFrequently: true }));
  const faces = new Faces();
  const times = [];
  let taken = 0;
  let running = true;
  let label = null;

  // The next frame, and the faces in it that are to be edited: {frame, found: [{face, square}], now, time}. `frame` is the
  // context of one of two canvases: a frame has been put before its canvas is taken again.
  async function take() {
    do await new Promise(requestAnimationFrame);
    while (running && !video.videoWidth);
    const [frame, time, now] = [frames[(taken += 1) % frames.length], performance.now() / 1000, chosen()];
    const [width, height] = [video.videoWidth, video.videoHeight];
    if (fit(frame.canvas, width, height) || now.original) faces.lose();
    frame.setTransform(-1, 0, 0, 1, width, 0);
    frame.drawImage(video, 0, 0, width, height);
    frame.resetTransform();
    if (!running || now.original) return { frame, found: [], now, time };
    const { about, look } = networks();
    if (taken % EVERY === 0 || !faces.known(time).length) {
      const places = await detector.find(look, frame.canvas, about.detector, SIDES, AGAIN);
      faces.follow(places.filter(({ turned }) => !turned), time);
    }
    const largest = [...faces.faces].sort((a, b) => b.square.side - a.square.side).slice(0, MOST);
    return { frame, found: largest.map((face) => ({ face, square: { ...face.square } })), now, time };
  }

  // The same with {before, drawing} of each face: the networks edit it.
  async function draw({ frame, found, now, time }) {
    const edits = [];
    for (const { face, square } of found) {
      if (!running) break;
      const before = pixels.face(frame, square);
      const [drawing] = await networks().editInPhoto(before, [now.label], now.strength);
      edits.push({ face, square, before, drawing });
    }
    return { frame, found: edits, now, time };
  }

  // Shows a frame with its edits.
  function put({ frame, found, now, time }) {
    if (now.label !== label) faces.forget();
    label = now.label;
    const { width, height } = frame.canvas;
    fit(canvas, width, height);
    for (const { face, square, before, drawing } of found) {
      const after = Float32Array.from(pixels.levels(drawing.after));
      // A model that warps nothing gives no displacement, and to estimate it takes about as long as a frame.
      const still = new Float32Array(pixels.SIZE ** 2);
      const smoothed = smooth(face, before, { down: still, right: still, ...drawing, after }, time);
      const edit = putBack(frame, square, before, smoothed, networks().about.blending);
      if (edit) frame.putImageData(edit.pixels, edit.left, edit.top);
    }
    context.drawImage(frame.canvas, 0, 0);
    if (!now.original) mark(context, width, height);
    times.push(time);
    if (times.length > RATES) times.shift();
    if (times.length > 1) told((times.length - 1) / (time - times[0]));
  }

  // While the faces of a frame are drawn, those of the one before are put back and those of the next are found.
  async function loop() {
    try {
      let [next, drawn] = [await take(), null];
      while (running) {
        const drawing = draw(next);
        drawing.catch(() => {}); // told below, even if `put` fails first
        if (drawn) put(drawn);
        [drawn, next] = await Promise.all([drawing, take()]);
      }
    } catch (error) {
      if (running) failed(error);
    }
  }

  loop();
  return { stop: () => (running = false) };
}

// Gives a canvas a size, and returns whether it had another; to set it, even to what it is, would clear it.
function fit(canvas, width, height) {
  const other = canvas.width !== width || canvas.height !== height;
  if (other) Object.assign(canvas, { width, height });
  return other;
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
