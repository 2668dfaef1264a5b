"""Changes the emotion on the faces in photographs, into photographs, strips, sheets and animations."""

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import PIL.Image

from emogan.data import dataset
from emogan.edit import detection, editor, emotion_spec, exposure, face_files, photos, synthetic, transfer_files
from emogan.util import files, images, untrusted

AUTO, NONE, DETECT = CROPS = ("auto", "none", "detect")
LARGEST_FACE = 112  # pixels of a side up to which "auto" takes an image for a face: what aligned data sets have

CLOSE_UP = 192  # pixels of a face's picture in a strip or sheet
ANIMATION = 480  # most pixels of a side of an animated photograph: a GIF keeps every frame whole

_GRAY = 128
_DOUBTFUL = 0.5  # confidence of the detector at which a face that is left out is worth a line
_UPRIGHT, _CLEARLY = 0.9, 0.03  # confidence that no face lying on its side has, and by how much it rises upright
_SAID = 8  # faces whose places a line says
_MOST_FACES = 10**6  # that a face's number may be
_AROUND = 1.6  # how many sides of its square a close-up shows, so that the edit's rim is seen


ALL, LARGEST = "all", "largest"  # which faces


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
    squares: tuple[detection.Square, ...]
    spec: dataset.ImageSpec
    left_out: tuple[str, ...] = ()
    found: str = ""

    def cut(self) -> np.ndarray:
        """Returns the faces uint8 [N, S, S(, 3)]."""
        seen = self.opaque().pixels
        cuts = [detection.cut(seen, one, self.spec) for one in self.squares]
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


@dataclasses.dataclass(frozen=True)
class _Edits:
    """Faces uint8 [N, S, S(, 3)] of a photograph, K edits of each [K, N, ...], and how they warp them, if they do."""

    before: np.ndarray
    after: np.ndarray
    flows: np.ndarray | None  # [K, N, S, S, 2]


@dataclasses.dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
      paths: of the files.
      faces: how many were edited.
      remarks: lines of text for the user.
      edited: how many photographs have such a face.
      skipped: how many have none.
      failed: a line for each that cannot be read, has too many faces for its strip, or none of a number that was asked
        for.
      found: a line for each photograph in which faces were looked for: where they are.
    """

    paths: list[pathlib.Path]
    faces: int
    remarks: tuple[str, ...]
    edited: int = 1
    skipped: int = 0
    failed: tuple[str, ...] = ()
    found: tuple[str, ...] = ()


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


def _found(path: pathlib.Path, image: PIL.Image.Image, crop: str, spec: dataset.ImageSpec, chosen: Selection) -> Photo:
    """Returns an image as a photograph with its faces; see `read`."""
    alpha = np.asarray(image.getchannel("A")) if image.mode == "RGBA" else None
    pixels = np.asarray(image.convert("RGB") if alpha is not None else image)
    photo = Photo(path, pixels, alpha, image.info.get("icc_profile"), (), spec)
    if crop == AUTO and max(image.size) <= largest_face(spec):
        return dataclasses.replace(photo, squares=(detection.whole(*image.size),))
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
        f"{face.confidence:.2f}"
        for number, face in enumerate(faces[:_SAID], 1)
    ]
    more = f"; and {len(faces) - _SAID} more" if len(faces) > _SAID else ""
    count = f"{len(faces)} face{'' if len(faces) == 1 else 's'}"
    return f"{untrusted.escaped(str(path))}: {count}: {'; '.join(places)}{more}"


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


def write(
    model: editor.Editor,
    source: pathlib.Path,
    emotion: str,
    output: pathlib.Path,
    crop: str = AUTO,
    frames: int = 2,
    progress: Callable[[int, int], None] | None = None,
    chosen: Selection | None = None,
    strength: float = 1.0,
) -> Written:
    """Writes photographs whose faces have another emotion, and returns what was written.

    Args:
      model: the trained networks.
      source: a photograph or a folder of them; from a folder, those without a face and those that cannot be read are
        left out and named.
      emotion: a name, "all", or an interpolation "FROM:TO".
      output: for a photograph, NAME.jpg, .png, .webp or .avif for the edited photograph, under "all" a strip of
        close-ups, one row for each face; NAME.gif for the animated photograph. For a folder, a picture is a sheet of
        close-ups, one row for each face. A folder gets one result for each photograph. NAME.npy gets the faces' edits,
        as `transfer_files.write`.
      crop: of `read`.
      frames: of an animation.
      progress: called with (done, total) photographs.
      chosen: which faces are edited; all if not given.
      strength: of `Editor.faces`.

    Raises:
      FileNotFoundError, ValueError: as `read` and `transfer_files.check`; or if no photograph has a face of at least
        `detection.smallest` pixels, a file to be written is read from, or the faces are too many for one picture.
    """
    transfer_files.check(model, emotion, output, frames)
    paths, remarks = face_files.image_paths(source) if source.is_dir() else ([source], ())
    kind = transfer_files.kind(output)
    if source.is_dir() and kind == ".gif":
        raise ValueError(f"--output: expected a folder for the animations of a folder, found {output}")
    a_photo_each = kind == "folder" or (not source.is_dir() and kind != ".npy")
    targets = _targets(output, paths, emotion) if kind == "folder" else [output]
    transfer_files.check_targets(targets, paths)

    written, lacking, failed, found, edited, count, rows, names = [], [], [], [], 0, 0, [], []
    strips = a_photo_each and editor.is_all(emotion)
    for i, path in enumerate(paths):
        try:
            photo = read(path, crop, model.spec, chosen)
            if strips:
                transfer_files.check_rows(len(photo.squares), untrusted.shown(path))
        except (untrusted.UnreadableError, transfer_files.TooManyError) as error:
            failed.append(str(error))
            photo = None
        if photo and photo.squares:
            seen = photo.seen()
            after = seen.back(emotion_spec.apply(model, seen.faces, emotion, frames, strength))
            flows = None
            if kind != ".npy":
                flows = emotion_spec.displacements(model, seen.faces, emotion, frames, strength)
            made = _Edits(seen.before, after, flows)
            edited, count = edited + 1, count + len(seen.before)
            if a_photo_each:
                targets[i].parent.mkdir(parents=True, exist_ok=True)
                _save(targets[i], photo, made, emotion_spec.names(model, emotion), emotion)
                written.append(targets[i])
            elif kind == ".npy":
                rows.append(after)
            else:
                transfer_files.check_rows(count)
                rows.append(_close_ups(photo, made))
                names += [path.name] * len(seen.before)
        if photo and photo.found:
            found.append(photo.found)
        if photo and (photo.left_out or not photo.squares):
            lacking.append(_lack(photo))
        if progress:
            progress(i + 1, len(paths))
    if not count:
        raise ValueError(face_files.all_failed(failed + lacking))
    if not a_photo_each:
        written = [output]
        output.parent.mkdir(parents=True, exist_ok=True)
        every = np.concatenate(rows, axis=1)
        if kind == ".npy":
            files.write_array(output, every if editor.is_all(emotion) else every[0])
        else:
            columns = ("original", *emotion_spec.names(model, emotion))
            transfer_files.save_sheet(output, every[0], every[1:], columns, names, scale=1)
    skipped = len(paths) - edited - len(failed)
    return Written(written, count, (*remarks, *lacking), edited, skipped, tuple(failed), tuple(found))


def edited(
    model: editor.Editor,
    source: str | pathlib.Path | PIL.Image.Image | np.ndarray,
    emotion: str,
    faces: Sequence[int] | None = None,
    strength: float = 1.0,
) -> PIL.Image.Image:
    """Returns a photograph in which faces have another emotion; see `Editor.photo`.

    Raises:
      FileNotFoundError, ValueError: as `read`; or if no face is found, or none of such a number.
    """
    model.label(emotion)
    # Whoever names a face has seen it.
    chosen = Selection(first=0) if faces is None else Selection(tuple(faces), any_pose=True, first=0)
    photo = _of(source, model.spec, chosen)
    if not photo.squares or (faces is not None and len(photo.squares) < len(set(faces))):
        raise ValueError(_lack(photo))
    seen = photo.seen()
    after = seen.back(model.faces(seen.faces, emotion, strength=strength))[None]
    flows = model.displacement(seen.faces, emotion, strength=strength)
    pixels = _edited(photo, _Edits(seen.before, after, None if flows is None else flows[None]), 0)
    image = PIL.Image.fromarray(pixels if photo.alpha is None else np.dstack([pixels, photo.alpha]))
    image.info |= {"icc_profile": photo.profile} if photo.profile else {}
    return synthetic.of(image)


def _of(source: str | pathlib.Path | PIL.Image.Image | np.ndarray, spec: dataset.ImageSpec, chosen: Selection) -> Photo:
    """Returns a photograph with its faces, from a file, an image or an array."""
    if isinstance(source, str | pathlib.Path):
        return read(pathlib.Path(source), DETECT, spec, chosen)
    if isinstance(source, np.ndarray) and (source.dtype != np.uint8 or source.shape[2:] not in ((), (3,))):
        raise ValueError(f"expected a photograph uint8 [H, W(, 3)], found {source.dtype} {list(source.shape)}")
    image = PIL.Image.fromarray(source) if isinstance(source, np.ndarray) else source
    return _found(pathlib.Path("photograph"), untrusted.in_colour(image), DETECT, spec, chosen)


def _lack(photo: Photo) -> str:
    """Returns what a photograph's faces lack, in a line."""
    name = untrusted.escaped(str(photo.path))
    if photo.left_out:
        return f"{name}: {'; '.join(photo.left_out)}"
    return f"{name}: expected a photograph with a face, found none; an image that is a face needs --crop=none"


def _targets(folder: pathlib.Path, paths: list[pathlib.Path], emotion: str) -> list[pathlib.Path]:
    """Returns a file in the folder for each photograph, of its own kind, or of one that is written."""
    if emotion_spec.is_interpolation(emotion):
        return transfer_files.picture_paths(folder, tuple(path.name for path in paths), ".gif")
    targets = transfer_files.picture_paths(folder, tuple(path.name for path in paths), ".png")
    if editor.is_all(emotion):
        return targets
    return [target.with_suffix(_becomes(path.suffix.lower())) for target, path in zip(targets, paths, strict=True)]


def _becomes(suffix: str) -> str:
    """Returns the suffix under which the edit of a photograph is written."""
    if suffix in transfer_files.MODERN:
        return suffix if images.writes(suffix) else ".jpg"
    # A PNG of a photograph of a phone has a hundred megabytes.
    return ".jpg" if suffix in (*images.JPEG_SUFFIXES, ".heic", ".heif") else ".png"


def _save(target: pathlib.Path, photo: Photo, made: _Edits, names: tuple[str, ...], emotion: str) -> None:
    """Writes what one photograph becomes."""
    if emotion_spec.is_interpolation(emotion):
        photo = _shrunk(photo.opaque())
        shown = [_edited(photo, made, k) for k in range(len(made.after))]
        images.save_gif(target, shown, emotion_spec.durations(len(shown)), images.SYNTHETIC)
    elif editor.is_all(emotion):
        every = _close_ups(photo, made)
        transfer_files.save_sheet(target, every[0], every[1:], ("original", *names), scale=1)
    else:
        pixels = _edited(photo, made, 0)
        if photo.alpha is not None:
            pixels = np.dstack([pixels, photo.alpha])
        images.save(target, pixels, images.SYNTHETIC, photo.profile)


def _edited(photo: Photo, made: _Edits, k: int) -> np.ndarray:
    """Returns the photograph's pixels with the k-th edit of every face."""
    pixels = photo.pixels
    if photo.alpha is not None:
        hidden = photo.alpha[..., None] == 0
        pixels = np.where(hidden, np.uint8(255), pixels)  # or a warp could show what is hidden
    pixels = _put_back(pixels, photo.squares, made, k)
    return pixels if photo.alpha is None else np.where(hidden, photo.pixels, pixels)


def _put_back(pixels: np.ndarray, squares: Sequence[detection.Square], made: _Edits, k: int) -> np.ndarray:
    """Returns pixels with the k-th edit of every face, whose squares these are."""
    flows = [None] * len(made.before) if made.flows is None else made.flows[k]
    for square, old, new, flow in zip(squares, made.before, made.after[k], flows, strict=True):
        pixels = photos.put_back(pixels, square, old, new, flow)
    return pixels


def _close_ups(photo: Photo, made: _Edits) -> np.ndarray:
    """Returns uint8 [1 + K, N, size, size, 3]: every face in its photograph, as it was and with each edit.

    The edits are put back into the close-up, at the size that is shown, and not into the whole photograph. What lies
    beyond the photograph is gray.
    """
    photo = photo.opaque()
    faces_shown = []
    for square in photo.squares:
        around = _wider(square)
        scale = CLOSE_UP / around.side
        view = detection.crop(photo.pixels, around, CLOSE_UP)
        squares = [
            detection.Square((one.left - around.left) * scale, (one.top - around.top) * scale, one.side * scale)
            for one in photo.squares
        ]
        shown = np.stack([view, *(_put_back(view, squares, made, k) for k in range(len(made.after)))])
        shown = shown if shown.ndim == 4 else shown[..., None].repeat(3, axis=-1)
        shown[:, _beyond(around, photo.pixels.shape)] = _GRAY
        faces_shown.append(shown)
    return np.stack(faces_shown, axis=1)


def _beyond(square: detection.Square, shape: tuple[int, ...]) -> np.ndarray:
    """Returns which pixels of a square's close-up, bool [size, size], lie beyond a photograph of this shape."""
    places = (np.arange(CLOSE_UP) + 0.5) * square.side / CLOSE_UP
    rows, columns = square.top + places, square.left + places
    return ((rows < 0) | (rows >= shape[0]))[:, None] | ((columns < 0) | (columns >= shape[1]))


def _wider(square: detection.Square) -> detection.Square:
    beyond = (_AROUND - 1) / 2 * square.side
    return detection.Square(square.left - beyond, square.top - beyond, square.side + 2 * beyond)


def _shrunk(photo: Photo) -> Photo:
    """Returns a photograph at the size of an animation, if it is larger."""
    height, width = photo.pixels.shape[:2]
    scale = min(1.0, ANIMATION / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = np.asarray(PIL.Image.fromarray(photo.pixels).resize(size, PIL.Image.Resampling.LANCZOS))
    squares = tuple(detection.Square(one.left * scale, one.top * scale, one.side * scale) for one in photo.squares)
    return dataclasses.replace(photo, pixels=pixels, squares=squares)
