// Edits by the difference of two flows, as emogan/models/flow_edit.py and emogan/edit/flow_editor.py make them.

import * as noise from "./noise.js";
import { CHANNELS, SIZE } from "./pixels.js";

// Returns the function (face, labels, strength, cancelled) -> a drawing for each of the labels, see networks.js, or null
// if `cancelled()` turned true.
//
// velocity: (n noisy faces in one array, times [n], labels [n * count], n times the unedited face) -> Float32Array, n
// velocities. settings: of model.json, "flow". count: how many emotions there are.
export function editor(velocity, settings, count) {
  const oneHot = (label) => Array.from({ length: count }, (_, i) => Number(i === label));
  const none = new Array(count).fill(0);
  const sources = new Map(); // the emotions of faces as they are, by the faces' numbers

  // The velocities of several noisy versions of a face at a time, each under its own label.
  async function ask(original, faces, t, labels) {
    const all = new Float32Array(faces.length * original.length);
    const originals = new Float32Array(all.length);
    faces.forEach((one, i) => {
      all.set(one, i * one.length);
      originals.set(original, i * original.length);
    });
    const times = new Float32Array(faces.length).fill(t);
    const values = await velocity(all, times, Float32Array.from(labels.flat()), originals);
    await new Promise((done) => setTimeout(done)); // so that the page stays alive
    return faces.map((one, i) => values.subarray(i * one.length, (i + 1) * one.length));
  }

  function noises(number, step, amount, size) {
    const values = noise.normal(noise.foldIn(noise.foldIn(noise.key(settings.seed), number), step), amount * size);
    return Array.from({ length: amount }, (_, k) => values.subarray(k * size, (k + 1) * size));
  }

  // The emotion under which the flow explains a face best.
  async function sourceOf(face, number, cancelled) {
    const errors = new Array(count).fill(0);
    for (const [i, t] of settings.estimateTimes.entries()) {
      for (const n of noises(number, i, settings.estimateNoises, face.length)) {
        if (cancelled()) return null;
        const noisy = face.map((value, p) => (1 - t) * value + t * n[p]);
        const answers = await ask(face, errors.map(() => noisy), t, errors.map((_, label) => oneHot(label)));
        answers.forEach((answer, label) => {
          errors[label] += answer.reduce((sum, value, p) => sum + (value - (n[p] - face[p])) ** 2, 0);
        });
      }
    }
    return errors.indexOf(Math.min(...errors));
  }

  async function edit(face, own, number, label, strength, cancelled) {
    const [source, wanted] = [oneHot(own), oneHot(label)];
    const target = source.map((value, i) => value + strength * (wanted[i] - value));
    const between = (guidance) => settings.guidanceSource + strength * (guidance - settings.guidanceSource);
    const guided = between(settings.guidances[label]);
    let moved = new Float32Array(face.length);
    if (guided === settings.guidanceSource && (label === own || !strength)) return face;
    for (let i = 0; i + 1 < settings.times.length; i += 1) {
      const [t, after] = [settings.times[i], settings.times[i + 1]];
      // Weights of 1 need no velocity without a label.
      const [to, from] = t < settings.guidanceFrom ? [1, 1] : [guided, settings.guidanceSource];
      const change = new Float32Array(face.length);
      for (const n of noises(number, i, settings.noises, face.length)) {
        if (cancelled()) return null;
        const before = face.map((value, p) => (1 - t) * value + t * n[p]);
        const now = before.map((value, p) => value + moved[p]);
        const asked = [[now, target], [before, source], ...(to === 1 ? [] : [[now, none]]), ...(from === 1 ? [] : [[before, none]])];
        const [wantedTo, wantedFrom, ...without] = await ask(face, asked.map(([noisy]) => noisy), t, asked.map(([, y]) => y));
        const [toNone, fromNone] = [to === 1 ? wantedTo : without[0], from === 1 ? wantedFrom : without.at(-1)];
        for (let p = 0; p < change.length; p += 1) {
          const v = toNone[p] + to * (wantedTo[p] - toNone[p]);
          change[p] += (v - fromNone[p] - from * (wantedFrom[p] - fromNone[p])) / settings.noises;
        }
      }
      moved = moved.map((value, p) => value + (after - t) * change[p]);
    }
    const edited = face.map((value, p) => limited(value + moved[p]));
    if (!settings.redraw) return edited;
    return redrawn(face, edited, number, target, between(settings.redraw.guidance), cancelled);
  }

  // The edit whose parts that changed are drawn again; as `flow_edit.redraw`.
  async function redrawn(face, edited, number, target, guidance, cancelled) {
    const times = settings.redraw.times;
    const [n] = noises(number, settings.times.length - 1, 1, face.length);
    const again = changed(edited.map((value, p) => value - face[p]), settings.redraw);
    let x = edited.map((value, p) => (1 - times[0]) * value + times[0] * n[p]);
    for (let i = 0; i + 1 < times.length; i += 1) {
      if (cancelled()) return null;
      const [t, after] = [times[i], times[i + 1]];
      const to = t < settings.guidanceFrom ? 1 : guidance;
      const [under, without] = to === 1 ? await ask(face, [x], t, [target]) : await ask(face, [x, x], t, [target, none]);
      x = x.map((value, p) => {
        const v = to === 1 ? under[p] : without[p] + to * (under[p] - without[p]);
        const share = again[Math.floor(p / CHANNELS)];
        return share * (value + (after - t) * v) + (1 - share) * ((1 - after) * edited[p] + after * n[p]);
      });
    }
    return x.map(limited);
  }

  return async (bytes, labels, strength, cancelled = () => false) => {
    const face = Float32Array.from(bytes, (level) => level / 127.5 - 1);
    const number = await numberOf(bytes);
    if (!sources.has(number)) {
      const source = await sourceOf(face, number, cancelled);
      if (source === null) return null;
      sources.set(number, source);
    }
    const drawings = [];
    for (const label of labels) {
      const after = await edit(face, sources.get(number), number, label, strength, cancelled);
      if (!after) return null;
      drawings.push({ after });
    }
    return drawings;
  };
}

function limited(value) {
  return Math.min(1, Math.max(-1, value));
}

// How far each pixel is to be drawn again, 0 to 1, for the change of a face; as `flow_edit.changed`.
function changed(moved, { blur, least, most }) {
  const weights = Array.from({ length: SIZE }, (_, i) => {
    const row = Array.from({ length: SIZE }, (_, k) => Math.exp(-0.5 * ((i - k) / blur) ** 2));
    const sum = row.reduce((a, b) => a + b);
    return row.map((weight) => weight / sum);
  });
  const places = Array.from({ length: SIZE }, (_, i) => i);
  const change = Array.from({ length: SIZE ** 2 }, (_, p) => {
    const channels = moved.subarray(p * CHANNELS, (p + 1) * CHANNELS);
    return channels.reduce((sum, value) => sum + Math.abs(value), 0) / CHANNELS;
  });
  const down = change.map((_, p) => {
    const [row, column] = [Math.floor(p / SIZE), p % SIZE];
    return places.reduce((sum, i) => sum + weights[row][i] * change[i * SIZE + column], 0);
  });
  return down.map((_, p) => {
    const [row, column] = [Math.floor(p / SIZE), p % SIZE];
    const mean = places.reduce((sum, i) => sum + weights[column][i] * down[row * SIZE + i], 0);
    return Math.min(1, Math.max(0, (mean - least) / (most - least)));
  });
}

// The number of a face, from its pixels alone, as `flow_edit.seeds` gives it.
async function numberOf(bytes) {
  if (!crypto.subtle) return bytes.reduce((sum, level) => (Math.imul(sum, 31) + level) | 0, 0); // not over plain http
  return new DataView(await crypto.subtle.digest("SHA-256", bytes)).getInt32(0, true);
}
