"""A study's scores as Markdown, and as a section of a report that is there."""

import html
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from emogan.util import files, untrusted

_BEGIN, _END = "<!-- study -->", "<!-- end of study -->"
_FOOTER = "<footer>"
_MOST_REPORT = 1 << 28  # bytes
_NONE = "n/a"
_DIFFERENCES = (("recognition", 0, 100), ("naturalness", 2, 1))  # score, digits, factor

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]  # title, heads, rows


def to_markdown(result: Mapping[str, Any]) -> str:
    """Returns the scores of `study_answers.score` as Markdown."""
    parts = [f"# Study {_escaped(result['study'])}", "", *_lines(result), ""]
    for title, heads, rows in _tables(result):
        parts += [f"## {title}", "", _row(heads), _row(["---"] * len(heads)), *map(_row, rows), ""]
    return "\n".join(parts)


def add_to_report(result: Mapping[str, Any], path: pathlib.Path) -> None:
    """Puts the scores into the report that evaluate.py wrote, in the place of those that it may have of a study.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is no report of emogan.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--report: expected a report of evaluate.py, found no file {path}")
    try:
        page = untrusted.read_bytes(path, _MOST_REPORT).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"--report: expected a report of evaluate.py, found no text in {path}") from error
    before, begin, rest = page.rpartition(_BEGIN)
    if begin:
        page = before + rest.partition(_END)[2].lstrip("\n")
    place = page.rfind(_FOOTER)
    if place < 0:
        raise ValueError(f"--report: expected a report of evaluate.py, found another page in {path}; evaluate again")
    files.write_text(path, page[:place] + _section(result) + page[place:])


def _lines(result: Mapping[str, Any]) -> list[str]:
    viewers = ", ".join(map(_escaped, result["viewers"]))
    agreed = {name: _NONE if value is None else f"{value:.2f}" for name, value in result["agreement"].items()}
    return [
        f"{len(result['viewers'])} viewers: {viewers}. Krippendorff's alpha: {agreed['emotion']} for the emotion "
        f"(nominal), {agreed['naturalness']} for naturalness (ordinal); 1 is full agreement, 0 that of chance.",
        "Value ± standard error by the bootstrap over pictures; it says nothing of other viewers.",
    ]


def _tables(result: Mapping[str, Any]) -> list[Table]:
    heads = (
        "pictures",
        "answers",
        "emotion as asked or labelled (%)",
        "naturalness, 1 to 5",
        "4 or 5 (%)",
        "1 or 2 (%)",
    )
    everyone = [
        [_escaped(one["name"]), str(one["pictures"]), str(one["answers"]), *_four(one)] for one in result["groups"]
    ]
    tables = [("All emotions", ("", *heads), everyone)]
    programs = [one for one in result["groups"] if "beside_real" in one]
    if programs:
        fields = ("naturalness_below", "natural_ratio", "most_below_of_an_emotion", "recognition_ratio")
        beside = ("naturalness below", "4 or 5, ratio", "most below in an emotion", "emotion, ratio")
        rows = [[_escaped(one["name"]), *(_score(one["beside_real"][name], 2) for name in fields)] for one in programs]
        tables.append(("Compared with real faces", ("", *beside), rows))
    if result["same_faces"]:
        rows = [
            [
                f"{_escaped(second)} - {_escaped(first)}",
                str(one["faces"]),
                *(_score(one[field], digits, scale) for field, digits, scale in _DIFFERENCES),
            ]
            for one in result["same_faces"]
            for first, second in [one["names"]]
        ]
        heads_of = ("", "faces", "emotion as asked (%)", "naturalness")
        tables.append(("Differences on the same faces", heads_of, rows))
    for title, field, scale, digits in (
        ("Naturalness by emotion", "naturalness", 1, 2),
        ("Emotion as asked or labelled, by emotion (%)", "recognition", 100, 0),
    ):
        rows = [
            [_escaped(one["name"]), *(_score(part[field], digits, scale) for part in one["by_emotion"].values())]
            for one in result["groups"]
        ]
        tables.append((title, ("", *map(_escaped, result["classes"])), rows))
    if len(result["viewers"]) > 1:
        rows = [[_escaped(one["viewer"]), _escaped(one["name"]), *_four(one)] for one in result["by_viewer"]]
        tables.append(("By viewer", ("viewer", "", *heads[2:]), rows))
    return tables


def _four(one: Mapping[str, Any]) -> list[str]:
    return [
        _score(one["recognition"], 0, 100),
        _score(one["naturalness"], 2),
        _score(one["natural"], 0, 100),
        _score(one["unnatural"], 0, 100),
    ]


def _score(score: Mapping[str, float | None] | None, digits: int, scale: float = 1) -> str:
    if score is None:
        return _NONE
    value = f"{round(scale * score['value'], digits) + 0.0:.{digits}f}"
    return value if score["error"] is None else f"{value} ± {scale * score['error']:.{digits}f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(name: str) -> str:
    """Returns a name that someone else chose, without what Markdown or HTML would read as more than text."""
    return html.escape(untrusted.shown(name)).replace("|", "&#124;")


def _section(result: Mapping[str, Any]) -> str:
    parts = [_BEGIN, "<h2>What viewers say</h2>", *(f"<p>{line}</p>" for line in _lines(result))]
    for title, heads, rows in _tables(result):
        head = "".join(f"<th scope='col'>{name}</th>" for name in heads)
        body = "".join(
            f"<tr><th scope='row'>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"
            for first, *rest in rows
        )
        table = f"<table class='scores'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        parts.append(f"<h3>{title}</h3><div class='scroll'>{table}</div>")
    return "\n".join([*parts, _END, ""])
