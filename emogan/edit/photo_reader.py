"""Reads photographs: finds the faces in each, and chooses those that are to be edited."""

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import Sequence

import numpy as np
import PIL.Image

from emogan.data import dataset
from emogan.edit import detection, exposure, face_files, framing
from emogan.util import untrusted

AUTO, NONE, DETECT = CROPS = ("auto", "none", "detect")
LARGEST_FACE = 112  # pixels of a side up to which "auto" takes an image for a face: what aligned data sets have
ALL, LARGEST = "all", "largest"  # which faces

_DOUBTFUL = 0.5  # confidence of the detector at which a face that is left out is worth a line
_UPRIGHT, _CLEARLY = 0.9, 0.03  # confidence that no face lying on its side has, and by how much it rises upright
_SAID = 8  # faces whose places a line says
_MOST_FACES = 10**6  # that a face's number may be


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which of the faces in a photograph are edited.

    Attributes:
      faces: "all", "largest", or numbers, counted from left to right over all that are found.
      min_confidence: what the detector's confidence in a face must be, 0..1.
      any_pose: whether heads that are turned further to a side than those of FER2013 are edited, too.
      first: the number of the first face from the left.
    """

    faces: str | tuple[int, ...] = ALL
    min_confidence: float = detection.MIN_CONFIDENCE
    any_pose: bool = False
    first: int = 1


def selection(text: str, min_confidence: float = detection.MIN_CONFIDENCE, any_pose: bool = False) -> Selection:
    """Returns a selection whose faces are given as "all", "largest" or numbers such as "1,3".

    Raises:
      ValueError: if it is none of them, or the confidence is not in 0..1.
    """
    if not 0.0 <= min_confidence <= 1.0:
        raise ValueError(f"--min_confidence: expected a number from 0 to 1, found {min_confidence:g}")
    word = text.strip().lower()
    if word in (ALL, LARGEST):
        return Selection(word, min_confidence, any_pose)
    numbers = [part.strip() for part in word.split(",")]
    if not all(part.isdecimal() and 0 < int(part) <= _MOST_FACES for part in numbers):
        raise ValueError(f"--faces: expected all, largest, or numbers from 1 on such as 1,3, found {text!r:.50}")
    return Selection(tuple(sorted({int(part) for part in numbers})), min_confidence, any_pose)


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photograph with the faces found on it.

    Attributes:
      path: its file.
      pixels: uint8 [H, W] or [H, W, 3].
      alpha: uint8 [H, W], or None where nothing is transparent.
      profile: its colour profile (ICC), or None.
      squares: the N faces that are to be edited, from left to right.
      spec: what the faces are that are cut out.
      left_out: why others are not, in a phrase a reason.
      found: a line that says where each face is and how certain the detector was; "" where none was looked for.
    """

    path: pathlib.Path
    pixels: np.ndarray
    alpha: np.ndarray | None
    profile: bytes | None
    squares: tuple[framing.Square, ...]
    spec: dataset.ImageSpec
    left_out: tuple[str, ...] = ()
    found: str = ""

    def cut(self) -> np.ndarray:
        """Returns the faces uint8 [N, S, S(, 3)]."""
        seen = self.opaque().pixels
        cuts = [framing.cut(seen, one, self.spec) for one in self.squares]
        return np.array(cuts, np.uint8).reshape(-1, *self.spec.byte_shape)

    def seen(self) -> exposure.Exposed:
        """Returns the faces as an editor should see them; an image that is a face as a whole stays as it is."""
        cuts = self.cut()
        return exposure.of(cuts) if self.found else exposure.Exposed(cuts, cuts, np.ones(len(cuts)))

    def opaque(self) -> "Photo":
        """Returns the photograph as it is seen: on white, where it is transparent."""
        if self.alpha is None:
            return self
        pixels = untrusted.on_white(PIL.Image.fromarray(np.dstack([self.pixels, self.alpha])))
        return dataclasses.replace(self, pixels=np.asarray(pixels), alpha=None)


def largest_face(spec: dataset.ImageSpec) -> int:
    """Returns how many pixels a side an image has at most that "auto" takes for a face."""
    return max(LARGEST_FACE, spec.size)


def holds_photos(path: pathlib.Path, crop: str, spec: dataset.ImageSpec) -> bool:
    """Returns whether faces are to be looked for in an input.

    Args:
      path: an image, a folder of images, or a .npy file, which holds faces always.
      crop: "detect" for yes, "none" for no; "auto" for yes if an image has a side of more than `largest_face`.
      spec: what the faces of the model are.

    Raises:
      FileNotFoundError: if a folder has no image.
      ValueError: if the image is damaged, or "detect" is asked of a .npy file. In a folder such an image does not
        count.
    """
    if path.suffix.lower() == ".npy" and not path.is_dir():
        if crop == DETECT:
            raise ValueError(f"--crop: expected images for detect, found {path}")
        return False
    if crop != AUTO:
        return crop == DETECT
    if not path.is_dir() and not path.is_file():
        return False  # the reader of faces says what is wrong
    if not path.is_dir():
        return max(untrusted.read_size(path)) > largest_face(spec)
    for one in face_files.image_paths(path)[0]:
        with contextlib.suppress(untrusted.UnreadableError):  # its reader names it
            if max(untrusted.read_size(one)) > largest_face(spec):
                return True
    return False


def read(path: pathlib.Path, crop: str, spec: dataset.ImageSpec, chosen: Selection | None = None) -> Photo:
    """Returns a photograph with its faces, to be cut out as those of a spec.

    Under "auto" an image of at most `largest_face` pixels a side is a face as a whole.

    Args:
      path: a file.
      crop: "auto", "detect" or "none"; see `holds_photos`.
      spec: what the faces of the model are.
      chosen: which faces are to be edited; all if not given.

    Raises:
      ValueError: if there is no image, it is damaged or beyond the bounds of `untrusted`, it has no face of such a
        number, or the extra `photos` is not installed.
    """
    return _found(path, untrusted.read_colour(path), crop, spec, chosen or Selection())


def of(source: str | pathlib.Path | PIL.Image.Image | np.ndarray, spec: dataset.ImageSpec, chosen: Selection) -> Photo:
    """Returns a photograph with its faces, from a file, an image or an array uint8 [H, W(, 3)].

    Faces are looked for whatever its size.

    Raises:
      ValueError: as `read`, or if the array is of another type or shape.
    """
    if isinstance(source, str | pathlib.Path):
        return read(pathlib.Path(source), DETECT, spec, chosen)
    if isinstance(source, np.ndarray) and (source.dtype != np.uint8 or source.shape[2:] not in ((), (3,))):
        raise ValueError(f"expected a photograph uint8 [H, W(, 3)], found {source.dtype} {list(source.shape)}")
    image = PIL.Image.fromarray(source) if isinstance(source, np.ndarray) else source
    return _found(pathlib.Path("photograph"), untrusted.in_colour(image), DETECT, spec, chosen)


def _found(path: pathlib.Path, image: PIL.Image.Image, crop: str, spec: dataset.ImageSpec, chosen: Selection) -> Photo:
    """Returns an image as a photograph with its faces; see `read`."""
    alpha = np.asarray(image.getchannel("A")) if image.mode == "RGBA" else None
    pixels = np.asarray(image.convert("RGB") if alpha is not None else image)
    photo = Photo(path, pixels, alpha, image.info.get("icc_profile"), (), spec)
    if crop == AUTO and max(image.size) <= largest_face(spec):
        return dataclasses.replace(photo, squares=(framing.whole(*image.size),))
    seen = photo.opaque().pixels  # beneath what is transparent may lie anything
    every = detection.find(seen, 0.0)
    best = max((face.confidence for face in every), default=0.0)
    seen_by_user = chosen.any_pose or isinstance(chosen.faces, tuple)
    if best < _UPRIGHT and not seen_by_user and (way := _lying(seen, best)):
        why = f"expected an upright photograph, found a face when it is turned {way}; turn it first"
        return dataclasses.replace(photo, left_out=(why,))
    sure = [face for face in every if face.confidence >= chosen.min_confidence]
    if not sure and best >= _DOUBTFUL:
        least = math.floor(100 * best) / 100
        why = f"expected a face, found only one of confidence {least:.2f}; --min_confidence={least:.2f} edits it"
        return dataclasses.replace(photo, left_out=(why,))
    wanted = _numbers(sure, chosen, path)
    numbered = [(number, face) for number, face in enumerate(sure, chosen.first) if number in wanted]
    small = [int(face.square.side) for _, face in numbered if face.square.side < detection.smallest(spec)]
    large = [(number, face) for number, face in numbered if face.square.side >= detection.smallest(spec)]
    turned = [] if chosen.any_pose else [number for number, face in large if face.turned]
    left_out = []
    if small:
        left_out.append(
            f"expected faces of at least {detection.smallest(spec)} pixels, found "
            f"{'one' if len(small) == 1 else len(small)} of {_some(small)}; take the photograph in its full size"
        )
    if turned:
        which = f"face {turned[0]} is" if len(turned) == 1 else f"faces {_some(turned)} are"
        left_out.append(f"{which} turned away, and left out; --any_pose edits such faces")
    squares = tuple(face.square for number, face in large if number not in turned)
    return dataclasses.replace(photo, squares=squares, left_out=tuple(left_out), found=_places(path, sure))


def _lying(pixels: np.ndarray, best: float) -> str:
    """Returns how a photograph should be turned to show a face more certainly than `best`, or ""."""
    ways = {1: "by 90 degrees to the left", 2: "by 180 degrees", 3: "by 90 degrees to the right"}
    found = {}
    for quarters in ways:
        faces = detection.find(np.ascontiguousarray(np.rot90(pixels, quarters)))
        found[quarters] = max((face.confidence for face in faces), default=0.0)
    most = max(found, key=lambda quarters: found[quarters])
    return ways[most] if found[most] > best + _CLEARLY else ""


def _places(path: pathlib.Path, faces: Sequence[detection.Face]) -> str:
    """Returns a line that says where faces are, or "" of none."""
    if not faces:
        return ""
    places = [
        f"{number} at ({face.square.left:.0f}, {face.square.top:.0f}), {int(face.square.side)} pixels, confidence "
        f"{face.confidence:.2f}{_tilt(face.square.angle)}"
        for number, face in enumerate(faces[:_SAID], 1)
    ]
    more = f"; and {len(faces) - _SAID} more" if len(faces) > _SAID else ""
    count = f"{len(faces)} face{'' if len(faces) == 1 else 's'}"
    return f"{untrusted.escaped(str(path))}: {count}: {'; '.join(places)}{more}"


def _tilt(angle: float) -> str:
    """Returns how a face is tilted, in words; "" if by less than 1.5 degrees."""
    degrees = round(abs(angle))
    return f", tilted {degrees} degrees to the {'right' if angle > 0 else 'left'}" if degrees > 1 else ""


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + ("..." if len(numbers) > 5 else "")


def _numbers(faces: Sequence[detection.Face], chosen: Selection, path: pathlib.Path) -> set[int]:
    """Returns the numbers of the faces that a selection names."""
    numbers = range(chosen.first, chosen.first + len(faces))
    if chosen.faces == ALL or not faces:
        return set(numbers)
    if chosen.faces == LARGEST:
        return {max(numbers, key=lambda number: faces[number - chosen.first].square.side)}
    if wrong := [number for number in chosen.faces if number not in numbers]:
        raise untrusted.UnreadableError(
            f"{untrusted.escaped(str(path))}: expected faces out of {numbers[0]} to {numbers[-1]}, counted from the "
            f"left, found {wrong[0]}"
        )
    return set(chosen.faces)
