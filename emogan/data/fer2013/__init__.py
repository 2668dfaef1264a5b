"""FER2013 in every form in which it is distributed, as data sets in memory."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from emogan.data import cache, dataset
from emogan.data.fer2013 import collector, ferplus, sources
from emogan.util import untrusted

SPLITS = collector.SPLITS

# How many faces each split has where nothing was left out.
SIZES = {"train": 28709, "public": 3589, "private": 3589}

# Part of the cache's key: raise it when the same source is read into other arrays or remarks.
_VERSION = "fer2013 3"


def load(
    split: str,
    data_dir: str | pathlib.Path,
    *,
    on_bad_row: str = "error",
    cache_dir: str | pathlib.Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> dataset.Dataset:
    """Returns one split of FER2013: 'train', 'public', 'private', or 'test' if nothing distinguishes the last two.

    `data_dir` is a file (.csv, .zip, .tar.gz) or a folder that holds one, or folders train|test/<class>. With a
    `cache_dir` the second call takes well under a second. `progress` takes (done, total) in bytes or images while a
    source is read, and is not called where the cache has it. `report` takes remarks of one line: what a
    form leaves out, and with `on_bad_row='skip'` how many rows were left out and why.

    Raises:
      FileNotFoundError: if there is no FER2013 at `data_dir`.
      ValueError: if the split is missing, or a row or an image is not valid (naming file and row).
    """
    data, _ = load_with_votes(
        split, data_dir, on_bad_row=on_bad_row, cache_dir=cache_dir, progress=progress, report=report
    )
    return data


@dataclasses.dataclass(frozen=True)
class Votes:
    """FER+ for the faces of a split: `counts` uint8 [N, 10], see `ferplus`, or None and the reason in one line.

    `where` stands for fer2013new.csv, and is empty where there is none.
    """

    counts: np.ndarray | None
    reason: str
    where: str


def load_with_votes(
    split: str,
    data_dir: str | pathlib.Path,
    *,
    ferplus_file: str | pathlib.Path | None = None,
    on_bad_row: str = "error",
    cache_dir: str | pathlib.Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> tuple[dataset.Dataset, Votes]:
    """Returns what `load` does, under FER2013's labels, and for each face the votes of FER+ where they are there.

    fer2013new.csv is looked for next to FER2013, in its archive, or as `ferplus_file`.

    Raises:
      FileNotFoundError: as `load`, or if there is no `ferplus_file`.
      ValueError: as `load`.
    """
    if split not in SPLITS:
        raise ValueError(f"expected a split out of {', '.join(SPLITS)}, found {split!r}")
    named = pathlib.Path(ferplus_file) if ferplus_file is not None else None
    contents = _open(split, data_dir, on_bad_row, cache_dir, progress, report, named)
    if split not in contents.sizes:
        raise ValueError(_missing_split(split, contents))
    images, labels = contents.arrays[split]
    data = dataset.Dataset(images, labels, name="fer2013", split=split)
    return data, Votes(contents.votes.get(split), contents.no_votes.get(split, ""), contents.votes_where)


def load_all(
    data_dir: str | pathlib.Path,
    *,
    on_bad_row: str = "error",
    progress: Callable[[int, int], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> dict[str, dataset.Dataset]:
    """Returns every split that is at `data_dir`, read once and without a cache; else as `load`.

    Raises:
      FileNotFoundError: if there is no FER2013 at `data_dir`.
      ValueError: if nothing there has labels, or a row or an image is not valid (naming file and row).
    """
    contents = _open(None, data_dir, on_bad_row, None, progress, report)
    if not contents.sizes:
        raise ValueError(_missing_split("train", contents))
    return {
        split: dataset.Dataset(images, labels, name="fer2013", split=split)
        for split, (images, labels) in contents.arrays.items()
    }


def available_splits(
    data_dir: str | pathlib.Path,
    *,
    on_bad_row: str = "error",
    cache_dir: str | pathlib.Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> dict[str, int]:
    """Returns the splits that `load` gives for the same arguments, with how many faces each has.

    Raises:
      FileNotFoundError: if there is no FER2013 at `data_dir`.
      ValueError: if a row or an image is not valid (naming file and row).
    """
    return _open(None, data_dir, on_bad_row, cache_dir, progress, report).sizes


@dataclasses.dataclass(frozen=True)
class _Contents:
    """What a source holds: the size of every split, and the arrays of at least the one that was asked for."""

    path: pathlib.Path
    sizes: dict[str, int]
    unlabelled: list[str]
    arrays: dict[str, tuple[np.ndarray, np.ndarray]]
    votes: dict[str, np.ndarray]
    no_votes: dict[str, str]  # why a split has none
    votes_where: str


def _open(split, data_dir, on_bad_row, cache_dir, progress, report, votes=None) -> _Contents:
    rows = collector.Collector(on_bad_row, dataset.FER2013)
    report = report or (lambda line: None)

    def find() -> sources.Source:
        return sources.find(pathlib.Path(data_dir), votes)

    source = find()
    if source.others:
        report(f"reading {source.path}; next to it there are {', '.join(source.others)}")
    if cache_dir is None:
        return _read(source, rows, progress, report)
    file = cache.path(pathlib.Path(cache_dir), source.path, "fer2013")
    key = cache.key(source.path, source.files, _VERSION)
    contents = _read_cache(source, split, on_bad_row, report, file, key)
    if contents is not None:
        return contents

    def is_same() -> bool:
        return cache.key(source.path, find().files, _VERSION) == key

    return _read(source, rows, progress, report, file, key, is_same)


def _read(source, rows, progress, report, file=None, key=None, is_same=None) -> _Contents:
    content_hash = source.read(rows, progress or collector.no_progress)
    arrays = rows.splits()
    sizes = {split: len(labels) for split, (_, labels) in arrays.items()}
    remarks = [*rows.all_remarks(), *_incomplete(source.path, sizes)]
    for remark in remarks:
        report(remark)
    contents = _Contents(source.path, sizes, rows.unlabelled, arrays, *_match_votes(source, rows, arrays))
    if file is not None:
        metadata = {
            "source": str(source.path),
            "sha256": content_hash,
            "sizes": sizes,
            "left_out": rows.left_out,
            "remarks": remarks,
            "unlabelled": rows.unlabelled,
            "no_votes": contents.no_votes,
            "votes_where": contents.votes_where,
        }
        _write_cache(contents, metadata, report, file, key, is_same)
    return contents


def _match_votes(source, rows, arrays) -> tuple[dict[str, np.ndarray], dict[str, str], str]:
    """Returns the votes by split, why others have none, and where FER+ is."""
    where = str(source.votes) if source.votes else rows.ferplus[1] if rows.ferplus else ""
    if not where:
        why = f"FER+: expected {ferplus.NAME} next to {source.path}, found none; {ferplus.ORIGIN}"
        return {}, dict.fromkeys(arrays, why), ""
    try:
        content = untrusted.read_bytes(source.votes, untrusted.MOST_TEXT) if source.votes else rows.ferplus[0]
    except (ValueError, OSError) as error:
        return {}, dict.fromkeys(arrays, f"{where}: expected FER+, found {untrusted.reason(error)}"), where
    try:
        table = ferplus.parse(content, where)
    except ValueError as error:
        return {}, dict.fromkeys(arrays, str(error)), where
    found, why = {}, {}
    for split, (_, labels) in arrays.items():
        try:
            places, count = rows.places[split], rows.num_rows[split]
            found[split] = ferplus.match(table, split, labels, places, count, str(source.path))
        except ValueError as error:
            why[split] = str(error)
    return found, why, where


def _read_cache(source, split, on_bad_row, report, file, key) -> _Contents | None:
    metadata = cache.read_metadata(file, key)
    # Where something was left out before, a reader who wants nothing left out has to meet the first of it again.
    if metadata is None or (metadata["left_out"] and on_bad_row == "error"):
        return None
    sizes, arrays, votes = metadata["sizes"], {}, {}
    if split in sizes:
        images, labels = cache.read_array(file, f"{split}_images"), cache.read_array(file, f"{split}_labels")
        if images is None or labels is None:
            return None
        arrays[split] = images, labels
        if split not in metadata["no_votes"]:
            votes[split] = cache.read_array(file, f"{split}_votes")
            if votes[split] is None:
                return None
    for remark in metadata["remarks"]:
        report(remark)
    unlabelled, no_votes, where = (metadata[name] for name in ("unlabelled", "no_votes", "votes_where"))
    return _Contents(source.path, sizes, unlabelled, arrays, votes, no_votes, where)


def _write_cache(contents, metadata, report, file, key, is_same) -> None:
    arrays = {f"{split}_votes": votes for split, votes in contents.votes.items()}
    for split, (images, labels) in contents.arrays.items():
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images, labels
    try:
        # What changed while it was read must not be remembered as what it is now.
        if is_same():
            cache.store(file, key, metadata, arrays)
    except OSError as e:
        report(f"no cache: {file.parent} cannot be written ({e.strerror or e}); the next read takes as long")


def _incomplete(path: pathlib.Path, sizes: dict[str, int]) -> list[str]:
    if sizes == SIZES or not sizes:
        return []
    whole = ", ".join(f"{size} {split}" for split, size in SIZES.items())
    return [f"{path} gives {', '.join(f'{size} {split}' for split, size in sizes.items())}; FER2013 has {whole}"]


def _missing_split(split: str, contents: _Contents) -> str:
    expected = f"{contents.path}: expected split {split!r}, found {', '.join(contents.sizes) or 'no labelled faces'}"
    if contents.unlabelled:
        without = f"{', '.join(contents.unlabelled)} has no emotion column and so no labels"
        return f"{expected}; {without}: use fer2013.csv or icml_face_data.csv"
    return f"{expected}; ask for a split that is there, or use a form of FER2013 that has this one"
