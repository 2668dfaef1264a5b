"""A viewer's study: what is shown, what is read of answers, and what they are worth."""

import json
import re

import numpy as np
import pytest
from support import study_methods
from support.study_methods import method

from emogan.data import toyfaces
from emogan.evaluation import study_answers, study_pictures, study_tables


@pytest.fixture(scope="module")
def held_out():
    return study_methods.held_out()


@pytest.fixture(scope="module")
def shown(held_out):
    return study_pictures.choose(held_out, [method(held_out, "one", 1), method(held_out, "two", 2)], 3, seed=0)


@pytest.fixture(scope="module")
def folder(shown, held_out, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    study_pictures.write(shown, held_out, folder, {"seed": 0})
    return folder


def test_every_emotion_is_shown_as_often_by_everyone_and_no_face_twice(shown, held_out):
    assert shown.names == ("real faces", "one", "two")
    for by in range(3):
        np.testing.assert_array_equal(np.bincount(shown.emotion[shown.by == by], minlength=7), 3)
    assert len(np.unique(shown.face)) == len(shown.face) == 63
    labels = held_out.labels[shown.face]
    np.testing.assert_array_equal(labels == shown.emotion, shown.by == 0)
    np.testing.assert_array_equal(shown.pictures[:, 0, 0], shown.face)
    np.testing.assert_array_equal(shown.pictures[:, 0, 1], shown.by)
    np.testing.assert_array_equal(shown.pictures[shown.by > 0, 0, 2], shown.emotion[shown.by > 0])
    for emotion in range(7):  # three edits are of faces of three emotions
        assert len(np.unique(labels[(shown.by == 1) & (shown.emotion == emotion)])) == 3


def test_with_same_faces_everyone_edits_the_faces_that_all_can_and_real_faces_are_others(held_out):
    may = np.zeros((210, 7), bool)
    may[:140] = True
    both = [method(held_out, "one", 1), method(held_out, "two", 2, may)]
    shown = study_pictures.choose(held_out, both, 3, seed=0, same_faces=True)
    edits = [sorted(zip(shown.emotion[shown.by == by], shown.face[shown.by == by], strict=True)) for by in range(3)]
    assert edits[1] == edits[2]
    assert len({face for _, face in edits[0] + edits[1]}) == 42
    assert max(face for _, face in edits[1]) < 140
    np.testing.assert_array_equal(np.bincount(shown.emotion[shown.by == 1], minlength=7), 3)
    np.testing.assert_array_equal(shown.pictures[:, 0, 1], shown.by)
    with pytest.raises(ValueError, match=r"^--each: expected 15 faces that one and two edited to \w+ and nobody else"):
        study_pictures.choose(held_out, both, 15, seed=0, same_faces=True)


def test_order_tells_nothing_and_is_that_of_the_seed(shown, held_out):
    others = [method(held_out, "one", 1), method(held_out, "two", 2)]
    np.testing.assert_array_equal(study_pictures.choose(held_out, others, 3, seed=0).pictures, shown.pictures)
    assert (study_pictures.choose(held_out, others, 3, seed=1).face != shown.face).any()
    assert 20 < np.count_nonzero(np.diff(shown.by)) < 62


def test_only_edits_that_were_made_are_shown_and_too_few_are_refused(held_out):
    may = np.zeros((210, 7), bool)
    may[:70] = True
    found = study_pictures.choose(held_out, [method(held_out, "few", 1, may)], 3, seed=0)
    assert found.face[found.by == 1].max() < 70
    with pytest.raises(ValueError, match=r"^--each: expected 12 faces that few edited to \w+ and nobody else shows"):
        study_pictures.choose(held_out, [method(held_out, "few", 1, may)], 12, seed=0)
    with pytest.raises(ValueError, match=r"^--each: expected 31 faces that are angry, found 30"):
        study_pictures.choose(held_out, [], 31, seed=0)
    with pytest.raises(ValueError, match="a name for each model, found real faces, one, one"):
        study_pictures.choose(held_out, [method(held_out, "one", 1)] * 2, 1, seed=0)


def test_what_viewers_get_does_not_say_what_is_real(folder, shown):
    names = sorted(path.name for path in (folder / "for_viewers").iterdir())
    assert names == ["answers.csv", "questions.txt", "sheet_01.png", "sheet_02.png", "sheet_03.png", "study.html"]
    page = (folder / "for_viewers" / "study.html").read_text()
    data = json.loads(re.search(r'id="study">(.*?)</script>', page).group(1))
    assert set(data) == {"id", "emotions", "pictures"}
    assert len(data["pictures"]) == 63
    assert not re.search(r"(src|href)=.?http|@import|url\(", page)
    for path in (folder / "for_viewers").glob("*.png"):
        assert b"synthetic" not in path.read_bytes()
    key = json.loads((folder / "key.json").read_text())
    assert (key["study"], key["seed"]) == (data["id"], 0)
    assert [row["face"] for row in key["pictures"]] == shown.face.tolist()
    with pytest.raises(ValueError, match=r"--output: expected a folder without a study"):
        study_pictures.write(shown, toyfaces.load("valid", 0, 210), folder, {})


def test_a_sheet_shows_each_picture_beneath_its_number():
    pictures = np.arange(1, 9, dtype=np.uint8)[:, None, None] * np.full((48, 48), 25, np.uint8)
    found = study_pictures.sheet(pictures, 31)
    for i in range(8):
        y, x = 24 + 30 + i // 6 * (192 + 30 + 16), 24 + i % 6 * (192 + 16)
        assert (found[y : y + 192, x : x + 192] == 25 * (i + 1)).all()
        assert found[y - 30 : y, x : x + 192].min() < 50  # the number
        assert (found[y : y + 192, x + 192 : x + 200] == 255).all()


def test_differences_on_the_same_faces_are_more_precise_than_those_of_means():
    """Two programs edit 40 faces; the faces differ by up to 3 grades, the programs by 1 on every face."""
    random = np.random.default_rng(0)
    by, face = np.repeat([1, 2], 40), np.tile(np.arange(40), 2)
    emotion = np.tile(np.arange(40) % 2, 2)
    key = study_answers.Key("abc", CLASSES, ("real faces", "one", "two"), by, emotion, face)
    grades = np.tile(random.integers(0, 3, 40), 2) + (by == 2)
    seen = np.where((by == 2) | (face < 10), emotion, 1 - emotion)  # of one, a quarter is recognised
    found = study_answers.score(key, [study_answers.Answers("ann", seen, grades)])
    (one,) = found["same_faces"]
    assert (one["names"], one["faces"]) == (["one", "two"], 40)
    assert (one["naturalness"]["value"], one["naturalness"]["error"]) == (1.0, 0.0)
    assert one["recognition"]["value"] == pytest.approx(0.75)
    assert found["groups"][2]["naturalness"]["error"] > 0.1
    assert "## Differences on the same faces" in study_tables.to_markdown(found)
    assert "| two - one | 40 | 75 ± 7 | 1.00 ± 0.00 |" in study_tables.to_markdown(found)
    apart = study_answers.Key("abc", CLASSES, ("real faces", "one", "two"), by, emotion, np.arange(80))
    assert study_answers.score(apart, [study_answers.Answers("ann", seen, grades)])["same_faces"] == []


def test_key_is_read_as_it_was_written(folder, shown):
    key = study_answers.read_key(folder / "key.json")
    assert key.study == study_pictures.identifier(shown.pictures)
    assert key.names == shown.names
    np.testing.assert_array_equal(key.by, shown.by)
    np.testing.assert_array_equal(key.emotion, shown.emotion)
    np.testing.assert_array_equal(key.face, shown.face)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 2}', '{"format": 1, "classes": 3}'])
def test_what_is_no_key_is_refused(tmp_path, text):
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(ValueError, match=r"^expected a study's key, found .*key\.json with ") as caught:
        study_answers.read_key(tmp_path / "key.json")
    assert "\n" not in str(caught.value)


CLASSES = ("happy", "sad")
#                        real: happy, sad; model: happy, sad
KEY = study_answers.Key(
    "abc", CLASSES, ("real faces", "mine"), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.arange(4)
)


def answers(viewer, *rows):
    emotion, grade = np.array(rows).T
    return study_answers.Answers(viewer, emotion, grade - 1)


ANN = answers("ann", (0, 5), (1, 4), (0, 2), (0, 1))
BOB = answers("bob", (0, 5), (0, 5), (0, 4), (1, 3))


def test_scores_are_worked_out_by_hand():
    found = study_answers.score(KEY, [ANN, BOB])
    real, mine = found["groups"]
    values = {name: mine[name]["value"] for name in ("recognition", "naturalness", "natural", "unnatural")}
    assert values == {"recognition": 0.75, "naturalness": 2.5, "natural": 0.25, "unnatural": 0.5}
    assert {name: real[name]["value"] for name in values} == {
        "recognition": 0.75,
        "naturalness": 4.75,
        "natural": 1,
        "unnatural": 0,
    }
    assert mine["by_emotion"]["sad"]["naturalness"]["value"] == 2
    assert mine["by_emotion"]["happy"]["recognition"]["value"] == 1
    beside = mine["beside_real"]
    assert beside["naturalness_below"]["value"] == 2.25
    assert beside["natural_ratio"]["value"] == 0.25
    assert beside["recognition_ratio"]["value"] == 1
    assert beside["most_below_of_an_emotion"]["value"] == 2.5  # sad: 4.5 and 2
    # Emotions: 00, 10, 00, 01, of eight 0 five times and 1 twice ... by `agreement`, which has tests of its own.
    assert found["agreement"]["emotion"] == pytest.approx(1 - (4 / 8) / (2 * 6 * 2 / 56))
    ann_mine = next(one for one in found["by_viewer"] if (one["viewer"], one["name"]) == ("ann", "mine"))
    assert (ann_mine["naturalness"]["value"], ann_mine["recognition"]["value"]) == (1.5, 0.5)


def test_error_is_over_pictures_and_not_over_answers():
    random = np.random.default_rng(0)
    key = study_answers.Key("abc", CLASSES, ("real faces",), np.zeros(200, int), np.zeros(200, int), np.arange(200))
    grades = random.integers(0, 5, 200)
    same = [study_answers.Answers(str(i), np.zeros(200, int), grades) for i in range(4)]
    error = study_answers.score(key, same)["groups"][0]["naturalness"]["error"]
    assert error == pytest.approx(grades.std() / np.sqrt(200), rel=0.2)


def test_one_viewer_agrees_with_nobody_and_what_is_left_out_does_not_count():
    some = answers("ann", (0, 5), (-1, 0), (0, 2), (-1, 0))
    found = study_answers.score(KEY, [some])
    assert found["agreement"] == {"emotion": None, "naturalness": None}
    assert [one["answers"] for one in found["groups"]] == [1, 1]
    assert found["groups"][1]["by_emotion"]["sad"]["naturalness"] is None
    assert "n/a" in study_tables.to_markdown(found)
    with pytest.raises(ValueError, match="answers of different viewers, found two of ann"):
        study_answers.score(KEY, [ANN, ANN])
    with pytest.raises(ValueError, match="answers of different viewers, found none"):
        study_answers.score(KEY, [])


def test_answers_are_read_from_both_forms(tmp_path):
    rows = [{"number": 1, "emotion": "happy", "naturalness": 5}, {"number": 4, "emotion": "sad", "naturalness": 1}]
    page = {"format": 1, "study": "abc", "viewer": "Ann", "answers": rows}
    (tmp_path / "a.json").write_text(json.dumps(page))
    (tmp_path / "bob.csv").write_text("\ufeffNumber, Emotion, Naturalness\n1, Happiness, 5\n2,,\n4,sad,1\n")
    for name, viewer in (("a.json", "Ann"), ("bob.csv", "bob")):
        found = study_answers.read(tmp_path / name, KEY)
        assert found.viewer == viewer
        assert found.emotion.tolist() == [0, -1, -1, 1]
        assert found.naturalness.tolist() == [4, -1, -1, 0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("number,emotion,naturalness\n5,sad,1\n", "number 5, where 1..4 were shown"),
        ("number,emotion,naturalness\n1,sad,6\n", "naturalness 6 of 1, where 1..5 may be given"),
        ("number,emotion,naturalness\n1,sad,\n", "naturalness none of 1, where 1..5 may be given"),
        ("number,emotion,naturalness\n1,angry,3\n", "emotion angry of 1, where happy, sad may be given"),
        ("number,emotion,naturalness\n1,sad,3\n1,sad,3\n", "two answers to 1"),
        ("number,emotion,naturalness\n1,,\n", "no answer"),
        ("a,b\n1,2\n", "a first line without number, emotion and naturalness"),
        ("", "a first line without number, emotion and naturalness"),
        ('{"study": "abd", "answers": []}', "those of study abd, while the key is of abc"),
        ('{"study": "abc", "answers": [1]}', "no list of answers"),
        ('{"study": "abc", "answers": [{"number": true}]}', "number True, where 1..4 were shown"),
        ("{", "Expecting property name"),
    ],
)
def test_what_are_no_answers_is_refused_in_one_line(tmp_path, text, found):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=re.escape(f"a.csv: expected a viewer's answers, found {found}")) as caught:
        study_answers.read(tmp_path / "a.csv", KEY)
    assert "\n" not in str(caught.value)


def test_tables_say_the_scores_and_escape_names(tmp_path):
    result = study_answers.score(KEY, [ANN, answers("<b>|", (0, 5), (0, 5), (0, 4), (1, 3))])
    text = study_tables.to_markdown(result)
    assert "| mine | 2 | 4 | 75 ± " in text
    assert "<b>" not in text
    assert "&lt;b&gt;&#124;" in text
    page = tmp_path / "report.html"
    page.write_text("<body><p>before</p>\n<footer>after</footer></body>")
    study_tables.add_to_report(result, page)
    once = page.read_text()
    assert once.index("before") < once.index("What viewers say") < once.index("<footer>")
    study_tables.add_to_report(result, page)
    assert page.read_text() == once
    page.write_text("<body></body>")
    with pytest.raises(ValueError, match=r"expected a report of evaluate\.py, found another page"):
        study_tables.add_to_report(result, page)
    with pytest.raises(FileNotFoundError, match=r"expected a report of evaluate\.py, found no file"):
        study_tables.add_to_report(result, tmp_path / "none.html")
