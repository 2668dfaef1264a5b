"""--dataset=folder: class folders of pictures, parquet files or a .npz file, with their own classes."""

import functools
import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from emogan import emotions
from emogan.data import cache, dataset, folder_readers
from emogan.data.fer2013 import class_folders, collector, validation_split
from emogan.util import untrusted

SPLITS = ("train", "validation", "test")

# Which of them answer for other names, the first that is there.
_ANSWERS = {"valid": ("validation",), "public": ("test",), "private": ("test",), "training": ("train",)}

# Part of the cache's key: raise it when the same source is read into other arrays.
_VERSION = "folder 1"

_MOST_FOLDERS = 1000  # that are looked into
_KNOWN = "folders CLASS/*.jpg or SPLIT/CLASS/*.jpg, *.parquet or one .npz"


def load(
    split: str,
    data_dir: str | pathlib.Path,
    *,
    spec: dataset.ImageSpec,
    class_names: Sequence[str] = (),
    on_bad_row: str = "error",
    cache_dir: pathlib.Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> dataset.Dataset:
    """Returns a split of the pictures at a path: `train`, `validation`, `test`, or a name that one answers for.

    `valid` is `validation`; where there is none, a tenth of `train` is cut off for it (`fer2013_valid`), and
    `training` is all of it. `public` and `private` are `test`.

    Args:
      split: which.
      data_dir: a folder of class folders (itself, or up to two folders below), a folder of parquet files, or a .npz.
      spec: size and channels of the faces, which are converted to them.
      class_names: what the classes are called, in the order of their numbers or else of their names' letters.
      on_bad_row: `error`, or `skip`, which leaves out what is not valid.
      cache_dir: where the arrays are remembered; nowhere if not given.
      progress: takes (done, total) while pictures are read.
      report: takes remarks of one line.

    Raises:
      FileNotFoundError: if there is nothing of these kinds.
      ValueError: if it is not valid, has no such split, or another number of classes than names are given.
    """
    path = pathlib.Path(data_dir)
    report = report or (lambda line: None)
    arrays, found = _read(path, class_names, on_bad_row, cache_dir, progress or collector.no_progress, report, spec)
    names, numbers = _ordered(found, class_names, path)
    splits = {
        name: dataset.Dataset(arrays[f"{name}_images"], numbers[arrays[f"{name}_labels"]], "folder", name, names)
        for name in SPLITS
        if f"{name}_images" in arrays
    }
    report(f"{path}: {', '.join(f'{len(data):,} {name}' for name, data in splits.items())}; classes {', '.join(names)}")
    if split in ("train", "valid") and "train" in splits and "validation" not in splits:
        chosen = validation_split.remembered(splits["train"], cache_dir) == (split == "valid")
        if split == "train":
            kept = f"{len(chosen) - chosen.sum():,} of train are kept from training, as valid"
            report(kept if not chosen.all() else "no face is kept from training as valid: no class has 10 that differ")
        return splits["train"].take(chosen, split)
    answer = next((name for name in (split, *_ANSWERS.get(split, ())) if name in splits), None)
    if answer is None:
        raise ValueError(f"{path}: expected split {split!r}, found {', '.join(splits)}; ask for one of these")
    data = splits[answer]
    return data.take(np.arange(len(data)), split)


def _read(
    path, class_names, on_bad_row, cache_dir, progress, report, spec
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Returns arrays by split, and what the source calls the classes that their labels number."""
    rows = collector.Collector(on_bad_row, spec)
    if path.is_file() and path.suffix.lower() == ".npz":
        classes = folder_readers.read_npz(path, rows, class_names)
        return _finish(rows, classes, report)
    files, read = _find(path, class_names)
    if len(files) == 1 and files[0].suffix.lower() == ".npz":
        return _finish(rows, folder_readers.read_npz(files[0], rows, class_names), report)

    def make() -> dict[str, np.ndarray]:
        arrays, names = _finish(rows, read(rows, progress), report)
        return {**arrays, "names": np.frombuffer(json.dumps(names).encode(), np.uint8)}

    other = "" if spec == dataset.FER2013 else f" {spec}"  # faces of the usual kind stay remembered
    statuses = [(file, file.stat()) for file in files]
    key = cache.key(
        path,
        [(str(file), status.st_size, status.st_mtime_ns) for file, status in statuses],
        f"{_VERSION} {class_names}{other}",
    )
    # What was left out has to be said again, so it is not remembered.
    arrays = cache.remember(cache_dir if on_bad_row == "error" else None, "folder", key, make)
    return arrays, tuple(json.loads(arrays["names"].tobytes()))


def _finish(rows, classes, report) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    arrays = {}
    for split, (images, labels) in rows.splits().items():
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images, labels
    for remark in rows.all_remarks():
        report(remark)
    # With names of the source's own, classes that no face has count, too.
    for name in classes.names:
        classes.numbers.setdefault(name, len(classes.numbers))
    return arrays, tuple(classes.numbers)


def _find(path: pathlib.Path, class_names: Sequence[str]):
    """Returns the files of the source at a path, and a function that reads them into a collector."""
    if path.is_file() and path.suffix.lower() == ".parquet":
        return [path], functools.partial(folder_readers.read_parquet, [path], class_names=class_names)
    if not path.is_dir():
        what = "a file of another kind" if path.exists() else "nothing there"
        raise FileNotFoundError(f"{path}: expected {_KNOWN}, found {what}; check --data_dir")
    candidates = [path]
    for folder in candidates:  # which grows
        try:
            entries = sorted(folder.iterdir())
        except PermissionError:
            continue
        tables = [p for p in entries if p.is_file() and p.suffix.lower() == ".parquet"]
        if tables:
            return tables, functools.partial(folder_readers.read_parquet, tables, class_names=class_names)
        arrays = [p for p in entries if p.is_file() and p.suffix.lower() == ".npz"]
        if len(arrays) > 1:
            raise ValueError(f"{folder}: expected one .npz file, found {len(arrays)}; name one: --data_dir={arrays[0]}")
        if arrays:
            return arrays, None
        images = folder_readers.image_files(folder)
        if len({name for _, name, _ in images}) > 1:
            return [file for *_, file in images], functools.partial(folder_readers.read_images, images)
        if len(folder.relative_to(path).parts) < 2 and len(candidates) < _MOST_FOLDERS:
            candidates += [p for p in entries if p.is_dir() and not class_folders.is_hidden(p.name)]
    names = ", ".join(untrusted.shown(p.name) for p in sorted(path.iterdir())[:5])
    raise FileNotFoundError(f"{path}: expected {_KNOWN}, found {names or 'an empty folder'}; docs/data.md has recipes")


def _ordered(
    found: Sequence[str], class_names: Sequence[str], path: pathlib.Path
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the names of the classes in order, and for each number in `found` its place there, int32.

    Emotions come first, in FER2013's order, then others by their letters; numbers come by value.
    """
    if class_names and set(found) == set(class_names):
        order = list(class_names)
    elif all(name.lstrip("-").isdecimal() for name in found):
        order = sorted(found, key=int)
    elif class_names:
        order = sorted(found)
    else:
        words = [emotions.usual(name) for name in found]
        place = {word: index for index, word in enumerate(emotions.EMOTIONS)}
        order = sorted(found, key=lambda name: (place.get(emotions.usual(name), len(place)), name.lower()))
        if len(set(words)) == len(words):
            return tuple(map(emotions.usual, order)), np.array([order.index(name) for name in found], np.int32)
    if class_names and len(class_names) != len(order):
        raise ValueError(
            f"{path}: expected {len(class_names)} classes ({', '.join(class_names)}), found {len(order)}: "
            f"{', '.join(map(untrusted.shown, order[:20]))}; correct --config.data.class_names"
        )
    return tuple(class_names or order), np.array([order.index(name) for name in found], np.int32)
