"""FER2013 as images, train|test/<class>/*.jpg or *.png, in a folder or in an archive."""

import contextlib
import dataclasses
import hashlib
import io
import os
import pathlib
import warnings
from collections.abc import Callable, Iterable, Sequence

import PIL.Image

from emogan import emotions
from emogan.data import dataset
from emogan.data.fer2013 import collector
from emogan.util import untrusted

# What folders of a split are called, and which split theirs is.
FOLDERS = {
    **{"train": "train", "training": "train", "test": "test", "publictest": "public", "privatetest": "private"},
    **{"validation": "validation", "val": "validation", "valid": "validation"},
}
SUFFIXES = (".jpg", ".jpeg", ".png")

_FORMATS = ("JPEG", "PNG")  # whatever a name says; Pillow hands some others to other programs
_MOST_CLASSES = 100  # folders next to each other, of which seven are known
_MOST_BYTES = 1 << 20  # of an image's file: a hundred times what its pixels take

_NUMBERS = tuple(str(label) for label in range(len(emotions.EMOTIONS)))

# What else Pillow reads (16 bits, CMYK, floats) has no one obvious gray in 0..255.
_MODES = ("L", "LA", "P", "RGB", "RGBA", "1")


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder is litter of an operating system rather than data."""
    return (name.startswith(".") and name not in (".", "..")) or name == "__MACOSX"


@dataclasses.dataclass(frozen=True)
class Name:
    """Where an image lies: `folder` by its split, `class_name` and `file` as they are spelled there."""

    folder: str
    class_name: str
    file: str


def parse_name(path: str) -> Name | None:
    """Returns what a path that ends in train|test/<class>/<file>.jpg says, None for a path of another shape.

    The folder may have any name of `FOLDERS`.
    """
    parts = path.split("/")
    if len(parts) < 3 or any(is_hidden(part) for part in parts):
        return None
    folder, class_name, file = parts[-3:]
    if folder.lower() not in FOLDERS or not file.lower().endswith(SUFFIXES):
        return None
    return Name(FOLDERS[folder.lower()], class_name, file)


@dataclasses.dataclass(frozen=True)
class Listing:
    """The image files of a folder: `files` as (path relative to `root`, size, mtime in ns), and what is amiss."""

    root: pathlib.Path
    files: tuple[tuple[str, int, int], ...]
    empty_classes: tuple[str, ...]
    ignored: int


def holds_images(root: pathlib.Path) -> bool:
    """Returns whether a folder holds train/, test/ or validation/ with folders inside."""
    return any(entry.is_dir() for folder in _split_folders(root) for entry in folder.iterdir())


def _split_folders(root: pathlib.Path) -> list[pathlib.Path]:
    return sorted(p for p in root.iterdir() if p.name.lower() in FOLDERS and p.is_dir())


def list_images(root: pathlib.Path) -> Listing:
    """Returns the image files of `root`/train|test|validation/<class>/."""
    files, empty, ignored = [], [], 0
    for folder in _split_folders(root):
        for class_folder in sorted(folder.iterdir()):
            if is_hidden(class_folder.name):
                continue
            if not class_folder.is_dir():
                ignored += 1
                continue
            relative = f"{folder.name}/{class_folder.name}"
            found = 0
            with os.scandir(class_folder) as entries:
                for entry in entries:
                    if entry.name.lower().endswith(SUFFIXES) and not is_hidden(entry.name) and entry.is_file():
                        status = entry.stat()
                        files.append((f"{relative}/{entry.name}", status.st_size, status.st_mtime_ns))
                        found += 1
                    elif not is_hidden(entry.name):
                        ignored += 1
            if not found:
                empty.append(relative)
    return Listing(root, tuple(sorted(files)), tuple(empty), ignored)


def read_folder(listing: Listing, rows: collector.Collector, progress: collector.Progress) -> str:
    """Adds the images of a folder to `rows` and returns the SHA-256 of names and contents.

    Raises:
      ValueError: if a class folder is empty, missing or unknown, or an image is not a 48x48 picture.
    """
    prefix = f"{listing.root}/"
    check_classes((path for path, _, _ in listing.files), prefix, rows, listing.empty_classes)
    if listing.ignored:
        rows.remark(f"{listing.root}: ignored {listing.ignored} entries that are no .jpg or .png in a class folder")
    total = len(listing.files)

    def contents():
        for done, (path, size, _) in enumerate(listing.files, start=1):
            rows.count(str(listing.root))
            yield path, size, (listing.root / path).read_bytes
            if done % 256 == 0 or done == total:
                progress(done, total)

    return read_images(contents(), prefix, rows)


def check_classes(
    paths: Iterable[str], prefix: str, rows: collector.Collector, empty_classes: Sequence[str] = ()
) -> None:
    """Checks that class folders are the seven emotions and that none is without images.

    Raises:
      ValueError: if they are not, unless `rows` skips them; then it takes a remark.
    """
    classes = {(name.folder, name.class_name): path.rpartition("/")[0] for path in paths if (name := parse_name(path))}
    if len(classes) > _MOST_CLASSES:
        raise ValueError(f"{prefix}: expected train and test with seven class folders each, found {len(classes):,}")
    present: dict[str, set[int]] = {}
    known = any(_label_or_none(class_name) is not None for _, class_name in classes)
    _check_numbers(classes, prefix, rows)
    for (folder, class_name), path in classes.items():
        try:
            present.setdefault(folder, set()).add(class_label(class_name))
        except ValueError as e:
            rows.problem(f"{prefix}{untrusted.shown(path)}: {e}", known)
    for path in empty_classes:
        path = untrusted.shown(path)
        rows.problem(f"{prefix}{path}: expected images (.jpg, .png) in every class folder, found none")
        folder, class_name = path.lower().split("/")
        with contextlib.suppress(ValueError):
            present.setdefault(FOLDERS[folder], set()).add(class_label(class_name))
    for folder, labels in present.items():
        missing = [emotion for label, emotion in enumerate(emotions.EMOTIONS) if label not in labels]
        if missing:
            rows.problem(f"{prefix}{folder}: expected seven class folders, found none of {', '.join(missing)}")


def class_label(name: str) -> int:
    """Returns the label of a class folder: an emotion's name, or its number in FER2013's order.

    Raises:
      ValueError: if the name is neither.
    """
    if name in _NUMBERS:
        return _NUMBERS.index(name)
    return emotions.label(name)


def _label_or_none(name: str) -> int | None:
    try:
        return class_label(name)
    except ValueError:
        return None


def _check_numbers(classes: Iterable[tuple[str, str]], prefix: str, rows: collector.Collector) -> None:
    """Remarks that numbers are taken for labels, or raises ValueError where they are not those of FER2013."""
    numbers = sorted({int(name) for _, name in classes if name.isascii() and name.isdigit() and len(name) < 9})
    if not numbers:
        return
    if numbers[0] != 0 or numbers[-1] >= len(_NUMBERS):
        raise ValueError(
            f"{prefix.rstrip('/: ')}: expected class folders 0 to 6, in FER2013's order, or emotions, "
            f"found {numbers[0]} to {numbers[-1]}; name them after emotions, or read them by --dataset=folder"
        )
    order = ", ".join(f"{number} {emotion}" for number, emotion in enumerate(emotions.EMOTIONS))
    rows.remark(f"{prefix.rstrip('/: ')}: class folders are numbers, in FER2013's order: {order}")


def read_images(
    contents: Iterable[tuple[str, int, Callable[[], bytes]]], prefix: str, rows: collector.Collector
) -> str:
    """Adds images to `rows`, ordered by split and file name, and returns the SHA-256 of names and contents.

    `contents` gives paths that `parse_name` understands, each with its size and a function that reads it; `prefix`
    precedes a path in messages. The order is that of file names without their class folders, so that it does not betray
    the label and is the same in every form that names the images alike. Of an animation the first frame is read.

    Raises:
      ValueError: if an image is not a 48x48 gray or colour picture.
    """
    digest = hashlib.sha256()
    found = []
    for path, size, read in contents:
        name = parse_name(path)
        try:
            label = class_label(name.class_name)
        except ValueError:
            continue  # `check_classes` has had its say about the whole folder.
        if size > _MOST_BYTES:
            at_most = f"an image of at most {_MOST_BYTES >> 20} MiB"
            rows.bad(f"{prefix}{untrusted.shown(path)}: expected {at_most}, found {size:,} bytes")
            continue
        try:
            data = read()
            pixels = _decode(data)
        except (OSError, ValueError) as e:
            rows.bad(f"{prefix}{untrusted.shown(path)}: expected a 48x48 image, found {untrusted.reason(e)}")
            continue
        digest.update(f"{path}\0{len(data)}\0".encode(errors="surrogateescape"))
        digest.update(data)
        found.append((name, label, pixels))
        rows.good()
    _add(found, prefix, rows)
    return digest.hexdigest()


def _add(found: list[tuple[Name, int, bytes]], prefix: str, rows: collector.Collector) -> None:
    """Sorts out which split each image belongs to: by its own name, else by its folder."""
    tests_tell = all(collector.split_of_file_name(name.file) for name, _, _ in found if name.folder == "test")
    if not tests_tell:
        rows.remark(
            f"{prefix}test gives one split `test`: its file names do not distinguish PublicTest from PrivateTest"
        )
    if any(name.folder == "validation" for name, _, _ in found):
        rows.remark(
            f"{prefix}val or validation gives a split `validation`; choices are made on `valid`, cut from `train`"
        )
    found.sort(key=lambda item: (pathlib.PurePosixPath(item[0].file).stem, item[0].class_name, item[0].file))
    for name, label, pixels in found:
        split = collector.split_of_file_name(name.file)
        # Who made a validation folder took it from anywhere.
        if split is None or name.folder == "validation" or (split != "train" and not tests_tell):
            split = name.folder
        rows.add(split, label, pixels, name.file)


def _decode(data: bytes) -> bytes:
    size = dataset.FER2013.byte_shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata
            with PIL.Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                if image.size != size:
                    raise ValueError(f"{image.size[0]}x{image.size[1]}")
                if image.mode not in _MODES:
                    raise ValueError(f"Pillow mode {image.mode}, which is neither 8-bit gray nor RGB")
                return (image if image.mode == "L" else image.convert("L")).tobytes()
    except PIL.UnidentifiedImageError as e:
        raise ValueError("a file that is no image") from e
    except Exception as e:  # Pillow's decoders have each their own for damaged data
        raise ValueError(untrusted.reason(e)) from e
