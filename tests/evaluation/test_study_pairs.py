"""A study of pairs: which are shown, what is read of answers, and what they are worth."""

import json

import numpy as np
import pytest
from support import study_methods
from support.study_methods import method

from emogan.evaluation import study_answers, study_pairs, study_pictures


@pytest.fixture(scope="module")
def held_out():
    return study_methods.held_out()


@pytest.fixture(scope="module")
def pairs(held_out):
    return study_pairs.choose(held_out, [method(held_out, "older", 0), method(held_out, "newer", 1)], 5, seed=0)


@pytest.fixture(scope="module")
def folder(pairs, held_out, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    study_pairs.write(pairs, held_out, folder, {"seed": 0})
    return folder


@pytest.fixture(scope="module")
def key(folder):
    return study_pairs.read_key(folder / "key.json")


def answers_of(key, path, natural, emotion):
    """Writes answers that choose by the place of a model in the key's names, [N] each, and reads them."""
    side = lambda left, wanted: "left" if left == wanted else "right"  # noqa: E731
    rows = zip(range(1, len(key.left) + 1), key.left, natural, emotion, strict=True)
    lines = [f"{number},{side(left, one)},{side(left, other)}" for number, left, one, other in rows]
    path.write_text("\n".join(["number,natural,emotion", *lines]))
    return study_pairs.read(path, key)


def test_both_pictures_of_a_pair_are_one_face_to_one_emotion_and_no_face_comes_twice(pairs, held_out):
    np.testing.assert_array_equal(np.bincount(pairs.emotion, minlength=7), 5)
    assert len(np.unique(pairs.face)) == 35
    assert (held_out.labels[pairs.face] != pairs.emotion).all()
    np.testing.assert_array_equal(pairs.pictures[:, 0, 0, 0], pairs.face)
    np.testing.assert_array_equal(pairs.pictures[:, 1, 0, 0], pairs.face)
    np.testing.assert_array_equal(pairs.pictures[:, 0, 0, 1], pairs.left)
    np.testing.assert_array_equal(pairs.pictures[:, 1, 0, 1], 1 - pairs.left)
    np.testing.assert_array_equal(pairs.pictures[:, 0, 0, 2], pairs.emotion)
    assert 8 < pairs.left.sum() < 27


def test_order_and_sides_are_those_of_the_seed(pairs, held_out):
    both = [method(held_out, "older", 0), method(held_out, "newer", 1)]
    np.testing.assert_array_equal(study_pairs.choose(held_out, both, 5, seed=0).pictures, pairs.pictures)
    assert (study_pairs.choose(held_out, both, 5, seed=1).face != pairs.face).any()


def test_two_models_and_faces_that_both_have_edited_are_needed(held_out):
    may = np.zeros((210, 7), bool)
    may[:70] = True
    both = [method(held_out, "older", 0), method(held_out, "few", 1, may)]
    assert study_pairs.choose(held_out, both, 3, seed=0).face.max() < 70
    with pytest.raises(ValueError, match=r"^--each: expected 20 faces that both have edited to \w+ and no other pair"):
        study_pairs.choose(held_out, both, 20, seed=0)
    for methods in ([], both[:1], [both[0]] * 2, [*both, method(held_out, "third", 2)]):
        with pytest.raises(ValueError, match="--pairs: expected two models with names of their own, found"):
            study_pairs.choose(held_out, methods, 1, seed=0)


def test_what_viewers_get_says_neither_model_nor_side(folder, key, pairs, held_out):
    names = sorted(path.name for path in (folder / "for_viewers").iterdir())
    assert names == ["answers.csv", "questions.txt", "sheet_01.png", "sheet_02.png", "sheet_03.png"]
    for path in (folder / "for_viewers").iterdir():
        content = path.read_bytes()
        assert not any(word in content for word in (b"older", b"newer", b"synthetic"))
    assert key.names == ("older", "newer")
    np.testing.assert_array_equal(key.left, pairs.left)
    np.testing.assert_array_equal(key.emotion, pairs.emotion)
    with pytest.raises(ValueError, match="--output: expected a folder without a study"):
        study_pairs.write(pairs, held_out, folder, {})


@pytest.mark.parametrize("colour", [False, True])
def test_a_sheet_shows_left_and_right_beneath_their_title(colour):
    pictures = np.zeros((4, 2, 48, 48, 3) if colour else (4, 2, 48, 48), np.uint8)
    pictures += np.arange(8, dtype=np.uint8).reshape(4, 2, *[1] * (pictures.ndim - 2)) * 25
    found = study_pairs.sheet(pictures, [f"{i}: sad" for i in range(1, 5)])
    for i in range(4):
        y, x = 24 + 30 + i // 3 * (192 + 30 + 36), 24 + i % 3 * (2 * 192 + 6 + 36)
        for j in range(2):
            own = found[y : y + 192, x + j * 198 : x + j * 198 + 192]
            assert (own == 25 * (2 * i + j)).all()
        assert found[y - 30 : y, x : x + 390].min() < 50


def test_answers_are_counted_for_the_second_model(key, tmp_path):
    count = len(key.left)
    ones, zeros, half = np.ones(count, int), np.zeros(count, int), np.arange(count) % 2
    answers = {
        "ann": answers_of(key, tmp_path / "ann.csv", ones, half),
        "bob": answers_of(key, tmp_path / "bob.csv", ones, 1 - half),
    }
    np.testing.assert_array_equal(answers["ann"], [ones, half])
    found = study_pairs.score(key, answers)
    natural, emotion = found["questions"]["natural"], found["questions"]["emotion"]
    assert (natural["second"], natural["answers"], natural["decided"]) == (70, 70, 35)
    assert natural["p"] == pytest.approx(2 * 0.5**35)
    assert (emotion["second"], emotion["decided"], emotion["p"]) == (35, 0, None)
    assert emotion["agreement"] < 0
    assert natural["by_emotion"]["happy"] == [10, 10]
    text = study_pairs.to_markdown(found)
    assert "How often newer was chosen, not older" in text
    assert "| emotion clearer | 35 of 70 | 50 ± 0 | n/a | 0 | " in text
    against = study_pairs.score(key, {"eve": answers_of(key, tmp_path / "eve.csv", zeros, ones)})
    assert against["questions"]["natural"]["share"]["value"] == 0


def test_some_answers_may_be_left_out(key, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("Number, Natural, Emotion, remark\n2, L, , odd\n3, , Right,\n4,,,\n")
    found = study_pairs.read(path, key)
    np.testing.assert_array_equal(found[0, :4], [-1, key.left[1], -1, -1])
    np.testing.assert_array_equal(found[1, :4], [-1, -1, 1 - key.left[2], -1])
    result = study_pairs.score(key, {"few": found})
    assert result["questions"]["natural"]["answers"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("number,natural\n1,left\n", "a first line without number, natural and emotion"),
        ("number,natural,emotion\n36,left,left\n", r"number 36, where 1\.\.35 were shown"),
        ("number,natural,emotion\n1,up,left\n", "natural up of 1, where left or right may be given"),
        ("number,natural,emotion\n1,left,left\n1,left,left\n", "two answers to 1"),
        ("number,natural,emotion\n1,,\n", "no answer"),
        ("", "a first line without"),
    ],
)
def test_wrong_answers_are_refused_in_a_line(key, tmp_path, text, message):
    path = tmp_path / "answers.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"answers.csv: expected a viewer's answers, found {message}"):
        study_pairs.read(path, key)
    with pytest.raises(FileNotFoundError, match="expected a viewer's answers, found no file"):
        study_pairs.read(tmp_path / "none.csv", key)


def test_keys_of_both_kinds_are_told_apart_and_damaged_ones_refused(folder, held_out, tmp_path):
    single = study_pictures.choose(held_out, [method(held_out, "one", 1)], 1, seed=0)
    study_pictures.write(single, held_out, tmp_path / "single", {})
    assert study_pairs.read_key(tmp_path / "single" / "key.json") is None
    assert study_pairs.read_key(tmp_path / "none.json") is None
    with pytest.raises(ValueError, match="expected a study's key"):
        study_answers.read_key(folder / "key.json")
    found = json.loads((folder / "key.json").read_text())
    for damage in ({"names": ["older"]}, {"pictures": []}, {"classes": [1]}, {"pictures": [{"number": 1}]}):
        (tmp_path / "key.json").write_text(json.dumps({**found, **damage}))
        with pytest.raises(ValueError, match="expected a study's key, found"):
            study_pairs.read_key(tmp_path / "key.json")
