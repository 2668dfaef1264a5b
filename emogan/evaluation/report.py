"""The result of an evaluation, or of several side by side, as one HTML page that needs nothing else."""

import base64
import dataclasses
import html
import io
import math
import pathlib
import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emogan.evaluation import scores, tables
from emogan.util import files, images

_HEADLINES = {
    name: scores.METRICS[name] for name in ("edit_accuracy", "identity_rank1", "reconstruction_psnr", "frechet")
}
_DPI = 200  # of figures; shown at half of it, so that they stay sharp in print
_DASH = "&ndash;"
_EDITS = (
    "Share of edits of a source to a target for which the judge predicts the target; grey is the own label, no edit."
)
_NAMED = "Predictions of the judge on edits to each target, of other sources; rows sum to 100, the target is outlined."


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture with its title and what it shows: uint8 [H, W] or [H, W, 3], or a `matplotlib.figure.Figure`."""

    title: str
    caption: str
    image: Any


def write(result: Mapping[str, Any], pictures: Sequence[Picture], path: pathlib.Path) -> None:
    """Writes a result of `tables.load` or `tables.compare` as an HTML page, pictures inside, and makes its folder.

    A reader sees the old page or the new one, never a part; the same result and pictures make the same page.

    Raises:
      ValueError: if `tables.check` refuses the result, or an image is neither of the two shapes nor a figure.
    """
    tables.check(result)
    methods = tables.columns(result)
    leaked = "a number that differs between the runs" if result["leaked"] is None else f"{result['leaked']:,}"
    page = _PAGE.substitute(
        title=_text(result["title"]),
        faces=f"{result['faces']:,} faces",
        split=_text(result["split"]),
        leaked=leaked,
        data_name=_text(result["data"].get("name", "unnamed data")),
        judge_name=_text(result["judge"].get("name", "an unnamed judge")),
        headlines=_headlines(result),
        data=_list("pairs", result["data"]),
        judge=_list("pairs", result["judge"]),
        identity=_list("pairs", result["identity"]),
        methods=_list("notes", {f"{one['name']}, {one['kind']}": one["about"] for one in methods}),
        table=_table(result),
        notes=_list("notes", {row.metric.title: row.metric.about for row in tables.rows(result)}),
        matrices=_section("Emotion by emotion, in %", _matrices(result)),
        pictures=_section("Pictures", "".join(map(_picture, pictures))),
        config=_list("pairs", result["config"] or {"configuration": None}),
        environment=_list("pairs", result["environment"]),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, page)


def _text(value: Any) -> str:
    """Returns anything as HTML text: numbers short, nothing as a dash, and all that HTML might read escaped."""
    if value is None or value == "":
        return _DASH
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or _DASH
    return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>{body}" if body else ""


def _list(style: str, values: Mapping[str, Any]) -> str:
    items = (
        f"<div><dt>{_text(name.replace('_', ' ') if style == 'pairs' else name)}</dt><dd>{_text(value)}</dd></div>"
        for name, value in tables.flat(values).items()
    )
    return f"<dl class='{style}'>{''.join(items)}</dl>"


def _cell(text: str, unit: str = "") -> str:
    """Returns a score with its error set apart, so that the values of a column stand under each other."""
    if text == "n/a":
        return "<span class='none'>n/a</span><span class='error'></span>"
    value, sign, error = text.partition(" ± ")
    return f"<b>{value}</b><span class='error'>{' '.join(filter(None, (sign.strip(), error, unit)))}</span>"


def _headlines(result: Mapping[str, Any]) -> str:
    """Returns the few numbers to look at first, under what they are to be measured against."""

    def percent(share: float | None) -> str:
        return "n/a" if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"

    beside = {
        "edit_accuracy": f"judge, balanced, on real faces: {percent(result['judge'].get('balanced_accuracy'))}",
        "identity_rank1": f"changed copies of a face: {percent(result['identity'].get('rank1_of_changed_copies'))}",
        "reconstruction_psnr": "against the face itself",
        "frechet": "in the judge's features",
    }
    heads = "".join(
        f"<th scope='col'>{_text(metric.title)} {tables.ARROWS[metric.better]}<small>{beside[name]}</small></th>"
        for name, metric in _HEADLINES.items()
    )
    lines = []
    for one in tables.columns(result):
        if one["kind"] != "reference":
            cells = "".join(
                f"<td>{_cell(tables.format_score(name, one['scores'].get(name)), metric.unit)}</td>"
                for name, metric in _HEADLINES.items()
            )
            name, about = _text(one["name"]), _text(one["about"])
            lines.append(f"<tr><th scope='row'>{name}<small>{about}</small></th>{cells}</tr>")
    return f"<table class='headlines'><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _table(result: Mapping[str, Any]) -> str:
    """Returns the table of all scores: metrics down in their groups, methods across, references set apart."""
    methods = tables.columns(result)
    styles = ["reference" if one["kind"] == "reference" else "model" for one in methods]
    if "reference" in styles:
        styles[styles.index("reference")] += " first"
    heads = "".join(
        f"<th scope='col' class='{style}'>{_text(one['name'])}<small>{one['kind']}</small></th>"
        for style, one in zip(styles, methods, strict=True)
    )
    lines, group = [], None
    for row in tables.rows(result):
        if row.group != group:
            group = row.group
            empty = "".join(f"<td class='{style}'></td>" for style in styles)
            lines.append(f"<tr class='group'><th scope='rowgroup'>{_text(group)}</th>{empty}</tr>")
        title = (
            f"<th scope='row' title='{_text(row.metric.about)}'>{_text(row.title)} {tables.ARROWS[row.metric.better]}"
        )
        cells = "".join(
            f"<td class='{style}{' best' if i in row.best else ''}'>{_cell(cell)}</td>"
            for i, (style, cell) in enumerate(zip(styles, row.cells, strict=True))
        )
        lines.append(f"<tr>{title}</th>{cells}</tr>")
    return f"<table class='scores'><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _matrices(result: Mapping[str, Any]) -> str:
    """Returns both matrices of each method whose edits the judge saw."""
    parts = []
    for one in tables.columns(result):
        verdicts = result["verdicts"].get(one["name"])
        if verdicts is not None:
            edits = _matrix(tables.edit_matrix(verdicts), result["classes"], "source", "target", "own")
            named = _matrix(tables.confusion(verdicts), result["classes"], "target", "prediction", "hit")
            pair = "".join(
                f"<figure>{matrix}<figcaption>{_text(caption)}</figcaption></figure>"
                for matrix, caption in ((edits, _EDITS), (named, _NAMED))
            )
            parts.append(f"<section class='matrices'><h3>{_text(one['name'])}</h3><div>{pair}</div></section>")
    return "".join(parts)


def _matrix(shares: np.ndarray, names: Sequence[str], down: str, across: str, diagonal: str) -> str:
    heads = "".join(f"<th scope='col'>{_text(name)}</th>" for name in names)
    lines = []
    for i, (name, row) in enumerate(zip(names, shares, strict=True)):
        cells = "".join(_shade(share, diagonal if i == j else "") for j, share in enumerate(row))
        lines.append(f"<tr><th scope='row'>{_text(name)}</th>{cells}</tr>")
    corner = f"<th class='corner'>{down} ↓<br>{across} →</th>"
    return f"<table class='matrix'><thead><tr>{corner}{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _shade(share: float, style: str) -> str:
    """Returns a cell, from white at 0 to dark at 1: blue, or grey where it is no edit."""
    if math.isnan(share):
        return f"<td class='{style}'>{_DASH}</td>"
    dark = (92, 98, 107) if style == "own" else (24, 78, 140)
    colour = ",".join(str(round(255 + share * (end - 255))) for end in dark)
    ink = "#fff" if share > 0.7 else "#1c2733"
    return f"<td class='{style}' style='background:rgb({colour});color:{ink}'>{100 * share:.0f}</td>"


def _picture(picture: Picture) -> str:
    data, (width, height) = _png(picture)
    return (
        f"<figure class='picture'><h3>{_text(picture.title)}</h3><img alt='{_text(picture.title)}' width='{width}' "
        f"height='{height}' src='data:image/png;base64,{base64.b64encode(data).decode()}'>"
        f"<figcaption>{html.escape(picture.caption)}</figcaption></figure>"
    )


def _png(picture: Picture) -> tuple[bytes, tuple[int, int]]:
    """Returns a picture as the bytes of a PNG file, and the width and height at which it is shown."""
    if hasattr(picture.image, "savefig"):
        buffer = io.BytesIO()
        picture.image.savefig(buffer, format="png", dpi=_DPI, metadata=images.SYNTHETIC)
        width, height = picture.image.get_size_inches() * _DPI / 2
        return buffer.getvalue(), (round(width), round(height))
    pixels = np.asarray(picture.image)
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(
            f"expected the picture '{picture.title}' as uint8 [H, W] or [H, W, 3] or a matplotlib figure, found "
            f"{pixels.dtype} {list(pixels.shape)}; convert it first"
        )
    return images.to_png(pixels, images.SYNTHETIC), (pixels.shape[1], pixels.shape[0])


# The policy lets a browser load nothing, whatever a name in a result may hold.
_PAGE = string.Template("""\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title: evaluation</title>
<style>
* { box-sizing: border-box; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { max-width: 1120px; margin: 0 auto; padding: 40px 32px 24px; background: #fff; color: #1c2733;
  font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums; }
h1 { margin: 0; font-size: 32px; line-height: 1.2; overflow-wrap: anywhere; }
h2, h3 { break-after: avoid; } h2 { margin: 48px 0 12px; font-size: 20px; } h3 { margin: 0 0 6px; font-size: 14px; }
p, figcaption, dd, small, footer, .pairs dt, .error { color: #56616e; }
small { display: block; font-size: 12px; line-height: 1.35; font-weight: 400; }
table { width: 100%; border-collapse: collapse; } tr { break-inside: avoid; }
th { font-weight: 500; text-align: left; } b { font-weight: inherit; } p, dl, dd, figure { margin: 0; }
figcaption { margin-top: 8px; font-size: 13px; line-height: 1.4; max-width: 760px; }
.scroll { overflow-x: auto; margin-top: 14px; }
.three, .matrices > div { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 34px; }
.headlines { margin-top: 24px; border-top: 3px solid #184e8c; border-bottom: 1px solid #d5dbe2; }
.headlines th, .headlines td { padding: 10px 14px; vertical-align: top; border-top: 1px solid #e6eaef; }
.headlines thead th, .headlines td { width: 19.5%; border-left: 1px solid #e6eaef; white-space: nowrap; }
.headlines thead th:first-child { width: 22%; border-left: 0; } .headlines small { white-space: normal; }
.headlines tbody th { padding-left: 0; font-size: 17px; font-weight: 600; overflow-wrap: anywhere; }
.headlines b { font-size: 28px; line-height: 1.2; font-weight: 600; }
.pairs div { display: flex; justify-content: space-between; gap: 16px; padding: 3px 0; border-top: 1px solid #e6eaef; }
.pairs dd { color: inherit; text-align: right; overflow-wrap: anywhere; }
.notes { columns: 2; column-gap: 36px; font-size: 13px; line-height: 1.4; }
.notes div { break-inside: avoid; padding-bottom: 7px; } .notes dt { font-weight: 600; }
.scores { font-size: 14px; } .pairs { font-size: 13px; } .error { margin-left: 5px; } .none { color: #7b8794; }
.scores td, .scores th { padding: 4px 6px; border-bottom: 1px solid #e6eaef; }
.scores td, .scores thead th { text-align: right; } .scores td { white-space: nowrap; }
.scores thead th { vertical-align: bottom; border-bottom: 2px solid; font-weight: 600; overflow-wrap: anywhere; }
.scores tbody th { padding-left: 0; } .scores .best b { font-weight: 700; }
.scores .group { break-after: avoid; } .scores .group th { padding-top: 18px; font-weight: 600; color: #184e8c; }
.scores .reference { background: #f5f6f8; color: #56616e; } .scores .first { border-left: 2px solid #b9c2cc; }
.scores .error { display: inline-block; width: 4.1em; text-align: left; font-size: 12px; color: #7b8794; }
.matrices, .picture { margin-top: 20px; break-inside: avoid; }
.matrix th { padding: 3px 4px; font-size: 12px; overflow: hidden; } .matrix thead th { text-align: center; }
.matrix tbody th, .matrix thead .corner { width: 80px; padding-left: 0; text-align: left; }
.matrix { table-layout: fixed; font-size: 13px; } .matrix .corner { font-weight: 400; color: #7b8794; }
.matrix td { height: 36px; text-align: center; border: 1px solid #fff; }
.matrix .hit { outline: 2px solid #1c2733; outline-offset: -3px; }
.picture img { display: block; max-width: 100%; height: auto; }
details { margin-top: 12px; max-width: 760px; } summary { margin-bottom: 6px; font-weight: 600; cursor: pointer; }
footer { margin-top: 48px; padding-top: 12px; border-top: 1px solid #d5dbe2; font-size: 13px; }
@media screen and (max-width: 800px) { .three, .matrices > div, .notes { display: block; columns: 1; } }
@page { margin: 14mm; }
@media print { body { max-width: none; padding: 0; zoom: 0.65; } .scroll { overflow: visible; } }
</style></head>
<body>
<h1>$title</h1>
<p>$faces of $data_name, split $split ($leaked of them also in the training data); judged by $judge_name</p>
<div class="scroll">$headlines</div>
<h2>What was measured</h2>
<div class="three">
<div><h3>Data</h3>$data</div><div><h3>Judge</h3>$judge</div><div><h3>Identity</h3>$identity</div>
</div>
<h2>What is compared</h2>
$methods
<h2>Scores</h2>
<p>Value ± standard error; ↑ higher is better, ↓ lower is better; the best of several models is bold. References, on
grey, show what trivial answers and real faces reach.</p>
<div class="scroll">$table</div>
<h2>What the scores mean</h2>
$notes
$matrices
$pictures
<h2>How it was made</h2>
<details><summary>Configuration</summary>$config</details>
<details><summary>Environment</summary>$environment</details>
<footer>Generated faces are synthetic: edits show expressions that the pictured people did not make.</footer>
</body></html>
""")
