"""A folder that one process at a time writes to."""

import contextlib
import fcntl
import os
import pathlib
import platform
from collections.abc import Iterator
from typing import TextIO

from emogan.train import writers

NAME = ".lock"


@contextlib.contextmanager
def held(folder: pathlib.Path) -> Iterator[None]:
    """Makes a folder and holds its lock, which the system takes back from a process that ends in whatever way.

    Raises:
      ValueError: if another process holds it.
      OSError: if the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / NAME).open("a+")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with file:
        _lock(file, folder)
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}\n")
            file.flush()
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield


def _unwritable(folder: pathlib.Path, error: OSError) -> OSError:
    found = "a file" if folder.is_file() else error.strerror
    return OSError(f"{folder}: expected a folder to write to, found: {found}; choose another --workdir")


def _lock(file: TextIO, folder: pathlib.Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        raise ValueError(
            f"{folder}: expected no other process in this folder, found {file.read().strip() or 'one'}; "
            "let it end, or choose another --workdir"
        ) from error
    except OSError as error:  # some network file systems have no locks
        writers.warn(f"{folder}: cannot be locked ({error.strerror}); see that no other process writes to it")
