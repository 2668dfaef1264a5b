"""A teacher's edits of many faces, saved in a folder while they are made: a run that was killed makes none twice."""

import hashlib
import pathlib
from collections.abc import Callable

import jax
import numpy as np

from emogan.edit import editor
from emogan.util import files

CHUNK = 256  # faces a file


def load(
    teacher: editor.Editor,
    faces: np.ndarray,
    labels: np.ndarray,
    targets: np.ndarray,
    folder: pathlib.Path,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Returns the teacher's edits uint8 [N, S, S(, 3)] of faces, read from the folder if they are there.

    Args:
      teacher: the model that edits.
      faces: uint8 [N, S, S(, 3)].
      labels: int32 [N], the source labels.
      targets: int32 [N], the target labels.
      folder: for the edits, `CHUNK` faces a file, named by what decides them.
      progress: called with (done, total) faces.

    Raises:
      ValueError: if the faces do not have the format of the teacher.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key, made = _key(teacher), []
    for start in range(0, len(faces), CHUNK):
        part = slice(start, start + CHUNK)
        parts = faces[part], labels[part], targets[part]
        path = folder / f"{key}_{_digest(*parts)}.npy"
        edits = _read(path, parts[0].shape)
        if edits is None:
            edits = teacher.faces(parts[0], parts[2], labels=parts[1])
            files.write_array(path, edits)
        made.append(edits)
        if progress:
            progress(min(start + CHUNK, len(faces)), len(faces))
    return np.concatenate(made) if made else faces[:0]


def _read(path: pathlib.Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """Returns the edits in a file, or None if there are none of this shape."""
    try:
        edits = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return edits if edits.dtype == np.uint8 and edits.shape == shape else None


def _key(teacher: editor.Editor) -> str:
    """Returns a key that distinguishes the edits of one teacher from those of another."""
    return _digest(repr(teacher.networks).encode(), *map(np.asarray, jax.tree.leaves(teacher.variables)))


def _digest(*parts: np.ndarray | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).data)
    return digest.hexdigest()[:16]
