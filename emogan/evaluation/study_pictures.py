"""What viewers are shown: real faces and edits, balanced over the emotions, shuffled and numbered."""

import base64
import dataclasses
import hashlib
import json
import pathlib
import string
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from emogan.data import dataset
from emogan.util import files, images

FORMAT = 1
REAL = "real faces"
KEY, VIEWERS = "key.json", "for_viewers"

_ACROSS, _DOWN = 6, 5  # pictures of a sheet
_SCALE = 4
_GAP, _NUMBER = 16, 30  # pixels between pictures, and above each for its number
_MARGIN = 24


@dataclasses.dataclass(frozen=True)
class Method:
    """A program whose edits are shown.

    Attributes:
      name: in the tables.
      may: which edits it can make, bool [N, C]: of a held-out face to an emotion.
      edit: (faces int [M], emotions int [M]) -> pictures uint8 [M, 48, 48].
    """

    name: str
    may: np.ndarray
    edit: Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Shown:
    """N pictures in the order in which they are shown, and what they are.

    Attributes:
      pictures: uint8 [N, 48, 48].
      by: int [N], 0 for real faces, else 1 + the place of the method.
      emotion: int [N], as labelled, or as asked of the method.
      face: int [N], the place of the face among the held-out ones.
      names: of real faces and methods.
    """

    pictures: np.ndarray
    by: np.ndarray
    emotion: np.ndarray
    face: np.ndarray
    names: tuple[str, ...]


def choose(
    held_out: dataset.Dataset, methods: Sequence[Method], each: int, seed: int, same_faces: bool = False
) -> Shown:
    """Returns `each` real faces of every emotion and as many edits to it of every method.

    An edit is always of a face of another emotion, drawn evenly over these emotions as far as there are faces. No face
    is shown twice, edited or unedited: a viewer who meets a person again would know. With `same_faces` all methods edit
    the same faces to the same emotions, so that methods are compared without the differences between faces, and each
    of these faces is shown once for each method; the real faces are still others.

    Raises:
      ValueError: if names clash, or there are too few faces.
    """
    names = (REAL, *(one.name for one in methods))
    if len(set(names)) < len(names):
        raise ValueError(f"expected a name for each model, found {', '.join(names)}; rename a file or folder")
    random, free = np.random.default_rng(seed), np.ones(len(held_out), bool)
    classes = len(held_out.class_names)
    counts = held_out.class_counts()
    rows: list[tuple[int, int, int]] = []
    # The rarest emotion first, since other pictures may take its few faces.
    for emotion in np.argsort(counts, kind="stable"):
        found = random.permutation(np.flatnonzero(free & (held_out.labels == emotion)))[:each]
        _need(len(found), each, f"faces that are {held_out.class_names[emotion]}")
        free[found] = False
        rows += [(0, int(emotion), int(face)) for face in found]
    every = tuple(range(1, len(methods) + 1))
    for places in (every,) if same_faces and methods else tuple((place,) for place in every):
        may = np.logical_and.reduce([methods[place - 1].may for place in places])
        editors = " and ".join(names[place] for place in places)
        for emotion in range(classes):
            taken: list[int] = []
            others = [c for c in random.permutation(classes) if c != emotion]
            while len(taken) < each:
                before = len(taken)
                for source in others:
                    able = np.flatnonzero(free & may[:, emotion] & (held_out.labels == source))
                    if len(able) and len(taken) < each:
                        taken.append(int(random.choice(able)))
                        free[taken[-1]] = False
                if len(taken) == before:
                    what = f"faces that {editors} edited to {held_out.class_names[emotion]} and nobody else shows"
                    _need(len(taken), each, what)
            rows += [(place, emotion, face) for place in places for face in taken]
    by, emotion, face = np.array(rows)[random.permutation(len(rows))].T
    pictures = held_out.images[face].copy()
    for place, method in enumerate(methods, 1):
        own = by == place
        pictures[own] = method.edit(face[own], emotion[own])
    return Shown(pictures, by, emotion, face, names)


def write(shown: Shown, held_out: dataset.Dataset, folder: pathlib.Path, about: dict[str, Any]) -> list[pathlib.Path]:
    """Writes a study's key and the folder for viewers with the page, the sheets and a form; returns their paths.

    Args:
      shown: the pictures.
      held_out: the faces that they were made from.
      folder: is made.
      about: further entries of the key, such as seed and commit.

    Raises:
      ValueError: if there is a study in the folder already.
    """
    refuse_another(folder)
    viewers = folder / VIEWERS
    viewers.mkdir(parents=True, exist_ok=True)
    study, classes = identifier(shown.pictures), held_out.class_names
    data = {"id": study, "emotions": list(classes), "pictures": [_data_url(picture) for picture in shown.pictures]}
    template = (resources.files("emogan") / "assets" / "study" / "page.html").read_text("utf-8")
    # "<" could end the script element that holds the data.
    page = string.Template(template).substitute(study=json.dumps(data).replace("<", "\\u003c"))
    paths = [files.write_text(viewers / "study.html", page)]
    per_sheet = _ACROSS * _DOWN
    count = -(-len(shown.pictures) // per_sheet)
    for i in range(count):
        paths.append(viewers / f"sheet_{i + 1:02d}.png")
        images.save_png(paths[-1], sheet(shown.pictures[i * per_sheet : (i + 1) * per_sheet], i * per_sheet + 1))
    paths.append(files.write_text(viewers / "questions.txt", _questions(classes, len(shown.pictures))))
    form = "number,emotion,naturalness\n" + "".join(f"{i + 1},,\n" for i in range(len(shown.pictures)))
    paths.append(files.write_text(viewers / "answers.csv", form))
    own = [{"by": shown.names[by]} for by in shown.by]
    paths.append(write_key(folder, shown, held_out, own, about))
    return paths


def write_key(
    folder: pathlib.Path, shown: Any, held_out: dataset.Dataset, own: Sequence[dict[str, Any]], about: dict[str, Any]
) -> pathlib.Path:
    """Writes a study's key and returns its path.

    Args:
      folder: of the study.
      shown: `Shown`, or `study_pairs.Pairs`.
      held_out: the faces that the pictures were made from.
      own: of each picture or pair, what only studies of its kind have.
      about: further entries of the key.
    """
    classes = held_out.class_names
    rows = [
        {"number": i + 1, **one, "emotion": classes[emotion], "face": int(face)}
        | {"labelled": classes[held_out.labels[face]]}
        for i, (one, emotion, face) in enumerate(zip(own, shown.emotion, shown.face, strict=True))
    ]
    data = {"name": held_out.name, "split": held_out.split, "fingerprint": held_out.fingerprint()}
    key = {"format": FORMAT, "study": identifier(shown.pictures), "classes": list(classes), "names": list(shown.names)}
    return files.write_json(folder / KEY, {**key, "data": data, **about, "pictures": rows})


def refuse_another(folder: pathlib.Path) -> None:
    """Raises ValueError if there is a study in a folder."""
    if (folder / KEY).exists():
        raise ValueError(f"--output: expected a folder without a study, found {folder / KEY}, which answers belong to")


def identifier(pictures: np.ndarray) -> str:
    """Returns what distinguishes a study's answers from others: the first digits of a SHA-256 of its pictures."""
    return hashlib.sha256(pictures.tobytes()).hexdigest()[:12]


def sheet(pictures: np.ndarray, first: int) -> np.ndarray:
    """Returns a picture uint8 [H, W] of pictures uint8 [M, 48, 48], enlarged, with their numbers from `first` on."""
    side = _SCALE * pictures.shape[1]
    across, down = side + _GAP, side + _NUMBER + _GAP
    size = (2 * _MARGIN + _ACROSS * across - _GAP, 2 * _MARGIN + -(-len(pictures) // _ACROSS) * down - _GAP)
    page = PIL.Image.new("L", size, 255)
    draw, font = PIL.ImageDraw.Draw(page), PIL.ImageFont.load_default(size=22)
    for i, picture in enumerate(pictures):
        x, y = _MARGIN + i % _ACROSS * across, _MARGIN + i // _ACROSS * down
        draw.text((x + side / 2, y + _NUMBER - 8), str(first + i), fill=0, font=font, anchor="ms")
        page.paste(PIL.Image.fromarray(picture).resize((side, side), PIL.Image.Resampling.BICUBIC), (x, y + _NUMBER))
    return np.asarray(page)


def _need(found: int, each: int, what: str) -> None:
    if found < each:
        raise ValueError(f"--each: expected {each} {what}, found {found}; ask for fewer, or for another split")


def _data_url(picture: np.ndarray) -> str:
    # Without metadata, which would say what is synthetic.
    return f"data:image/png;base64,{base64.b64encode(images.to_png(picture)).decode()}"


def _questions(classes: Sequence[str], count: int) -> str:
    return (
        f"The sheets show {count} numbered pictures of faces. Say two things of each number:\n\n"
        f"emotion: what the face shows, one of {', '.join(classes)}\n"
        "naturalness: how natural the picture looks, from 1 to 5\n"
        "  1 impossible\n  2 clearly wrong\n  3 odd\n  4 nearly natural\n  5 an ordinary photograph\n\n"
        "Go by the first impression. Write the answers into answers.csv, a line for each number:\n"
        "number,emotion,naturalness\n"
    )
