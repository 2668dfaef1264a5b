"""Faces of any data set as people have them: class folders, parquet files as on Hugging Face, and .npz files."""

import json
import math
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image

from emogan.data import dataset, pictures
from emogan.data.fer2013 import class_folders, collector
from emogan.util import untrusted

# What splits are called in names of folders, files and arrays.
SPLITS = {
    **class_folders.FOLDERS,
    "publictest": "validation",
    "privatetest": "test",
    "testing": "test",
    "dev": "validation",
}

_IMAGES = ("image", "images", "img", "face", "faces", "pixels", "x", "data", "pixel_values")  # usual names, best first
_LABELS = ("label", "labels", "emotion", "emotions", "class", "target", "y")
_BATCH = 256  # rows of a parquet file in memory at once
_INTEGER = re.compile(r"-?\d+(\.0*)?")


class Classes:
    """The classes that a source names, each with a number in the order in which it came."""

    def __init__(self, names: Sequence[str] = ()):
        self.numbers: dict[str, int] = {}
        self.names = tuple(names)  # by label, where the source says them

    def number(self, label: Any) -> int:
        """Returns the number of what a source gives for a label.

        Raises:
          ValueError: as `name_of`.
        """
        return self.numbers.setdefault(name_of(label, self.names), len(self.numbers))


def name_of(label: Any, names: Sequence[str] = ()) -> str:
    """Returns the name of the class that a source gives for a label: a name, or an index into `names` if there are any.

    Raises:
      ValueError: saying what was found, if there is no such name, or the label is of no kind that can be one.
    """
    if isinstance(label, bytes):
        label = label.decode(errors="replace")
    text = str(label).strip() if isinstance(label, str | int | float | np.generic) else ""
    if _INTEGER.fullmatch(text):
        index = int(text.partition(".")[0])
        if names and not 0 <= index < len(names):
            raise ValueError(f"a label {index} where there are {len(names)} names")
        text = names[index] if names else str(index)
    elif isinstance(label, float):
        text = ""  # between two numbers
    if not text or len(text) > 100:
        raise ValueError(f"a label {untrusted.shown(repr(label) if isinstance(label, str) else label)}")
    return text


def image_files(root: pathlib.Path) -> list[tuple[str, str, pathlib.Path]]:
    """Returns (split, class, file) of root/SPLIT/CLASS/*.jpg or, without such, of root/CLASS/*.jpg as `train`."""
    found = []
    folders = [p for p in _folders(root) if p.name.lower() in SPLITS]
    parts = [(SPLITS[folder.name.lower()], folder) for folder in folders] or [("train", root)]
    for split, folder in parts:
        for class_folder in _folders(folder):
            files = sorted(p for p in class_folder.iterdir() if p.name.lower().endswith(pictures.SUFFIXES))
            found += [(split, class_folder.name, p) for p in files if not class_folders.is_hidden(p.name)]
    return found


def read_images(
    found: Sequence[tuple[str, str, pathlib.Path]],
    rows: collector.Collector,
    progress: collector.Progress,
) -> Classes:
    """Adds image files to `rows` and returns their classes.

    Raises:
      ValueError: if one is no picture, unless `rows` skips it.
    """
    classes = Classes()
    for done, (split, class_name, file) in enumerate(found, start=1):
        rows.count(str(file))
        try:
            name_of(class_name)  # a check; `classes` gets it with its first picture
        except ValueError as error:
            place = untrusted.escaped(str(file.parent))
            raise ValueError(f"{place}: expected a folder with a class's name, found {error}; rename it") from error
        try:
            pixels = pictures.decode(untrusted.read_bytes(file, untrusted.MOST_IMAGE), rows.spec).tobytes()
        except (ValueError, OSError) as error:
            rows.bad(f"{untrusted.escaped(str(file))}: expected an image, found {untrusted.reason(error)}")
        else:
            rows.add(split, classes.number(class_name), pixels, file.name)
        if done % 256 == 0 or done == len(found):
            progress(done, len(found))
    return classes


def read_parquet(
    files: Sequence[pathlib.Path],
    rows: collector.Collector,
    progress: collector.Progress,
    class_names: Sequence[str] = (),
) -> Classes:
    """Adds the rows of parquet files to `rows` and returns their classes.

    Numbers are indices into the classes' names in the files' metadata, else into `class_names`.

    The split is the beginning of a file's name (train-00000-of-00001.parquet), `train` if it names none.

    Raises:
      ValueError: if a file is none, has no image or no label, or a row is not valid and `rows` does not skip it.
    """
    # Imported here, since it is slow and no other form needs it.
    import pyarrow
    from pyarrow import parquet

    classes = Classes()
    for done, file in enumerate(files, start=1):
        split = next((SPLITS[part] for part in re.split(r"[-_.]", file.name.lower()) if part in SPLITS), "train")
        try:
            with parquet.ParquetFile(file) as table:
                if table.metadata.num_rows > dataset.MOST_FACES:
                    most = f"expected at most {dataset.MOST_FACES:,} faces"
                    raise ValueError(f"{file}: {most}, found {table.metadata.num_rows:,}; use fewer")
                image, label, names = _columns(table.schema_arrow, file)
                if done > 1 and names and classes.names != names:
                    raise ValueError(f"expected the classes of the other files, found {', '.join(names)}")
                classes.names = names or tuple(class_names)
                row = 0
                for batch in table.iter_batches(_BATCH, columns=[image, label]):
                    for value, target in zip(batch[image].to_pylist(), batch[label].to_pylist(), strict=True):
                        row += 1
                        rows.count(str(file))
                        try:
                            pixels, number = _pixels(value, rows.spec), classes.number(target)
                        except ValueError as error:
                            rows.bad(f"{file} row {row}: expected an image and a label, found {error}")
                        else:
                            rows.add(split, number, pixels.tobytes(), row)
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(
                f"{file}: expected a parquet file, found {untrusted.reason(error)}; fetch it again"
            ) from error
        progress(done, len(files))
    return classes


def read_npz(path: pathlib.Path, rows: collector.Collector, names: Sequence[str] = ()) -> Classes:
    """Adds the arrays of a .npz file to `rows` and returns their classes.

    Images are uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3], labels are numbers or texts [N], under usual names
    (images and labels, X and y), also by split (x_train and y_train, x_test and y_test).

    Raises:
      ValueError: if there are no such arrays.
    """
    arrays = untrusted.read_arrays(path)
    classes = Classes(names)
    pairs: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        parts = re.split(r"[-_.]", name.lower())
        split = next((SPLITS[part] for part in parts if part in SPLITS), "train")
        for kind, usual in (("images", _IMAGES), ("labels", _LABELS)):
            if any(part in usual for part in parts):
                pairs.setdefault(split, {}).setdefault(kind, array)
    whole = {split: pair for split, pair in pairs.items() if len(pair) == 2}
    if not whole:
        found = ", ".join(
            f"{untrusted.shown(name)} {array.dtype} {list(array.shape)}" for name, array in arrays.items()
        )
        raise ValueError(f"{path}: expected arrays images and labels (or X and y), found {found or 'none'}")
    for split, pair in whole.items():
        images, labels = pair["images"], pair["labels"]
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        right = images.dtype == np.uint8 and (images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3)))
        if not (right and images.size and labels.shape == images.shape[:1]):
            raise ValueError(
                f"{path}: expected images uint8 [N, H, W] or [N, H, W, 1 or 3] and labels [N] of split {split}, "
                f"found {images.dtype} {list(images.shape)} and {labels.dtype} {list(labels.shape)}; save them so"
            )
        for row, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
            rows.count(str(path))
            try:
                number = classes.number(label)
            except ValueError as error:
                rows.bad(f"{path} row {row} of {split}: expected a label, found {error}")
            else:
                rows.add(split, number, _square(image, rows.spec).tobytes(), row)
    return classes


def _folders(root: pathlib.Path) -> list[pathlib.Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not class_folders.is_hidden(p.name))


def _columns(schema: Any, file: pathlib.Path) -> tuple[str, str, tuple[str, ...]]:
    """Returns the names of the columns of images and labels, and those of the classes where the metadata say them."""
    features = {}
    try:
        about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = {name: feature for name, feature in about["info"]["features"].items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # files of other origin
    image = _named(schema.names, features, "Image", _IMAGES)
    label = _named([name for name in schema.names if name != image], features, "ClassLabel", _LABELS)
    if image is None or label is None:
        found = ", ".join(map(untrusted.shown, schema.names[:10]))
        raise ValueError(f"{file}: expected columns image and label, found {found}; rename them")
    names = features.get(label, {}).get("names")
    right = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return image, label, tuple(names) if right else ()


def _named(columns: Sequence[str], features: dict[str, dict], kind: str, usual: Sequence[str]) -> str | None:
    by_kind = [name for name in columns if features.get(name, {}).get("_type") == kind]
    by_name = [name for one in usual for name in columns if name.lower() == one]
    return next(iter(by_kind + by_name), None)


def _pixels(value: Any, spec: dataset.ImageSpec) -> np.ndarray:
    """Returns a cell as uint8 [S, S(, 3)]: {bytes, path}, the bytes of a file, or rows of values in 0..255."""
    if isinstance(value, dict):
        value = value.get("bytes")
    if isinstance(value, bytes):
        return pictures.decode(value, spec)
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.array(None)
    side = math.isqrt(array.size)
    if array.ndim == 1 and side in dataset.SIZES and side**2 == array.size:
        array = array.reshape(side, side)
    kinds = array.dtype.kind in "ui" and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3)))
    if not (kinds and 0 < array.size <= untrusted.MOST_PIXELS and array.min() >= 0 and array.max() <= 255):
        raise ValueError("neither the bytes of an image nor rows of values in 0..255")
    return _square(array.astype(np.uint8), spec)


def _square(image: np.ndarray, spec: dataset.ImageSpec) -> np.ndarray:
    return pictures.square(PIL.Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image), spec)
