"""Reads faces that are already cropped: from an image, a folder of images, or a .npy file."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import PIL.Image

from emogan.data import dataset
from emogan.util import untrusted

# What counts as an image in a folder; a single file may have any name.
SUFFIXES = frozenset(
    (
        *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm"),
        *(".tif", ".tiff", ".webp"),
    )
)


@dataclasses.dataclass(frozen=True)
class Faces:
    """Faces with their names, and what a user should know of how they were read.

    Attributes:
      images: uint8 [N, S, S(, 3)].
      names: a name a face: its file's, or its index in an array.
      paths: the files that were read.
      remarks: lines of text.
      failed: a line for each file of a folder that cannot be read; its faces are not among these.
    """

    images: np.ndarray
    names: tuple[str, ...]
    paths: tuple[pathlib.Path, ...]
    remarks: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def read(path: pathlib.Path, spec: dataset.ImageSpec, progress: Callable[[int, int], None] | None = None) -> Faces:
    """Returns the faces of an image, of the images in a folder (by name), or of an array in a .npy file.

    Each is brought to gray (`untrusted.read_gray`) or to colour, cropped about its centre to a square, and resized.

    Args:
      path: the file or folder.
      spec: size and channels of the faces.
      progress: called with (done, total) files.

    Raises:
      FileNotFoundError: if there is nothing at path, or no image in the folder.
      ValueError: if the file, or every file in the folder, is no image or is damaged, an array is not uint8 [N, H, W]
        or, in colour, [N, H, W, 3], or anything is beyond the bounds of `untrusted` or `dataset.MOST_FACES`.
    """
    if path.is_dir():
        return _read_folder(path, spec, progress)
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected an image, a folder of images or a .npy file, found nothing there")
    if not path.is_file():  # to open a pipe would wait for its writer
        raise ValueError(f"{path}: expected an image, a folder of images or a .npy file, found a device or a pipe")
    if path.suffix.lower() == ".npy":
        return _read_array(path, spec)
    image, square = _read_image(path, spec)
    return Faces(image[None], (path.name,), (path,), _remarks(0 if square else 1, 1))


def image_paths(folder: pathlib.Path) -> tuple[list[pathlib.Path], tuple[str, ...]]:
    """Returns the images in a folder by name, and a remark on what else is there.

    Raises:
      FileNotFoundError: if there is no image.
      ValueError: if there are more than `dataset.MOST_FACES`.
    """
    entries = sorted(folder.iterdir())
    # macOS leaves a hidden ._NAME next to every NAME on foreign disks.
    paths = [path for path in entries if path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()]
    if not paths:
        raise FileNotFoundError(
            f"{folder}: expected images ({', '.join(sorted(SUFFIXES))}), found none among {len(entries)} entries"
        )
    _check_count(folder, len(paths))
    skipped = len(entries) - len(paths)
    return paths, (f"{folder}: skipped {skipped} of {len(entries)} entries: no images",) if skipped else ()


def all_failed(lines: Sequence[str]) -> str:
    """Returns one line for files of which none can be used, each of which has a line."""
    return lines[0] + (f" (and {len(lines) - 1} more files are no better)" if len(lines) > 1 else "")


def _read_folder(folder: pathlib.Path, spec: dataset.ImageSpec, progress: Callable[[int, int], None] | None) -> Faces:
    paths, remarks = image_paths(folder)
    faces, read, failed, cropped = np.empty((len(paths), *spec.byte_shape), np.uint8), [], [], 0
    for i, path in enumerate(paths):
        try:
            faces[len(read)], square = _read_image(path, spec)
        except untrusted.UnreadableError as error:
            failed.append(str(error))
        else:
            read.append(path)
            cropped += not square
        if progress:
            progress(i + 1, len(paths))
    if not read:
        raise ValueError(all_failed(failed))
    names = tuple(path.name for path in read)
    return Faces(faces[: len(read)], names, tuple(read), remarks + _remarks(cropped, len(read)), tuple(failed))


def _read_array(path: pathlib.Path, spec: dataset.ImageSpec) -> Faces:
    array = untrusted.read_array(path)
    rest = spec.byte_shape[2:]
    if array.dtype != np.uint8 or array.ndim < 3 or array.shape[3:] != rest or 0 in array.shape[1:]:
        found, last = f"{array.dtype} {list(array.shape)}", ", 3" if rest else ""
        expected = f"faces uint8 [N, {spec.size}, {spec.size}{last}] (or [N, H, W{last}])"
        raise ValueError(f"{path}: expected {expected}, found {found}")
    _check_count(path, len(array))
    names = tuple(f"{i:05d}" for i in range(len(array)))
    height, width = array.shape[1:3]
    if height == width == spec.size:
        return Faces(array, names, (path,))
    if height * width > untrusted.MOST_PIXELS:
        raise ValueError(f"{path}: expected faces of at most {untrusted.MOST_PIXELS:,} pixels, found {width}x{height}")
    faces = np.array([_shrink(PIL.Image.fromarray(face), spec) for face in array], np.uint8)
    faces = faces.reshape(-1, *spec.byte_shape)
    remark = f"{path}: resized {width}x{height} to {spec.size}x{spec.size}"
    return Faces(faces, names, (path,), (remark, *_remarks(len(array) if width != height else 0, len(array))))


def _read_image(path: pathlib.Path, spec: dataset.ImageSpec) -> tuple[np.ndarray, bool]:
    """Returns a face uint8 [S, S(, 3)], and whether the image was square."""
    if spec.channels == 1:
        image = untrusted.read_gray(path)
    else:
        image = untrusted.read_colour(path)
        image = (untrusted.on_white(image) if image.mode == "RGBA" else image).convert("RGB")
    return _shrink(image, spec), image.width == image.height


def _shrink(image: PIL.Image.Image, spec: dataset.ImageSpec) -> np.ndarray:
    """Returns the middle square of an image as uint8 [S, S(, 3)]; Pillow's filters widen as they shrink."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((spec.size, spec.size), PIL.Image.Resampling.LANCZOS))


def _remarks(cropped: int, total: int) -> tuple[str, ...]:
    if not cropped:
        return ()
    return (f"cropped {cropped} of {total} images to the square in their middle",)


def _check_count(path: pathlib.Path, count: int) -> None:
    if count > dataset.MOST_FACES:
        raise ValueError(f"{path}: expected at most {dataset.MOST_FACES:,} faces, found {count:,}; give them in parts")
