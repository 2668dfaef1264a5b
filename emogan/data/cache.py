"""Arrays kept on disk between runs, valid for as long as the files that they were read from stay the same."""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import zipfile
from collections.abc import Callable, Sequence

import numpy as np

from emogan.util import files

_METADATA = "metadata"


def key(source: pathlib.Path, contents: Sequence[tuple[str, int, int]], version: str) -> str:
    """Returns a digest of a source's path and of its `contents`: relative name, size and mtime in ns of each.

    `version` names the code that reads the source, so that its changes leave older entries unused.
    """
    text = json.dumps([version, str(source.resolve()), [list(file) for file in contents]])
    return hashlib.sha256(text.encode()).hexdigest()


def path(folder: pathlib.Path, source: pathlib.Path, prefix: str) -> pathlib.Path:
    """Returns the file for a source: one for each source path, so that what is out of date is overwritten."""
    digest = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()
    return folder / f"{prefix}-{digest[:16]}.npz"


def store(file: pathlib.Path, key: str, metadata: dict, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays and JSON-able metadata under a key, as a whole or not at all.

    Raises:
      OSError: if the file or its folder cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**metadata, "key": key}).encode()
    with files.replacing(file) as temporary, temporary.open("wb") as f:
        np.savez(f, **{_METADATA: np.frombuffer(text, np.uint8)}, **arrays)
        f.flush()
        os.fsync(f.fileno())


def read_metadata(file: pathlib.Path, key: str) -> dict | None:
    """Returns the metadata stored under a key, None where the file is absent, broken or of another key."""
    try:
        metadata = json.loads(_read(file, _METADATA).tobytes())
    except Exception:  # zipfile, NumPy and JSON have each their own for a damaged file; a CRC covers every array
        return None
    return metadata if isinstance(metadata, dict) and metadata.get("key") == key else None


def read_array(file: pathlib.Path, name: str) -> np.ndarray | None:
    """Returns one stored array, None where it is absent or broken."""
    try:
        return _read(file, name)
    except Exception:
        return None


def remember(
    folder: pathlib.Path | None, name: str, key: str, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Returns the arrays that `make` gives, from a folder's file where they were kept under the same key.

    Args:
      folder: where; None keeps nothing.
      name: the beginning of the file's name.
      key: all that the arrays depend on.
      make: called where nothing whole is kept; a folder that cannot be written is no error.
    """
    if folder is None:
        return make()
    file = folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    metadata = read_metadata(file, key)
    arrays = {name: read_array(file, name) for name in metadata["names"]} if metadata else {}
    if metadata is None or any(array is None for array in arrays.values()):
        arrays = make()
        with contextlib.suppress(OSError):  # the next call takes as long
            store(file, key, {"names": sorted(arrays)}, arrays)
    return arrays


def _read(file: pathlib.Path, name: str) -> np.ndarray:
    # zipfile compares the CRC only for members read to their end, which NumPy's own reader does not promise.
    with zipfile.ZipFile(file) as archive:
        content = archive.read(f"{name}.npy")
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
