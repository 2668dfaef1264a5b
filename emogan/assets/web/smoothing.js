// Squares and edits that follow a moving face without trembling.

import { turnTo } from "./upright.js";

const PLACES = 0.06; // s, in which a square makes up most of the way to where its face is found
const EDITS = 0.1; // s, in which an edit does so
const LOST = 0.4; // s, after which a face that is not found any more is dropped
const LEVEL = 0.5; // degrees; a smaller tilt counts as none
const NEAR = 0.6; // of a side: how far a face moves between two looks at most

// Faces, each {square, seen, mean}: where it is, when it was last found, and its smoothed drawing.
export class Faces {
  constructor() {
    this.faces = [];
  }

  // Takes the squares that were found at a time, in s.
  follow(squares, time) {
    const left = [...squares];
    for (const one of this.faces) {
      const near = left.filter((square) => distance(square, one.square) < NEAR * one.square.side);
      near.sort((a, b) => distance(a, one.square) - distance(b, one.square));
      if (!near.length) continue;
      left.splice(left.indexOf(near[0]), 1);
      const share = 1 - Math.exp(-(time - one.seen) / PLACES);
      for (const name of ["left", "top", "side"]) one.square[name] += share * (near[0][name] - one.square[name]);
      one.square.angle = turnTo(0, one.square.angle + share * turnTo(one.square.angle, near[0].angle));
      if (Math.abs(one.square.angle) < LEVEL) one.square.angle = 0;
      one.seen = time;
    }
    this.known(time);
    for (const { left: x, top, side, angle } of left) {
      this.faces.push({ square: { left: x, top, side, angle }, seen: time, mean: null });
    }
  }

  // The faces that there are at a time.
  known(time) {
    this.faces = this.faces.filter((one) => time - one.seen < LOST);
    return this.faces;
  }

  // Forgets the faces, as when the picture has another size.
  lose() {
    this.faces = [];
  }

  // Forgets the edits, as when another emotion is chosen.
  forget() {
    for (const one of this.faces) one.mean = null;
  }
}

// Returns the drawing {after, down, right} of a face at a time, smoothed over those before. What is smoothed is what
// the edit changes, since the face moves.
export function smooth(one, before, drawing, time) {
  const change = drawing.after.map((level, i) => level - before[i]);
  const now = { change, down: drawing.down, right: drawing.right };
  const share = one.mean ? 1 - Math.exp(-(time - one.mean.time) / EDITS) : 1;
  const mixed = (name) => (one.mean ? one.mean[name].map((value, i) => value + share * (now[name][i] - value)) : now[name]);
  one.mean = { change: mixed("change"), down: mixed("down"), right: mixed("right"), time };
  return { after: one.mean.change.map((value, i) => before[i] + value), down: one.mean.down, right: one.mean.right };
}

function distance(one, other) {
  const apart = (axis) => one[axis] + one.side / 2 - other[axis] - other.side / 2;
  return Math.hypot(apart("left"), apart("top"));
}
