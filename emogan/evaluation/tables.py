"""The results of evaluations as tables: read, checked, set side by side, and laid out as text."""

import collections
import dataclasses
import math
import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emogan.evaluation import scores
from emogan.util import untrusted

FORMAT = 2  # of a result; another number is another set of fields, or another meaning of one
KINDS = ("model", "pictures", "reference")
CLEAN = "_clean"  # after a metric's name: over the faces that do not stand in the training data
CLEAN_GROUP = "without the leaked faces"
ARROWS = {"higher": "↑", "lower": "↓", "": ""}

_FIELDS = {
    "title": str,
    "split": str,
    "faces": int,
    "leaked": int | None,
    "data": dict,
    "judge": dict,
    "identity": dict,
    "methods": list,
    "classes": list,
    "verdicts": dict,
    "config": dict | None,
    "environment": dict,
}
# What results must have in common to stand side by side.
_SAME = ("split", "faces", "classes", "data.fingerprint", "judge.checksum", "identity.descriptor")
_FLAT = ("data", "judge", "identity", "config", "environment")
_WIDTH = 120  # of the text


@dataclasses.dataclass(frozen=True)
class Row:
    """One metric of all methods: a text for each, in the order of `columns`, and which of the models are best.

    `best` holds indices of cells, and is empty where fewer than two models have the score; a reference is never in it.
    """

    group: str
    title: str  # with the unit
    metric: scores.Metric
    cells: tuple[str, ...]
    best: tuple[int, ...]


def load(path: pathlib.Path) -> dict[str, Any]:
    """Returns the result in a file metrics.json.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is no JSON, or `check` refuses it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected a result, found no file {path}; run emogan evaluate --workdir=...")
    try:
        result = untrusted.from_json(untrusted.read_text(path))
    except ValueError as error:
        why = untrusted.reason(error)
        raise ValueError(f"expected JSON, found {path} broken ({why}); run emogan evaluate again") from error
    if isinstance(result, dict) and "contestants" in result:  # as files of before 2026-11-29 call them
        result["methods"] = result.pop("contestants")
    check(result, str(path))
    return result


def check(result: Any, where: str = "the result") -> None:
    """Returns nothing if a result is whole: the fields of this format, each of its type, and metrics from `METRICS`.

    Raises:
      ValueError: if not; the text names the first fault, and `where` it was found.
    """

    def need(holds: bool, expected: str, found: Any) -> None:
        if not holds:
            shown = untrusted.shown(found)
            raise ValueError(f"expected {expected}, found {shown} in {where}; run emogan evaluate again")

    need(isinstance(result, dict), "a JSON object", type(result).__name__)
    need(result.get("format") == FORMAT, f"format {FORMAT}", f"format {result.get('format')}")
    for name, kind in _FIELDS.items():
        need(name in result, f"a field '{name}'", "none")
        need(isinstance(result[name], kind), f"'{name}' as {getattr(kind, '__name__', kind)}", repr(result[name]))
    for name in _SAME:
        need(name in flat(result), f"a field '{name}'", "none")
    names = []
    for one in result["methods"]:
        need(isinstance(one, dict) and {"name", "kind", "about", "scores"} <= set(one), "a method", one)
        need(isinstance(one["name"], str) and isinstance(one["about"], str), "a method's name and text", one)
        need(isinstance(one["scores"], dict), "scores of a method", one["scores"])
        need(one["kind"] in KINDS, f"a method's kind among {', '.join(KINDS)}", repr(one["kind"]))
        need(one["name"] not in names, "a name for each method", f"{one['name']!r} twice")
        names.append(one["name"])
        for name, score in one["scores"].items():
            need(name.removesuffix(CLEAN) in scores.METRICS, "a known metric", repr(name))
            numbers = [score.get(key, "none") for key in ("value", "error")] if isinstance(score, dict) else ["none"]
            need(all(x is None or _is_number(x) for x in numbers), f"value and error of '{name}'", score)
    shape = (len(result["classes"]),) * 3
    for name, counts in result["verdicts"].items():
        need(name in names, "verdicts of methods only", f"those of {name!r}")
        counts = np.array(counts, object)
        need(counts.shape == shape, f"verdicts {list(shape)} of {untrusted.shown(name)!r}", "another shape")
        need(all(map(_is_number, counts.flat)), f"counts as verdicts of {untrusted.shown(name)!r}", "others")


def format_score(metric_name: str, score: Mapping[str, float | None] | None) -> str:
    """Returns a score as it stands in a table, `44.1 ± 0.6`: scaled and rounded as its metric says, without the unit.

    A score that is missing or not a number is `n/a`, an infinite one an infinity sign. An error that is not finite is
    left out.
    """
    about = _metric(metric_name)
    value = _value(score)
    if value is None:
        return "n/a"
    if math.isinf(value):
        return "-∞" if value < 0 else "∞"
    # The sum turns a rounded -0.0 into 0.0.
    text = f"{round(value * about.scale, about.digits) + 0.0:.{about.digits}f}"
    error = score.get("error")
    if error is None or not math.isfinite(error):
        return text
    return f"{text} ± {error * about.scale:.{about.digits}f}"


def columns(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns a result's methods in the order of a table: models and pictures first, then the references."""
    return sorted(result["methods"], key=lambda one: one["kind"] == "reference")


def rows(result: Mapping[str, Any]) -> list[Row]:
    """Returns a row for each metric that a method has, in the order of `METRICS`.

    Scores over the faces that are not in the training data come last, as a group of their own.
    """
    methods, table = columns(result), []
    for name in [*scores.METRICS, *(name + CLEAN for name in scores.METRICS)]:
        if any(name in one["scores"] for one in methods):
            metric = _metric(name)
            group = CLEAN_GROUP if name.endswith(CLEAN) else metric.group
            title = f"{metric.title} ({metric.unit})" if metric.unit else metric.title
            cells = tuple(format_score(name, one["scores"].get(name)) for one in methods)
            table.append(Row(group, title, metric, cells, _best(name, methods)))
    return table


def to_text(result: Mapping[str, Any]) -> str:
    """Returns a result as an aligned table of plain text, at most 120 columns wide for up to five methods."""
    methods, table = columns(result), rows(result)
    widths = [max([10, *(len(row.cells[i]) for row in table)]) for i in range(len(methods))]
    models = sum(one["kind"] != "reference" for one in methods)
    marks = ["  | " if i == models else "  " for i in range(len(methods))]
    space = max(20, _WIDTH - sum(widths) - sum(map(len, marks)))
    titles = [
        textwrap.wrap(f"  {row.title} {ARROWS[row.metric.better]}", space, subsequent_indent="    ") for row in table
    ]
    first = max((len(line) for lines in titles for line in lines), default=0)

    def line(title: str, cells: Sequence[str]) -> str:
        parts = (mark + cell.rjust(width) for mark, cell, width in zip(marks, cells, widths, strict=True))
        return (title.ljust(first) + "".join(parts)).rstrip()

    heads = [textwrap.wrap(one["name"], width) for one, width in zip(methods, widths, strict=True)]
    height = max(map(len, heads), default=0)
    heads = [[""] * (height - len(lines)) + lines for lines in heads]
    data, judge = (result[part].get("name", "unknown") for part in ("data", "judge"))
    about = f"{result['title']}: {result['faces']} faces ({result['split']}) of {data}, judged by {judge}"
    text = [
        *textwrap.wrap(about, _WIDTH),
        "value ± standard error; ↑ higher is better, ↓ lower is better",
        "",
        *(line("", cells) for cells in zip(*heads, strict=True)),
    ]
    group = None
    for row, title in zip(table, titles, strict=True):
        if row.group != group:
            group = row.group
            text += ["", group]
        text += [*title[:-1], line(title[-1], row.cells)]
    return "\n".join(text) + "\n"


def edit_matrix(verdicts: Any) -> np.ndarray:
    """Returns [C, C]: the share of edits of source s to target t predicted as t; nan where there is no edit.

    verdicts are int [C, C, C]: how many edits there are of each source, target and verdict.
    """
    counts = np.asarray(verdicts, float)
    return _shares(np.einsum("stt->st", counts), counts.sum(axis=2))


def confusion(verdicts: Any) -> np.ndarray:
    """Returns [C, C]: the share of edits of other sources to target t predicted as v; nan where there is none.

    verdicts as in `edit_matrix`.
    """
    counts = np.asarray(verdicts, float)
    counts = (counts * (1 - np.eye(len(counts)))[..., None]).sum(axis=0)
    return _shares(counts, counts.sum(axis=1, keepdims=True))


def compare(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns one result that holds the models and pictures of several side by side, and each reference once.

    Equal names are distinguished by their result's title, or a number. Of data, judge, identity, configuration (its
    nested names joined by dots) and environment, what differs is there once a result, with its title. Where results
    differ in their leaked faces, their scores without them are of different faces, and are left out.

    Raises:
      ValueError: if there is no result, `check` refuses one, or two differ in split, number of faces, classes, the
        data's fingerprint, the judge's checksum or the identity's descriptor; the text names both.
    """
    if not results:
        raise ValueError("expected results to compare, found none; give at least one")
    titles = []
    for result in results:
        titles.append(free(str(result.get("title")), titles))
        check(result, f"'{titles[-1]}'")
    for name in _SAME:
        values = [flat(result)[name] for result in results]
        for title, value in zip(titles, values, strict=True):
            if value != values[0]:
                raise ValueError(
                    f"expected one {name}, found {values[0]!r} in '{titles[0]}', {value!r} in '{title}'; evaluate alike"
                )
    same_leaks = len({result["leaked"] for result in results}) == 1
    everyone = [one for result in results for one in result["methods"]]
    references = {one["name"] for one in everyone if one["kind"] == "reference"}
    uses = collections.Counter([*references, *(one["name"] for one in everyone if one["kind"] != "reference")])
    methods, verdicts = {}, {}
    for title, result in zip(titles, results, strict=True):
        for one in result["methods"]:
            name = one["name"]
            if one["kind"] != "reference":
                if uses[name] > 1:
                    name = title if name == result["title"] else f"{name} ({title})"
                name = free(name, [*methods, *references])
            kept = {key: score for key, score in one["scores"].items() if same_leaks or not key.endswith(CLEAN)}
            before = methods.get(name, {"scores": {}})["scores"]
            methods[name] = {**one, "name": name, "scores": {**kept, **before}}
            if one["name"] in result["verdicts"]:
                verdicts.setdefault(name, result["verdicts"][one["name"]])
    return {
        **{name: results[0][name] for name in ("format", "split", "faces", "classes")},
        "title": ", ".join(titles),
        "leaked": results[0]["leaked"] if same_leaks else None,
        "methods": list(methods.values()),
        "verdicts": verdicts,
        **{name: _merge(titles, [result[name] or {} for result in results]) for name in _FLAT},
    }


def flat(nested: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Returns a nested mapping as a flat one, its names joined by dots; `before` stands before each."""
    found = {}
    for name, value in nested.items():
        found.update(flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value})
    return found


def free(name: str, taken: Sequence[str]) -> str:
    """Returns a name that is not taken, with the least number after it that helps."""
    names = [name, *(f"{name} ({number})" for number in range(2, len(taken) + 2))]
    return next(name for name in names if name not in taken)


def _merge(titles: Sequence[str], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    merged, parts = {}, [flat(part) for part in parts]
    for name in dict.fromkeys(name for part in parts for name in part):
        of = {f"{name} ({title})": part[name] for title, part in zip(titles, parts, strict=True) if name in part}
        values = list(of.values())
        same = len(values) == len(parts) and all(value == values[0] for value in values)
        merged |= {name: values[0]} if same else of
    return merged


def _is_number(value: Any) -> bool:
    # JSON may hold whole numbers that no float can.
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 63)


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _metric(name: str) -> scores.Metric:
    return scores.METRICS[name.removesuffix(CLEAN)]


def _value(score: Mapping[str, float | None] | None) -> float | None:
    return None if score is None or score["value"] is None or math.isnan(score["value"]) else score["value"]


def _best(name: str, methods: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    better = _metric(name).better
    own = {i: _value(one["scores"].get(name)) for i, one in enumerate(methods) if one["kind"] != "reference"}
    known = {i: value for i, value in own.items() if value is not None}
    if len(known) < 2 or not better:
        return ()
    best = max(known.values()) if better == "higher" else min(known.values())
    return tuple(i for i, value in known.items() if value == best)
