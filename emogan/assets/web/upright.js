// Squares {left, top, side, angle} may be tilted. `upright` gives the part of a photograph about a square, rotated until the
// square is upright. `turnedBack` rotates an edit of this part back into the photograph. So does emogan/edit/framing.py.
// `angle` is in degrees, clockwise; left, top and side are those before the square is tilted about its middle.

const MARGIN = 0.25; // of the side, around the square: warps take pixels from there

// The part of a photograph's canvas about a square, turned so that the square stands upright: {context, square}. A square
// that is not tilted stays in the photograph itself. Beyond the photograph its border goes on. least: pixels of a side
// that are enough; a part with twice as many or more is shrunk first.
export function upright(whole, place, margin = MARGIN, least = Infinity) {
  if (!place.angle) return { context: whole, square: place };
  const { context, square } = shrunk(whole, place, margin, Math.floor((place.side * (1 + 2 * margin)) / least));
  const length = Math.ceil(square.side * (1 + 2 * margin));
  const [half, [x, y], [cosine, sine]] = [length / 2, middleOf(square), direction(square)];
  const near = around(context, x, y, half * (Math.abs(cosine) + Math.abs(sine)) + 2);
  const turned = new ImageData(length, length);
  const colour = [0, 0, 0];
  for (let j = 0, k = 0; j < length; j += 1) {
    for (let i = 0; i < length; i += 1, k += 4) {
      const [u, v] = [i + 0.5 - half, j + 0.5 - half];
      sample(near.pixels, x + cosine * u - sine * v - near.left - 0.5, y + sine * u + cosine * v - near.top - 0.5, colour);
      for (let c = 0; c < 3; c += 1) turned.data[k + c] = colour[c];
      turned.data[k + 3] = 255;
    }
  }
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = length;
  const part = canvas.getContext("2d", { willReadFrequently: true });
  part.putImageData(turned, 0, 0);
  return { context: part, square: { left: half - square.side / 2, top: half - square.side / 2, side: square.side, angle: 0 } };
}

// Returns {left, top, pixels: ImageData} of what changed in the photograph, from the same of what changed in the part.
export function turnedBack(context, square, part, edit) {
  const [x, y] = middleOf(square);
  const [cosine, sine] = direction(square);
  const { left, top, pixels } = around(context, x, y, (square.side / 2) * (Math.abs(cosine) + Math.abs(sine)) + 1);
  const change = changeOf(part, edit);
  const half = part.canvas.width / 2;
  const colour = [0, 0, 0];
  for (let j = 0, k = 0; j < pixels.height; j += 1) {
    for (let i = 0; i < pixels.width; i += 1, k += 4) {
      const [u, v] = [left + i + 0.5 - x, top + j + 0.5 - y];
      sample(change, half + cosine * u + sine * v - 0.5, half - sine * u + cosine * v - 0.5, colour);
      for (let c = 0; c < 3; c += 1) pixels.data[k + c] += colour[c]; // which rounds, and keeps to 0..255
    }
  }
  return { left, top, pixels };
}

// The place that lies a distance away from another, towards the top of a square turned by an angle.
export function up([x, y], distance, angle) {
  const turn = (angle * Math.PI) / 180;
  return [x + distance * Math.sin(turn), y - distance * Math.cos(turn)];
}

export function middleOf({ left, top, side }) {
  return [left + side / 2, top + side / 2];
}

// The shortest way from an angle to another, in degrees.
export function turnTo(from, to) {
  return ((((to - from + 180) % 360) + 360) % 360) - 180;
}

// Reads the colour between pixels, linearly; beyond the picture its border goes on.
export function sample({ data, width, height }, x, y, colour) {
  const [u, v] = [Math.min(Math.max(x, 0), width - 1), Math.min(Math.max(y, 0), height - 1)];
  const [a, b] = [Math.floor(u), Math.floor(v)];
  const [p, q] = [u - a, v - b];
  const here = 4 * (b * width + a);
  const right = a + 1 < width ? 4 : 0;
  const below = b + 1 < height ? 4 * width : 0;
  for (let c = 0; c < 3; c += 1) {
    const upper = data[here + c] + p * (data[here + right + c] - data[here + c]);
    const lower = data[here + below + c] + p * (data[here + below + right + c] - data[here + below + c]);
    colour[c] = upper + q * (lower - upper);
  }
}

// What is seen of a photograph about a square, shrunk by a whole factor: {context, square}.
function shrunk(context, square, margin, factor) {
  if (factor < 2) return { context, square };
  const [x, y] = middleOf(square);
  const { left, top, wide, high } = box(context, x, y, 1.5 * square.side * (0.5 + margin)); // the diagonal is shorter
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.ceil(wide / factor), Math.ceil(high / factor)];
  const small = canvas.getContext("2d", { willReadFrequently: true });
  small.imageSmoothingQuality = "high";
  // The last row and column may stand for less than a whole pixel: first all is filled, then drawn in its right size.
  small.drawImage(context.canvas, left, top, wide, high, 0, 0, canvas.width, canvas.height);
  small.drawImage(context.canvas, left, top, wide, high, 0, 0, wide / factor, high / factor);
  const [inX, inY, side] = [square.left - left, square.top - top, square.side].map((length) => length / factor);
  return { context: small, square: { left: inX, top: inY, side, angle: square.angle } };
}

// What an edit adds to the part's pixels: {data, width, height} as of ImageData, signed. It is 0 at the part's border, as
// the edit lies inside the square.
function changeOf(part, { left, top, pixels }) {
  const { width, height } = part.canvas;
  const before = part.getImageData(left, top, pixels.width, pixels.height).data;
  const data = new Int16Array(4 * width * height);
  for (let j = 0, k = 0; j < pixels.height; j += 1) {
    const line = 4 * ((top + j) * width + left);
    for (let i = 0; i < 4 * pixels.width; i += 1, k += 1) data[line + i] = pixels.data[k] - before[k];
  }
  return { data, width, height };
}

// The pixels of a canvas about a place, up to `reach` to each side, and at least one: {left, top, pixels: ImageData}.
function around(context, x, y, reach) {
  const { left, top, wide, high } = box(context, x, y, reach);
  return { left, top, pixels: context.getImageData(left, top, wide, high) };
}

function box(context, x, y, reach) {
  const { width, height } = context.canvas;
  const span = (place, most) => {
    const first = Math.min(Math.max(0, Math.floor(place - reach)), most - 1);
    return [first, Math.max(1, Math.min(most, Math.ceil(place + reach)) - first)];
  };
  const [[left, wide], [top, high]] = [span(x, width), span(y, height)];
  return { left, top, wide, high };
}

function direction({ angle }) {
  const turn = (angle * Math.PI) / 180;
  return [Math.cos(turn), Math.sin(turn)];
}
