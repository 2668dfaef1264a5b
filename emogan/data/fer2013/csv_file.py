"""FER2013 as rows of text: fer2013.csv, icml_face_data.csv, train.csv and test.csv."""

import hashlib
import io
import pathlib
import re
from typing import BinaryIO

import numpy as np

from emogan import emotions
from emogan.data.fer2013 import collector

# A row has at most 4 bytes a pixel; what is longer is no row, and is not read as a whole.
_LONGEST_ROW = 1 << 16
_DIGITS_AND_BLANK = b"0123456789 "
_LABELS = {str(label).encode(): label for label in range(len(emotions.EMOTIONS))}
_FRACTION = re.compile(rb"\.0*$")  # pandas writes 6.0 where a column lacks a value
_SPLITS = {"test": "test", "val": "validation", "valid": "validation", "validation": "validation"}  # else train
_SHOWN = 24


class CountingReader(io.RawIOBase):
    """A stream that reports to `progress` how many of its `total` bytes are read."""

    def __init__(self, stream: BinaryIO, total: int, progress: collector.Progress):
        self._stream = stream
        self._total = total
        self._progress = progress
        self._done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._done += len(data)
        if data:
            self._progress(self._done, self._total)
        return len(data)


def buffered(stream: BinaryIO, total: int, progress: collector.Progress) -> io.BufferedReader:
    """Returns a stream of whole blocks that reports one step of progress for each."""
    return io.BufferedReader(CountingReader(stream, total, progress), 1 << 20)


def read(stream: BinaryIO, where: str, name: str, rows: collector.Collector) -> str:
    """Adds the rows of a CSV file to `rows` and returns the SHA-256 of the file.

    `where` stands for the file in messages; its `name` gives the split of rows without a Usage column. Rows are
    numbered as in a spreadsheet: the header is row 1. A file without labels only leaves its name in
    `rows.unlabelled`.

    Raises:
      ValueError: if columns are missing, a row is not label, 2304 pixels in 0..255 and usage, or there are too many.
    """
    header = stream.readline(_LONGEST_ROW)
    if header.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{where}: expected text in UTF-8, found UTF-16; save it as CSV in UTF-8")
    names = [_clean(name).decode(errors="replace").lower() for name in header.removeprefix(b"\xef\xbb\xbf").split(b",")]
    if len(header) == _LONGEST_ROW:
        raise ValueError(f"{where}: expected at most {_LONGEST_ROW - 1} characters in its first row, found more")
    if "contempt" in names and "nf" in names:
        raise ValueError(f"{where}: expected faces, found the votes of FER+; point data_dir at fer2013.csv")
    if "pixels" not in names and (other := next((mark for mark in (b";", b"\t") if mark in header), None)):
        raise ValueError(f"{where}: expected commas between columns, found {_show(other)}; save it as CSV with commas")
    if "pixels" not in names:
        found = ", ".join(_show(name) for name in names[:4])
        raise ValueError(f"{where}: expected columns emotion, pixels and Usage in its first row, found {found}")
    if "emotion" not in names:
        rows.unlabelled.append(where)
        return hashlib.sha256(header).hexdigest()
    for column in ("emotion", "pixels", "usage"):
        if (count := names.count(column)) > 1:
            raise ValueError(f"{where}: expected one column {column}, found {count}; leave out all but one")
    fixed_split = None
    if "usage" not in names:
        fixed_split = _SPLITS.get(pathlib.PurePosixPath(name).name.lower().partition(".")[0], "train")
        what = "Training" if fixed_split == "train" else f"one split `{fixed_split}`"
        rows.remark(f"{where} gives {what} only: it has no Usage column")
    return _read_rows(stream, header, names, fixed_split, where, rows)


def _read_rows(stream, header, names, fixed_split, where, rows) -> str:
    emotion, pixels = names.index("emotion"), names.index("pixels")
    usage = names.index("usage") if fixed_split is None else None
    digest = hashlib.sha256(header)
    number = 1
    while line := stream.readline(_LONGEST_ROW):
        number += 1
        rows.count(where)
        digest.update(line)
        if len(line) == _LONGEST_ROW:
            rows.bad(f"{where} row {number}: expected at most {_LONGEST_ROW - 1} characters, found more")
            while line and not line.endswith(b"\n"):
                line = stream.readline(_LONGEST_ROW)
                digest.update(line)
            continue
        if not line.strip(b' ",\t\r\n'):
            continue  # spreadsheets leave rows of commas
        fields = line.split(b",")
        if len(fields) != len(names):
            rows.bad(f"{where} row {number}: expected {len(names)} columns, found {len(fields)}")
            continue
        split = fixed_split
        if usage is not None:
            word = _clean(fields[usage])
            split = collector.split_of_usage(word.decode(errors="replace"))
            if split is None:
                found = _show(word)
                message = f"expected Usage Training, PublicTest or PrivateTest, found {found}"
                rows.bad(f"{where} row {number}: {message}")
                continue
        place = rows.next_row(split)
        label = _label(_clean(fields[emotion]))
        if label is None:
            found = _show(_clean(fields[emotion]))
            expected = f"expected a label in 0..{len(_LABELS) - 1} or an emotion's name"
            rows.bad(f"{where} row {number}: {expected}, found {found}")
            continue
        text = _clean(fields[pixels])
        values = _parse(text)
        if values is None:
            rows.bad(f"{where} row {number}: {_problem(text)}")
        else:
            rows.add(split, label, values, place)
    return digest.hexdigest()


def _label(text: bytes) -> int | None:
    """Returns the label that 6, 6.0, neutral or Neutral stands for, None for anything else."""
    label = _LABELS.get(_FRACTION.sub(b"", text))
    if label is not None:
        return label
    try:
        return emotions.label(text.decode())
    except ValueError:
        return None


def holds_faces(header: bytes) -> bool:
    """Returns whether the beginning of a file is a first row with the columns emotion and pixels."""
    names = {_clean(name).lower() for name in header.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].split(b",")}
    return {b"emotion", b"pixels"} <= names


def _parse(text: bytes) -> bytes | None:
    """Returns one byte a pixel, None where the text is anything but 2304 integers in 0..255."""
    # With digits and blanks alone NumPy's parser has nothing to guess: no sign, no point, no exponent.
    if not text or text.translate(None, _DIGITS_AND_BLANK):
        return None
    values = np.fromstring(text, np.int64, sep=" ")
    if values.size != collector.NUM_PIXELS or values.max() > 255:
        return None
    return values.astype(np.uint8).tobytes()


def _problem(text: bytes) -> str:
    tokens = text.split()
    for index, token in enumerate(tokens):
        digits = token.lstrip(b"0")
        if not token.isdigit() or len(digits) > 3 or int(digits or b"0") > 255:
            return f"expected pixels as integers in 0..255, found {_show(token)} as pixel {index}"
    if len(tokens) != collector.NUM_PIXELS:
        return f"expected {collector.NUM_PIXELS} pixels, found {len(tokens)}"
    return "expected pixels with blanks between them, found other white space"


def _clean(field: bytes) -> bytes:
    return field.strip(b' "\r\n\t')


def _show(text: bytes | str) -> str:
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
