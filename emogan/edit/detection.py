"""Finds the faces in a photograph, and frames each as FER2013 frames its faces."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import PIL.Image

from emogan.data import dataset
from emogan.edit import framing

SMALLEST = (
    40  # pixels of a square's side: below, most of a face of 48x48 would be invented by the resizing; see `smallest`
)
MIN_CONFIDENCE = 0.85  # of the detector: 10 of 143 faces missed, 3 of 67 other things taken for one (docs/photos.md)

# How a detected face lies in the frame of FER2013, in parts of the frame's side: medians over the faces that the
# detector found in 2,000 of Training, by experiments/lab/fit_framing.py (2026-11-28; docs/photos.md).
BOX_SIZE = 0.882  # the square root of the box's area
LANDMARKS_BELOW = 0.076  # how far the middle of eyes, nose and mouth lies below the frame's centre
LARGEST_TURN = 0.45  # of `Detection.turn`, which 98 % of them do not exceed
# From the middle of the five landmarks to each, x before y, with the tilt undone; medians likewise, made symmetric.
LANDMARKS = ((-0.180, -0.180), (0.180, -0.180), (0.0, 0.016), (-0.155, 0.171), (0.155, 0.171))
# Degrees of `Detection.tilt`: up to the first a face stays as it is, from the second on its square is as tilted as its
# head. Half of FER2013's faces are tilted by 5.5 or more, a quarter by 10 or more.
TILTS = (4.0, 8.0)
LOOKS = 3  # how often a tilted face is looked at again at most
AROUND = 0.5  # how many sides of its square are then seen around it
AGAIN = (320,)  # and at how many pixels of the longer side

# YuNet (Wu et al. 2023), yunet_n_640_640.onnx of github.com/ShiqiYu/libfacedetection.train; Apache-2.0.
NETWORK = pathlib.Path(__file__).parents[1] / "assets" / "yunet.onnx"
# Pixels of the longer side at which faces are looked for. The network was trained for faces of 10 to 300 pixels, so
# that the second finds those that fill a photograph.
LONGEST = (1600, 640)
SMALLEST_BOX = 20  # pixels of the side of a face, there
_LEAST, OVERLAP, _MOST = 0.3, 0.3, 5000  # confidence, overlap of two boxes of a face, and boxes that are compared


_Found = TypeVar("_Found")


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

    @property
    def tilt(self) -> float:
        """By how many degrees the head is tilted clockwise, -180 to 180.

        It is the rotation that brings `LANDMARKS` closest to its landmarks, in the sense of least squares.
        """
        found, usual = (np.asarray(points) @ [1, 1j] for points in (self.landmarks, LANDMARKS))
        return float(np.rad2deg(np.angle((found - found.mean()) @ usual.conj())))


@dataclasses.dataclass(frozen=True)
class Face:
    """A face in a photograph.

    Attributes:
      square: its frame, tilted if the head is.
      confidence: of the detector, at its first look, 0..1.
      turned: whether the head is turned further to a side than those of FER2013, at its last look.
    """

    square: framing.Square
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
    certain = [(one, frame(one)) for one in detect(pixels) if one.confidence >= min_confidence]
    faces = [_levelled(pixels, *pair) for pair in _distinct(certain, lambda pair: pair[1])]
    distinct = _distinct(faces, lambda face: face.square)
    return sorted(distinct, key=lambda face: (face.square.left, face.square.top))


def detect(pixels: np.ndarray, sides: Sequence[int] = LONGEST) -> list[Detection]:
    """Returns what the detector finds in a photograph, the most certain first.

    The detector is YuNet (Wu et al. 2023); docs/photos.md has why. It sees large photographs shrunk, and a face may be
    found in each size.

    Args:
      pixels: as of `find`.
      sides: to so many pixels of the longer side, the largest first.

    Raises:
      ValueError: as `find`.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or not pixels.size:
        raise ValueError(f"expected a photograph uint8 [H, W] or [H, W, 3], found {pixels.dtype} {list(pixels.shape)}")
    image = PIL.Image.fromarray(pixels).convert("RGB")
    longest = max(image.size)
    found = []
    for side in sides[:1] if longest <= sides[-1] else sides:
        scale = min(1.0, side / longest)
        size = [max(1, round(length * scale)) for length in image.size]
        shown = image if scale == 1.0 else image.resize(size, PIL.Image.Resampling.BILINEAR, reducing_gap=2.0)
        for row in _answers(np.asarray(shown)):
            values = row.astype(float)
            if min(values[2:4]) >= SMALLEST_BOX:
                box, landmarks = tuple((values[:4] / scale).tolist()), values[4:14].reshape(5, 2) / scale
                found.append(Detection(box, landmarks, float(values[14])))
    return sorted(found, key=lambda one: -one.confidence)


def frame(detection: Detection) -> framing.Square:
    """Returns the square that FER2013 would have cut out for a face: its size from the box, its place from landmarks.

    Both are the choices that scatter least over FER2013. OpenCV's cascade cut its faces and placed them unevenly in
    their frames; the square is in the middle of these places. It is tilted as the face is, from the first of `TILTS`
    on.
    """
    side, tilt = float(np.sqrt(detection.box[2] * detection.box[3])) / BOX_SIZE, detection.tilt
    angle = tilt if abs(tilt) > TILTS[0] else 0.0
    middle = _up(detection.landmarks.mean(axis=0), LANDMARKS_BELOW * side, angle)
    return framing.about(middle, side, angle)


def smallest(spec: dataset.ImageSpec) -> int:
    """Returns how many pixels the side of a face's square must have for a model of faces of a spec."""
    return SMALLEST * spec.size // dataset.FER2013.size


def _levelled(pixels: np.ndarray, detection: Detection, first: framing.Square) -> Face:
    """Returns the face that was found, whose square is `first` by `frame`, in a square as tilted as its head.

    The detector underestimates a tilt. So the face is turned upright and looked at again, until it is level.
    """
    square, turn = first, detection.turn
    for _ in range(LOOKS if square.angle else 0):
        part, own = framing.upright(pixels, square, AROUND, AGAIN[0])
        least = min(MIN_CONFIDENCE, detection.confidence)
        again = _nearest(own, [one for one in detect(part, AGAIN) if one.confidence >= least])
        if again is None:
            break
        square, turn = _of_upright(square, own, again), again.turn
        if abs(again.tilt) <= TILTS[0]:
            break
    # Between the two limits the square changes gradually. Otherwise it would jump from frame to frame.
    share = min(1.0, max(0.0, (abs(detection.tilt) - TILTS[0]) / (TILTS[1] - TILTS[0])))
    wrapped = (square.angle + 180.0) % 360.0 - 180.0
    left, top, side = (
        getattr(first, name) + share * (getattr(square, name) - getattr(first, name))
        for name in ("left", "top", "side")
    )
    return Face(framing.Square(left, top, side, share * wrapped), detection.confidence, turn > LARGEST_TURN)


def _nearest(square: framing.Square, found: Sequence[Detection]) -> Detection | None:
    """Returns the most certain face whose middle lies close to that of a square, if there is one."""
    away = (np.hypot(*np.subtract(frame(one).middle, square.middle)) for one in found)
    return next((one for one, far in zip(found, away, strict=True) if far < square.side / 3), None)


def _of_upright(square: framing.Square, own: framing.Square, again: Detection) -> framing.Square:
    """Returns, in a photograph, the square of a face that was found again in an upright part of it.

    Args:
      square: about which the part was turned, in the photograph.
      own: the same square in the part.
      again: the face in the part.
    """
    found, scale = frame(again), square.side / own.side
    x, y = scale * np.subtract(found.middle, own.middle)
    middle = _up(_up(square.middle, -float(y), square.angle), float(x), square.angle + 90.0)
    return framing.about(middle, scale * found.side, square.angle + again.tilt)


def _up(place: Sequence[float] | np.ndarray, distance: float, angle: float) -> tuple[float, float]:
    """Returns the place that lies a distance away from another, towards the top of a square turned by an angle."""
    turn = np.deg2rad(angle)
    return float(place[0] + distance * np.sin(turn)), float(place[1] - distance * np.cos(turn))


def _distinct(found: Sequence[_Found], square: Callable[[_Found], framing.Square]) -> list[_Found]:
    """Returns those whose middle does not lie close to that of one before: the same face, found twice."""
    kept: list[_Found] = []
    for one in found:
        x, y = square(one).middle
        others = [square(before) for before in kept]
        if all(max(abs(other.middle[0] - x), abs(other.middle[1] - y)) > other.side / 3 for other in others):
            kept.append(one)
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
