"""FER+ (Barsoum et al. 2016): what ten people saw on each face of FER2013, as labels and distributions over labels."""

import csv
import dataclasses
import io
import pathlib
import re
from collections.abc import Sequence
from importlib import resources

import numpy as np

from emogan.data import dataset
from emogan.data.fer2013 import collector
from emogan.util import untrusted

NAME = "fer2013new.csv"
ORIGIN = "it is at github.com/microsoft/FERPlus (MIT licence)"

# The columns of votes that have a label here, in the order of the labels, and those that have none.
SEVEN = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
OTHERS = ("contempt", "unknown", "nf")

_LOST = 0.01  # of a split's faces, which may have names that no row has
_RUN = 100  # successive rows
_LEAST_AGREEMENT = 0.4  # within them: those of FER2013 have 0.48 and more, and 0.32 and less where all are one row off
_VOTED_FOR = re.compile(r"fer\d+")  # the names of images that FER+'s own script writes


@dataclasses.dataclass(frozen=True)
class Votes:
    """All of fer2013new.csv: by split, in the order of its rows, `counts` uint8 [N, 10] and `names` of images.

    The ten columns are `SEVEN` and `OTHERS`; a name is empty where FER+ has none.
    """

    where: str
    counts: dict[str, np.ndarray]
    names: dict[str, tuple[str, ...]]


def parse(content: bytes, where: str) -> Votes:
    """Returns the votes that the bytes of fer2013new.csv hold; `where` stands for the file in messages.

    Raises:
      ValueError: if a column is missing, or a row is not Usage, name and votes.
    """
    expected = f"{where}: expected FER+ (columns Usage, Image name and {', '.join((*SEVEN, *OTHERS))})"
    if len(content) > untrusted.MOST_TEXT:
        raise ValueError(f"{expected}, found more than {untrusted.MOST_TEXT >> 20} MiB; {ORIGIN}")
    try:
        table = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        header = [name.strip().lower() for name in next(table, [])]
        columns = [header.index(name) for name in ("usage", "image name", *SEVEN, *OTHERS)]
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{expected}, found {untrusted.reason(error)}; {ORIGIN}") from error
    counts: dict[str, list[list[int]]] = {}
    names: dict[str, list[str]] = {}
    try:
        for number, row in enumerate(table, start=2):
            if not any(field.strip() for field in row):
                continue
            fields = [row[column].strip() for column in columns] if len(row) > max(columns) else []
            split = collector.split_of_usage(fields[0]) if fields else None
            votes = fields[2:]
            if split is None or not all(vote.isascii() and vote.isdigit() and len(vote) <= 2 for vote in votes):
                found = untrusted.shown(",".join(row))
                raise ValueError(f"{where} row {number}: expected Usage, a name and ten votes, found {found}; {ORIGIN}")
            counts.setdefault(split, []).append([int(vote) for vote in votes])
            names.setdefault(split, []).append(pathlib.PurePosixPath(fields[1]).stem.lower())
    except csv.Error as error:
        raise ValueError(f"{expected}, found {untrusted.reason(error)}; {ORIGIN}") from error
    return Votes(
        where,
        {split: np.array(rows, np.uint8) for split, rows in counts.items()},
        {split: tuple(rows) for split, rows in names.items()},
    )


def match(
    votes: Votes, split: str, labels: np.ndarray, places: Sequence[int | str], num_rows: int, where: str
) -> np.ndarray:
    """Returns the votes for each face of a split, uint8 [N, 10]; all are 0 where a face's name is in no row.

    Args:
      votes: FER+.
      split: of the faces.
      labels: what FER2013 calls each face, int32 [N].
      places: where each face stands: its row among those of its split, from 0 on, or the name of its image.
      num_rows: how many rows of this split the source has, with those that are left out.
      where: stands for the source in messages.

    Raises:
      ValueError: if the faces' rows are not known, or the labels show that they are others.
    """
    expected = f"FER+: expected the rows of {where} to be told by their order or by the names of images"
    if split not in votes.counts:
        raise ValueError(f"{expected}, found split {split!r}, which {votes.where} does not have; use fer2013.csv")
    counts = votes.counts[split]
    if places and isinstance(places[0], str):
        rows = _rows_of_names(votes, split, labels, places)
        if np.mean(rows < 0) > _LOST:
            name = untrusted.shown(places[int(np.argmin(rows))])
            raise ValueError(f"{expected}, found names such as {name}; use fer2013.csv")
    elif num_rows != len(counts):
        raise ValueError(
            f"{expected}, found {num_rows:,} rows of {split} where {votes.where} has {len(counts):,}; "
            "use the whole fer2013.csv"
        )
    else:
        rows = np.array(places, np.int64)
    found = np.where(rows[:, None] >= 0, counts[rows], np.uint8(0))
    _check_agreement(found, labels, rows, votes, where)
    return found


def relabel(data: dataset.Dataset, votes: np.ndarray) -> tuple[dataset.Dataset, str]:
    """Returns a data set under the labels of FER+, without what is no face, and a remark of one line.

    A face is left out where at least half of its votes are for no face. Of the others only the votes for the seven
    emotions count, and of these no single ones where there is an emotion with two (as FER+'s own script does). Their
    shares are the distribution and the emotion with most is the label, that of FER2013 where it is among several.
    Where no one voted for one of the seven, FER2013's label stays.

    Args:
      data: faces under FER2013's labels.
      votes: for each, uint8 [N, 10].
    """
    distributions, own = shares(votes, data.labels)
    no_face = (2 * votes[:, -1].astype(int) >= votes.sum(1)) & (votes[:, -1] > 0)
    most = distributions >= distributions.max(1, keepdims=True)
    labels = np.where(most[np.arange(len(data)), data.labels], data.labels, most.argmax(1)).astype(np.int32)
    kept = ~no_face
    other = int(np.sum((labels != data.labels) & kept))
    remark = (
        f"labels of FER+ for {int(kept.sum()):,} faces of {data.split}, {other:,} of them other than FER2013's; "
        f"{int(no_face.sum()):,} left out (no face), {int(np.sum(own & kept)):,} with FER2013's label (no vote)"
    )
    relabelled = dataclasses.replace(
        data, labels=labels, distributions=distributions, label_source="ferplus", left_out=int(no_face.sum())
    )
    return relabelled.take(kept), remark


def shares(votes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns distributions over the seven emotions, float32 [N, 7], and whose is that of the label, bool [N].

    Args:
      votes: for each face, uint8 [N, 10].
      labels: what FER2013 calls it, int32 [N].
    """
    seven = votes[:, : len(SEVEN)].astype(np.float32)
    without_single = np.where(seven > 1, seven, 0)
    seven = np.where(without_single.any(1, keepdims=True), without_single, seven)
    own = ~seven.any(1)
    seven[own, labels[own]] = 1
    return seven / seven.sum(1, keepdims=True), own


def _rows_of_names(votes: Votes, split: str, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Returns the row of each image, int64 [N], -1 where it is not known."""
    stems = [pathlib.PurePosixPath(name).stem.lower() for name in names]
    if _VOTED_FOR.fullmatch(stems[0]):
        row_of = {name: row for row, name in enumerate(votes.names[split]) if name}
        return np.array([row_of.get(stem, -1) for stem in stems])
    # Two names stand in two class folders each.
    row_of = {pair: row for row, pair in enumerate(_numbers(split))}
    numbers = [stem.rpartition("_")[2] for stem in stems]
    return np.array(
        [
            row_of.get((int(number), int(label)), -1) if number.isascii() and number.isdigit() else -1
            for number, label in zip(numbers, labels, strict=True)
        ]
    )


def _numbers(split: str) -> list[tuple[int, int]]:
    """Returns the number in the file name and the label of each row, in the folders that are handed round on Kaggle."""
    with resources.as_file(resources.files("emogan") / "assets" / "fer2013_files.npz") as path:
        arrays = untrusted.read_arrays(path)
    if split not in arrays:
        return []
    return list(zip(arrays[split].tolist(), arrays[f"{split}_labels"].tolist(), strict=True))


def _check_agreement(found: np.ndarray, labels: np.ndarray, rows: np.ndarray, votes: Votes, where: str) -> None:
    """Raises ValueError where votes and labels agree no better than those of different faces do.

    A row that is missing at one place and one too many at another leave the count as it is.
    """
    told = np.flatnonzero(found[:, : len(SEVEN)].any(1))
    told = told[np.argsort(rows[told], kind="stable")]
    agree = np.concatenate([[0], np.cumsum(found[told, : len(SEVEN)].argmax(1) == labels[told])])
    share = (agree[_RUN:] - agree[:-_RUN]) / _RUN
    if not share.size or share.min() >= _LEAST_AGREEMENT:
        return
    start = int(share.argmin())
    first, last = rows[told[[start, start + _RUN - 1]]]
    raise ValueError(
        f"FER+: expected the rows of {where} in the order of {votes.where}, found {100 * share[start]:.0f} % of equal "
        f"labels in its rows {first:,} to {last:,}, where the right order has 48 % or more; "
        "use the competition's fer2013.csv, or its image folders"
    )
