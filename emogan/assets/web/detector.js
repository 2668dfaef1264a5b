// Finds the faces of a picture as emogan/edit/detection.py does: YuNet (Wu et al. 2023), then FER2013's frame.

import { middleOf, turnTo, up, upright } from "./upright.js";

const STRIDES = [8, 16, 32]; // pixels between the places at which the network looks for a face
const UNIT = 32; // of the sides of what it takes

const scratch = document.createElement("canvas");
const drawing = scratch.getContext("2d", { willReadFrequently: true });

// Returns squares {left, top, side, angle, confidence, turned} of a picture, from left to right; see upright.js.
//
// look: the network, see networks.js. canvas: the picture. settings: of model.json, "detector". sides: the pixels of the
// longer side at which faces are looked for. again: those at which a tilted one is looked at again.
export async function find(look, canvas, settings, sides = settings.sides, again = settings.again) {
  const found = [];
  for (const one of distinct(await search(look, canvas, settings, sides))) {
    found.push(await levelled(look, canvas, one, settings, again));
  }
  return distinct(found).sort((a, b) => a.left - b.left || a.top - b.top);
}

// The squares of all that the network finds, the most certain first, each with its `tilt`.
async function search(look, canvas, settings, sides) {
  const { width, height } = canvas;
  const longest = Math.max(width, height);
  const found = [];
  for (const side of longest <= Math.min(...sides) ? sides.slice(0, 1) : sides) {
    const scale = Math.min(1, side / longest);
    found.push(...(await at(look, canvas, Math.round(width * scale), Math.round(height * scale), scale, settings)));
  }
  found.sort((a, b) => b.confidence - a.confidence);
  return found.map((one) => framed(one, settings));
}

// The square of a face, as tilted as its head. The network underestimates a tilt. So the face is turned upright and looked
// at again, until it is level.
async function levelled(look, canvas, { tilt: read, ...first }, settings, sides) {
  const [least, most] = settings.tilts;
  let square = first;
  for (let i = 0; first.angle && i < settings.looks; i += 1) {
    const part = upright(canvas.getContext("2d"), square, settings.around, Math.max(...sides));
    const middle = middleOf(part.square);
    const scale = square.side / part.square.side;
    const away = (one) => [0, 1].map((axis) => middleOf(one)[axis] - middle[axis]);
    const all = await search(look, part.context.canvas, settings, sides);
    const found = all.find((one) => Math.hypot(...away(one)) < part.square.side / 3);
    if (!found) break;
    const [right, down] = away(found).map((length) => scale * length);
    const [x, y] = up(up(middleOf(square), -down, square.angle), right, square.angle + 90);
    const side = scale * found.side;
    square = { ...square, left: x - side / 2, top: y - side / 2, side, angle: square.angle + found.tilt, turned: found.turned };
    if (Math.abs(found.tilt) <= least) break;
  }
  // Between the two limits the square changes gradually. Otherwise it would jump from frame to frame.
  const share = Math.min(1, Math.max(0, (Math.abs(read) - least) / (most - least)));
  const mixed = (name) => first[name] + share * (square[name] - first[name]);
  return { ...square, left: mixed("left"), top: mixed("top"), side: mixed("side"), angle: share * turnTo(0, square.angle) };
}

// What the network finds in a picture drawn so large: {box, landmarks, confidence} in pixels of the picture itself.
async function at(look, source, width, height, scale, settings) {
  if (Math.min(width, height) < settings.smallestBox) return [];
  const [wide, high] = [width, height].map((length) => UNIT * Math.ceil(length / UNIT));
  scratch.width = wide;
  scratch.height = high;
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(source, 0, 0, width, height);
  const { data } = drawing.getImageData(0, 0, wide, high);
  const area = wide * high;
  const planes = new Float32Array(3 * area);
  for (let i = 0; i < area; i += 1) {
    for (let c = 0; c < 3; c += 1) planes[c * area + i] = data[4 * i + 2 - c];
  }
  const boxes = decode(await look(planes, high, wide), wide, settings);
  return apart(boxes, settings.overlap)
    .filter(({ box }) => Math.min(box[2], box[3]) >= settings.smallestBox)
    .map(({ box, landmarks, confidence }) => ({
      box: box.map((value) => value / scale),
      landmarks: landmarks.map((point) => point.map((value) => value / scale)),
      confidence,
    }));
}

function decode(answers, width, settings) {
  const found = [];
  for (const stride of STRIDES) {
    const [cls, obj, bbox, kps] = ["cls", "obj", "bbox", "kps"].map((name) => answers[`${name}_${stride}`]);
    const columns = width / stride;
    const share = (value) => Math.min(Math.max(value, 0), 1);
    for (let i = 0; i < cls.length; i += 1) {
      const confidence = Math.sqrt(share(cls[i]) * share(obj[i]));
      if (confidence < settings.least) continue;
      const [column, row] = [i % columns, Math.floor(i / columns)];
      const [w, h] = [2, 3].map((k) => stride * Math.exp(bbox[4 * i + k]));
      const box = [stride * (column + bbox[4 * i]) - w / 2, stride * (row + bbox[4 * i + 1]) - h / 2, w, h];
      const point = (k) => [stride * (column + kps[10 * i + 2 * k]), stride * (row + kps[10 * i + 2 * k + 1])];
      found.push({ box, landmarks: [0, 1, 2, 3, 4].map(point), confidence });
    }
  }
  return found.sort((a, b) => b.confidence - a.confidence);
}

// Without boxes that overlap a better one.
function apart(found, most) {
  const kept = [];
  for (const one of found) {
    if (kept.every((other) => overlap(one.box, other.box) <= most)) kept.push(one);
  }
  return kept;
}

function overlap(one, other) {
  const both = [0, 1].map((axis) =>
    Math.max(0, Math.min(one[axis] + one[axis + 2], other[axis] + other[axis + 2]) - Math.max(one[axis], other[axis])),
  );
  const shared = both[0] * both[1];
  return shared / (one[2] * one[3] + other[2] * other[3] - shared);
}

function framed({ box, landmarks, confidence }, settings) {
  const side = Math.sqrt(box[2] * box[3]) / settings.boxSize;
  const tilt = tiltOf(landmarks, settings.landmarks);
  const angle = Math.abs(tilt) > settings.tilts[0] ? tilt : 0;
  const [x, y] = up(meanOf(landmarks), settings.landmarksBelow * side, angle);
  const [left, right, nose] = landmarks;
  const line = [right[0] - left[0], right[1] - left[1]];
  const aside = (nose[0] - (left[0] + right[0]) / 2) * line[0] + (nose[1] - (left[1] + right[1]) / 2) * line[1];
  const turned = Math.abs(aside) / Math.max(line[0] ** 2 + line[1] ** 2, 1e-12) > settings.largestTurn;
  return { left: x - side / 2, top: y - side / 2, side, angle, tilt, confidence, turned };
}

// The tilt of a face in degrees, clockwise: the turn that brings the usual landmarks closest to its own.
function tiltOf(landmarks, usual) {
  const [x, y] = meanOf(landmarks);
  let [along, across] = [0, 0];
  landmarks.forEach((point, i) => {
    const [u, v] = [point[0] - x, point[1] - y];
    along += u * usual[i][0] + v * usual[i][1];
    across += v * usual[i][0] - u * usual[i][1];
  });
  return (Math.atan2(across, along) * 180) / Math.PI;
}

function meanOf(points) {
  return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}

// Without those whose middle lies close to that of one before: the same face, found twice.
function distinct(squares) {
  const kept = [];
  for (const one of squares) {
    const [x, y] = middleOf(one);
    const other = (before) => Math.max(Math.abs(middleOf(before)[0] - x), Math.abs(middleOf(before)[1] - y));
    if (kept.every((before) => other(before) > before.side / 3)) kept.push(one);
  }
  return kept;
}
