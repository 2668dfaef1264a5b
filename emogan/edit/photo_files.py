"""Changes the emotion on the faces in photographs, into photographs, strips, sheets and animations."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import PIL.Image

from emogan.edit import (
    editor,
    emotion_spec,
    enlarging,
    face_files,
    framing,
    motion,
    photo_reader,
    photos,
    synthetic,
    transfer_files,
)
from emogan.util import files, images, untrusted

CLOSE_UP = 192  # pixels of a face's picture in a strip or sheet
ANIMATION = 480  # most pixels of a side of an animated photograph: a GIF keeps every frame whole

_GRAY = 128
_AROUND = 1.6  # how many sides of its square a close-up shows, so that the edit's rim is seen


@dataclasses.dataclass(frozen=True)
class _Edits:
    """Faces uint8 [N, S, S(, 3)] of a photograph, K edits of each [K, N, ...], and how these move them."""

    before: np.ndarray
    after: np.ndarray
    flows: np.ndarray | None  # [K, N, S, S, 2]; None of edits that no photograph gets
    emotions: tuple[str, ...] = ()  # of the K edits; none of an interpolation


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


def write(
    model: editor.Editor,
    source: pathlib.Path,
    emotion: str,
    output: pathlib.Path,
    crop: str = photo_reader.AUTO,
    frames: int = 2,
    progress: Callable[[int, int], None] | None = None,
    chosen: photo_reader.Selection | None = None,
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
      crop: of `photo_reader.read`.
      frames: of an animation.
      progress: called with (done, total) photographs.
      chosen: which faces are edited; all if not given.
      strength: of `Editor.faces`.

    Raises:
      FileNotFoundError, ValueError: as `photo_reader.read` and `transfer_files.check`; or if no photograph has a face
        of at least `detection.smallest` pixels, a file to be written is read from, or the faces are too many for one
        picture.
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
            photo = photo_reader.read(path, crop, model.spec, chosen)
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
                flows = motion.of_edits(seen.before, after) if flows is None else flows
            named = not emotion_spec.is_interpolation(emotion)
            made = _Edits(seen.before, after, flows, emotion_spec.names(model, emotion) if named else ())
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
      FileNotFoundError, ValueError: as `photo_reader.read`; or if no face is found, or none of such a number.
    """
    model.label(emotion)
    chosen = photo_reader.Selection(first=0)
    if faces is not None:  # whoever names a face has seen it
        chosen = photo_reader.Selection(tuple(faces), any_pose=True, first=0)
    photo = photo_reader.of(source, model.spec, chosen)
    if not photo.squares or (faces is not None and len(photo.squares) < len(set(faces))):
        raise ValueError(_lack(photo))
    seen = photo.seen()
    after = seen.back(model.faces(seen.faces, emotion, strength=strength))[None]
    flows = model.displacement(seen.faces, emotion, strength=strength)
    flows = motion.of_edits(seen.before, after) if flows is None else flows[None]
    pixels = _edited(photo, _Edits(seen.before, after, flows, emotion_spec.names(model, emotion)), 0)
    image = PIL.Image.fromarray(pixels if photo.alpha is None else np.dstack([pixels, photo.alpha]))
    image.info |= {"icc_profile": photo.profile} if photo.profile else {}
    return synthetic.of(image)


def _lack(photo: photo_reader.Photo) -> str:
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
    return ".jpg" if suffix in (*images.JPEG_SUFFIXES, ".jfif", ".heic", ".heif") else ".png"


def _save(target: pathlib.Path, photo: photo_reader.Photo, made: _Edits, names: tuple[str, ...], emotion: str) -> None:
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


def _edited(photo: photo_reader.Photo, made: _Edits, k: int) -> np.ndarray:
    """Returns the photograph's pixels with the k-th edit of every face."""
    pixels = photo.pixels
    if photo.alpha is not None:
        hidden = photo.alpha[..., None] == 0
        pixels = np.where(hidden, np.uint8(255), pixels)  # or a warp could show what is hidden
    pixels = _put_back(pixels, photo.squares, made, k)
    return pixels if photo.alpha is None else np.where(hidden, photo.pixels, pixels)


def _put_back(pixels: np.ndarray, squares: Sequence[framing.Square], made: _Edits, k: int) -> np.ndarray:
    """Returns pixels with the k-th edit of every face, whose squares these are."""
    for square, old, new, flow in zip(squares, made.before, made.after[k], made.flows[k], strict=True):
        edit = (old, new, flow)
        if made.emotions and made.emotions[k] in enlarging.LEARNED:
            edit = enlarging.finer(pixels, square, *edit)
        pixels = photos.put_back(pixels, square, *edit)
    return pixels


def _close_ups(photo: photo_reader.Photo, made: _Edits) -> np.ndarray:
    """Returns uint8 [1 + K, N, size, size, 3]: every face in its photograph, as it was and with each edit.

    The edits are put back into the close-up, at the size that is shown, and not into the whole photograph. What lies
    beyond the photograph is gray.
    """
    photo = photo.opaque()
    faces_shown = []
    for square in photo.squares:
        around = _wider(square)
        scale = CLOSE_UP / around.side
        view = framing.crop(photo.pixels, around, CLOSE_UP)
        squares = [one.within(around.left, around.top, scale) for one in photo.squares]
        shown = np.stack([view, *(_put_back(view, squares, made, k) for k in range(len(made.after)))])
        shown = shown if shown.ndim == 4 else shown[..., None].repeat(3, axis=-1)
        shown[:, _beyond(around, photo.pixels.shape)] = _GRAY
        faces_shown.append(shown)
    return np.stack(faces_shown, axis=1)


def _beyond(square: framing.Square, shape: tuple[int, ...]) -> np.ndarray:
    """Returns which pixels of a square's close-up, bool [size, size], lie beyond a photograph of this shape."""
    places = (np.arange(CLOSE_UP) + 0.5) * square.side / CLOSE_UP
    rows, columns = square.top + places, square.left + places
    return ((rows < 0) | (rows >= shape[0]))[:, None] | ((columns < 0) | (columns >= shape[1]))


def _wider(square: framing.Square) -> framing.Square:
    return framing.about(square.middle, _AROUND * square.side)


def _shrunk(photo: photo_reader.Photo) -> photo_reader.Photo:
    """Returns a photograph at the size of an animation, if it is larger."""
    height, width = photo.pixels.shape[:2]
    scale = min(1.0, ANIMATION / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = np.asarray(PIL.Image.fromarray(photo.pixels).resize(size, PIL.Image.Resampling.LANCZOS))
    squares = tuple(one.within(0, 0, scale) for one in photo.squares)
    return dataclasses.replace(photo, pixels=pixels, squares=squares)
