"""A study of pairs: two edits of one face to one emotion, side by side, of which viewers choose one.

Viewers say which of the two looks more natural and which shows the emotion more clearly. That is more sensitive than
grades of single pictures, where the face itself, and how strict a viewer is, count as much as the edit.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from scipy import stats

from emogan.data import dataset
from emogan.evaluation import agreement, scores, study_answers, study_pictures
from emogan.util import files, images, untrusted

KIND = "pairs"  # in a study's key
QUESTIONS = ("natural", "emotion")
SIDES = ("left", "right")

_ACROSS, _DOWN, _SCALE = 3, 4, 4  # pairs of a sheet; the enlargement of a picture
_GAP, _BETWEEN, _TITLE, _MARGIN = 36, 6, 30, 24  # pixels


@dataclasses.dataclass(frozen=True)
class Pairs:
    """N pairs in the order in which they are shown, and what they are.

    Attributes:
      pictures: uint8 [N, 2, S, S(, 3)], left and right.
      left: int [N], which of `names` is on the left, 0 or 1.
      emotion: int [N], the target.
      face: int [N], the place of the face among the held-out ones.
      names: of the two methods.
    """

    pictures: np.ndarray
    left: np.ndarray
    emotion: np.ndarray
    face: np.ndarray
    names: tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Key:
    """What the pairs of a study are; `left` and `emotion` are as in `Pairs`."""

    study: str
    classes: tuple[str, ...]
    names: tuple[str, str]
    left: np.ndarray
    emotion: np.ndarray


def choose(held_out: dataset.Dataset, methods: Sequence[study_pictures.Method], each: int, seed: int) -> Pairs:
    """Returns `each` pairs for every target emotion; no face is shown twice.

    Raises:
      ValueError: if there are not two methods with names of their own, or too few faces that both have edited.
    """
    names = tuple(one.name for one in methods)
    if len(names) != 2 or names[0] == names[1]:
        raise ValueError(
            f"--pairs: expected two models with names of their own, found {', '.join(names) or 'none'}; give two in "
            "all by --model, --workdir and --images"
        )
    random, free = np.random.default_rng(seed), np.ones(len(held_out), bool)
    may = methods[0].may & methods[1].may
    rows: list[tuple[int, int]] = []
    for emotion, name in enumerate(held_out.class_names):
        able = np.flatnonzero(free & may[:, emotion] & (held_out.labels != emotion))
        if len(able) < each:
            raise ValueError(
                f"--each: expected {each} faces that both have edited to {name} and no other pair shows, found "
                f"{len(able)}; ask for fewer, or for another split"
            )
        taken = random.permutation(able)[:each]
        free[taken] = False
        rows += [(emotion, int(face)) for face in taken]
    emotion, face = np.array(rows)[random.permutation(len(rows))].T
    left = random.integers(0, 2, len(face))
    both = np.stack([one.edit(face, emotion) for one in methods], axis=1)
    pictures = np.stack([both[np.arange(len(face)), left], both[np.arange(len(face)), 1 - left]], axis=1)
    return Pairs(pictures, left, emotion, face, names)


def write(pairs: Pairs, held_out: dataset.Dataset, folder: pathlib.Path, about: dict[str, Any]) -> list[pathlib.Path]:
    """Writes a study's key and the folder for viewers with the sheets, the questions and a form; returns their paths.

    Args:
      pairs: what is shown.
      held_out: the faces that they were made from.
      folder: is made.
      about: further entries of the key, such as seed and commit.

    Raises:
      ValueError: if there is a study in the folder already.
    """
    study_pictures.refuse_another(folder)
    viewers, classes, count = folder / study_pictures.VIEWERS, held_out.class_names, len(pairs.face)
    viewers.mkdir(parents=True, exist_ok=True)
    paths, per_sheet = [], _ACROSS * _DOWN
    for start in range(0, count, per_sheet):
        paths.append(viewers / f"sheet_{start // per_sheet + 1:02d}.png")
        part = slice(start, start + per_sheet)
        titles = [f"{start + i + 1}: {classes[e]}" for i, e in enumerate(pairs.emotion[part])]
        images.save_png(paths[-1], sheet(pairs.pictures[part], titles))
    paths.append(files.write_text(viewers / "questions.txt", _questions(count)))
    form = "number,natural,emotion\n" + "".join(f"{i + 1},,\n" for i in range(count))
    paths.append(files.write_text(viewers / "answers.csv", form))
    own = [{"left": pairs.names[left]} for left in pairs.left]
    paths.append(study_pictures.write_key(folder, pairs, held_out, own, {"kind": KIND, **about}))
    return paths


def sheet(pictures: np.ndarray, titles: Sequence[str]) -> np.ndarray:
    """Returns a picture uint8 [H, W(, 3)] of pairs uint8 [M, 2, S, S(, 3)], enlarged, under their titles."""
    side = _SCALE * pictures.shape[2]
    across, down = 2 * side + _BETWEEN + _GAP, side + _TITLE + _GAP
    size = (2 * _MARGIN + _ACROSS * across - _GAP, 2 * _MARGIN + -(-len(titles) // _ACROSS) * down - _GAP)
    page = PIL.Image.new("RGB" if pictures.ndim == 5 else "L", size, "white")
    draw, font = PIL.ImageDraw.Draw(page), PIL.ImageFont.load_default(size=22)
    for i, (pair, title) in enumerate(zip(pictures, titles, strict=True)):
        x, y = _MARGIN + i % _ACROSS * across, _MARGIN + i // _ACROSS * down
        draw.text((x + side + _BETWEEN / 2, y + _TITLE - 8), title, fill="black", font=font, anchor="ms")
        for j, picture in enumerate(pair):
            enlarged = PIL.Image.fromarray(picture).resize((side, side), PIL.Image.Resampling.BICUBIC)
            page.paste(enlarged, (x + j * (side + _BETWEEN), y + _TITLE))
    return np.asarray(page)


def read_key(path: pathlib.Path) -> Key | None:
    """Returns the key that `write` wrote, or None if the file is the key of another kind of study, or none.

    Raises:
      ValueError: if it is a damaged key of pairs.
    """
    try:
        found = untrusted.from_json(untrusted.read_text(path))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("kind") != KIND:
        return None
    key = Key(*study_answers.entries_of_key(path, "left")[:-1])
    if len(key.names) != 2:
        raise ValueError(f"expected a study's key, found {path} with names of {len(key.names)} models, not of two")
    return key


def read(path: pathlib.Path, key: Key) -> np.ndarray:
    """Returns one viewer's answers, int [2, N] for `QUESTIONS`: 0 or 1, the place in `key.names`, or -1 for none.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it holds no answers, or one to another pair, or one that cannot be given.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected a viewer's answers, found no file {path}")
    found = np.full((len(QUESTIONS), len(key.left)), -1)
    try:
        for row in study_answers.rows_of_csv(untrusted.read_text(path), QUESTIONS):
            _enter(row, found, key)
        if not (found >= 0).any():
            raise ValueError("no answer")
    except ValueError as error:
        raise ValueError(f"{path}: expected a viewer's answers, found {untrusted.reason(error)}") from error
    return found


def score(key: Key, answers: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns how often the second model was chosen, as plain data for study.json.

    Args:
      key: of the study.
      answers: of each viewer, `read`.

    Errors are those of the bootstrap over pairs. The sign test counts each pair once, for the model that more viewers
    chose, and leaves out pairs with as many for both.
    """
    given = np.stack(list(answers.values()))
    result: dict[str, Any] = {
        "format": study_pictures.FORMAT,
        "kind": KIND,
        "study": key.study,
        "viewers": list(answers),
        "names": list(key.names),
        "classes": list(key.classes),
        "questions": {},
    }
    for place, question in enumerate(QUESTIONS):
        chosen = given[:, place]
        viewer, pair = np.nonzero(chosen >= 0)
        second = chosen[viewer, pair]
        majority = np.sign(np.sum(chosen == 1, axis=0) - np.sum(chosen == 0, axis=0))
        decided = int(np.count_nonzero(majority))
        alpha = agreement.krippendorff(chosen, 2, agreement.NOMINAL)
        by_emotion = {}
        for number, name in enumerate(key.classes):
            own = key.emotion[pair] == number
            by_emotion[name] = [int(second[own].sum()), int(own.sum())]
        result["questions"][question] = {
            "second": int(second.sum()),
            "answers": len(second),
            "share": dataclasses.asdict(scores.mean_score(second, pair)) if len(second) else None,
            "p": float(stats.binomtest(int((majority > 0).sum()), decided).pvalue) if decided else None,
            "decided": decided,
            "agreement": None if np.isnan(alpha) else alpha,
            "by_emotion": by_emotion,
        }
    return result


def to_markdown(result: Mapping[str, Any]) -> str:
    """Returns the scores of `score` as Markdown."""
    first, second = (untrusted.shown(name).replace("|", "/") for name in result["names"])
    titles = {"natural": "more natural", "emotion": "emotion clearer"}
    lines = [
        f"# Study {untrusted.shown(result['study'])}: pairs of edits of one face",
        "",
        f"How often {second} was chosen, not {first}. Viewers: {', '.join(map(untrusted.shown, result['viewers']))}. "
        "Errors: bootstrap over pairs. p: sign test over the pairs that have a majority. Alpha: Krippendorff's, 1 is "
        "full agreement, 0 that of chance.",
        "",
        "| question | chosen | share (%) | p | pairs with a majority | alpha |",
        "|---|---|---|---|---|---|",
    ]
    for question, found in result["questions"].items():
        share = "n/a" if found["share"] is None else _percent(found["share"])
        p, alpha = ("n/a" if found[name] is None else f"{found[name]:.2g}" for name in ("p", "agreement"))
        lines.append(
            f"| {titles[question]} | {found['second']} of {found['answers']} | {share} | {p} | {found['decided']} | "
            f"{alpha} |"
        )
    classes = [untrusted.shown(name).replace("|", "/") for name in result["classes"]]
    lines += ["", f"| question | {' | '.join(classes)} |", f"|{'---|' * (1 + len(classes))}"]
    for question, found in result["questions"].items():
        cells = [f"{chosen} of {answers}" for chosen, answers in found["by_emotion"].values()]
        lines.append(f"| {titles[question]} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _enter(row: Mapping[str, str], found: np.ndarray, key: Key) -> None:
    text = row["number"]
    number = study_answers.whole(text)
    if not 1 <= number <= len(key.left):
        raise ValueError(f"number {untrusted.shown(text)}, where 1..{len(key.left)} were shown")
    if (found[:, number - 1] >= 0).any():
        raise ValueError(f"two answers to {number}")
    for place, question in enumerate(QUESTIONS):
        side = row[question].lower()
        side = {"l": "left", "r": "right"}.get(side, side)
        if side and side not in SIDES:
            raise ValueError(f"{question} {untrusted.shown(side)} of {number}, where left or right may be given")
        if side:
            left = int(key.left[number - 1])
            found[place, number - 1] = left if side == "left" else 1 - left


def _percent(share: Mapping[str, float | None]) -> str:
    return f"{100 * share['value']:.0f}" + ("" if share["error"] is None else f" ± {100 * share['error']:.0f}")


def _questions(count: int) -> str:
    return (
        f"The sheets show {count} numbered pairs. Both pictures of a pair show one person; the word above names an "
        "emotion.\nSay two things of each pair, each with left or right:\n\n"
        "natural: which picture looks more like an ordinary photograph\n"
        "emotion: which picture shows the emotion above more clearly\n\n"
        "Go by the first impression. Where you see no difference, leave the answer empty. Write the answers into "
        "answers.csv, a line for each number:\nnumber,natural,emotion\n"
    )
