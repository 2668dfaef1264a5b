// Where an edit moved the parts of a face, found from the face before and after: emogan/edit/motion.py.

import { blurred, slopes, warp } from "./maps.js";
import { SIZE } from "./pixels.js";

const USUAL = 48; // pixels of a side; the lengths in the settings are for faces of this size

// Returns {down, right}, from where each pixel came, in pixels of the face.
//
// before, after: luminances. settings: of model.json, "blending.motion".
export function between(before, after, { scales, flat, window, smooth, steps, stiffness, different }) {
  const unit = SIZE / USUAL;
  const [old, now] = [before, after].map((face) => {
    const smooth = blurred(face, flat * unit);
    return Float32Array.from(face, (level, i) => level - smooth[i]);
  });
  const contrast = Math.max(deviation(old), 1);
  for (const face of [old, now]) for (let i = 0; i < face.length; i += 1) face[i] /= contrast;
  const stiff = stiffness / unit ** 2;
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
        const [a, b, c] = [yy[i] + stiff, xx[i] + stiff, yx[i]];
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
