// The networks of the page: one finds faces, one edits them, each in a thread of its own (worker.js).

import { exposed } from "./exposure.js";
import * as flow from "./flow.js";
import * as pixels from "./pixels.js";

// Returns {about, edit, editInPhoto, look, fast}; throws where a file is missing.
//
// edit(face, labels, strength, cancelled): drawings {after, down, right} of a face (pixels.js) under each of the labels.
// `after` is the edited face in [-1, 1], Float32Array as long as the face; `down` and `right`, Float32Array [SIZE * SIZE],
// say where each pixel came from, in pixels; a model that warps nothing gives none of them. editInPhoto: the same of a face out of a photograph, see exposure.js. fast:
// whether it takes milliseconds, as by one pass of a network, and not seconds, as by a flow.
export async function load() {
  const answer = await fetch("model.json");
  if (!answer.ok) throw new Error(`${answer.status} for model.json`);
  const about = await answer.json();
  pixels.use(about.spec);
  const { SIZE, CHANNELS } = pixels;
  const [model, detector] = await Promise.all(["model.onnx", "detector.onnx"].map(opened));

  async function draw(face, labels, strength) {
    const count = labels.length;
    const faces = new Uint8Array(count * face.length);
    for (let i = 0; i < count; i += 1) faces.set(face, i * face.length);
    const feeds = {
      faces: ["uint8", faces, [count, SIZE, SIZE, ...(CHANNELS === 1 ? [] : [CHANNELS])]],
      labels: ["int32", Int32Array.from(labels), [count]],
      strengths: ["float32", new Float32Array(count).fill(strength), [count]],
    };
    const values = (await model(feeds)).drawings;
    const each = CHANNELS + 2; // values of a pixel
    return labels.map((_, i) => {
      const own = values.subarray(i * each * SIZE ** 2, (i + 1) * each * SIZE ** 2);
      const planes = Array.from({ length: each }, (_, c) => pixels.channel(own, each, c));
      const ways = about.warps ? { down: planes[CHANNELS], right: planes[CHANNELS + 1] } : {};
      return { after: pixels.joined(planes.slice(0, CHANNELS)), ...ways };
    });
  }

  async function velocity(faces, times, labels, originals) {
    const feeds = {
      faces: ["float32", faces, [times.length, SIZE, SIZE, CHANNELS]],
      times: ["float32", times, [times.length]],
      labels: ["float32", labels, [times.length, about.labels.length]],
      originals: ["float32", originals, [times.length, SIZE, SIZE, CHANNELS]],
    };
    return (await model(feeds)).velocities;
  }

  // What the detector answers on planes Float32Array [3 * height * width] of blue, green and red in 0..255.
  const look = (planes, height, width) => detector({ input: ["float32", planes, [1, 3, height, width]] });

  const edit = about.flow ? flow.editor(velocity, about.flow, about.labels.length) : draw;

  async function editInPhoto(face, labels, strength, cancelled) {
    const seen = exposed(face, about.exposure);
    const drawings = await edit(seen.face, labels, strength, cancelled);
    return drawings && drawings.map(seen.back);
  }

  return { about, edit, editInPhoto, look, fast: !about.flow };
}

// The function feeds -> outputs, see worker.js, of the network in a file.
async function opened(file) {
  const here = (name) => new URL(name, import.meta.url).href;
  // A worker from a blob, unlike one from an address, is bound by the policy in index.html.
  const start = new Blob([`import ${JSON.stringify(here("worker.js"))};`], { type: "text/javascript" });
  const worker = new Worker(URL.createObjectURL(start), { type: "module" });
  const waiting = new Map(); // by id: who asked
  let asked = 0;
  let failure = null;
  worker.addEventListener("message", ({ data: { id, outputs, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (outputs) resolve(outputs);
    else reject(new Error(error));
  });
  worker.addEventListener("error", ({ message }) => {
    failure = new Error(message || "no worker.js, or no runtime beside it");
    worker.terminate();
    for (const { reject } of waiting.values()) reject(failure);
  });
  const ask = (what) =>
    new Promise((resolve, reject) => {
      if (failure) return reject(failure);
      waiting.set((asked += 1), { resolve, reject });
      return worker.postMessage({ id: asked, ...what });
    });
  await ask({ open: here(file) });
  return (feeds) => ask({ feeds });
}
