"""Convolutions by oneDNN on CPUs: builds onednn.cc once, loads it and calls it through JAX's foreign functions.

XLA's own convolutions on CPU reach a fraction of the speed of oneDNN's, and none of a matrix unit (AMX). The library is
compiled at its first use and kept in the cache folder. Without a compiler, oneDNN or a folder to write to, `load`
says why, and `emogan.models.conv` computes by XLA.
"""

import ctypes
import enum
import functools
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jaxlib
import numpy as np

from emogan.util import files

SOURCE = pathlib.Path(__file__).with_suffix(".cc")
# The packages of PyPI with oneDNN for GNU's OpenMP, 38 MB; newer ones need Intel's compiler runtime, 600 MB.
LIBRARY, HEADERS = "onednn-cpu-gomp", "onednn-devel-cpu-gomp"
COMPILERS = ("g++", "c++", "clang++")
FLAGS = ("-O2", "-std=c++17", "-fPIC", "-shared", "-w")
_TARGET = "emogan_convolve"
_INSTALL = 'pip install "emogan[cpu]"'


class Kind(enum.IntEnum):
    """Which of the three forms of `conv`; the numbers are those of onednn.cc."""

    GATHER = 0
    SCATTER = 1
    PAIR = 2


class Loaded(NamedTuple):
    """What became of the library in this process.

    Attributes:
      available: whether convolutions can be computed by it.
      bfloat16: 2 where the CPU computes in bfloat16 on a matrix unit, 1 where it does so without one, else 0.
      message: one line for the user where it was built, or is missing; else "".
    """

    available: bool
    bfloat16: int = 0
    message: str = ""


class Missing(Exception):
    """Why there is no library, in one line."""


_lock = threading.Lock()
_listeners: list[Callable[[str], None]] = []


def announce(listener: Callable[[str], None]) -> None:
    """Has the line of `load` handed to `listener` when the library is loaded, if there is a line."""
    _listeners.append(listener)


def load() -> Loaded:
    """Returns what became of the library, which the first call builds (some seconds) or finds in the cache."""
    with _lock:  # two threads would build it twice
        return _load()


@functools.cache
def _load() -> Loaded:
    loaded = _try_to_load()
    if loaded.message:
        for listener in _listeners:
            listener(loaded.message)
    return loaded


def _try_to_load() -> Loaded:
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return Loaded(False)  # there is nothing that a user could do
    try:
        dnnl, path, message = find_or_build()
        ctypes.CDLL(str(dnnl))  # the library asks for it by its name alone, wherever this environment has it
        library = ctypes.CDLL(str(path))
        jax.ffi.register_ffi_target(_TARGET, jax.ffi.pycapsule(library.EmoganConvolve), platform="cpu")
        return Loaded(True, int(library.EmoganBfloat16()), message)
    except (Missing, OSError, AttributeError) as error:
        reason = " ".join(str(error).split())
        return Loaded(False, 0, f"convolutions run on XLA, for many networks slower than on oneDNN: {reason}")


def find_or_build() -> tuple[pathlib.Path, pathlib.Path, str]:
    """Returns oneDNN's file, the library's, and one line if it was built now, else "".

    Raises:
      Missing: if oneDNN or a compiler is not there, or the compiler fails.
      OSError: if the cache folder cannot be written.
    """
    dnnl, includes = _installed()
    compiler = _compiler()
    key = _key(compiler)
    path = _find(key)
    if path is not None:
        return dnnl, path, ""
    start = time.monotonic()
    path = _build(compiler, includes, dnnl, key)
    return dnnl, path, f"compiled convolutions for this CPU in {time.monotonic() - start:.0f} s, kept as {path}"


def call(
    kind: Kind,
    first: jax.Array,
    second: jax.Array,
    result: jax.ShapeDtypeStruct,
    strides: tuple[int, int],
    padding: list[tuple[int, int]],
) -> jax.Array:
    """Returns one of the three forms of `conv` of two arrays; on CPU only, and only where the library is loaded.

    Args:
      kind: which form.
      first, second: its arrays as `conv` orders them, float32 or bfloat16.
      result: the shape and type of what is returned.
      strides: of the convolution from the large map to the small one.
      padding: of the large map, before and after in each dimension; negative where the kernel does not reach the end.
    """
    before, after = np.array(padding, np.int64).T
    return jax.ffi.ffi_call(_TARGET, result, vmap_method="sequential")(
        first,
        second,
        kind=np.int64(kind),
        strides=np.array(strides, np.int64),
        before=np.ascontiguousarray(before),
        after=np.maximum(after, 0),
    )


def _installed() -> tuple[pathlib.Path, list[pathlib.Path]]:
    """Returns oneDNN's library and the folders of headers."""

    def locate(package: str, end: str) -> pathlib.Path:
        try:
            found = [file for file in importlib.metadata.files(package) or () if str(file).endswith(end)]
        except importlib.metadata.PackageNotFoundError:
            found = []
        if not found or not (path := pathlib.Path(found[0].locate())).exists():
            raise Missing(f"{package} is not installed; {_INSTALL}")
        return path.resolve()

    dnnl = locate(LIBRARY, "libdnnl.so.3")
    header = locate(HEADERS, "oneapi/dnnl/dnnl.hpp")
    return dnnl, [header.parents[2], pathlib.Path(jax.ffi.include_dir())]


def _compiler() -> str:
    for name in COMPILERS:
        if found := shutil.which(name):
            return found
    raise Missing("there is no C++ compiler; install g++")


def _key(compiler: str) -> str:
    """A digest of all that the library depends on."""
    version = _run([compiler, "--version"])
    parts = [SOURCE.read_text(), version, jaxlib.__version__, importlib.metadata.version(LIBRARY), *FLAGS]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _folder() -> pathlib.Path:
    return files.cache_dir() / "onednn"


def _find(key: str) -> pathlib.Path | None:
    """Returns the library of this key that this user wrote, and that is whole; else None."""
    for path in sorted(_folder().glob(f"{key}-*.so")):
        if _is_own(path) and _is_own(path.parent) and path.name == _name(key, path.read_bytes()):
            return path
    return None


def _name(key: str, content: bytes) -> str:
    """The file's name holds the digest of its content, so that a cut or changed one is not loaded."""
    return f"{key}-{hashlib.sha256(content).hexdigest()[:16]}.so"


def _is_own(path: pathlib.Path) -> bool:
    found = path.lstat()
    kinds = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    return kinds and found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _build(compiler: str, includes: list[pathlib.Path], dnnl: pathlib.Path, key: str) -> pathlib.Path:
    _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_own(_folder()):
        raise Missing(f"{_folder()} can be written by others; remove it, or chmod go-w it")
    part = _folder() / f"{key}.{os.getpid()}.tmp"
    command = [compiler, *FLAGS, str(SOURCE), "-o", str(part), str(dnnl), *(f"-I{folder}" for folder in includes)]
    try:
        _run(command)
        part.chmod(0o700)
        return part.replace(_folder() / _name(key, part.read_bytes()))
    finally:
        part.unlink(missing_ok=True)


def _run(command: list[str]) -> str:
    """Returns what a command prints."""
    try:
        return subprocess.check_output(command, stderr=subprocess.STDOUT, text=True, timeout=300)
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{command[0]} did not end in {error.timeout:.0f} s") from error
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.output.splitlines() if "error" in line] or error.output.splitlines()
        raise Missing(f"{command[0]} failed: {lines[0] if lines else f'status {error.returncode}'}") from error
