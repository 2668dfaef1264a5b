// Where an edit moved the parts of a face, found from the face before and after: emogan/edit/motion.py.

import { blurred, slopes, warp } from "./maps.js";
import { SIZE } from "./pixels.js";

const USUAL = 48; // pixels of a side, for which the deviations in the settings are

// Returns {down, right}, from where each pixel came, in pixels of the face.
//
// before, after: luminances. settings: of model.json, "blending.motion".
export function between(before, after, { scales, flat, window, smooth, steps, stiffness, different }) {
  const unit = SIZE / USUAL;
  const [light, shade] = [before, after].map((face) => blurred(face, flat * unit));
  const old = Float32Array.from(before, (level, i) => level - light[i]);
  const now = Float32Array.from(after, (level, i) => level - shade[i]);
  const contrast = Math.max(deviation(old), 1);
  for (const face of [old, now]) for (let i = 0; i < face.length; i += 1) face[i] /= contrast;
  let [down, right] = [new Float32Array(SIZE * SIZE), new Float32Array(SIZE * SIZE)];
  for (const scale of scales) {
    const [first, last] = [old, now].map((face) => blurred(face, scale * unit));
    const wide = Math.max(scale, 1) * unit;
    for (let step = 0; step < steps; step += 1) {
      const came = warp(first, down, right);
      const [y, x] = slopes(came.map((level, i) => (level + last[i]) / 2));
      const apart = came.map((level, i) => level - last[i]);
      const weight = apart.map((level) => 1 / Math.sqrt(1 + (level / different) ** 2));
      const sum = (one, other) => blurred(weight.map((share, i) => share * one[i] * other[i]), window * wide);
      const [yy, xx, yx, u, v] = [sum(y, y), sum(x, x), sum(y, x), sum(y, apart), sum(x, apart)];
      for (let i = 0; i < SIZE * SIZE; i += 1) {
        const [a, b, c] = [yy[i] + stiffness, xx[i] + stiffness, yx[i]];
        const whole = a * b - c * c;
        down[i] -= (b * u[i] - c * v[i]) / whole;
        right[i] -= (a * v[i] - c * u[i]) / whole;
      }
      [down, right] = [down, right].map((map) => blurred(map, smooth * wide));
    }
  }
  return { down, right };
}

function deviation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
