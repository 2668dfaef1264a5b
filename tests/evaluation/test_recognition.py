"""Identity by a face-recognition network: the arithmetic by hand, and the network itself where it is installed."""

import importlib.util
import sys

import numpy as np
import pytest
import skimage.data

from emogan.data import dataset
from emogan.edit import framing
from emogan.evaluation import methods, recognition

installed = pytest.mark.skipif(bool(recognition.missing()), reason="without the extra identity")


def test_distances_and_rank_are_worked_out_by_hand():
    gallery = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 8.0]])
    made = np.array([[0.0, 1.0], [0.0, 5.0]])
    own, others, found = recognition.compare(made, np.array([0, 0]), gallery)
    np.testing.assert_allclose(own, [1, 5])
    np.testing.assert_allclose(others, [(np.sqrt(18) + 7) / 2, (np.sqrt(10) + 3) / 2])
    np.testing.assert_allclose(found, [1, 0])
    tied = recognition.compare(np.array([[0.0, 4.0]]), np.array([0]), gallery)
    assert tied[2] == 0


def test_one_edit_of_each_face_is_taken_and_the_emotions_take_turns():
    labels = np.array([0, 1, 2, 0, 1, 2])
    target, source = np.divmod(np.arange(18), 6)
    edits = methods.Edits(np.zeros((18, 48, 48), np.uint8), np.arange(18), source, target)
    chosen = np.array([0, 1, 2, 4, 5])
    picture, place = recognition._one_each(edits, labels, chosen, np.random.default_rng(0))
    assert sorted(place) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(source[picture], chosen[place])
    assert (target[picture] != labels[source[picture]]).all()
    assert np.bincount(target[picture], minlength=3).max() <= 2


def test_what_is_missing_is_said_in_one_line(monkeypatch):
    find = importlib.util.find_spec
    for name in ("dlib", "face_recognition_models"):
        monkeypatch.setattr(importlib.util, "find_spec", lambda one, name=name: None if one == name else find(one))
        found = recognition.missing()
        assert found.startswith("identity by a face-recognition network is left out: expected ")
        assert "pip install" in found
        assert "\n" not in found
        with pytest.raises(ValueError, match="left out"):
            recognition.describe(np.zeros((1, 48, 48), np.uint8))


@installed
def test_network_knows_a_person_again_and_needs_no_import_of_the_models():
    square = framing.Square(169, 58, 109)  # as `detection.find` finds it
    person = framing.cut(skimage.data.astronaut(), square, dataset.FER2013)
    gray = np.asarray(person if person.ndim == 2 else person.mean(axis=2)).astype(np.uint8)
    assert gray.shape == (48, 48)
    darker = (gray // 2 + 20).astype(np.uint8)
    other = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    rows = recognition.describe(np.stack([gray, gray[:, ::-1], darker, other]))
    assert rows.shape == (4, 128)
    own = np.linalg.norm(rows[1:3] - rows[0], axis=1)
    assert own.max() < 0.6 < np.linalg.norm(rows[3] - rows[0])
    assert "face_recognition_models" not in sys.modules


@installed
def test_unchanged_faces_are_found_and_strangers_are_not(toy, entered, monkeypatch):
    monkeypatch.setattr(recognition, "MOST", 12)
    evaluator = recognition.Recognition()
    same = methods.of_edits(
        "same", toy.held_out.images, (toy.held_out.labels + 1) % 7, np.arange(len(toy.held_out)), toy
    )
    found = evaluator.run(same, toy, None)
    assert found["recognition_rank1_small"].value == 1
    assert found["recognition_own"].value == pytest.approx(0, abs=1e-6)
    assert found["recognition_others"].value > 0
    stranger = evaluator.run(entered["stranger"], toy, None)
    assert stranger["recognition_rank1_small"].value < 0.5
    assert evaluator.run(entered["unchanged"], toy, None) == {}
    about = evaluator.about(toy)
    assert about["faces that the recognition network looks at"] == 12
    assert about["its distance of a changed copy"] < about["its distance to other faces"]
