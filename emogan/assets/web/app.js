// The page: a photo, the square around the face in it, and the face with every emotion.

import * as frame from "./frame.js";
import * as pixels from "./pixels.js";

const LARGEST = 1600; // pixels of a photo's longer side; larger ones are brought down to it
const ENLARGED = 4; // times, of saved pictures
const QUIET = 500; // ms without a change after which the square's place is told to screen readers

const $ = (id) => document.getElementById(id);
const photo = $("photo");
const drawing = photo.getContext("2d", { willReadFrequently: true });

let about; // model.json
let runtime; // onnxruntime-web
let session;
let failure = ""; // why there will be no session
let gray; // levels of the whole photo
let square;
let stream; // of the camera
let busy = false;
let waiting = false;
let telling = 0;

function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

function complain(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

// The network.

async function load() {
  try {
    const answer = await fetch("model.json");
    if (!answer.ok) throw new Error(`${answer.status} for model.json`);
    about = await answer.json();
    showNames();
    runtime = await import("./runtime/ort.wasm.min.js");
    runtime.env.wasm.numThreads = 1; // more would need headers that not every server sends
    const beside = (kind) => new URL(`runtime/ort-wasm-simd-threaded.${kind}`, document.baseURI).href;
    runtime.env.wasm.wasmPaths = { mjs: beside("js"), wasm: beside("wasm") };
    session = await runtime.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
    await edits(new Uint8Array(pixels.SIZE ** 2)); // the first is slow
    say("Ready: choose a photo.");
    document.body.dataset.state = "ready";
    if (square) changed();
  } catch (error) {
    session = null;
    failure = `Expected the network beside this page, found: ${error.message}. Load the page again; if that does not help, export it again.`;
    say("");
    complain(failure);
  }
}

// Values Float32Array [labels * 48 * 48] of a face, which goes in once for each label.
async function edits(face) {
  const count = about.labels.length;
  const faces = new Uint8Array(count * face.length);
  for (let i = 0; i < count; i += 1) faces.set(face, i * face.length);
  const feeds = {
    [about.arrays.faces]: new runtime.Tensor("uint8", faces, [count, pixels.SIZE, pixels.SIZE]),
    [about.arrays.labels]: new runtime.Tensor("int32", Int32Array.from(about.labels.keys()), [count]),
  };
  return (await session.run(feeds))[about.arrays.edits].data;
}

function showNames() {
  $("faces").replaceChildren(...["as the network sees it", ...about.labels].map(card));
  const data = about.card.data ? `, trained on ${about.card.data.name}` : "";
  $("about").textContent = `Network: ${about.card.preset}${data}. An emotion on a picture says nothing of what anyone feels.`;
}

function card(name, i) {
  const item = document.createElement("li");
  item.className = "waiting";
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = pixels.SIZE;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", i ? `The face, ${name}: synthetic` : `The face in the square, ${name}`);
  const row = document.createElement("div");
  row.className = "row";
  const label = document.createElement("span");
  label.className = "name";
  label.textContent = i ? name : "your photo";
  const small = document.createElement("small");
  small.textContent = i ? "synthetic" : name;
  label.append(small);
  row.append(label);
  if (i) {
    item.dataset.label = name;
    const save = document.createElement("button");
    save.type = "button";
    save.textContent = "Save";
    save.setAttribute("aria-label", `Save the picture: ${name}, synthetic`);
    save.disabled = true;
    save.addEventListener("click", () => keep(canvas, name));
    row.append(save);
  }
  item.append(canvas, row);
  return item;
}

async function keep(canvas, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await pixels.png(canvas, ENLARGED, `Source\0${about.card.Source}`));
  link.download = `emogan-synthetic-${name.replace(/[^\w-]+/g, "_")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`Saved ${link.download}.`);
}

// One run at a time; changes during one are answered by one more.
async function run() {
  waiting = true;
  if (busy || !session) return;
  busy = true;
  try {
    while (waiting) {
      waiting = false;
      const face = pixels.shrink(gray, photo.width, photo.height, square);
      const begin = performance.now();
      const values = await edits(face);
      const took = performance.now() - begin;
      const [own, ...others] = $("faces").children;
      pixels.draw(own.firstChild, face);
      own.className = "";
      others.forEach((item, i) => {
        pixels.draw(item.firstChild, pixels.levels(values.subarray(i * face.length, (i + 1) * face.length)));
        item.className = "";
        item.querySelector("button").disabled = false;
      });
      document.body.dataset.milliseconds = took.toFixed(1);
      document.body.dataset.state = waiting ? "busy" : "done";
      await new Promise(requestAnimationFrame); // so that the square follows the finger
    }
    complain("");
  } catch (error) {
    complain(`Expected pictures from the network, found: ${error.message}. Load the page again.`);
  }
  busy = false;
}

// The square.

function changed() {
  const wide = (of) => `${(100 * of) / photo.width}%`;
  const high = (of) => `${(100 * of) / photo.height}%`;
  Object.assign($("frame").style, {
    left: wide(square.left), top: high(square.top), width: wide(square.side), height: high(square.side),
  });
  const [least, most] = frame.sides(photo);
  $("side").value = most > least ? (1000 * (square.side - least)) / (most - least) : 1000;
  $("side").setAttribute("aria-valuetext", `${Math.round((100 * square.side) / most)} percent of the photo`);
  document.body.dataset.state = "busy";
  run();
  clearTimeout(telling);
  telling = setTimeout(() => {
    const part = (of, all) => Math.round((100 * of) / all);
    const where = `Square ${part(square.left, photo.width)}% from the left, ${part(square.top, photo.height)}% from the top, ${part(square.side, photo.width)}% wide.`;
    const { milliseconds } = document.body.dataset;
    say(milliseconds ? `${about.labels.length} pictures in ${Math.round(milliseconds)} ms, on this computer. ${where}` : where);
  }, QUIET);
}

function set(next) {
  square = next;
  changed();
}

function drag(event) {
  if (!event.isPrimary || event.button) return; // a second finger, or another button
  const scale = photo.width / photo.getBoundingClientRect().width;
  const start = { ...square, x: event.clientX, y: event.clientY };
  const size = event.target === $("corner");
  event.preventDefault();
  $("frame").focus({ preventScroll: true });
  $("frame").setPointerCapture(event.pointerId);
  const move = (now) => {
    if (now.pointerId !== event.pointerId) return;
    const [right, down] = [scale * (now.clientX - start.x), scale * (now.clientY - start.y)];
    // Under the corner the other corner stays.
    const room = Math.min(photo.width - start.left, photo.height - start.top);
    const side = Math.max(Math.min(start.side + Math.max(right, down), room), frame.sides(photo)[0]);
    set(size ? { left: start.left, top: start.top, side } : frame.moved(start, right, down, photo));
  };
  const end = (now) => {
    if (now.pointerId !== event.pointerId) return;
    $("frame").removeEventListener("pointermove", move);
    $("frame").removeEventListener("pointerup", end);
    $("frame").removeEventListener("pointercancel", end);
  };
  $("frame").addEventListener("pointermove", move);
  $("frame").addEventListener("pointerup", end);
  $("frame").addEventListener("pointercancel", end);
}

function press(event) {
  const step = (square.side / pixels.SIZE) * (event.shiftKey ? 6 : 1);
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const factors = { "+": 1.05, "=": 1.05, "-": 1 / 1.05, "_": 1 / 1.05 };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in moves) set(frame.moved(square, ...moves[event.key], photo));
  else if (event.key in factors) set(frame.resized(square, square.side * factors[event.key], photo));
  else return;
  event.preventDefault();
}

// The photo.

async function show(source, width, height, mirrored = false) {
  const scale = Math.min(1, LARGEST / Math.max(width, height));
  photo.width = Math.max(1, Math.round(scale * width));
  photo.height = Math.max(1, Math.round(scale * height));
  drawing.fillStyle = "white"; // behind what is transparent, as in Python
  drawing.fillRect(0, 0, photo.width, photo.height);
  drawing.imageSmoothingQuality = "high";
  if (mirrored) drawing.setTransform(-1, 0, 0, 1, photo.width, 0);
  drawing.drawImage(source, 0, 0, photo.width, photo.height);
  drawing.resetTransform();
  gray = pixels.gray(drawing.getImageData(0, 0, photo.width, photo.height).data);
  complain(failure);
  $("hint").hidden = true;
  $("stage").className = "";
  for (const id of ["photo", "frame", "sizes"]) $(id).hidden = false;
  const box = await found();
  set(box ? frame.around(box, photo) : frame.first(photo));
  if (!session && !failure) say("The network is still loading; the pictures will follow.");
}

// The box of the largest face, where the browser can find one.
async function found() {
  if (!("FaceDetector" in window)) return null;
  try {
    const faces = await new window.FaceDetector({ maxDetectedFaces: 8 }).detect(photo);
    const area = ({ boundingBox: box }) => box.width * box.height;
    return faces.sort((a, b) => area(b) - area(a))[0]?.boundingBox ?? null;
  } catch {
    return null; // some browsers have the name and nothing behind it
  }
}

async function open(file) {
  if (!file) return;
  stop();
  try {
    const image = await createImageBitmap(file, { colorSpaceConversion: "none" });
    await show(image, image.width, image.height);
    image.close();
  } catch {
    complain(`Expected a picture, found ${file.name || "something else"}, which this browser cannot read. Save it as PNG or JPEG.`);
  }
}

async function start() {
  complain(failure);
  stop();
  $("camera").disabled = true; // a second click would turn on what nothing turns off
  try {
    if (!navigator.mediaDevices) throw new Error("no camera for pages without https (localhost has one)");
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" }, audio: false });
    $("video").srcObject = stream;
    await $("video").play();
  } catch (error) {
    stop();
    complain(`Expected a camera, found: ${error.message}. Allow it for this page, or choose a photo.`);
    return;
  } finally {
    $("camera").disabled = false;
  }
  for (const id of ["photo", "frame", "sizes", "hint", "camera"]) $(id).hidden = true;
  for (const id of ["video", "take", "stop"]) $(id).hidden = false;
  $("stage").className = "";
  $("take").focus();
  say("The camera is on.");
}

function stop() {
  if (!stream) return;
  stream.getTracks().forEach((track) => track.stop());
  stream = null;
  $("video").srcObject = null;
  for (const id of ["video", "take", "stop"]) $(id).hidden = true;
  $("camera").hidden = false;
  for (const id of ["photo", "frame", "sizes"]) $(id).hidden = !gray;
  $("hint").hidden = Boolean(gray);
  $("stage").className = gray ? "" : "empty";
}

async function take() {
  const video = $("video");
  await show(video, video.videoWidth, video.videoHeight, true);
  stop();
  $("frame").focus();
}

$("file").addEventListener("change", (event) => {
  open(event.target.files[0]);
  event.target.value = ""; // or the same file could not be chosen again
});
$("camera").addEventListener("click", start);
$("stop").addEventListener("click", stop);
$("take").addEventListener("click", take);
$("frame").addEventListener("pointerdown", drag);
$("frame").addEventListener("keydown", press);
$("smaller").addEventListener("click", () => set(frame.resized(square, square.side / 1.05, photo)));
$("larger").addEventListener("click", () => set(frame.resized(square, square.side * 1.05, photo)));
$("side").addEventListener("input", (event) => {
  const [least, most] = frame.sides(photo);
  set(frame.resized(square, least + (event.target.value / 1000) * (most - least), photo));
});
document.addEventListener("paste", (event) => open([...event.clipboardData.files][0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // or the browser would leave the page for the picture
    $("stage").classList.toggle("over", kind === "dragover");
    if (kind === "drop") open(event.dataTransfer.files[0]);
  });
}
load();
