"""Reads files that anyone may have written: what they claim to hold is checked before memory is spent on it."""

import contextlib
import functools
import json
import pathlib
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps

MOST_TEXT = 1 << 22  # bytes; as Python objects JSON takes up to thirty times as many
MOST_DEPTH = 30  # of JSON
MOST_ARRAY = 1 << 30  # bytes
MOST_IMAGE = 1 << 28  # bytes of its file; Pillow reads some kinds as a whole
MOST_PIXELS = 1 << 26  # of an image: 67 megapixels, where cameras and phones of the day have up to 61
MOST_SCANS = 100  # of a JPEG, each of which may go over all its pixels; common ones have ten

# Pillow knows more, among them kinds that it hands to other programs. AVIF is not in every Pillow, and HEIF is
# pillow-heif's, if that is installed.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP", "AVIF", "HEIF")

_SAVE_IT = "save it as 8-bit PNG or JPEG, or leave it out"
_SHRINK_IT = "make it smaller, or leave it out"

PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile unpacks others without a bound on memory

_SHOWN = 120  # characters of a name
_HEADER = 1 << 16  # bytes: more than numpy.save writes before the values
_PROFILE_SPACE = slice(16, 20)  # where a colour profile (ICC.1) says what its values are
_START_OF_SCAN = b"\xff\xda"  # which the pixels of a JPEG never hold


class UnreadableError(ValueError):
    """A file that cannot be read as what it should be; other files in its folder may be readable."""


def read_text(path: pathlib.Path) -> str:
    """Returns a file's text in UTF-8.

    Raises:
      FileNotFoundError, NotADirectoryError: if there is no such file.
      ValueError: if it is longer than `MOST_TEXT`, not UTF-8, or no regular file.
    """
    if path.exists() and not path.is_file():  # to open a pipe would wait for its writer
        raise ValueError("expected a file, found a folder, a device or a pipe")
    with path.open("rb") as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise ValueError(f"expected at most {MOST_TEXT >> 20} MiB of text, found more")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"expected text in UTF-8, found {reason(error)}") from error


def read_bytes(path: pathlib.Path, most: int) -> bytes:
    """Returns a file's bytes.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it has more than `most` bytes, or is no regular file.
    """
    try:
        _check_file(path, most)
    except ValueError as error:
        raise ValueError(f"expected a file of at most {most >> 20} MiB, found {error}") from error
    with path.open("rb") as file:
        return file.read(most)


def from_json(text: str) -> Any:
    """Returns what a text in JSON holds.

    Raises:
      ValueError: if it is not JSON, or nested more than `MOST_DEPTH` deep.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"JSON that is nested more than {MOST_DEPTH} deep") from error
    level = [value]
    for _ in range(MOST_DEPTH + 1):
        level = [one for one in level if isinstance(one, dict | list)]
        deeper = bool(level)
        level = [part for one in level for part in (one.values() if isinstance(one, dict) else one)]
    if deeper:  # a recursive reader would end in RecursionError
        raise ValueError(f"JSON that is nested more than {MOST_DEPTH} deep")
    return value


def read_array(path: pathlib.Path) -> np.ndarray:
    """Returns the array of a .npy file; pickles are never read.

    Raises:
      ValueError: if there is none, it is cut or damaged, or it has more than `MOST_ARRAY` bytes.
    """
    try:
        _check_file(path, MOST_ARRAY + _HEADER)
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers in the form of Python 2, and of sizes that overflow
            return np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # a damaged header leads to errors of many kinds
        raise ValueError(
            f"{path}: expected an array that numpy.save wrote, found {reason(error)}; write it again with numpy.save"
        ) from error


def read_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a .npz file by name; pickles are never read.

    Raises:
      ValueError: if it is none, it is cut or damaged, or its arrays have more than `MOST_ARRAY` bytes.
    """
    try:
        _check_file(path, MOST_ARRAY + _HEADER)
        with zipfile.ZipFile(path) as archive:
            check_members(archive.infolist(), MOST_ARRAY)
        with np.load(path, allow_pickle=False) as file:
            return dict(file.items())
    except Exception as error:  # NumPy and zipfile have each their own for a damaged file
        raise ValueError(f"{path}: expected arrays that numpy.savez wrote, found {reason(error)}") from error


def check_members(members: Sequence[zipfile.ZipInfo], most: int) -> None:
    """Checks that members of a .zip can be unpacked within a bound on memory, when each is read in parts.

    Raises:
      ValueError: if they unpack to more than `most` bytes, or one is packed in another way than `PACKINGS`.
    """
    size = sum(member.file_size for member in members)
    if size > most:
        raise ValueError(f"{size:,} bytes when unpacked, where at most {most:,} were expected")
    for member in members:
        if member.compress_type not in PACKINGS:
            name = zipfile.compressor_names.get(member.compress_type, member.compress_type)
            raise ValueError(f"members packed by {name}, where deflated or stored ones were expected")


@functools.cache
def readable() -> tuple[str, ...]:
    """Returns those of `FORMATS` that the installed libraries read."""
    PIL.Image.init()
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return tuple(name for name in FORMATS if name in PIL.Image.OPEN)


def read_gray(path: pathlib.Path, formats: tuple[str, ...] = FORMATS) -> PIL.Image.Image:
    """Returns an image of any mode in 8-bit gray, upright; of an animation the first frame.

    Gray is the luma of ITU-R 601, and what is transparent becomes white.

    Raises:
      ValueError: if there is no image of these formats, it is damaged or empty, it has more than `MOST_PIXELS` or
        `MOST_SCANS`, or its file more than `MOST_IMAGE` bytes.
    """
    with _opened(path, formats) as image:
        return _gray(PIL.ImageOps.exif_transpose(image))


def read_colour(path: pathlib.Path) -> PIL.Image.Image:
    """Returns an image of any mode as 8-bit L, RGB or RGBA, upright; of an animation the first frame.

    Its `info` holds the colour profile as "icc_profile", if the values are still those that the profile is of.

    Raises:
      ValueError: as `read_gray`.
    """
    with _opened(path, FORMATS) as image:
        return in_colour(image)


def in_colour(image: PIL.Image.Image) -> PIL.Image.Image:
    """Returns an opened image as `read_colour` does one of a file."""
    profile = image.info.get("icc_profile") if image.mode in ("L", "LA", "P", "RGB", "RGBA") else None
    upright = _colour(PIL.ImageOps.exif_transpose(image))
    # Gray with transparency has become colours.
    fits = profile and profile[_PROFILE_SPACE] == (b"GRAY" if upright.mode == "L" else b"RGB ")
    upright.info = {"icc_profile": profile} if fits else {}
    return upright


def on_white(image: PIL.Image.Image) -> PIL.Image.Image:
    """Returns an image of mode RGBA in RGB, with white behind what is transparent."""
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image).convert("RGB")


def read_size(path: pathlib.Path) -> tuple[int, int]:
    """Returns the width and height that an image's header claims; its pixels are not read.

    Raises:
      ValueError: as `read_gray`, except for what only the pixels show.
    """
    with _opened(path, FORMATS) as image:
        return image.size


@contextlib.contextmanager
def _opened(path: pathlib.Path, formats: tuple[str, ...]) -> Iterator[PIL.Image.Image]:
    """Gives an image whose claims are within the bounds; what fails on it becomes one line."""
    formats, advice = tuple(name for name in formats if name in readable()), _SAVE_IT
    try:
        if path.is_file() and path.stat().st_size > MOST_IMAGE:
            advice = _SHRINK_IT
        _check_file(path, MOST_IMAGE)
        with warnings.catch_warnings():
            # Pillow warns of what a reader can do nothing about: odd metadata, and sizes below those that it refuses.
            warnings.simplefilter("ignore")
            # By its name Pillow 13 would map an uncompressed TIFF into memory, and then turns it wrongly.
            with path.open("rb") as file, PIL.Image.open(file, formats=formats) as image:
                if not 0 < image.width * image.height <= MOST_PIXELS:
                    advice = _SHRINK_IT
                    limit = f"where 1 to {MOST_PIXELS:,} pixels were expected"
                    raise ValueError(f"{image.width}x{image.height}, {limit}")
                # One with several pictures, as cameras write, is an MPO to Pillow.
                if image.format in ("JPEG", "MPO") and path.read_bytes().count(_START_OF_SCAN) > MOST_SCANS:
                    raise ValueError(f"a JPEG of more than {MOST_SCANS} scans")
                yield image
    except Exception as error:  # Pillow's decoders have each their own for damaged data
        found = reason(error)
        if isinstance(error, PIL.UnidentifiedImageError):
            found, advice = _unknown(path)
        if isinstance(error, PIL.Image.DecompressionBombError):
            advice = _SHRINK_IT
        raise UnreadableError(f"{escaped(str(path))}: expected an image, found {found}; {advice}") from error


def _unknown(path: pathlib.Path) -> tuple[str, str]:
    """Returns what a file is that Pillow does not know, and what to do about it."""
    with path.open("rb") as file:
        head = file.read(64)
    # The first box of an ISO base media file (ISO/IEC 14496-12) names its kind and those it is compatible with.
    kinds = head[8 : max(8, min(64, int.from_bytes(head[:4], "big")))]
    if head[4:8] == b"ftyp" and (b"avif" in kinds or b"avis" in kinds):
        return "an AVIF, which this Pillow does not read", f"pip install -U pillow, or {_SAVE_IT}"
    if head[4:8] == b"ftyp" and any(kind in kinds for kind in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")):
        return "a HEIC, which needs pillow-heif", f'pip install "emogan[heic]", or {_SAVE_IT}'
    return "a file that is no image", _SAVE_IT


def reason(error: Exception) -> str:
    """Returns in one short line what a library's error says."""
    if isinstance(error, RecursionError):
        return "parts that are nested without an end"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return escaped(" ".join(text.split())[:200]) or type(error).__name__


def shown(name: object) -> str:
    """Returns a name that someone else chose, such as a file's in an archive, in one short line."""
    name = str(name)
    return escaped(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")


def escaped(text: str) -> str:
    """Returns a text with what would end the line or steer a terminal written as in Python."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _check_file(path: pathlib.Path, most: int) -> None:
    if path.exists() and not path.is_file():
        raise ValueError("a folder, a device or a pipe")
    if path.stat().st_size > most:
        raise ValueError(f"a file of more than {most >> 20} MiB")


def _gray(image: PIL.Image.Image) -> PIL.Image.Image:
    image = _colour(image)
    return (on_white(image) if image.mode == "RGBA" else image).convert("L")


def _colour(image: PIL.Image.Image) -> PIL.Image.Image:
    """Returns an image in mode L, RGB or RGBA, without what its `info` says of transparency."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return PIL.Image.fromarray(_bytes(np.asarray(image), image.mode))
    if image.has_transparency_data:
        return image.convert("RGBA")
    # Not every mode converts to gray at once.
    return image if image.mode in ("L", "RGB", "RGBA") else image.convert("L" if image.mode == "1" else "RGB")


def _bytes(values: np.ndarray, mode: str) -> np.ndarray:
    """Returns the bytes of 16-bit gray values, of 32-bit integers that hold 16 bits, or of floats up to 1 or 255."""
    low, high = values.min(), values.max()
    white = 65535.0 if mode != "F" else 1.0 if high <= 1.0 else 255.0
    if not (low >= 0 and high <= white):
        raise ValueError(f"gray values of {low:g}..{high:g}, where 0..{white:g} was expected")
    return np.round(values.astype(np.float32) * np.float32(255.0 / white)).astype(np.uint8)
