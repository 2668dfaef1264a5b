// Puts an edit of a small face back into its photograph, at the photograph's resolution: emogan/edit/photos.py.

import { blurred, slopes, warp } from "./maps.js";
import * as motion from "./motion.js";
import { CHANNELS, LUMA, SIZE, channel, planes as planesOf } from "./pixels.js";
import { sharesOf, tintsOf, transferred } from "./tints.js";
import { sample, turnedBack, upright } from "./upright.js";

// Returns {left, top, pixels: ImageData} of what changed, or null where an upright square lies outside.
//
// context: of the photograph's canvas. before: the face. drawing: {after: levels, down, right}, see networks.js; without
// down and right, they are found in the two faces.
// settings: of model.json, "blending".
export function putBack(context, square, before, drawing, settings) {
  const part = upright(context, square);
  const edit = putUpright(part.context, part.square, before, drawing, settings);
  return square.angle && edit ? turnedBack(context, square, part.context, edit) : edit;
}

function putUpright(context, square, before, drawing, settings) {
  const { width: most, height: highest } = context.canvas;
  const [left, top] = [Math.max(0, Math.floor(square.left)), Math.max(0, Math.floor(square.top))];
  const right = Math.min(most, Math.ceil(square.left + square.side));
  const bottom = Math.min(highest, Math.ceil(square.top + square.side));
  const [width, height] = [right - left, bottom - top];
  if (width <= 0 || height <= 0) return null;
  const planes = (face) => Array.from({ length: CHANNELS }, (_, c) => channel(face, CHANNELS, c));
  const [plain, after] = [planes(before), planes(drawing.after)];
  const ways = drawing.down ? drawing : motion.between(luminances(plain), luminances(after), settings.motion);
  const warped = plain.map((plane) => warp(plane, ways.down, ways.right));
  const change = warped.map((plane, c) => plane.map((level, i) => after[c][i] - level));
  const columns = taps(width, left - square.left, square.side);
  const rows = taps(height, top - square.top, square.side);
  const enlarged = (map) => enlarge(map, columns, rows);
  const [changes, levels] = [change, warped].map((each) => each.map(enlarged));
  const kept = enlarged(detailKept(luminances(warped), luminances(after), settings));
  const taken = CHANNELS === 1 ? newTints(context, square, warped[0], after[0], ways, settings) : null;
  const [shares, tints] = taken ? [enlarged(taken.shares), taken.tints.map(enlarged)] : [];
  const scale = square.side / SIZE;
  const moves = [ways.down, ways.right].map(enlarged);
  const furthest = (map) => map.reduce((far, value) => Math.max(far, Math.abs(value)), 0);
  const reach = Math.ceil(scale * Math.max(...moves.map(furthest))) + 1;
  const [beside, above] = [Math.max(0, left - reach), Math.max(0, top - reach)];
  const near = context.getImageData(
    beside, above, Math.min(most, right + reach) - beside, Math.min(highest, bottom + reach) - above,
  );
  const across = mask(width, left - square.left, square.side, settings.roundness);
  const along = mask(height, top - square.top, square.side, settings.roundness);
  const full = settings.plateau ** settings.roundness;
  const pixels = new ImageData(width, height);
  const colour = [0, 0, 0];
  const tint = [0, 0, 0];
  for (let y = 0, i = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, i += 1) {
      const weight = weightAt(across[x] + along[y], full, settings);
      const far = scale * weight;
      sample(near, left - beside + x + far * moves[1][i], top - above + y + far * moves[0][i], colour);
      const fade = Math.min(1, Math.max(0, kept[i])) - 1;
      const changed = (value, c) => weight * (changes[c][i] + fade * beyond(value - levels[c][i], settings.grain));
      if (CHANNELS === 1) {
        const luminance = LUMA[0] * colour[0] + LUMA[1] * colour[1] + LUMA[2] * colour[2];
        for (let c = 0; c < 3; c += 1) tint[c] = tints[c][i];
        relight(colour, luminance, changed(luminance, 0), tint, weight * Math.min(1, Math.max(0, shares[i])));
      } else {
        for (let c = 0; c < 3; c += 1) colour[c] += changed(colour[c], c);
      }
      for (let c = 0; c < 3; c += 1) pixels.data[4 * i + c] = colour[c];
      pixels.data[4 * i + 3] = 255;
    }
  }
  return { left, top, pixels };
}

// By how much a value goes beyond a limit, on either side.
function beyond(value, limit) {
  return value - Math.min(limit, Math.max(-limit, value));
}

// The share of the edit that a pixel gets, from the sum of its two values of `mask`: 1 up to `full`, and 0 from 1 on. The
// root, which is slow, is computed only between them.
function weightAt(sum, full, { plateau, roundness }) {
  if (sum >= 1) return 0;
  if (sum <= full) return 1;
  const t = Math.min(1, (1 - sum ** (1 / roundness)) / (1 - plateau));
  return t * t * (3 - 2 * t);
}

// The new tints of a gray edit, and their shares in its pixels: {tints: three maps, shares: a map}.
function newTints(context, square, before, after, { down, right }, { spread, ...settings }) {
  const tints = tintsOf(planesOf(context, square, 3), settings).map((plane) => warp(plane, down, right));
  const shares = sharesOf(blurred(before.map((level, i) => (after[i] - level) ** 2), spread), settings);
  return { tints: transferred(tints, before, after, shares, settings), shares };
}

// Gives a colour another luminance, and a share of another tint; its own becomes darker as in shade.
function relight(colour, luminance, change, tint, share) {
  if (!change) return;
  const wanted = Math.min(255, Math.max(0, luminance + change));
  const shade = Math.min(1, wanted / Math.max(luminance, 1));
  let shown = 1;
  for (let c = 0; c < 3; c += 1) {
    const own = shade * (colour[c] - luminance);
    colour[c] = own + share * (tint[c] * wanted - own);
    const room = colour[c] > 0 ? 255 - wanted : wanted;
    shown = Math.min(shown, room / Math.max(Math.abs(colour[c]), 1e-6));
  }
  for (let c = 0; c < 3; c += 1) colour[c] = wanted + shown * colour[c];
}

// The luminance of a small face's planes.
function luminances(planes) {
  if (planes.length === 1) return planes[0];
  return Float32Array.from(planes[0], (_, i) => planes.reduce((sum, plane, c) => sum + LUMA[c] * plane[i], 0));
}

// How much of the detail stays that is finer than a small face's pixels: less where the edit no longer has the edges that
// it belongs to.
function detailKept(before, after, { near, faint }) {
  const [old, now] = [slopes(before), slopes(after)];
  const products = (ones, others) => ones[0].map((one, i) => one * others[0][i] + ones[1][i] * others[1][i]);
  const common = (ones, others) => blurred(products(ones, others), near);
  const [energies, shared] = [common(old, old), common(now, old)];
  return energies.map((energy, i) => Math.min(1, Math.max(0, (shared[i] + faint ** 2) / (energy + faint ** 2))));
}

// For each of so many pixels from a place in the square on: the four of SIZE that it lies between, and their weights.
// They are those of the bicubic filter of Pillow's transforms.
function taps(count, place, side) {
  return Array.from({ length: count }, (_, i) => {
    const x = ((i + 0.5 + place) * SIZE) / side - 0.5;
    const first = Math.floor(x);
    const d = x - first;
    const places = [-1, 0, 1, 2].map((step) => Math.min(Math.max(first + step, 0), SIZE - 1));
    const weights = [-d + 2 * d * d - d ** 3, 1 - 2 * d * d + d ** 3, d + d * d - d ** 3, -d * d + d ** 3];
    return { places, weights };
  });
}

// A map [SIZE * SIZE] enlarged to Float32Array [rows * columns].
function enlarge(map, columns, rows) {
  const wide = columns.length;
  const lines = new Float32Array(SIZE * wide);
  for (let y = 0; y < SIZE; y += 1) {
    for (let x = 0; x < wide; x += 1) {
      const { places: [a, b, c, d], weights } = columns[x];
      const line = y * SIZE;
      lines[y * wide + x] =
        weights[0] * map[line + a] + weights[1] * map[line + b] + weights[2] * map[line + c] + weights[3] * map[line + d];
    }
  }
  const large = new Float32Array(rows.length * wide);
  rows.forEach(({ places, weights }, y) => {
    const [a, b, c, d] = places.map((place) => place * wide);
    for (let x = 0; x < wide; x += 1) {
      large[y * wide + x] =
        weights[0] * lines[a + x] + weights[1] * lines[b + x] + weights[2] * lines[c + x] + weights[3] * lines[d + x];
    }
  });
  return large;
}

// How far pixels lie from the square's middle along one axis, 1 at its sides, to the power of the mask's roundness.
function mask(count, place, side, roundness) {
  return Float32Array.from({ length: count }, (_, i) => Math.abs(((i + 0.5 + place) * 2) / side - 1) ** roundness);
}
