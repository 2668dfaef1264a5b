// Faces of dark or flat photographs with the contrast of FER2013's faces, and edits back: emogan/edit/exposure.py.

import { quantiles } from "./pixels.js";

const SHARES = [0.05, 0.95];

// Returns {face, back} of a face as it is: the face as the network should see it, and the function from a drawing of that
// one (networks.js) to a drawing of the face as it is. settings: of model.json, "exposure".
export function exposed(before, { range, middle, least }) {
  const [low, high] = quantiles(Uint8Array.from(before), SHARES);
  const gain = Math.max(1, range / Math.max(high - low, least));
  if (gain === 1) return { face: before, back: (drawing) => drawing };
  const own = (low + high) / 2;
  const moved = own + (middle - own) * (1 - 1 / gain);
  const rounded = (value) => Math.floor(Math.min(255, Math.max(0, value)) + 0.5);
  const face = Uint8Array.from(before, (level) => rounded((level - own) * gain + moved));
  const back = (drawing) => ({
    ...drawing,
    after: drawing.after.map((value, i) => before[i] / 127.5 - 1 + (value - (face[i] / 127.5 - 1)) / gain),
  });
  return { face, back };
}
