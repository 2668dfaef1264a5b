"""Changes the emotion on faces in files, into arrays or pictures in files."""

import pathlib
from collections.abc import Callable

import numpy as np

from emogan import face_files, grids, images, transfer

LARGEST_SHEET = 200  # rows; more make a picture that few programs open


def check(model: transfer.EmotionTransfer, emotion: str, output: pathlib.Path) -> None:
    """Checks what can be checked before any face is read.

    Raises:
      ValueError: if the run has no such emotion, its encoder needs labels, or the output is none of the three kinds.
    """
    if emotion.strip().lower() != transfer.ALL:
        model.label(emotion)
    if model.config.model.encoder_labels:
        raise ValueError(
            "expected a run whose encoder is E(x), found model.encoder_labels=True: files do not say which emotion "
            "their faces wear; use emogan.load(workdir).transfer(faces, emotion, labels=...)"
        )
    existing = next(folder for folder in (_folder(output), *_folder(output).parents) if folder.exists())
    if not existing.is_dir():
        raise ValueError(f"--output: expected {existing} to be a folder, found a file")


def write(
    model: transfer.EmotionTransfer,
    faces: face_files.Faces,
    emotion: str,
    output: pathlib.Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[pathlib.Path]:
    """Writes the faces with another emotion, or under "all" with each, and returns the files' paths.

    Args:
      model: the trained networks.
      faces: N faces.
      emotion: a name, or "all".
      output: NAME.npy for uint8 [N, 48, 48], under "all" [C, N, 48, 48]; NAME.png for one picture, a row a face; or a
        folder, for a picture a face. Pictures begin with the original.
      progress: told (done, total) files.

    Raises:
      ValueError: if the output is none of the three or would replace an input, or the faces are too many or too few.
    """
    check(model, emotion, output)
    kind = _kind(output)
    targets = _picture_paths(output, faces.names) if kind == "folder" else [output]
    inputs = {path.resolve() for path in faces.paths}
    for target in targets:
        if target.resolve() in inputs:
            raise ValueError(f"--output: expected another file than the input, found {target}")
    if kind != ".npy" and not len(faces.images):
        raise ValueError(f"{faces.paths[0]}: expected at least one face for a picture, found none")
    if kind == ".png" and len(faces.images) > LARGEST_SHEET:
        raise ValueError(
            f"--output: expected at most {LARGEST_SHEET} faces for one picture, found {len(faces.images)}; "
            "name a folder (a picture a face) or a .npy file"
        )
    edited = model.transfer(faces.images, emotion)
    _folder(output).mkdir(parents=True, exist_ok=True)
    if kind == ".npy":
        _save_array(output, edited)
        return targets
    if edited.ndim == 3:
        edited, columns = edited[None], ("original", model.class_names[model.label(emotion)])
    else:
        columns = ("original", *model.class_names)
    rows = np.concatenate([faces.images[None], edited]).swapaxes(0, 1)
    if kind == ".png":
        names = faces.names if len(rows) > 1 else ()
        images.save_png(output, grids.labelled_grid(rows, columns, names), images.SYNTHETIC)
        return targets
    for i, target in enumerate(targets):
        images.save_png(target, grids.labelled_grid(rows[i : i + 1], columns), images.SYNTHETIC)
        if progress:
            progress(i + 1, len(targets))
    return targets


def _kind(output: pathlib.Path) -> str:
    if output.is_dir():
        return "folder"
    suffix = output.suffix.lower()
    if suffix in (".npy", ".png"):
        return suffix
    if suffix or output.exists():
        raise ValueError(f"--output: expected a folder, NAME.png or NAME.npy, found {output}")
    return "folder"


def _folder(output: pathlib.Path) -> pathlib.Path:
    return output if _kind(output) == "folder" else output.parent


def _picture_paths(folder: pathlib.Path, names: tuple[str, ...]) -> list[pathlib.Path]:
    """Returns a .png in the folder for each name; where a.jpg and a.bmp would share one, the suffix joins the name."""
    stems = [pathlib.PurePath(name).stem for name in names]
    shared = {stem for stem in stems if stems.count(stem) > 1} if len(set(stems)) < len(stems) else set()
    chosen = [name if stem in shared else stem for name, stem in zip(names, stems, strict=True)]
    return [folder / f"{name}.png" for name in chosen]


def _save_array(path: pathlib.Path, array: np.ndarray) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        np.save(file, array)
    temporary.replace(path)
