"""What every form of FER2013 is read into: labelled faces by split, with one rule for rows that are not valid."""

from collections.abc import Callable

import numpy as np

from emogan.data import dataset

SPLITS = ("train", "public", "private", "test", "validation")
NUM_PIXELS = dataset.FER2013.size**2

ON_BAD_ROW = ("error", "skip")
_SHOWN_BAD_ROWS = 3

# The competition's words, in lower case; they are the Usage column's values and the beginning of file names.
_USAGES = {"training": "train", "publictest": "public", "privatetest": "private"}


def split_of_usage(usage: str) -> str | None:
    """Returns the split that a word of the competition (Training, PublicTest, PrivateTest) names, None for others."""
    return _USAGES.get(usage.strip().lower())


def split_of_file_name(name: str) -> str | None:
    """Returns the split that a file's name begins with (Training_7.jpg: train), None if it names none."""
    prefix, underscore, _ = name.partition("_")
    return split_of_usage(prefix) if underscore else None


class Collector:
    """Gathers labelled faces by split, and applies `on_bad_row` ('error' or 'skip') to what is not valid.

    Args:
      on_bad_row: which.
      spec: what the faces are.

    Raises:
      ValueError: if `on_bad_row` is neither.
    """

    def __init__(self, on_bad_row: str, spec: dataset.ImageSpec):
        if on_bad_row not in ON_BAD_ROW:
            raise ValueError(f"expected on_bad_row out of {', '.join(ON_BAD_ROW)}, found {on_bad_row!r}")
        self.on_bad_row, self.spec = on_bad_row, spec
        self.remarks: list[str] = []
        self.unlabelled: list[str] = []
        self.num_bad = 0
        self.left_out = 0  # rows and folders
        self._first_bad = ""  # where nothing before it is valid, until something is
        self._any_good = False
        self._bad: list[str] = []
        self._count = 0
        self._pixels = {split: bytearray() for split in SPLITS}
        self._labels: dict[str, list[int]] = {split: [] for split in SPLITS}
        self.places: dict[str, list[int | str]] = {split: [] for split in SPLITS}
        self.num_rows = dict.fromkeys(SPLITS, 0)
        self.ferplus: tuple[bytes, str] | None = None  # fer2013new.csv next to the rows in an archive, and where

    def count(self, where: str) -> None:
        """Counts a row or a file, good or bad, or raises ValueError where there are more than `dataset.MOST_FACES`."""
        self._count += 1
        if self._count > dataset.MOST_FACES:
            raise ValueError(f"{where}: expected at most {dataset.MOST_FACES:,} faces, found more; FER2013 has 35,887")

    def next_row(self, split: str) -> int:
        """Returns the place of the next row among those of its split, from 0 on, whether it is valid or not."""
        self.num_rows[split] += 1
        return self.num_rows[split] - 1

    def add(self, split: str, label: int, pixels: bytes, place: int | str) -> None:
        """Adds a face, its values row by row from the top left corner, of a pixel in colour three.

        Its `place` is what `next_row` gave, or the name of its image: other labels are found by it.
        """
        self.good()
        self._pixels[split] += pixels
        self._labels[split].append(label)
        self.places[split].append(place)

    def good(self) -> None:
        """Notes that something is valid; raises ValueError where something before it is not."""
        self._any_good = True
        if self._first_bad:
            raise ValueError(f"{self._first_bad}; repair it, or leave such rows out with --on_bad_row=skip")

    def bad(self, problem: str) -> None:
        """Counts a row that is not valid, or raises ValueError with the problem and what to do.

        While nothing is valid, it raises nothing: where all is bad, to leave out what is bad is no advice.
        """
        if self.on_bad_row == "error":
            self._first_bad = self._first_bad or problem
            if self._any_good:
                self.good()
            return
        self.num_bad += 1
        self.left_out += 1
        if len(self._bad) < _SHOWN_BAD_ROWS:
            self._bad.append(problem)

    def problem(self, line: str, rest: bool = True) -> None:
        """Remarks something amiss with a folder, which is left out, or raises ValueError with it and what to do.

        `rest` says whether anything is left without the folder.
        """
        if self.on_bad_row == "error":
            skip = ", or go on without with --on_bad_row=skip" if rest else ""
            raise ValueError(f"{line}; repair it{skip}")
        self.left_out += 1
        self.remark(f"{line}; left out")

    def remark(self, line: str) -> None:
        """Keeps a remark for the caller."""
        self.remarks.append(line)

    def all_remarks(self) -> tuple[str, ...]:
        """Returns the remarks, and in one more line how many rows were skipped and why."""
        if not self.num_bad:
            return tuple(self.remarks)
        more = f"; and {self.num_bad - len(self._bad)} more" if self.num_bad > len(self._bad) else ""
        return (*self.remarks, f"skipped {self.num_bad} bad rows: {'; '.join(self._bad)}{more}")

    def splits(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Returns images uint8 [N, S, S(, 3)] and labels int32 [N] of every split that has any.

        Raises:
          ValueError: if nothing is valid and something is not.
        """
        if self._first_bad:
            raise ValueError(f"{self._first_bad}; repair it")
        shape = (-1, *self.spec.byte_shape)
        return {
            split: (np.frombuffer(self._pixels[split], np.uint8).reshape(shape), np.array(labels, np.int32))
            for split, labels in self._labels.items()
            if labels
        }


# (done, total), in whatever unit the form is read in: bytes, or images.
Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Takes progress and does nothing with it."""
