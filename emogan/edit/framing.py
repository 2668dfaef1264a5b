"""Squares about faces: how they are cut out of a photograph, and how a tilted one is turned upright and back."""

import dataclasses

import numpy as np
import PIL.Image

from emogan.data import dataset

MARGIN = 0.25  # of the side, around a square that is turned upright: warps take pixels from there


@dataclasses.dataclass(frozen=True)
class Square:
    """A square in a photograph, in pixels from its left upper corner; it may reach beyond the photograph.

    Attributes:
      left, top, side: of the square before it is turned about its middle.
      angle: degrees by which it is tilted clockwise, -180 to 180.
    """

    left: float
    top: float
    side: float
    angle: float = 0.0

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle, x before y."""
        return self.left + self.side / 2, self.top + self.side / 2

    def within(self, left: float, top: float, scale: float) -> "Square":
        """Returns the same square in the part of the picture that starts at (left, top), resized by a factor."""
        return Square((self.left - left) * scale, (self.top - top) * scale, self.side * scale, self.angle)


def about(middle: tuple[float, float], side: float, angle: float = 0.0) -> Square:
    """Returns the square with a middle, x before y."""
    return Square(middle[0] - side / 2, middle[1] - side / 2, side, angle)


def whole(width: int, height: int) -> Square:
    """Returns the middle square of an image that is a face already."""
    side = min(width, height)
    return Square((width - side) // 2, (height - side) // 2, side)


def cut(pixels: np.ndarray, square: Square, spec: dataset.ImageSpec) -> np.ndarray:
    """Returns the face in a square of a photograph uint8 [H, W] or [H, W, 3], upright.

    It is uint8 [S, S] in gray (ITU-R 601), or [S, S, 3] in colour.
    """
    face = PIL.Image.fromarray(crop(pixels, square, spec.size))
    return np.asarray(face.convert("L" if spec.channels == 1 else "RGB"))


def crop(pixels: np.ndarray, square: Square, size: int) -> np.ndarray:
    """Returns what is in a square of a photograph, upright, as uint8 [size, size] or [size, size, 3].

    Beyond the photograph its border goes on, as hard edges of black would be new to networks that saw faces only.
    """
    if square.angle:
        pixels, square = upright(pixels, square, 0.0, 4 * size)
    left, top = int(np.floor(square.left)), int(np.floor(square.top))
    right, bottom = (int(np.ceil(start + square.side)) for start in (square.left, square.top))
    part = _part(pixels, (left, top, right, bottom))
    x, y = square.left - left, square.top - top
    box = (x, y, min(x + square.side, part.width), min(y + square.side, part.height))
    # Pillow's filters widen as they shrink.
    return np.asarray(part.resize((size, size), PIL.Image.Resampling.LANCZOS, box=box))


def upright(
    pixels: np.ndarray, square: Square, margin: float = MARGIN, least: int | None = None
) -> tuple[np.ndarray, Square]:
    """Returns the part of a photograph about a square, rotated until the square is upright, and the square there.

    The part is uint8 [N, N] or [N, N, 3], where N is the side with its margins, rounded up.

    Args:
      pixels: uint8 [H, W] or [H, W, 3]; beyond the photograph its border goes on.
      square: in the photograph.
      margin: around it, in parts of its side.
      least: pixels of N that are enough. If there are twice as many or more, the photograph is shrunk by a whole factor
        first, and N is at least this.
    """
    if least and square.side * (1 + 2 * margin) >= 2 * least:
        pixels, square = _shrunk(pixels, square, margin, int(square.side * (1 + 2 * margin) / least))
    length = int(np.ceil(square.side * (1 + 2 * margin)))
    (x, y), (cosine, sine) = square.middle, _direction(square)
    reach = int(np.ceil(length / 2 * (abs(cosine) + abs(sine)))) + 2  # half of what the turned part covers
    left, top = int(np.floor(x)) - reach, int(np.floor(y)) - reach
    part = _part(pixels, (left, top, left + 2 * reach + 1, top + 2 * reach + 1))
    # From the new picture's pixels to those of the part: turned about the square's middle.
    half = length / 2
    across = (cosine, -sine, x - left - (cosine - sine) * half)
    down = (sine, cosine, y - top - (sine + cosine) * half)
    turned = part.transform(
        (length, length), PIL.Image.Transform.AFFINE, (*across, *down), PIL.Image.Resampling.BILINEAR
    )
    return np.asarray(turned), about((half, half), square.side)


def turned_back(pixels: np.ndarray, square: Square, change: np.ndarray) -> np.ndarray:
    """Returns a photograph with a change that was made to its upright part.

    Args:
      pixels: the photograph, uint8 [H, W] or [H, W, 3].
      square: the one that `upright` was given.
      change: gray levels to be added to that part, int16 [N, N] or [N, N, 3]; 0 outside the square.
    """
    (x, y), (cosine, sine) = square.middle, _direction(square)
    reach = square.side / 2 * (abs(cosine) + abs(sine)) + 1
    left, top = (max(0, int(np.floor(place - reach))) for place in (x, y))
    right = min(pixels.shape[1], int(np.ceil(x + reach)))
    bottom = min(pixels.shape[0], int(np.ceil(y + reach)))
    answer = pixels.copy()
    if right <= left or bottom <= top:
        return answer
    half = len(change) / 2
    across = (cosine, sine, half - cosine * (x - left) - sine * (y - top))
    down = (-sine, cosine, half + sine * (x - left) - cosine * (y - top))
    size = (right - left, bottom - top)
    for i, plane in enumerate(np.moveaxis(np.atleast_3d(change), -1, 0)):
        turned = PIL.Image.fromarray(np.ascontiguousarray(plane, np.float32)).transform(
            size, PIL.Image.Transform.AFFINE, (*across, *down), PIL.Image.Resampling.BILINEAR
        )
        place = (slice(top, bottom), slice(left, right), *([i] if pixels.ndim == 3 else []))
        answer[place] = np.round(np.clip(pixels[place] + np.asarray(turned), 0, 255)).astype(np.uint8)
    return answer


def _shrunk(pixels: np.ndarray, square: Square, margin: float, factor: int) -> tuple[np.ndarray, Square]:
    """Returns the part of a photograph about a square, shrunk by a whole factor, and the square in it."""
    reach = square.side * (0.5 + margin) * 1.5  # the diagonal is shorter
    (x, y), (height, width) = square.middle, pixels.shape[:2]
    left, top = (int(np.clip(np.floor(place - reach), 0, most - 1)) for place, most in ((x, width), (y, height)))
    part = PIL.Image.fromarray(pixels[top : max(top, int(y + reach)) + 1, left : max(left, int(x + reach)) + 1])
    return np.asarray(part.reduce(factor)), square.within(left, top, 1 / factor)


def _direction(square: Square) -> tuple[float, float]:
    """Returns the cosine and the sine of the angle by which a square is turned."""
    angle = np.deg2rad(square.angle)
    return float(np.cos(angle)), float(np.sin(angle))


def _part(pixels: np.ndarray, box: tuple[int, int, int, int]) -> PIL.Image.Image:
    """Returns the box (left, top, right, bottom) of a photograph, beyond which its border goes on."""
    left, top, right, bottom = box
    rows = np.clip(np.arange(top, max(bottom, top + 1)), 0, pixels.shape[0] - 1)
    columns = np.clip(np.arange(left, max(right, left + 1)), 0, pixels.shape[1] - 1)
    return PIL.Image.fromarray(pixels[np.ix_(rows, columns)])
