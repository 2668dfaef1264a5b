"""The page of an evaluation: whole, closed to the outside, and true to its result."""

import base64
import html.parser
import io
import math

import matplotlib.figure
import numpy as np
import PIL.Image
import pytest

from emogan import emotions
from emogan.evaluation import report, tables
from emogan.util import images

_VOID = {"meta", "img", "br"}


class _Page(html.parser.HTMLParser):
    """A page's elements and texts; fails where a tag is closed that is not open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.cells = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append((dict(attrs).get("class", ""), ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            style, text = self.cells[-1]
            self.cells[-1] = (style, text + data)

    def elements(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def make_result(title="quick", model="quick", accuracy=0.4412, about="width 32 & more"):
    verdicts = np.zeros((7, 7, 7), int)
    verdicts[:, :, 3] = 1  # whatever is wanted, the judge sees happy faces
    verdicts[:, 2] = 0  # and nobody edits to fear
    return {
        "format": 2,
        "title": title,
        "split": "valid",
        "faces": 3589,
        "leaked": 12,
        "data": {"name": "fer2013", "fingerprint": "abc"},
        "judge": {"name": "judge_fer2013", "checksum": "123", "balanced_accuracy": 0.6203},
        "identity": {"descriptor": "HOG", "rank1_of_changed_copies": 0.9812},
        "methods": [
            {
                "name": "input",
                "kind": "reference",
                "about": "the face as it is",
                "scores": {
                    "reconstruction_psnr": {"value": math.inf, "error": None},
                    "edit_accuracy": {"value": 0.9, "error": None},
                },
            },
            {
                "name": model,
                "kind": "model",
                "about": about,
                "scores": {"edit_accuracy": {"value": accuracy, "error": 0.0061}},
            },
        ],
        "classes": list(emotions.EMOTIONS),
        "verdicts": {model: verdicts.tolist()},
        "config": {"gan": {"batch_size": 77}},
        "environment": {"jax": "0.7"},
    }


def write(result, tmp_path, pictures=()):
    path = tmp_path / "evaluation" / "report.html"
    report.write(result, pictures, path)
    text = path.read_text(encoding="utf-8")
    assert [one.name for one in path.parent.iterdir()] == ["report.html"]
    return text, _Page(text)


def test_page_shows_the_scores_models_first(tmp_path):
    _, page = write(make_result(), tmp_path)
    at = page.cells.index(("", "edit accuracy (%) ↑"))
    assert page.cells[at + 1 : at + 3] == [("model", "44.1± 0.6"), ("reference first", "90.0")]
    at = page.cells.index(("", "PSNR, own label (dB) ↑"))
    assert page.cells[at + 1 : at + 3] == [("model", "n/a"), ("reference first", "∞")]


def test_headline_sets_the_accuracy_beside_the_judge(tmp_path):
    text, page = write(make_result(), tmp_path)
    at = page.cells.index(("", "quickwidth 32 & more"))
    assert [text for _, text in page.cells[at + 1 : at + 5]] == ["44.1± 0.6 %", "n/a", "n/a", "n/a"]
    assert "3,589 faces of fer2013, split valid (12 of them also in the training data)" in text
    assert "on real faces: 62.0\N{NO-BREAK SPACE}%" in text
    assert "changed copies of a face: 98.1\N{NO-BREAK SPACE}%" in text


def test_matrices_show_percents_with_their_diagonal_set_apart(tmp_path):
    _, page = write(make_result(), tmp_path)
    heads = [i for i, (_, text) in enumerate(page.cells) if text == "angry"]
    # A matrix names angry over a column and before a row; of each, the row is looked at.
    edits, named = (page.cells[heads[i] + 1 : heads[i] + 8] for i in (1, 3))
    assert edits == [("own", "0"), ("", "0"), ("", "\N{EN DASH}"), ("", "100"), ("", "0"), ("", "0"), ("", "0")]
    assert named == [("hit", "0"), ("", "0"), ("", "0"), ("", "100"), ("", "0"), ("", "0"), ("", "0")]


def test_page_needs_nothing_from_outside(tmp_path):
    text, page = write(make_result(), tmp_path, [report.Picture("Faces", "Two.", np.zeros((48, 96), np.uint8))])
    for word in ("http://", "https://", "//cdn", "@import", "url("):
        assert word not in text
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.found}
    assert {attributes["src"].partition(",")[0] for attributes in page.elements("img")} == {"data:image/png;base64"}
    policies = [one["content"] for one in page.elements("meta") if "http-equiv" in one]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_every_picture_is_there_pixel_for_pixel(tmp_path):
    gray = np.arange(48 * 60, dtype=np.uint16).reshape(48, 60).astype(np.uint8)
    colour = np.stack([gray, gray.T.reshape(48, 60), 255 - gray], axis=-1)
    figure = matplotlib.figure.Figure(figsize=(3, 2))
    pictures = [report.Picture(f"number {i}", "", image) for i, image in enumerate((gray, colour, figure))]
    text, page = write(make_result(), tmp_path, pictures)
    assert text.count("<figcaption></figcaption>") == 3
    shown = page.elements("img")
    assert [one["alt"] for one in shown] == ["number 0", "number 1", "number 2"]
    assert [(one["width"], one["height"]) for one in shown] == [("60", "48"), ("60", "48"), ("300", "200")]
    files = [PIL.Image.open(io.BytesIO(base64.b64decode(one["src"].partition(",")[2]))) for one in shown]
    np.testing.assert_array_equal(np.asarray(files[0]), gray)
    np.testing.assert_array_equal(np.asarray(files[1]), colour)
    assert files[2].size == (600, 400)
    assert [file.text["Source"] for file in files] == [images.SYNTHETIC["Source"]] * 3


def test_what_comes_from_outside_is_escaped(tmp_path):
    bad = "<b>\"'&$title"
    result = make_result(bad, bad, about=bad)
    for part in ("data", "judge", "identity", "config", "environment"):
        result[part] = {**result[part], bad: bad, "name": bad}
    result.update(split=bad, classes=[bad, *emotions.EMOTIONS[1:]])
    result["methods"][0]["about"] = bad
    plain, _ = write(make_result(), tmp_path)
    text, page = write(result, tmp_path, [report.Picture(bad, bad, np.zeros((4, 4), np.uint8))])
    # The page's own <b> are around values, and have no other neighbours.
    assert text.count("<b>") == plain.count("<b>")
    assert "&lt;b&gt;&quot;&#x27;&amp;$title" in text
    assert page.elements("img")[0]["alt"] == bad
    assert ("model", bad + "model") in page.cells


def test_notes_configuration_environment_and_origin_are_told(tmp_path):
    text, page = write(make_result(), tmp_path)
    assert "Share of edits to another emotion for which the judge predicts the target emotion" in text
    assert "<dt>input, reference</dt><dd>the face as it is</dd>" in text
    assert "<dt>gan.batch size</dt><dd>77</dd>" in text
    assert "<dt>jax</dt><dd>0.7</dd>" in text
    assert len(page.elements("details")) == 2
    assert "Generated faces are synthetic" in text


def test_comparison_is_a_page_too_and_marks_the_best_model(tmp_path):
    compared = tables.compare([make_result(), make_result("full", "full", 0.5)])
    _, page = write(compared, tmp_path)
    at = page.cells.index(("", "edit accuracy (%) ↑"))
    expected = [("model", "44.1± 0.6"), ("model best", "50.0± 0.6"), ("reference first", "90.0")]
    assert page.cells[at + 1 : at + 4] == expected
    assert len([one for one in page.elements("table") if one["class"] == "matrix"]) == 4


def test_result_without_verdicts_or_config_is_a_page(tmp_path):
    text, page = write({**make_result(), "verdicts": {}, "config": None, "leaked": None}, tmp_path)
    assert "Emotion by emotion" not in text
    assert "Pictures" not in text
    assert not [one for one in page.elements("table") if one["class"] == "matrix"]


def test_same_result_makes_the_same_page(tmp_path):
    picture = report.Picture("Faces", "", np.zeros((48, 48), np.uint8))
    assert write(make_result(), tmp_path, [picture])[0] == write(make_result(), tmp_path, [picture])[0]


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)])
def test_other_images_are_refused_and_the_old_page_stays(tmp_path, image):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match=r"expected the picture 'odd' as uint8 \[H, W\] .*, found .* \[4"):
        report.write(make_result(), [report.Picture("odd", "", image)], path)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_broken_result_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected format 2, found format 0"):
        report.write({**make_result(), "format": 0}, [], tmp_path / "report.html")
