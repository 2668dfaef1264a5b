"""Grids of faces with names on their rows and columns, as one picture."""

import functools
from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

_MARGIN = 12
_GAP = 4  # between faces
_PADDING = 8  # between a name and its faces
_TEXT = 16
_TITLE = 20
_SMALLEST = 7
_LONGEST = 32  # characters of a row's name


def labelled_grid(
    faces: np.ndarray, columns: Sequence[str] = (), rows: Sequence[str] = (), title: str = "", scale: int = 3
) -> np.ndarray:
    """Returns a picture uint8 [H', W'(, 3)] of a grid of faces on white, with names over columns and before rows.

    Args:
      faces: uint8 [rows, columns, H, W], or in colour [rows, columns, H, W, 3].
      columns: a name a column, or none; where one is wider than its column, it is broken at a space, or all are set
        smaller.
      rows: a name a row, or none; the middle of a very long one is left out.
      title: a line above all, if not empty.
      scale: how many pixels a pixel becomes, in each direction.

    Raises:
      ValueError: if the shape or the number of names does not fit.
    """
    faces = np.asarray(faces)
    if faces.dtype != np.uint8 or faces.ndim not in (4, 5) or faces.shape[4:] not in ((), (3,)) or 0 in faces.shape:
        raise ValueError(f"expected faces uint8 [rows, columns, H, W(, 3)], found {faces.dtype} {list(faces.shape)}")
    for what, names, count in (("row", rows, faces.shape[0]), ("column", columns, faces.shape[1])):
        if len(names) not in (0, count):
            raise ValueError(f"expected a name for each of {count} {what}s or none, found {len(names)}")
    faces = faces.repeat(scale, axis=2).repeat(scale, axis=3)
    count_rows, count_columns, height, width = faces.shape[:4]

    rows = [_shorten(name) for name in rows]
    headings, font = _fit(columns, width)
    title_font, row_font = _font(_TITLE), _font(_TEXT)
    top = _MARGIN
    if title:
        top += _size(title, title_font)[1] + _PADDING
    if headings:
        top += max(_size(name, font)[1] for name in headings) + _PADDING
    left = _MARGIN
    if rows:
        left += max(_size(name, row_font)[0] for name in rows) + _PADDING
    right = left + count_columns * (width + _GAP) - _GAP
    if title:
        right = max(right, _MARGIN + _size(title, title_font)[0])
    bottom = top + count_rows * (height + _GAP) - _GAP
    picture = PIL.Image.new("L", (right + _MARGIN, bottom + _MARGIN), color=255)
    draw = PIL.ImageDraw.Draw(picture)

    if title:
        draw.text((_MARGIN, _MARGIN), title, fill=0, font=title_font, anchor="la")
    for column, name in enumerate(headings):
        x = left + column * (width + _GAP) + width / 2
        y = top - _PADDING - _size(name, font)[1]
        draw.multiline_text((x, y), name, fill=0, font=font, anchor="ma", align="center")
    for row, name in enumerate(rows):
        y = top + row * (height + _GAP) + height / 2
        draw.text((left - _PADDING, y), name, fill=0, font=row_font, anchor="rm")
    pixels = np.array(picture.convert("RGB" if faces.ndim == 5 else "L"))
    for row in range(count_rows):
        for column in range(count_columns):
            y, x = top + row * (height + _GAP), left + column * (width + _GAP)
            pixels[y : y + height, x : x + width] = faces[row, column]
    return pixels


def _fit(names: Sequence[str], width: int) -> tuple[list[str], PIL.ImageFont.FreeTypeFont]:
    """Returns names, each over two lines if need be, and the largest font in which all fit into width."""
    for size in range(_TEXT, _SMALLEST - 1, -1):
        font = _font(size)
        broken = [
            min(_lines(name), key=lambda text: (_size(text, font)[0] > width, text.count("\n"))) for name in names
        ]
        if all(_size(name, font)[0] <= width for name in broken):
            break
    return broken, font


def _lines(text: str) -> list[str]:
    """Returns a text as it is, and broken at each of its spaces."""
    words = text.split()
    return [text] + ["\n".join((" ".join(words[:i]), " ".join(words[i:]))) for i in range(1, len(words))]


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[3 - _LONGEST // 2 :]}"


def _size(text: str, font: PIL.ImageFont.FreeTypeFont) -> tuple[int, int]:
    """Returns the width of a text, and the height of its lines whether or not they have descenders."""
    box = PIL.ImageDraw.Draw(PIL.Image.new("L", (1, 1))).multiline_textbbox((0, 0), text, font=font)
    lines = text.count("\n") + 1
    return round(box[2] - box[0]), round(lines * (sum(font.getmetrics()) + 4) - 4)


@functools.cache
def _font(size: int) -> PIL.ImageFont.FreeTypeFont:
    return PIL.ImageFont.load_default(size=size)
