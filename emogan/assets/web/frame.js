// The square around the face, {left, top, side} in pixels of the photo {width, height}: every function gives a new one.

const SMALLEST = 16; // pixels, or the whole of a smaller photo

export function first(photo) {
  const side = 0.6 * Math.min(photo.width, photo.height);
  // A photo that is a face already, as those of FER2013, is taken whole.
  if (photo.width === photo.height && photo.width <= 128) return { left: 0, top: 0, side: photo.width };
  return within({ left: (photo.width - side) / 2, top: (photo.height - side) / 3, side }, photo);
}

export function around(box, photo) {
  const side = Math.max(box.width, box.height);
  return within({ left: box.x + (box.width - side) / 2, top: box.y + (box.height - side) / 2, side }, photo);
}

export function moved(square, right, down, photo) {
  return within({ ...square, left: square.left + right, top: square.top + down }, photo);
}

// With another side, about its centre.
export function resized(square, side, photo) {
  const [least, most] = sides(photo);
  const fit = Math.min(Math.max(side, least), most);
  const grown = (fit - square.side) / 2;
  return within({ left: square.left - grown, top: square.top - grown, side: fit }, photo);
}

// The least and the most that a side may be.
export function sides(photo) {
  const most = Math.min(photo.width, photo.height);
  return [Math.min(SMALLEST, most), most];
}

function within(square, photo) {
  const side = Math.min(square.side, photo.width, photo.height);
  const between = (place, most) => Math.min(Math.max(place, 0), most - side);
  return { left: between(square.left, photo.width), top: between(square.top, photo.height), side };
}
