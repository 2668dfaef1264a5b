// Pixels: a part of a photo as a face, and PNG files that say that they are synthetic.
//
// A face is a Uint8Array [SIZE * SIZE * CHANNELS] as the network takes it: the channels of a pixel are neighbours.

import { upright } from "./upright.js";

export const LUMA = [0.299, 0.587, 0.114]; // ITU-R 601

const ENOUGH = 4; // pixels of a tilted face for each of a small one; of more, it is shrunk first, as in framing.py

export let SIZE = 48; // pixels of a face's sides
export let CHANNELS = 1; // 1 is gray, 3 is red, green and blue

// Sets what the faces of the model are, {size, channels}: of model.json, "spec".
export function use({ size, channels }) {
  [SIZE, CHANNELS] = [size, channels];
}

// Gray levels Uint8Array [pixels] of RGBA: ITU-R 601 in Pillow's integers, so that they equal those of emogan in Python.
export function gray(rgba) {
  const levels = new Uint8Array(rgba.length / 4);
  for (let i = 0, j = 0; i < levels.length; i += 1, j += 4) {
    levels[i] = (rgba[j] * 19595 + rgba[j + 1] * 38470 + rgba[j + 2] * 7471 + 0x8000) >> 16;
  }
  return levels;
}

// The face in a square of a photograph's canvas.
export function face(context, square) {
  return joined(planes(context, square, CHANNELS));
}

// The same as an array for each channel: of gray, or of red, green and blue.
export function planes(photo, place, channels) {
  const { context, square } = upright(photo, place, 0, ENOUGH * SIZE);
  const { width, height } = context.canvas;
  const first = (start, most) => Math.min(Math.max(0, Math.floor(start)), most - 1);
  const [left, top] = [first(square.left, width), first(square.top, height)];
  const last = (start, most) => Math.min(most, Math.max(first(start, most) + 1, Math.ceil(start + square.side)));
  const [wide, high] = [last(square.left, width) - left, last(square.top, height) - top];
  const { data } = context.getImageData(left, top, wide, high);
  const parts = channels === 1 ? [gray(data)] : [0, 1, 2].map((c) => channel(data, 4, c));
  const inPart = { left: square.left - left, top: square.top - top, side: square.side };
  return parts.map((part) => shrink(part, wide, high, inPart));
}

// The quantiles of values, between the two nearest of them, as numpy's.
export function quantiles(values, shares) {
  const sorted = values.slice().sort();
  return shares.map((share) => {
    const place = share * (sorted.length - 1);
    const first = Math.floor(place);
    return sorted[first] + (place - first) * ((sorted[first + 1] ?? 0) - sorted[first]);
  });
}

// One of the values that each pixel has, and the array of all of them again.
export function channel(values, each, c) {
  const plane = new values.constructor(values.length / each);
  for (let i = 0, j = c; i < plane.length; i += 1, j += each) plane[i] = values[j];
  return plane;
}

export function joined(planes) {
  const [first] = planes;
  if (planes.length === 1) return first;
  const values = new first.constructor(planes.length * first.length);
  planes.forEach((plane, c) => {
    for (let i = 0, j = c; i < plane.length; i += 1, j += planes.length) values[j] = plane[i];
  });
  return values;
}

// The square {left, top, side} of a gray photo as Uint8Array [SIZE * SIZE], each pixel the mean of the area it covers.
function shrink(levels, width, height, square) {
  const [lines, means] = [new Float64Array(SIZE * width), new Float64Array(SIZE * SIZE)];
  covers(square.top, square.side, height).forEach((places, i) => {
    for (const [y, share] of places) {
      for (let x = 0; x < width; x += 1) lines[i * width + x] += share * levels[y * width + x];
    }
  });
  covers(square.left, square.side, width).forEach((places, j) => {
    for (const [x, share] of places) {
      for (let i = 0; i < SIZE; i += 1) means[i * SIZE + j] += share * lines[i * width + x];
    }
  });
  return Uint8Array.from(means, Math.round);
}

// For each of SIZE parts of a line from `start`: the places [place, share] that it covers, of `most`.
function covers(start, length, most) {
  return Array.from({ length: SIZE }, (_, i) => {
    const from = start + (i * length) / SIZE;
    const to = start + ((i + 1) * length) / SIZE;
    const places = [];
    for (let place = Math.max(0, Math.floor(from)); place < Math.min(most, to); place += 1) {
      const covered = Math.min(to, place + 1) - Math.max(from, place);
      if (covered > 1e-6) places.push([place, covered]);
    }
    if (!places.length) return [[Math.min(most - 1, Math.max(0, Math.floor(from))), 1]];
    const whole = places.reduce((sum, [, covered]) => sum + covered, 0);
    return places.map(([place, covered]) => [place, covered / whole]);
  });
}

// Levels of values in [-1, 1].
export function levels(values) {
  return Uint8ClampedArray.from(values, (value) => (value + 1) * 127.5); // which rounds, and keeps to 0..255
}

// Draws a face on a canvas of its size.
export function draw(canvas, face) {
  const image = new ImageData(SIZE, SIZE);
  for (let i = 0; i < SIZE * SIZE; i += 1) {
    for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = face[CHANNELS * i + Math.min(c, CHANNELS - 1)];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// A canvas, enlarged smoothly, as a PNG whose text says what Python's does.
export async function png(canvas, scale, text) {
  const large = document.createElement("canvas");
  large.width = scale * canvas.width;
  large.height = scale * canvas.height;
  const context = large.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(canvas, 0, 0, large.width, large.height);
  const blob = await new Promise((resolve) => large.toBlob(resolve, "image/png"));
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const first = 33; // the signature and IHDR, after which texts may stand
  return new Blob([bytes.subarray(0, first), chunk("tEXt", text), bytes.subarray(first)], { type: "image/png" });
}

function chunk(kind, text) {
  const body = Uint8Array.from(kind + text, (letter) => letter.charCodeAt(0));
  const whole = new Uint8Array(body.length + 8);
  const view = new DataView(whole.buffer);
  view.setUint32(0, body.length - 4);
  whole.set(body, 4);
  view.setUint32(body.length + 4, checksum(body));
  return whole;
}

function checksum(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
