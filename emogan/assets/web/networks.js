// The networks of the page, run by onnxruntime-web: one finds faces, one edits them.

import { exposed } from "./exposure.js";
import * as flow from "./flow.js";
import * as pixels from "./pixels.js";

// Returns {about, edit, editInPhoto, look, fast}; throws where a file is missing.
//
// edit(face, labels, strength, cancelled): drawings {after, down, right} of a face (pixels.js) under each of the labels.
// `after` is the edited face in [-1, 1], Float32Array as long as the face; `down` and `right`, Float32Array [SIZE * SIZE],
// say where each pixel came from, in pixels. editInPhoto: the same of a face out of a photograph, see exposure.js. fast:
// whether it takes milliseconds, as by one pass of a network, and not seconds, as by a flow.
export async function load() {
  const answer = await fetch("model.json");
  if (!answer.ok) throw new Error(`${answer.status} for model.json`);
  const about = await answer.json();
  pixels.use(about.spec);
  const { SIZE, CHANNELS } = pixels;
  const runtime = await import("./runtime/ort.wasm.min.js");
  runtime.env.wasm.numThreads = 1; // more would need headers that not every server sends
  const beside = (kind) => new URL(`runtime/ort-wasm-simd-threaded.${kind}`, document.baseURI).href;
  runtime.env.wasm.wasmPaths = { mjs: beside("js"), wasm: beside("wasm") };
  const open = (name) => runtime.InferenceSession.create(name, { executionProviders: ["wasm"] });
  const model = await open("model.onnx");
  const detector = await open("detector.onnx");

  async function draw(face, labels, strength) {
    const count = labels.length;
    const faces = new Uint8Array(count * face.length);
    for (let i = 0; i < count; i += 1) faces.set(face, i * face.length);
    const feeds = {
      faces: new runtime.Tensor("uint8", faces, [count, SIZE, SIZE, ...(CHANNELS === 1 ? [] : [CHANNELS])]),
      labels: new runtime.Tensor("int32", Int32Array.from(labels), [count]),
      strengths: new runtime.Tensor("float32", new Float32Array(count).fill(strength), [count]),
    };
    const values = (await model.run(feeds)).drawings.data;
    const each = CHANNELS + 2; // values of a pixel
    return labels.map((_, i) => {
      const own = values.subarray(i * each * SIZE ** 2, (i + 1) * each * SIZE ** 2);
      const planes = Array.from({ length: each }, (_, c) => pixels.channel(own, each, c));
      return { after: pixels.joined(planes.slice(0, CHANNELS)), down: planes[CHANNELS], right: planes[CHANNELS + 1] };
    });
  }

  async function velocity(faces, times, labels) {
    const feeds = {
      faces: new runtime.Tensor("float32", faces, [times.length, SIZE, SIZE, CHANNELS]),
      times: new runtime.Tensor("float32", times, [times.length]),
      labels: new runtime.Tensor("float32", labels, [times.length, about.labels.length]),
    };
    return (await model.run(feeds)).velocities.data;
  }

  // What the detector answers on planes Float32Array [3 * height * width] of blue, green and red in 0..255.
  async function look(planes, height, width) {
    const answers = await detector.run({ input: new runtime.Tensor("float32", planes, [1, 3, height, width]) });
    return Object.fromEntries(Object.entries(answers).map(([name, tensor]) => [name, tensor.data]));
  }

  const edit = about.flow ? flow.editor(velocity, about.flow, about.labels.length) : draw;

  async function editInPhoto(face, labels, strength, cancelled) {
    const seen = exposed(face, about.exposure);
    const drawings = await edit(seen.face, labels, strength, cancelled);
    return drawings && drawings.map(seen.back);
  }

  return { about, edit, editInPhoto, look, fast: !about.flow };
}
