// Finds the faces of a picture as emogan/edit/detection.py does: YuNet (Wu et al. 2023), then FER2013's frame.

const STRIDES = [8, 16, 32]; // pixels between the places at which the network looks for a face
const UNIT = 32; // of the sides of what it takes

const scratch = document.createElement("canvas");
const drawing = scratch.getContext("2d", { willReadFrequently: true });

// Returns squares {left, top, side, confidence, turned} of a picture, from left to right.
//
// look: the network, see networks.js. source: what a canvas can draw. settings: of model.json, "detector". sides: the
// pixels of the longer side at which faces are looked for.
export async function find(look, source, width, height, settings, sides = settings.sides) {
  const longest = Math.max(width, height);
  const found = [];
  for (const side of longest <= Math.min(...sides) ? sides.slice(0, 1) : sides) {
    const scale = Math.min(1, side / longest);
    found.push(...(await at(look, source, Math.round(width * scale), Math.round(height * scale), scale, settings)));
  }
  found.sort((a, b) => b.confidence - a.confidence);
  return distinct(found.map((one) => framed(one, settings))).sort((a, b) => a.left - b.left || a.top - b.top);
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
  const mean = (axis) => landmarks.reduce((sum, point) => sum + point[axis], 0) / landmarks.length;
  const top = mean(1) - settings.landmarksBelow * side - side / 2;
  const [left, right, nose] = landmarks;
  const line = [right[0] - left[0], right[1] - left[1]];
  const aside = (nose[0] - (left[0] + right[0]) / 2) * line[0] + (nose[1] - (left[1] + right[1]) / 2) * line[1];
  const turned = Math.abs(aside) / Math.max(line[0] ** 2 + line[1] ** 2, 1e-12) > settings.largestTurn;
  return { left: mean(0) - side / 2, top, side, confidence, turned };
}

// Without those whose middle lies close to that of one before: the same face, found twice.
function distinct(squares) {
  const middle = ({ left, top, side }) => [left + side / 2, top + side / 2];
  const kept = [];
  for (const one of squares) {
    const [x, y] = middle(one);
    const other = (before) => Math.max(Math.abs(middle(before)[0] - x), Math.abs(middle(before)[1] - y));
    if (kept.every((before) => other(before) > before.side / 3)) kept.push(one);
  }
  return kept;
}
