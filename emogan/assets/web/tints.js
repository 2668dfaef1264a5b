// The colours of an edited face whose network knows only gray: emogan/edit/tints.py.

import { LUMA, SIZE, quantiles } from "./pixels.js";

const BICUBIC = 2; // pixels to either side that a bicubic filter reads
const MOST = 9; // places whose difference exceeds the smallest one by more are left out: their weight is below e^-9

const inside = (place) => Math.min(Math.max(place, 0), SIZE - 1);

// The tints of a face's three planes: how far each channel is from gray, over it.
export function tintsOf([red, green, blue], { darkest, strongest }) {
  const grays = Float32Array.from(red, (level, i) => LUMA[0] * level + LUMA[1] * green[i] + LUMA[2] * blue[i]);
  const tints = [red, green, blue].map((plane) =>
    Float32Array.from(plane, (level, i) => (level - grays[i]) / Math.max(grays[i], darkest)),
  );
  const strength = tints[0].map((_, i) => Math.hypot(tints[0][i], tints[1][i], tints[2][i]));
  const [most] = quantiles(strength, [strongest]);
  return tints.map((plane) => plane.map((tint, i) => tint * Math.min(1, most / Math.max(strength[i], 1e-6))));
}

// The share of the new tint in each pixel of an edit, by its change in gray levels, squared and blurred.
export function sharesOf(energies, { unchanged, changed }) {
  return energies.map((energy) => Math.min(1, Math.max(0, (Math.sqrt(energy) - unchanged) / (changed - unchanged))));
}

// The new tints of a gray edit, where it has shares of them: from places of the face before with similar surroundings.
export function transferred(tints, before, after, shares, settings) {
  const { reach } = settings;
  const side = 2 * reach + 1;
  const answer = tints.map(() => new Float32Array(SIZE * SIZE));
  const wanted = placesWith(shares);
  if (!wanted.length) return answer;
  const count = wanted.length;
  const unlike = differences(before, after, wanted, settings);
  const [least, totals] = [new Float32Array(count).fill(Infinity), new Float32Array(count)];
  for (let k = 0, at = 0; k < side * side; k += 1) {
    for (let j = 0; j < count; j += 1, at += 1) if (unlike[at] < least[j]) least[j] = unlike[at];
  }
  for (let k = 0, at = 0; k < side * side; k += 1) {
    const [down, right] = [Math.floor(k / side) - reach, (k % side) - reach];
    for (let j = 0; j < count; j += 1, at += 1) {
      const further = unlike[at] - least[j];
      if (further > MOST) continue;
      const [i, weight] = [wanted[j], Math.exp(-further)];
      const from = SIZE * inside(Math.floor(i / SIZE) + down) + inside((i % SIZE) + right);
      totals[j] += weight;
      for (let c = 0; c < 3; c += 1) answer[c][i] += weight * tints[c][from];
    }
  }
  for (const plane of answer) wanted.forEach((i, j) => (plane[i] /= totals[j]));
  return answer;
}

// How much the surroundings of wanted pixels differ from those within reach: [places * wanted pixels].
function differences(before, after, wanted, { around, reach, likeness, nearness }) {
  const half = (around - 1) / 2;
  // The rows and columns that hold the surroundings; beyond the face its border goes on.
  const [rows, columns] = [(i) => Math.floor(i / SIZE), (i) => i % SIZE].map((of) => {
    const first = of(wanted.reduce((one, other) => (of(one) < of(other) ? one : other)));
    const last = of(wanted.reduce((one, other) => (of(one) > of(other) ? one : other)));
    return { first, places: Array.from({ length: last - first + around }, (_, k) => inside(first - half + k)) };
  });
  const [high, wide] = [rows.places.length, columns.places.length];
  const starts = wanted.map((i) => wide * (Math.floor(i / SIZE) - rows.first) + (i % SIZE) - columns.first);
  const [side, all, padded] = [2 * reach + 1, SIZE + 2 * reach, widened(before, reach)];
  const [squares, lines] = [new Float32Array(high * wide), new Float32Array(high * wide)];
  const unlike = new Float32Array(side * side * wanted.length);
  const scale = 1 / (around * likeness) ** 2;
  for (let k = 0; k < side * side; k += 1) {
    const [down, right] = [Math.floor(k / side), k % side];
    for (let y = 0, i = 0; y < high; y += 1) {
      const [here, there] = [SIZE * rows.places[y], all * (rows.places[y] + down) + right];
      for (let x = 0; x < wide; x += 1, i += 1) {
        const difference = after[here + columns.places[x]] - padded[there + columns.places[x]];
        squares[i] = difference * difference;
      }
    }
    for (let y = 0; y < high; y += 1) slide(squares, lines, y * wide, 1, wide, around);
    for (let x = 0; x < wide; x += 1) slide(lines, squares, x, wide, high, around);
    const away = ((down - reach) ** 2 + (right - reach) ** 2) / nearness ** 2;
    for (let j = 0; j < starts.length; j += 1) unlike[k * starts.length + j] = scale * squares[starts[j]] + away;
  }
  return unlike;
}

// Sums of so many neighbours from each of `count` values on, which lie `step` apart.
function slide(values, sums, start, step, count, around) {
  let sum = 0;
  for (let k = 0; k < around; k += 1) sum += values[start + k * step];
  for (let k = 0; k + around <= count; k += 1) {
    sums[start + k * step] = sum;
    if (k + around < count) sum += values[start + (k + around) * step] - values[start + k * step];
  }
}

// A map with a border of so many pixels, of the values at its sides.
function widened(map, border) {
  const all = SIZE + 2 * border;
  const wide = new Float32Array(all * all);
  for (let y = 0, i = 0; y < all; y += 1) {
    for (let x = 0; x < all; x += 1, i += 1) wide[i] = map[SIZE * inside(y - border) + inside(x - border)];
  }
  return wide;
}

// The places that an enlarged edit reads: those with a share, and BICUBIC pixels about them.
function placesWith(shares) {
  const marked = new Uint8Array(SIZE * SIZE);
  shares.forEach((share, i) => {
    if (!(share > 0)) return;
    const [x, y] = [i % SIZE, Math.floor(i / SIZE)];
    for (let row = inside(y - BICUBIC); row <= inside(y + BICUBIC); row += 1) {
      marked.fill(1, row * SIZE + inside(x - BICUBIC), row * SIZE + inside(x + BICUBIC) + 1);
    }
  });
  return Array.from(marked.keys()).filter((i) => marked[i]);
}
