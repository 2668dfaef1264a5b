"""Damaged files for every parser: whatever a file holds, it is read, or refused in one line.

For the tests, which draw the damage by hypothesis, and experiments/fuzz.py, which draws it by the thousand.
"""

import dataclasses
import gzip
import io
import json
import pathlib
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

from emogan import config as config_lib
from emogan import emotions, face_files, files, run_folder
from emogan.data import fer2013

KINDS = ("flip", "insert", "delete", "cut", "repeat", "overwrite")
# What parsers stumble over: other types, ends and encodings, sizes that explode, ways out of a folder.
WORDS = (
    *(b"\0", b"\n", b"\r", b'"', b",", b"-1", b"256", b"1.5", b"nan", b"1e999", b"9" * 400),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xff" * 8, b"\x7f\xff\xff\xff"),
    *(b"," * 5000, b" " * 5000, b"[" * 2000, b"{}", b"null", b"../../", b"/etc/passwd"),
)


class Edit(NamedTuple):
    """One damage: its kind, where it is as a share of the file, and bytes that it puts there."""

    kind: str
    place: float
    word: bytes


class Unguarded(AssertionError):
    """A file that was neither read nor refused in one line."""


@dataclasses.dataclass(frozen=True)
class Parser:
    """One way in: the name a file must have, whole files to damage, and who reads them."""

    name: str
    file: str
    whole: Callable[[], Sequence[bytes]]
    read: Callable[[pathlib.Path], Any]

    def meets(self, content: bytes, folder: pathlib.Path) -> bool:
        """Returns whether a content was read (or refused), in a folder of its own.

        Raises:
          Unguarded: if it was neither.
        """
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        try:
            self.read(path)
        except (ValueError, OSError) as error:
            text = str(error)
            if not text or "\n" in text or len(text) > 1500:
                found = f"{len(text)} characters, {text[:200]!r}"
                raise Unguarded(f"{self.name}: expected one line, found {found}") from error
            return False
        except Exception as error:
            raise Unguarded(f"{self.name}: expected ValueError or OSError, found {type(error).__name__}") from error
        return True


def damaged(content: bytes, edits: Sequence[Edit]) -> bytes:
    """Returns a content after edits, one behind the other."""
    for kind, place, word in edits:
        at = int(place * len(content))
        before, after, size = content[:at], content[at:], len(word)
        if kind == "flip" and after:
            content = before + bytes([after[0] ^ (1 << size % 8)]) + after[1:]
        elif kind == "insert":
            content = before + word + after
        elif kind == "delete":
            content = before + after[size:]
        elif kind == "cut":
            content = before
        elif kind == "repeat":
            content = before + after[: 50 * size] * 3 + after
        elif kind == "overwrite":
            content = before + word + after[size:]
    return content


def draw(generator: np.random.Generator, parser: Parser, whole: Sequence[bytes]) -> bytes:
    """Returns a damaged file; one in twenty is nothing but noise."""
    if generator.random() < 0.05:
        return generator.bytes(int(generator.integers(0, 4000)))
    edits = [
        Edit(
            KINDS[generator.integers(len(KINDS))],
            # Headers decide more than what follows them.
            float(generator.random() ** (3 if generator.random() < 0.5 else 1)),
            WORDS[generator.integers(len(WORDS))] if generator.random() < 0.7 else generator.bytes(4),
        )
        for _ in range(generator.integers(1, 5))
    ]
    return damaged(whole[generator.integers(len(whole))], edits)


def _face(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)


def _image(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(_face()).save(stream, kind, **options)
    return stream.getvalue()


def _csv() -> bytes:
    rows = [f"{i % 7},{' '.join(map(str, _face(i).reshape(-1)))},{usage}" for i, usage in enumerate(_USAGES)]
    return "\n".join(["emotion,pixels,Usage", *rows, ""]).encode()


_USAGES = ("Training", "Training", "PublicTest")
_MEMBERS = {f"train/{name}/Training_{i}.png": _image("PNG") for i, name in enumerate(emotions.EMOTIONS)}


def _zip() -> Sequence[bytes]:
    archives = []
    for members in ({"fer2013.csv": _csv()}, _MEMBERS):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        archives.append(stream.getvalue())
    return archives


def _tar() -> Sequence[bytes]:
    archives = []
    for members in ({"fer2013/fer2013.csv": _csv()}, _MEMBERS):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        archives.append(stream.getvalue())
    return archives


def _array() -> Sequence[bytes]:
    contents = []
    for array in (np.stack([_face(), _face(1)]), np.zeros((1, 60, 40), np.uint8)):
        stream = io.BytesIO()
        np.save(stream, array)
        contents.append(stream.getvalue())
    return contents


def _images() -> Sequence[bytes]:
    return [_image(kind) for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")]


def _fer2013(path: pathlib.Path) -> Any:
    try:
        return fer2013.load("train", path)
    except ValueError:
        return fer2013.load("train", path, on_bad_row="skip")


def _fer2013_images(path: pathlib.Path) -> Any:
    folder = path.parents[2]
    for name, content in _MEMBERS.items():
        if folder / name != path:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return _fer2013(folder)


def _run(path: pathlib.Path) -> Any:
    about = path.with_name("data.json" if path.name == "config.json" else "config.json")
    files.write_text(about, _DATA if about.name == "data.json" else config_lib.to_json(config_lib.Config()))
    return run_folder.read(path.parent)


_DATA = json.dumps({"class_names": ["angry", "happy"], "examples": 20, "fingerprint": "0"})

PARSERS = (
    Parser("FER2013 as CSV", "fer2013.csv", lambda: [_csv()], _fer2013),
    Parser("FER2013 as zip", "archive.zip", _zip, _fer2013),
    Parser("FER2013 as tar", "fer2013.tar", _tar, _fer2013),
    Parser("FER2013 as tar.gz", "fer2013.tar.gz", lambda: [gzip.compress(tar) for tar in _tar()], _fer2013),
    Parser("FER2013 as images", "train/happy/Training_3.png", _images, _fer2013_images),
    Parser("an image", "face.png", _images, face_files.read),
    Parser("an array", "faces.npy", _array, face_files.read),
    Parser("config.json", "config.json", lambda: [config_lib.to_json(config_lib.Config()).encode()], _run),
    Parser("data.json", "data.json", lambda: [_DATA.encode()], _run),
)
