// The page: a photo, the squares around its faces, a face with every emotion, and the photo with the chosen one.

import * as camera from "./camera.js";
import * as detector from "./detector.js";
import * as frame from "./frame.js";
import * as networksFile from "./networks.js";
import * as pixels from "./pixels.js";
import { putBack } from "./put_back.js";

const LARGEST = 4096; // pixels of a photo's longer side, which all browsers can show; larger ones are brought down to it
const SHOWN = 1000; // pixels of the longer side of the result as it is shown
const ENLARGED = 4; // times, of a face that is saved alone
const QUIET = 500; // ms without a change after which the square's place is told to screen readers
const TURN = 3; // degrees by which a button or a key turns the square
const FIRST = "happy"; // the emotion that is chosen at first, where there is such a one

const $ = (id) => document.getElementById(id);
const photo = $("photo");
const drawing = photo.getContext("2d", { willReadFrequently: true });
const whole = document.createElement("canvas"); // the photo with the edits
const edited = whole.getContext("2d", { willReadFrequently: true });

let networks; // see networks.js
let failure = ""; // why there will be none
let notice = ""; // what is to be said of the photo
let squares = []; // of the faces in the photo
let current = 0; // which of them is shown and can be moved
let stream; // of the camera
let live; // what runs with it
let missed = false; // whether a choice was made meanwhile that the photo does not show yet
let recording;
let drawn = { drawings: [] }; // of the face in the square: {face, strength, drawings by label}
let busy = false;
let waiting = false;
let telling = 0;
let looks = 0; // for faces, so far

function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

function complain(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

// The networks, and the emotions.

async function load() {
  try {
    networks = await networksFile.load();
    showNames();
    if (networks.fast) await networks.edit(new Uint8Array(pixels.SIZE ** 2 * pixels.CHANNELS), [...networks.about.labels.keys()], 1); // the first is slow
    say("Ready: choose a photo, or use the camera.");
    document.body.dataset.state = "ready";
    if (squares.length) await look();
  } catch (error) {
    networks = null;
    failure = `Expected the networks next to this page, found: ${error.message}. Load the page again; if that does not help, export it again.`;
    say("");
    complain(failure);
  }
}

function showNames() {
  const { labels, card: about } = networks.about;
  $("faces").append(card("your photo", "the face in the square"), ...labels.map((name) => card(name, "synthetic", name)));
  const first = labels.includes(FIRST) ? FIRST : labels[0];
  $("faces").querySelector(`input[value="${CSS.escape(first)}"]`).checked = true;
  const data = about.data ? `, trained on ${about.data.name}` : "";
  const colour = pixels.CHANNELS === 1 ? "gray" : "colour";
  $("about").textContent = `Network: ${about.preset}${data}; faces of ${pixels.SIZE}×${pixels.SIZE} ${colour} pixels. An emotion on a picture says nothing of what anyone feels.`;
}

function card(title, below, value) {
  const item = document.createElement(value === undefined ? "div" : "label");
  item.className = "card waiting";
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = pixels.SIZE;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", value === undefined ? `The face in the square, ${below}` : `The face, ${title}: synthetic`);
  const name = document.createElement("span");
  name.className = "name";
  name.textContent = title;
  const small = document.createElement("small");
  small.textContent = below;
  name.append(small);
  if (value !== undefined) {
    item.dataset.label = value;
    const choice = document.createElement("input");
    Object.assign(choice, { type: "radio", name: "emotion", value, className: "hidden" });
    choice.addEventListener("change", chosen);
    item.append(choice);
  }
  item.append(canvas, name);
  return item;
}

function emotion() {
  return $("faces").querySelector("input:checked")?.value ?? "";
}

function strength() {
  return Number($("strength").value);
}

function chosen() {
  if (live) missed = true; // the camera's edits come first
  else if (squares.length) changed();
}

// The edits. One run at a time; changes during one are answered by one more.

async function run() {
  waiting = true;
  if (busy || !networks) return;
  busy = true;
  try {
    while (waiting) {
      waiting = false;
      await edit();
      document.body.dataset.state = waiting ? "busy" : "done";
      await new Promise(requestAnimationFrame); // so that the square follows the finger
    }
    complain(notice);
  } catch (error) {
    complain(`Expected pictures from the network, found: ${error.message}. Load the page again.`);
  }
  busy = false;
}

// Edits the faces, the chosen emotion first, until something changes.
async function edit() {
  const label = networks.about.labels.indexOf(emotion());
  const square = squares[current];
  const others = squares.filter((one) => one !== square && $("everyone")?.checked);
  const begin = performance.now();
  renew(pixels.face(drawing, square));
  if (!(await draw([label]))) return;
  const edits = [[square, drawn.face, drawn.drawings[label]]];
  for (const other of others) {
    const before = pixels.face(drawing, other);
    const drawings = await editOf(before, [label], strength());
    if (!drawings) return;
    edits.push([other, before, drawings[0]]);
  }
  showResult(edits.sort(([one], [other]) => squares.indexOf(one) - squares.indexOf(other)));
  document.body.dataset.first = (performance.now() - begin).toFixed(1);
  for (const [i] of networks.about.labels.entries()) if (!(await draw([i]))) return;
  document.body.dataset.milliseconds = (performance.now() - begin).toFixed(1);
}

// Whether the photo is a face already.
function isFace() {
  return Boolean(networks) && frame.isFace(photo, networks.about.spec.largestFace);
}

// The drawings of a face under labels, or null where something has changed meanwhile. A face that is the whole photo is
// edited as it is, as in Python.
function editOf(face, labels, strength) {
  const ask = isFace() ? networks.edit : networks.editInPhoto;
  return ask(face, labels, strength, () => waiting);
}

// Forgets the drawings of another face or strength.
function renew(face) {
  const same = drawn.strength === strength() && drawn.face?.every((level, i) => level === face[i]);
  if (!same) drawn = { face, strength: strength(), drawings: [] };
  const [own, ...others] = $("faces").querySelectorAll(".card");
  pixels.draw(own.querySelector("canvas"), face);
  own.classList.remove("waiting");
  others.forEach((item, i) => item.classList.toggle("waiting", !(i in drawn.drawings)));
}

// Draws the face under labels; returns whether nothing has changed meanwhile.
async function draw(labels) {
  const [of, cards] = [drawn, $("faces").querySelectorAll(".card[data-label]")];
  if (labels.some((label) => !(label in of.drawings))) {
    const all = networks.fast ? [...networks.about.labels.keys()] : labels;
    const drawings = await editOf(of.face, all, of.strength);
    if (!drawings) return false;
    all.forEach((label, i) => {
      of.drawings[label] = drawings[i];
      pixels.draw(cards[label].querySelector("canvas"), pixels.levels(drawings[i].after));
      cards[label].classList.remove("waiting");
    });
  }
  return networks.fast || !waiting;
}

function showResult(edits) {
  restore();
  for (const [square, before, found] of edits) {
    const after = { ...found, after: Float32Array.from(pixels.levels(found.after)) };
    const edit = putBack(edited, square, before, after, networks.about.blending);
    if (edit) edited.putImageData(edit.pixels, edit.left, edit.top);
  }
  view();
  $("edited").setAttribute("aria-label", `Your photo, ${emotion()}: synthetic`);
}

// Makes the edited photo the photo itself.
function restore() {
  Object.assign(whole, { width: photo.width, height: photo.height });
  edited.drawImage(photo, 0, 0);
}

// Shows the edited photo and the photo next to each other: the chosen face with what is about it, or all of them.
function view() {
  const everyone = squares.length > 1 && $("everyone")?.checked;
  const part = everyone ? { left: 0, top: 0, width: photo.width, height: photo.height } : frame.about(squares[current], photo);
  const scale = Math.min(1, SHOWN / Math.max(part.width, part.height));
  for (const [id, source] of [["edited", whole], ["plain", photo]]) {
    const canvas = $(id);
    canvas.width = Math.max(1, Math.round(scale * part.width));
    canvas.height = Math.max(1, Math.round(scale * part.height));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(source, part.left, part.top, part.width, part.height, 0, 0, canvas.width, canvas.height);
  }
  split();
}

function split() {
  $("plain").style.clipPath = `inset(0 ${100 - $("split").value}% 0 0)`;
}

async function keep(canvas, scale, name) {
  save(await pixels.png(canvas, scale, `Source\0${networks.about.card.Source}`), `emogan-synthetic-${name}.png`);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`Saved ${name}.`);
}

// A name of a file for an emotion.
function plain(name) {
  return name.replace(/[^\w-]+/g, "_");
}

// The squares.

function changed() {
  const square = squares[current];
  const wide = (of) => `${(100 * of) / photo.width}%`;
  const high = (of) => `${(100 * of) / photo.height}%`;
  Object.assign($("frame").style, {
    left: wide(square.left), top: high(square.top), width: wide(square.side), height: high(square.side),
    transform: `rotate(${square.angle}deg)`,
  });
  const [least, most] = frame.sides(photo);
  $("side").value = most > least ? (1000 * (square.side - least)) / (most - least) : 1000;
  $("side").setAttribute("aria-valuetext", `${Math.round((100 * square.side) / most)} percent of the photo`);
  document.body.dataset.state = "busy";
  document.body.dataset.squares = JSON.stringify(squares.map(({ left, top, side, angle }) => [left, top, side, angle]));
  run();
  clearTimeout(telling);
  delete document.body.dataset.milliseconds;
  telling = setTimeout(async () => {
    while (busy) await new Promise((done) => setTimeout(done, QUIET));
    const part = (of, all) => Math.round((100 * of) / all);
    const where = `Square ${part(square.left, photo.width)}% from the left, ${part(square.top, photo.height)}% from the top, ${part(square.side, photo.width)}% wide${tilted(square)}.`;
    const { milliseconds } = document.body.dataset;
    const { fast } = networks ?? {};
    const spent = fast ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
    say(milliseconds ? `${networks.about.labels.length} pictures in ${spent}, on this computer. ${where}` : where);
  }, QUIET);
}

// How the square is tilted, in words.
function tilted({ angle }) {
  const degrees = Math.round(Math.abs(angle));
  return degrees > 1 ? `, tilted ${degrees} degrees to the ${angle > 0 ? "right" : "left"}` : "";
}

function set(next) {
  squares[current] = next;
  changed();
}

function choose(i) {
  current = i;
  showPeople();
  changed();
}

function showPeople() {
  const everyone = $("everyone")?.checked ?? true;
  const buttons = squares.map((_, i) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: `Face ${i + 1}` });
    button.setAttribute("aria-pressed", String(i === current));
    button.addEventListener("click", () => choose(i));
    return button;
  });
  const check = document.createElement("label");
  check.className = "check";
  const box = document.createElement("input");
  Object.assign(box, { type: "checkbox", id: "everyone", checked: everyone });
  box.addEventListener("change", chosen);
  check.append(box, " all faces");
  $("people").replaceChildren(...(squares.length > 1 ? [...buttons, check] : []));
  $("people").hidden = squares.length < 2;
}

function drag(event) {
  if (!event.isPrimary || event.button) return; // a second finger, or another button
  const scale = photo.width / photo.getBoundingClientRect().width;
  const [start, x, y] = [squares[current], event.clientX, event.clientY];
  const size = event.target === $("corner");
  event.preventDefault();
  $("frame").focus({ preventScroll: true });
  $("frame").setPointerCapture(event.pointerId);
  const move = (now) => {
    if (now.pointerId !== event.pointerId) return;
    const [right, down] = [scale * (now.clientX - x), scale * (now.clientY - y)];
    set((size ? frame.stretched : frame.moved)(start, right, down, photo));
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
  const square = squares[current];
  const step = (square.side / pixels.SIZE) * (event.shiftKey ? 6 : 1);
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const factors = { "+": 1.05, "=": 1.05, "-": 1 / 1.05, "_": 1 / 1.05 };
  const turns = { "[": -TURN, "]": TURN };
  if (event.ctrlKey || event.metaKey || (event.altKey && !(event.key in turns))) return; // some keyboards need Alt for [
  if (event.key in moves) set(frame.moved(square, ...moves[event.key], photo));
  else if (event.key in factors) set(frame.resized(square, square.side * factors[event.key], photo));
  else if (event.key in turns) set(frame.tilted(square, turns[event.key]));
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
  complain(failure);
  await look();
  if (!networks && !failure) say("The networks are still loading; the pictures will follow.");
}

// Finds the faces, and edits the largest.
async function look() {
  const mine = (looks += 1);
  let found = isFace() ? [frame.whole(photo)] : [];
  if (networks && !found.length) {
    found = await detector.find(networks.look, photo, networks.about.detector);
  }
  if (mine !== looks) return; // another photo was opened meanwhile
  notice = networks && !found.length ? "No face was found. Put the square on one." : "";
  squares = found.length ? found : [frame.first(photo)];
  current = squares.reduce((best, { side }, i) => (side > squares[best].side ? i : best), 0);
  restore();
  showStage();
  view();
  showPeople();
  changed();
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

// The camera.

async function start() {
  complain(failure);
  stop();
  $("camera").disabled = true; // a second click would turn on what nothing turns off
  try {
    if (!navigator.mediaDevices) throw new Error("no camera for pages without https (localhost has one)");
    const wanted = { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 } };
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    $("video").srcObject = stream;
    await $("video").play();
  } catch (error) {
    stop();
    complain(`Expected a camera, found: ${error.message}. Allow it for this page, or choose a photo.`);
    return;
  } finally {
    $("camera").disabled = false;
  }
  showStage();
  $("take").focus();
  say(networks?.fast ? "The camera is on. Choose an emotion." : "The camera is on. Take a picture.");
  const now = () => ({
    label: networks ? networks.about.labels.indexOf(emotion()) : -1,
    strength: strength(),
    original: !networks?.fast || $("original").checked,
  });
  const told = (rate) => {
    document.body.dataset.rate = rate.toFixed(1);
    $("rate").textContent = `${Math.round(rate)} frames a second`;
  };
  live = camera.show($("video"), $("live"), () => networks, now, told, (error) => {
    stop();
    complain(`Expected pictures from the network, found: ${error.message}. Load the page again.`);
  });
}

function stop() {
  if (!stream) return;
  if (recording) endRecording();
  live?.stop();
  live = null;
  stream.getTracks().forEach((track) => track.stop());
  stream = null;
  $("video").srcObject = null;
  showStage();
  if (missed) chosen();
  missed = false;
}

// Shows the camera's picture, or the photo with its edit, or where a photo can be dropped.
function showStage() {
  const [on, there] = [Boolean(stream), squares.length > 0];
  for (const id of ["live", "take", "stop"]) $(id).hidden = !on;
  $("live-options").hidden = !on || !networks?.fast;
  $("record").hidden = !on || !networks?.fast || !("MediaRecorder" in window);
  $("camera").hidden = on;
  for (const id of ["compare", "result"]) $(id).hidden = on || !there;
  $("place").hidden = on || !there;
  $("hint").hidden = on || there;
  $("stage").className = on || there ? "" : "empty";
}

async function take() {
  const video = $("video");
  const picture = await createImageBitmap(video);
  stop();
  await show(picture, picture.width, picture.height, true);
  picture.close();
  $("frame").focus();
}

async function toggleRecording() {
  if (recording) {
    await endRecording();
    return;
  }
  recording = camera.record($("live"));
  $("record").textContent = "Stop the recording";
}

async function endRecording() {
  const [ended, name] = [recording, plain(emotion())];
  recording = null;
  $("record").textContent = "Record";
  const video = await ended.stop();
  save(video, `emogan-synthetic-${name}.${video.type.includes("mp4") ? "mp4" : "webm"}`);
}

$("file").addEventListener("change", (event) => {
  open(event.target.files[0]);
  event.target.value = ""; // or the same file could not be chosen again
});
$("camera").addEventListener("click", start);
$("stop").addEventListener("click", stop);
$("take").addEventListener("click", take);
$("record").addEventListener("click", toggleRecording);
$("strength").addEventListener("input", chosen);
$("split").addEventListener("input", split);
$("save-photo").addEventListener("click", () => keep(whole, 1, `photo-${plain(emotion())}`));
$("save-face").addEventListener("click", () => {
  const canvas = $("faces").querySelector(`.card[data-label="${CSS.escape(emotion())}"] canvas`);
  keep(canvas, ENLARGED, plain(emotion()));
});
$("frame").addEventListener("pointerdown", drag);
$("frame").addEventListener("keydown", press);
$("smaller").addEventListener("click", () => set(frame.resized(squares[current], squares[current].side / 1.05, photo)));
$("larger").addEventListener("click", () => set(frame.resized(squares[current], squares[current].side * 1.05, photo)));
$("left").addEventListener("click", () => set(frame.tilted(squares[current], -TURN)));
$("right").addEventListener("click", () => set(frame.tilted(squares[current], TURN)));
$("side").addEventListener("input", (event) => {
  const [least, most] = frame.sides(photo);
  set(frame.resized(squares[current], least + (event.target.value / 1000) * (most - least), photo));
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
