// Maps of a small face: Float32Array [SIZE * SIZE], a number for each pixel.

import { SIZE } from "./pixels.js";

const REACH = 4; // deviations of a Gaussian filter, to which it is computed

// A plane of a small face whose pixels are taken from elsewhere.
export function warp(face, down, right) {
  const between = (value) => Math.min(Math.max(value, 0), SIZE - 1);
  return Float32Array.from(face, (_, i) => {
    const [u, v] = [between((i % SIZE) + right[i]), between(Math.floor(i / SIZE) + down[i])];
    const [a, b] = [Math.floor(u), Math.floor(v)];
    const at = (x, y) => face[Math.min(y, SIZE - 1) * SIZE + Math.min(x, SIZE - 1)];
    const upper = at(a, b) + (u - a) * (at(a + 1, b) - at(a, b));
    const lower = at(a, b + 1) + (u - a) * (at(a + 1, b + 1) - at(a, b + 1));
    return upper + (v - b) * (lower - upper);
  });
}

// The gradients of a face, down and right.
export function slopes(face) {
  const slope = (place, read) => {
    const [a, b] = [Math.max(0, place - 1), Math.min(SIZE - 1, place + 1)];
    return (read(b) - read(a)) / (b - a);
  };
  const at = (x, y) => face[y * SIZE + x];
  const [down, right] = [new Float32Array(SIZE * SIZE), new Float32Array(SIZE * SIZE)];
  for (let y = 0, i = 0; y < SIZE; y += 1) {
    for (let x = 0; x < SIZE; x += 1, i += 1) {
      down[i] = slope(y, (place) => at(x, place));
      right[i] = slope(x, (place) => at(place, y));
    }
  }
  return [down, right];
}

// A map of a small face, filtered by a Gaussian.
export function blurred(map, deviation) {
  const radius = Math.round(REACH * deviation);
  const weights = Float32Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-0.5 * ((i - radius) / deviation) ** 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const mirrored = (place) => (place < 0 ? -1 - place : place >= SIZE ? 2 * SIZE - 1 - place : place);
  const places = Int32Array.from({ length: SIZE + 2 * radius }, (_, i) => mirrored(i - radius));
  let values = map;
  for (const [line, step] of [[SIZE, 1], [1, SIZE]]) {
    const smooth = new Float32Array(SIZE * SIZE);
    for (let a = 0; a < SIZE; a += 1) {
      for (let b = 0; b < SIZE; b += 1) {
        let total = 0;
        for (let k = 0; k < weights.length; k += 1) total += weights[k] * values[a * line + places[b + k] * step];
        smooth[a * line + b * step] = total / sum;
      }
    }
    values = smooth;
  }
  return values;
}
