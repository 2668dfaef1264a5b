// The square around the face, {left, top, side, angle} in pixels of the photo {width, height}, see upright.js: every
// function gives a new one.

import { middleOf, turnTo } from "./upright.js";

const SMALLEST = 16; // pixels, or the whole of a smaller photo

// Where no face was found.
export function first(photo) {
  const side = 0.6 * Math.min(photo.width, photo.height);
  return within({ left: (photo.width - side) / 2, top: (photo.height - side) / 3, side, angle: 0 }, photo);
}

// A photo of so few pixels is a face already, as those of FER2013: its middle square.
export function isFace(photo, largest) {
  return Math.max(photo.width, photo.height) <= largest;
}

export function whole(photo) {
  const side = Math.min(photo.width, photo.height);
  return { left: Math.floor((photo.width - side) / 2), top: Math.floor((photo.height - side) / 2), side, angle: 0 };
}

export function moved(square, right, down, photo) {
  return within({ ...square, left: square.left + right, top: square.top + down }, photo);
}

// With another side, about its centre.
export function resized(square, side, photo) {
  const [least, most] = sides(photo);
  const fit = Math.min(Math.max(side, least), most);
  const grown = (fit - square.side) / 2;
  return within({ ...square, left: square.left - grown, top: square.top - grown, side: fit }, photo);
}

// Tilted clockwise by so many degrees more, about its centre. Less than half of that is none.
export function tilted(square, degrees) {
  const angle = turnTo(0, square.angle + degrees);
  return { ...square, angle: Math.abs(angle) < Math.abs(degrees) / 2 ? 0 : angle };
}

// With its lower right corner moved, while the upper left one stays.
export function stretched(square, right, down, photo) {
  const turn = (square.angle * Math.PI) / 180;
  const [cosine, sine] = [Math.cos(turn), Math.sin(turn)];
  const along = Math.max(cosine * right + sine * down, cosine * down - sine * right);
  // The middle moves by half of what the side grows, along the diagonal.
  const grown = (more) => {
    const [x, y] = middleOf(square);
    const [a, b] = [x + (more * (cosine - sine)) / 2, y + (more * (sine + cosine)) / 2];
    const side = square.side + more;
    return { ...square, left: a - side / 2, top: b - side / 2, side };
  };
  const [least, most] = sides(photo);
  const fits = ({ left, top, side }) => Math.min(left, top, photo.width - left - side, photo.height - top - side) >= 0;
  const wanted = Math.min(Math.max(along, least - square.side), most - square.side);
  if (wanted <= 0 || fits(grown(wanted))) return grown(wanted);
  let [inside, outside] = [0, wanted]; // the largest that still fits, by halving
  for (let i = 0; i < 30; i += 1) {
    const between = (inside + outside) / 2;
    if (fits(grown(between))) inside = between;
    else outside = between;
  }
  return grown(inside);
}

// The least and the most that a side may be.
export function sides(photo) {
  const most = Math.min(photo.width, photo.height);
  return [Math.min(SMALLEST, most), most];
}

// The part {left, top, width, height} of a photo about a square, with as much as half a square on each side.
export function about({ left, top, side }, photo) {
  const span = (start, most) => {
    const from = Math.max(0, Math.floor(start - side / 2));
    return [from, Math.max(1, Math.min(most, Math.ceil(start + 1.5 * side)) - from)];
  };
  const [[x, width], [y, height]] = [span(left, photo.width), span(top, photo.height)];
  return { left: x, top: y, width, height };
}

function within(square, photo) {
  const side = Math.min(square.side, photo.width, photo.height);
  const between = (place, most) => Math.min(Math.max(place, 0), most - side);
  const { angle } = square;
  return { left: between(square.left, photo.width), top: between(square.top, photo.height), side, angle };
}
