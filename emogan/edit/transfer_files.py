"""Changes the emotion on faces in files, into arrays or pictures in files."""

import collections
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from emogan.edit import editor, emotion_spec, face_files
from emogan.util import files, grids, images

MODERN = (".webp", ".avif")  # kinds of pictures that not every Pillow writes
LARGEST_SHEET = 200  # rows; more make a picture that few programs open


def check(model: editor.Editor, emotion: str, output: pathlib.Path, frames: int = 2) -> None:
    """Checks what can be checked before any face is read.

    Raises:
      ValueError: as `emotion_spec.check`, or if the output is of no kind that fits the emotion.
    """
    emotion_spec.check(model, emotion, frames)
    found = kind(output)
    interpolated = emotion_spec.is_interpolation(emotion)
    if interpolated and found not in ("folder", ".gif"):
        raise ValueError(f"--output: expected NAME.gif or a folder for the interpolation {emotion}, found {output}")
    if not interpolated and found == ".gif":
        raise ValueError(f"--output: expected --emotion=FROM:TO for an animation, found {emotion} for {output}")
    if found in MODERN and not images.writes(found):
        raise ValueError(
            f"--output: expected a Pillow that writes {found}, found one that does not; pip install -U pillow, or name "
            f"{output.with_suffix('.jpg')}"
        )
    files.check_folder(output if found == "folder" else output.parent)


def write(
    model: editor.Editor,
    faces: face_files.Faces,
    emotion: str,
    output: pathlib.Path,
    progress: Callable[[int, int], None] | None = None,
    frames: int = 2,
    strength: float = 1.0,
) -> list[pathlib.Path]:
    """Writes the faces with another emotion, with each under "all", or an interpolation; returns the paths.

    Args:
      model: the trained networks.
      faces: N faces.
      emotion: a name, "all", or an interpolation "FROM:TO".
      output: NAME.npy for uint8 [N, S, S(, 3)], under "all" [C, N, ...]; NAME.png or NAME.jpg for one picture, a row a
        face; NAME.gif for one animation; or a folder, for a picture or animation a face. Pictures begin with
        the original.
      progress: called with (done, total) files.
      frames: of an animation.
      strength: of `Editor.faces`.

    Raises:
      ValueError: if the output is of another kind or would replace an input, or the faces are too many or too few.
    """
    check(model, emotion, output, frames)
    found = kind(output)
    suffix = ".gif" if emotion_spec.is_interpolation(emotion) else ".png"
    targets = picture_paths(output, faces.names, suffix) if found == "folder" else [output]
    check_targets(targets, faces.paths)
    if found != ".npy" and not len(faces.images):
        raise ValueError(f"{faces.paths[0]}: expected at least one face for a picture, found none")
    if found not in (".npy", "folder"):
        check_rows(len(faces.images))
    edited = emotion_spec.apply(model, faces.images, emotion, frames, strength)
    targets[0].parent.mkdir(parents=True, exist_ok=True)
    if found == ".npy":
        files.write_array(output, edited if editor.is_all(emotion) else edited[0])
        return targets
    columns = ("original", *emotion_spec.names(model, emotion))
    if found != "folder":
        save_sheet(output, faces.images, edited, columns, faces.names if len(faces.images) > 1 else ())
        return targets
    for i, target in enumerate(targets):
        save_sheet(target, faces.images[i : i + 1], edited[:, i : i + 1], columns)
        if progress:
            progress(i + 1, len(targets))
    return targets


def save_sheet(
    path: pathlib.Path,
    originals: np.ndarray,
    edited: np.ndarray,
    columns: Sequence[str],
    rows: Sequence[str] = (),
    scale: int = 3,
) -> None:
    """Writes faces and their edits as one picture with a row a face, or as NAME.gif whose frames show an edit each.

    Args:
      path: the file.
      originals: uint8 [N, H, W(, 3)].
      edited: uint8 [K, N, H, W(, 3)].
      columns: the name of the originals, and those of the K edits, or of the one that moves.
      rows: names of the faces, or none.
      scale: how many pixels a pixel becomes.
    """
    if path.suffix.lower() == ".gif":
        shown = [grids.labelled_grid(np.stack([originals, one], 1), columns, rows, scale=scale) for one in edited]
        images.save_gif(path, shown, emotion_spec.durations(len(shown)), images.SYNTHETIC)
        return
    cells = np.concatenate([originals[None], edited]).swapaxes(0, 1)
    images.save(path, grids.labelled_grid(cells, columns, rows, scale=scale), images.SYNTHETIC)


def kind(output: pathlib.Path) -> str:
    """Returns "folder", ".npy", ".gif", ".png", ".jpg", ".webp" or ".avif", the kind that an output's name asks for.

    Raises:
      ValueError: if it is none of them.
    """
    if output.is_dir():
        return "folder"
    suffix = output.suffix.lower()
    if suffix in images.JPEG_SUFFIXES:
        return ".jpg"
    if suffix in (".npy", ".png", ".gif", *MODERN):
        return suffix
    if suffix or output.exists():
        raise ValueError(
            f"--output: expected a folder, NAME.png, NAME.jpg, NAME.webp, NAME.avif, NAME.gif or NAME.npy, "
            f"found {output}"
        )
    return "folder"


def check_targets(targets: Sequence[pathlib.Path], sources: Sequence[pathlib.Path]) -> None:
    """Checks that no file to be written is one that is read, with ValueError."""
    # By what the disk says of them, since some take a.JPG and a.jpg for one file.
    inputs = {_identity(path) for path in sources if path.exists()}
    for target in targets:
        if target.exists() and _identity(target) in inputs:
            raise ValueError(f"--output: expected another file than the input, found {target}")


def _identity(path: pathlib.Path) -> tuple[int, int]:
    """Returns what distinguishes an existing file from all others, as `os.path.samefile` does."""
    found = path.stat()
    return found.st_dev, found.st_ino


class TooManyError(ValueError):
    """More faces than one picture holds."""


def check_rows(count: int, source: str = "") -> None:
    """Raises TooManyError unless the faces, of one photograph if it is named, fit into one picture."""
    if count > LARGEST_SHEET:
        raise TooManyError(
            f"{source or '--output'}: expected at most {LARGEST_SHEET} faces for one picture, found {count}; "
            "name a folder (a picture a face) or a .npy file"
        )


def picture_paths(folder: pathlib.Path, names: tuple[str, ...], suffix: str) -> list[pathlib.Path]:
    """Returns a file in the folder for each name; where a.jpg and a.bmp would share one, the old suffix stays too."""
    chosen, before = [pathlib.PurePath(name).stem for name in names], []
    # Again, as a suffix that stays may give what another name is without its own: a.jpg next to a.bmp, and a.jpg.bmp.
    while chosen != before:
        before, count = chosen, collections.Counter(chosen)
        chosen = [name if count[one] > 1 else one for name, one in zip(names, before, strict=True)]
    return [folder / f"{name}{suffix}" for name in chosen]
