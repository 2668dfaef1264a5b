// One network, run by onnxruntime-web in a thread of its own, so that neither the page nor the other network waits for it.
//
// It gets {open: address of an ONNX file}, once, and then {feeds: {name: [type, values, shape]}}, each with an `id`. It
// answers {id, outputs: {name: values}}, or {id, error: text}. The runtime is in runtime/ next to this file.

import * as runtime from "./runtime/ort.wasm.min.js";

runtime.env.wasm.numThreads = 1; // more would need headers that not every server sends
const beside = (kind) => new URL(`runtime/ort-wasm-simd-threaded.${kind}`, import.meta.url).href;
runtime.env.wasm.wasmPaths = { mjs: beside("js"), wasm: beside("wasm") };

let session;

async function answer({ open, feeds }) {
  if (open) {
    session = await runtime.InferenceSession.create(open, { executionProviders: ["wasm"] });
    return {};
  }
  const tensor = ([type, values, shape]) => new runtime.Tensor(type, values, shape);
  const answers = await session.run(Object.fromEntries(Object.entries(feeds).map(([name, one]) => [name, tensor(one)])));
  return Object.fromEntries(Object.entries(answers).map(([name, { data }]) => [name, data]));
}

addEventListener("message", async ({ data }) => {
  try {
    postMessage({ id: data.id, outputs: await answer(data) });
  } catch (error) {
    postMessage({ id: data.id, error: String(error?.message ?? error) }); // the runtime may throw numbers, too
  }
});
