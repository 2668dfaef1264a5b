"""Reads files that anyone may have written: what they claim to hold is checked before memory is spent on it."""

import pathlib
import warnings

import numpy as np
import PIL.Image
import PIL.ImageOps

MOST_TEXT = 1 << 24  # bytes
MOST_ARRAY = 1 << 30  # bytes
MOST_IMAGE = 1 << 28  # bytes of its file; Pillow reads some kinds as a whole
MOST_PIXELS = 1 << 25  # of an image: 5792 x 5792

# Pillow knows more, among them kinds that it hands to other programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def read_text(path: pathlib.Path) -> str:
    """Returns a file's text in UTF-8.

    Raises:
      FileNotFoundError, NotADirectoryError: if there is no such file.
      ValueError: if it is longer than `MOST_TEXT`, or not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise ValueError(f"expected at most {MOST_TEXT >> 20} MiB of text, found more")
    return content.decode()


def read_array(path: pathlib.Path) -> np.ndarray:
    """Returns the array of a .npy file; pickles are never read.

    Raises:
      ValueError: if there is none, it is cut or damaged, or it has more than `MOST_ARRAY` bytes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes that overflow
            # A map costs no memory, and there is none of a file that is shorter than its header says.
            array = np.lib.format.open_memmap(path, mode="r")
            if array.nbytes > MOST_ARRAY:
                raise ValueError(f"{array.dtype} {list(array.shape)}, more than {MOST_ARRAY >> 30} GiB")
            return np.array(array)
    except Exception as error:  # a damaged header leads to errors of many kinds
        raise ValueError(f"{path}: expected an array that numpy.save wrote, found {reason(error)}") from error


def read_gray(path: pathlib.Path, formats: tuple[str, ...] = FORMATS) -> PIL.Image.Image:
    """Returns an image of any mode in 8-bit gray, upright; of an animation the first frame.

    Gray is the luma of ITU-R 601, and what is transparent becomes white.

    Raises:
      ValueError: if there is no image of these formats, it is damaged or empty, it has more than `MOST_PIXELS`, or its
        file more than `MOST_IMAGE` bytes.
    """
    try:
        if path.stat().st_size > MOST_IMAGE:
            raise ValueError(f"a file of more than {MOST_IMAGE >> 20} MiB")
        with warnings.catch_warnings():
            # Pillow warns of what a reader can do nothing about: odd metadata, and sizes below those that it refuses.
            warnings.simplefilter("ignore")
            with PIL.Image.open(path, formats=formats) as image:
                if not 0 < image.width * image.height <= MOST_PIXELS:
                    limit = f"where 1 to {MOST_PIXELS:,} pixels were expected"
                    raise ValueError(f"{image.width}x{image.height}, {limit}")
                return _gray(PIL.ImageOps.exif_transpose(image))
    except Exception as error:  # Pillow's decoders have each their own for damaged data
        raise ValueError(f"{path}: expected an image, found {reason(error)}") from error


def reason(error: Exception) -> str:
    """Returns in one short line what a library's error says."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__


def _gray(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return PIL.Image.fromarray(_bytes(np.asarray(image), image.mode))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGB")  # not every mode converts to gray at once
    return image.convert("L")


def _bytes(values: np.ndarray, mode: str) -> np.ndarray:
    """Returns the bytes of 16-bit gray values, of 32-bit integers that hold 16 bits, or of floats up to 1 or 255."""
    low, high = values.min(), values.max()
    white = 65535.0 if mode != "F" else 1.0 if high <= 1.0 else 255.0
    if not (low >= 0 and high <= white):
        raise ValueError(f"gray values of {low:g}..{high:g}, where 0..{white:g} was expected")
    return np.round(values.astype(np.float32) * np.float32(255.0 / white)).astype(np.uint8)
