"""What viewers said of a study's pictures: read, checked and scored."""

import csv
import dataclasses
import io
import itertools
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emogan import emotions
from emogan.evaluation import agreement, scores, study_pictures
from emogan.util import untrusted

GRADES = 5
QUESTIONS = ("emotion", "naturalness")
MOST_PICTURES = 100_000


@dataclasses.dataclass(frozen=True)
class Key:
    """What a study's pictures are.

    `by` and `emotion` are int [N], places in `names` and `classes`, and `face`, likewise, numbers of the faces.
    """

    study: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    by: np.ndarray
    emotion: np.ndarray
    face: np.ndarray


@dataclasses.dataclass(frozen=True)
class Answers:
    """What one viewer said: int [N] each, -1 where there is no answer; naturalness is 0..4 for the grades 1..5."""

    viewer: str
    emotion: np.ndarray
    naturalness: np.ndarray


def read_key(path: pathlib.Path) -> Key:
    """Returns the key that `study_pictures.write` wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is no key.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected a study's key, found no file {path}; make a study with --make")
    return Key(*entries_of_key(path, "by"))


def entries_of_key(
    path: pathlib.Path, named: str
) -> tuple[str, tuple[str, ...], tuple[str, ...], np.ndarray, np.ndarray, np.ndarray]:
    """Returns a key's study, classes and names, and of each entry the places in names and in classes and the face.

    The last three are int [N], in the order of the entries' numbers.

    Args:
      path: of the key, of single pictures or of pairs.
      named: what of each entry is one of the names.

    Raises:
      ValueError: if it is no key of this kind.
    """
    try:
        found = untrusted.from_json(untrusted.read_text(path))
        if not isinstance(found, dict) or found.get("format") != study_pictures.FORMAT:
            raise ValueError(f"no format {study_pictures.FORMAT}")
        classes, names, rows = (found[name] for name in ("classes", "names", "pictures"))
        if not all(isinstance(name, str) for name in (*classes, *names, found["study"])):
            raise ValueError("names that are no text")
        if [row["number"] for row in rows] != list(range(1, len(rows) + 1)) or not rows:
            raise ValueError("pictures that are not numbered from 1 on")
        places = np.array([names.index(row[named]) for row in rows])
        emotion = np.array([classes.index(row["emotion"]) for row in rows])
        face = np.array([whole(row["face"]) for row in rows])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected a study's key, found {path} with {untrusted.reason(error)}") from error
    return found["study"], tuple(classes), tuple(names), places, emotion, face


def read(path: pathlib.Path, key: Key) -> Answers:
    """Returns the answers in a file: JSON as the page saves it, or CSV with number, emotion and naturalness.

    A picture without an answer is left out; of two answers to one picture, neither can be meant.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it holds no answers, or one to another study or picture, or one that cannot be given.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected a viewer's answers, found no file {path}")
    try:
        text = untrusted.read_text(path)
        viewer, rows = _from_json(text, key) if text.lstrip().startswith("{") else ("", rows_of_csv(text, QUESTIONS))
        answers = Answers(viewer or path.stem, *(np.full(len(key.by), -1) for _ in range(2)))
        for row in rows:
            _enter(row, answers, key)
        if not (answers.emotion >= 0).any():
            raise ValueError("no answer")
    except ValueError as error:
        raise ValueError(f"{path}: expected a viewer's answers, found {untrusted.reason(error)}") from error
    return answers


def score(key: Key, answers: Sequence[Answers]) -> dict[str, Any]:
    """Returns recognition and naturalness of real faces and of each program, as plain data for study.json.

    Errors are those of the bootstrap over pictures; viewers are not resampled, so they say nothing about other viewers.

    Raises:
      ValueError: if there are no answers, or two of one viewer.
    """
    viewers = [one.viewer for one in answers]
    check_viewers(viewers)
    named = np.stack([one.emotion for one in answers])
    grades = np.stack([one.naturalness for one in answers])
    groups, by_viewer = [], []
    for group, name in enumerate(key.names):
        chosen = key.by == group
        entry = {"name": name, "pictures": int(chosen.sum()), "answers": int((named[:, chosen] >= 0).sum())}
        entry |= _summary(key, named, grades, chosen)
        entry["by_emotion"] = {
            emotion: _summary(key, named, grades, chosen & (key.emotion == place))
            for place, emotion in enumerate(key.classes)
        }
        groups.append(entry)
        by_viewer += [
            {"viewer": one.viewer, "name": name} | _summary(key, one.emotion[None], one.naturalness[None], chosen)
            for one in answers
        ]
    real = groups[0]
    for entry in groups[1:]:
        entry["beside_real"] = _beside(entry, real)
        of_emotions = [
            real["by_emotion"][name]["naturalness"]["value"] - one["naturalness"]["value"]
            for name, one in entry["by_emotion"].items()
            if one["naturalness"] and real["by_emotion"][name]["naturalness"]
        ]
        entry["beside_real"]["most_below_of_an_emotion"] = _plain(max(of_emotions)) if of_emotions else None
    return {
        "format": study_pictures.FORMAT,
        "study": key.study,
        "viewers": viewers,
        "classes": list(key.classes),
        "agreement": {
            "emotion": _number(agreement.krippendorff(named, len(key.classes), agreement.NOMINAL)),
            "naturalness": _number(agreement.krippendorff(grades, GRADES, agreement.ORDINAL)),
        },
        "groups": groups,
        "same_faces": _differences(key, named, grades),
        "by_viewer": by_viewer,
    }


def check_viewers(viewers: Sequence[str]) -> None:
    """Raises ValueError if there is no viewer, or one twice."""
    if not viewers or len(set(viewers)) < len(viewers):
        found = f"two of {untrusted.shown(max(viewers, key=viewers.count))}" if viewers else "none"
        raise ValueError(f"--score: expected the answers of different viewers, found {found}")


def _from_json(text: str, key: Key) -> tuple[str, list[Mapping[str, Any]]]:
    found = untrusted.from_json(text)
    if found.get("study") != key.study:
        raise ValueError(f"those of study {untrusted.shown(found.get('study'))}, while the key is of {key.study}")
    rows = found.get("answers")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no list of answers")
    viewer = found.get("viewer")
    return untrusted.shown(viewer) if isinstance(viewer, str) else "", rows


def rows_of_csv(text: str, questions: Sequence[str]) -> list[dict[str, str]]:
    """Returns the lines of a CSV with answers to one question or more, by the names of the columns in small letters.

    Raises:
      ValueError: if it is no CSV, or lacks the column number or one of the questions.
    """
    lines = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), skipinitialspace=True)
    try:
        names = {name.strip().lower() for name in lines.fieldnames or () if name}
        if not {"number", *questions} <= names:
            raise ValueError(f"a first line without number, {' and '.join(questions)}")
        rows = [
            {name.strip().lower(): (value or "").strip() for name, value in row.items() if isinstance(name, str)}
            for row in lines
        ]
    except csv.Error as error:
        raise ValueError(f"no CSV ({error})") from error
    return [row for row in rows if any(row[question] for question in questions)]


def _enter(row: Mapping[str, Any], answers: Answers, key: Key) -> None:
    number, grade = (whole(row.get(name)) for name in ("number", "naturalness"))
    if not 1 <= number <= len(key.by):
        raise ValueError(f"number {untrusted.shown(row.get('number'))}, where 1..{len(key.by)} were shown")
    if not 1 <= grade <= GRADES:
        given = untrusted.shown(row.get("naturalness")) or "none"
        raise ValueError(f"naturalness {given} of {number}, where 1..5 may be given")
    names = [emotions.usual(name) for name in key.classes]
    word = emotions.usual(str(row.get("emotion")))
    if word not in names:
        raise ValueError(f"emotion {untrusted.shown(word)} of {number}, where {', '.join(key.classes)} may be given")
    if answers.emotion[number - 1] >= 0:
        raise ValueError(f"two answers to {number}")
    answers.emotion[number - 1], answers.naturalness[number - 1] = names.index(word), grade - 1


def whole(value: Any) -> int:
    """Returns a whole number, or 0, which is no number of a picture and no grade, for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return 0
    text = str(value)
    return int(text) if len(text) < 7 and text.isascii() and text.isdigit() else 0


def _summary(key: Key, named: np.ndarray, grades: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    """Returns the scores of the chosen pictures over answers int [V, N]; None each without answers."""
    viewer, picture = np.nonzero((named >= 0) & chosen)
    if not len(viewer):
        return dict.fromkeys(("recognition", "naturalness", "natural", "unnatural"))
    grade = grades[viewer, picture] + 1
    values = {
        "recognition": named[viewer, picture] == key.emotion[picture],
        "naturalness": grade,
        "natural": grade >= 4,
        "unnatural": grade <= 2,
    }
    return {name: dataclasses.asdict(scores.mean_score(value, picture)) for name, value in values.items()}


def _beside(entry: Mapping[str, Any], real: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"naturalness_below": None, "natural_ratio": None, "recognition_ratio": None}
    if entry["naturalness"] and real["naturalness"]:
        one, other = (scores.Score(**part["naturalness"]) for part in (entry, real))
        found["naturalness_below"] = _plain(other.value - one.value, math.hypot(one.error, other.error))
        for name in ("natural", "recognition"):
            ratio = scores.ratio(scores.Score(**entry[name]), scores.Score(**real[name]))
            found[f"{name}_ratio"] = None if math.isnan(ratio.value) else dataclasses.asdict(ratio)
    return found


def _differences(key: Key, named: np.ndarray, grades: np.ndarray) -> list[dict[str, Any]]:
    """Returns how two programs differ on the faces that both edited to the same emotion, for all that did so.

    The errors are those of the bootstrap over these faces. They are smaller than those of the difference of two means,
    since the faces are the same.
    """
    found = []
    for first, second in itertools.combinations(range(1, len(key.names)), 2):
        of_first, of_second = (
            {(key.face[i], key.emotion[i]): i for i in np.flatnonzero(key.by == group)} for group in (first, second)
        )
        places = np.array([(of_first[same], of_second[same]) for same in of_first if same in of_second])
        if not len(places):
            continue
        one, other = places.T
        viewer, face = np.nonzero((named[:, one] >= 0) & (named[:, other] >= 0))
        if not len(viewer):
            continue
        one, other = one[face], other[face]
        right = (named == key.emotion).astype(float)
        values = {
            "recognition": right[viewer, other] - right[viewer, one],
            "naturalness": grades[viewer, other] - grades[viewer, one],
        }
        entry = {"names": [key.names[first], key.names[second]], "faces": len(places)}
        found.append(
            entry | {name: dataclasses.asdict(scores.mean_score(value, face)) for name, value in values.items()}
        )
    return found


def _plain(value: float, error: float | None = None) -> dict[str, float | None]:
    return dataclasses.asdict(scores.Score(value, error))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
