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

_SIZE = dataset.FER2013.size


@dataclasses.dataclass(frozen=True)
class Faces:
    """Faces with their names, and what a user should know of how they were read.

    Attributes:
      images: uint8 [N, 48, 48].
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


def read(path: pathlib.Path, progress: Callable[[int, int], None] | None = None) -> Faces:
    """Returns the faces of an image, of the images in a folder (by name), or of an array [N, H, W] in a .npy file.

    Each is brought to gray (`untrusted.read_gray`), cropped about its centre to a square, and resized to 48x48.

    Args:
      path: the file or folder.
      progress: told (done, total) files.

    Raises:
      FileNotFoundError: if there is nothing at path, or no image in the folder.
      ValueError: if the file, or every file in the folder, is no image or is damaged, an array is not uint8 [N, H, W],
        or anything is beyond the bounds of `untrusted` or `dataset.MOST_FACES`.
    """
    if path.is_dir():
        return _read_folder(path, progress)
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected an image, a folder of images or a .npy file, found nothing there")
    if not path.is_file():  # to open a pipe would wait for its writer
        raise ValueError(f"{path}: expected an image, a folder of images or a .npy file, found a device or a pipe")
    if path.suffix.lower() == ".npy":
        return _read_array(path)
    image, square = _read_image(path)
    return Faces(image[None], (path.name,), (path,), _remarks(0 if square else 1, 1))


def image_paths(folder: pathlib.Path) -> tuple[list[pathlib.Path], tuple[str, ...]]:
    """Returns the images in a folder by name, and a remark on what else is there.

    Raises:
      FileNotFoundError: if there is no image.
      ValueError: if there are more than `dataset.MOST_FACES`.
    """
    entries = sorted(folder.iterdir())
    # macOS leaves a hidden ._NAME beside every NAME on foreign disks.
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


def _read_folder(folder: pathlib.Path, progress: Callable[[int, int], None] | None) -> Faces:
    paths, remarks = image_paths(folder)
    faces, read, failed, cropped = np.empty((len(paths), _SIZE, _SIZE), np.uint8), [], [], 0
    for i, path in enumerate(paths):
        try:
            faces[len(read)], square = _read_image(path)
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


def _read_array(path: pathlib.Path) -> Faces:
    array = untrusted.read_array(path)
    if array.dtype != np.uint8 or array.ndim != 3 or 0 in array.shape[1:]:
        found = f"{array.dtype} {list(array.shape)}"
        raise ValueError(f"{path}: expected faces uint8 [N, {_SIZE}, {_SIZE}] (or [N, H, W]), found {found}")
    _check_count(path, len(array))
    names = tuple(f"{i:05d}" for i in range(len(array)))
    height, width = array.shape[1:]
    if (height, width) == (_SIZE, _SIZE):
        return Faces(array, names, (path,))
    if height * width > untrusted.MOST_PIXELS:
        raise ValueError(f"{path}: expected faces of at most {untrusted.MOST_PIXELS:,} pixels, found {width}x{height}")
    faces = np.array([_shrink(PIL.Image.fromarray(face)) for face in array], np.uint8).reshape(-1, _SIZE, _SIZE)
    remark = f"{path}: resized {width}x{height} to {_SIZE}x{_SIZE}"
    return Faces(faces, names, (path,), (remark, *_remarks(len(array) if width != height else 0, len(array))))


def _read_image(path: pathlib.Path) -> tuple[np.ndarray, bool]:
    """Returns a face uint8 [48, 48], and whether the image was square."""
    image = untrusted.read_gray(path)
    return _shrink(image), image.width == image.height


def _shrink(image: PIL.Image.Image) -> np.ndarray:
    """Returns the middle square of a gray image as uint8 [48, 48]; Pillow's filters widen as they shrink."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((_SIZE, _SIZE), PIL.Image.Resampling.LANCZOS))


def _remarks(cropped: int, total: int) -> tuple[str, ...]:
    if not cropped:
        return ()
    return (f"cropped {cropped} of {total} images to the square in their middle",)


def _check_count(path: pathlib.Path, count: int) -> None:
    if count > dataset.MOST_FACES:
        raise ValueError(f"{path}: expected at most {dataset.MOST_FACES:,} faces, found {count:,}; give them in parts")
