"""Small files that a reader sees whole or not at all, and the folder for files that can be made again."""

import contextlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np


def cache_dir() -> pathlib.Path:
    """Returns the folder for what can be made again: parsed data, compiled programs."""
    return pathlib.Path.home() / ".cache" / "emogan"


def write_bytes(path: pathlib.Path, content: bytes) -> pathlib.Path:
    """Writes a file and returns its path; the old file stays until the new one is whole."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def write_text(path: pathlib.Path, text: str) -> pathlib.Path:
    """Writes a text in UTF-8, as `write_bytes` does, and returns the file's path."""
    return write_bytes(path, text.encode())


def write_json(path: pathlib.Path, value: Any) -> pathlib.Path:
    """Writes a value as JSON, as `write_text` does, and returns the file's path."""
    return write_text(path, json.dumps(value, indent=2) + "\n")


def write_array(path: pathlib.Path, array: np.ndarray) -> pathlib.Path:
    """Writes a .npy file, as `write_bytes` does, and returns its path."""
    with replacing(path) as temporary, temporary.open("wb") as file:  # not by way of bytes: it may be large
        np.save(file, array)
    return path


def check_folder(folder: pathlib.Path, flag: str = "--output") -> None:
    """Checks that a folder can be written to, or made and then written to; to be asked before any work.

    Args:
      folder: what a flag names, or the folder of the file that it names.
      flag: how the user knows it.

    Raises:
      ValueError: if there is a file where it, or a folder above it, must be, or what is there cannot be written to.
    """
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not existing.is_dir():
        raise ValueError(f"{flag}: expected {existing} to be a folder, found a file")
    try:
        # What the system says of permissions is not all: there are read-only disks, and full ones. It leaves no trace.
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        where = existing.absolute()
        raise ValueError(
            f"{flag}: expected a folder to write to, found {where}: {error.strerror}; choose another {flag}"
        ) from error


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a path to write to; what was written becomes the file, and a failure leaves the old file unchanged."""
    # Two processes that write the same file, as a cache that both found empty, must not write into each other's part.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:  # as on a full disk, of which a part of a file would take what is left
        temporary.unlink(missing_ok=True)
        raise
