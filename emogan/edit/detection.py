"""Finds the faces in a photograph, and frames each as FER2013 frames its faces."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image

from emogan.data import dataset

SMALLEST = (
    40  # pixels of a square's side: below, most of a face of 48x48 would be invented by the resizing; see `smallest`
)
MIN_CONFIDENCE = 0.85  # of the detector: 10 of 143 faces missed, 3 of 67 other things taken for one (docs/photos.md)

# How a detected face lies in the frame of FER2013, in parts of the frame's side: medians over the faces that the
# detector found in 2,000 of Training, by experiments/lab/fit_framing.py (2026-11-28; docs/photos.md).
BOX_SIZE = 0.882  # the square root of the box's area
LANDMARKS_BELOW = 0.076  # how far the middle of eyes, nose and mouth lies below the frame's centre
LARGEST_TURN = 0.45  # of `Detection.turn`, which 98 % of them do not exceed

# YuNet (Wu et al. 2023), yunet_n_640_640.onnx of github.com/ShiqiYu/libfacedetection.train; Apache-2.0.
NETWORK = pathlib.Path(__file__).parents[1] / "assets" / "yunet.onnx"
# Pixels of the longer side at which faces are looked for. The network was trained for faces of 10 to 300 pixels, so
# that the second finds those that fill a photograph.
LONGEST = (1600, 640)
SMALLEST_BOX = 20  # pixels of the side of a face, there
_LEAST, OVERLAP, _MOST = 0.3, 0.3, 5000  # confidence, overlap of two boxes of a face, and boxes that are compared


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

    @property
    def turn(self) -> float:
        """How far the nose lies from the middle between the eyes, along their line and in their distance.

        0 is a face seen from the front; the more a head is turned to a side, the more.
        """
        left, right, nose = self.landmarks[:3]
        line = right - left
        apart = float(np.hypot(*line))
        return abs(float((nose - (left + right) / 2) @ line)) / max(apart, 1e-6) ** 2


@dataclasses.dataclass(frozen=True)
class Square:
    """A square in a photograph, in pixels from its left upper corner; it may reach beyond the photograph."""

    left: float
    top: float
    side: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle, x before y."""
        return self.left + self.side / 2, self.top + self.side / 2


@dataclasses.dataclass(frozen=True)
class Face:
    """A face in a photograph.

    Attributes:
      square: its frame.
      confidence: of the detector, 0..1.
      turned: whether the head is turned further to a side than those of FER2013.
    """

    square: Square
    confidence: float = 1.0
    turned: bool = False


def find(pixels: np.ndarray, min_confidence: float = MIN_CONFIDENCE) -> list[Face]:
    """Returns all faces in a photograph, from left to right.

    Args:
      pixels: uint8 [H, W] or [H, W, 3], upright.
      min_confidence: of the faces that count.

    Raises:
      ValueError: if the extra `photos` is not installed, or the pixels are of another type or shape.
    """
    faces = [
        Face(frame(one), one.confidence, one.turn > LARGEST_TURN)
        for one in detect(pixels)
        if one.confidence >= min_confidence
    ]
    return sorted(_distinct(faces), key=lambda face: (face.square.left, face.square.top))


def detect(pixels: np.ndarray) -> list[Detection]:
    """Returns what the detector finds in a photograph, the most certain first; arguments and errors as of `find`.

    The detector is YuNet (Wu et al. 2023); docs/photos.md has why. It sees large photographs shrunk to 1600 and to 640
    pixels, and a face may be found at both.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or not pixels.size:
        raise ValueError(f"expected a photograph uint8 [H, W] or [H, W, 3], found {pixels.dtype} {list(pixels.shape)}")
    image = PIL.Image.fromarray(pixels).convert("RGB")
    longest = max(image.size)
    found = []
    for side in LONGEST[:1] if longest <= LONGEST[1] else LONGEST:
        scale = min(1.0, side / longest)
        size = [max(1, round(length * scale)) for length in image.size]
        shown = image if scale == 1.0 else image.resize(size, PIL.Image.Resampling.BILINEAR, reducing_gap=2.0)
        for row in _answers(np.asarray(shown)):
            values = row.astype(float)
            if min(values[2:4]) >= SMALLEST_BOX:
                box, landmarks = tuple((values[:4] / scale).tolist()), values[4:14].reshape(5, 2) / scale
                found.append(Detection(box, landmarks, float(values[14])))
    return sorted(found, key=lambda one: -one.confidence)


def frame(detection: Detection) -> Square:
    """Returns the square that FER2013 would have cut out for a face: its size from the box, its place from landmarks.

    Both are the choices that scatter least over FER2013. OpenCV's cascade cut its faces and placed them unevenly in
    their frames; the square is in the middle of these places.
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


def cut(pixels: np.ndarray, square: Square, spec: dataset.ImageSpec) -> np.ndarray:
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


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """Returns faces without those whose middle lies close to that of one before: the same face, found twice."""
    kept: list[Face] = []
    for face in faces:
        x, y = face.square.middle
        if all(
            max(abs(before.square.middle[0] - x), abs(before.square.middle[1] - y)) > before.square.side / 3
            for before in kept
        ):
            kept.append(face)
    return kept


def _answers(pixels: np.ndarray) -> np.ndarray:
    """Returns YuNet's answers on pixels uint8 [H, W, 3], [N, 15]: box, landmarks, confidence."""
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST_BOX:
        return np.zeros((0, 15), np.float32)
    detector = _detector()
    detector.setInputSize((width, height))
    found = detector.detect(np.ascontiguousarray(pixels[..., ::-1]))[1]
    return np.zeros((0, 15), np.float32) if found is None else found


@functools.cache
def _detector() -> Any:
    """Returns OpenCV's YuNet with the network that ships with emogan."""
    try:
        import cv2
    except ImportError as error:
        raise ValueError(
            f'expected OpenCV to find faces in photographs, found none ({error}): pip install "emogan[photos]"'
        ) from error
    return cv2.FaceDetectorYN.create(str(NETWORK), "", (320, 320), _LEAST, OVERLAP, _MOST)
