"""The second judge: its regression, its file, and how good the one that ships is."""

import pathlib

import numpy as np
import pytest
from sklearn import linear_model

from emogan import config as config_lib
from emogan.data import dataset, fer2013, toyfaces
from emogan.data.fer2013 import validation_split
from emogan.evaluation import edit_accuracy, edit_sets, hog_judge, judge, methods, run_scores, samples
from emogan.evaluation import real_faces as faces_lib

ARCHIVE = pathlib.Path(__file__).parents[2] / "../shared/data/fer2013/fer2013-train-public.tar.xz"
CARD = pathlib.Path(hog_judge.__file__).parents[1] / "assets" / "judge_hog_fer2013.json"


@pytest.fixture(scope="module")
def fitted(train_data):
    """Fitted to drawn faces."""
    few = dataset.Dataset(train_data.images[:400], train_data.labels[:400], "toyfaces", "train")
    return hog_judge.fit(few, iterations=30)


def test_regression_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 5)).astype(np.float32)
    labels = np.concatenate([np.zeros(150, int), (rows[150:] @ random.normal(size=(5, 4))).argmax(axis=1)])
    class_weights, l2 = np.array([0.3, 1.0, 2.0, 0.7]), 0.02
    found = hog_judge.regress(rows, labels, class_weights, l2, 500)
    # Theirs is C times the sum of the losses plus half of the squared norm.
    theirs = linear_model.LogisticRegression(C=1 / (l2 * class_weights[labels].sum()), tol=1e-8, max_iter=1000)
    theirs.fit(rows, labels, sample_weight=class_weights[labels])
    np.testing.assert_allclose(found["kernel"].T, theirs.coef_, atol=2e-3)
    bias = found["bias"] - found["bias"].mean()  # the same number added to all changes no probability
    np.testing.assert_allclose(bias, theirs.intercept_ - theirs.intercept_.mean(), atol=2e-3)


def test_fit_learns_and_is_the_same_again(fitted, train_data):
    data = toyfaces.load("valid", 0, 200)
    assert (fitted.look(data.images).verdicts == data.labels).mean() > 0.5
    few = dataset.Dataset(train_data.images[:400], train_data.labels[:400], "toyfaces", "train")
    assert hog_judge.fit(few, iterations=30).checksum == fitted.checksum


def test_mirrored_faces_are_named_alike(fitted):
    faces = toyfaces.load("valid", 0, 100).images
    one, other = (fitted.look(images).probabilities for images in (faces, faces[:, :, ::-1]))
    assert np.abs(one - other).mean() < 0.1


def test_opinion_does_not_depend_on_the_other_faces(fitted, monkeypatch):
    faces = toyfaces.load("valid", 0, 40).images
    whole = fitted.look(faces)
    assert whole.probabilities.shape == (40, 7)
    assert whole.features.shape == (40, 0)
    assert whole.probabilities.dtype == np.float32
    np.testing.assert_allclose(whole.probabilities.sum(axis=1), 1, rtol=1e-5)
    alone = fitted.look(faces[17:18])
    monkeypatch.setattr(hog_judge, "_CHUNK", 7)
    for again, place in ((alone, slice(17, 18)), (fitted.look(faces), slice(None))):
        np.testing.assert_allclose(again.probabilities, whole.probabilities[place], atol=1e-5)


def test_scores_are_those_of_emotions_and_of_no_distance(fitted, toy, train_data):
    faces = faces_lib.Faces(toy.held_out, train_data, fitted, toy.descriptor)
    by_name = {one.name: one for one in methods.references(faces)}
    found = samples.Samples(lambda images: images[:, ::12, 0].astype(np.float32)).run(
        by_name["real faces"], faces, None
    )
    assert set(found) == {"sample_accuracy", "fid"}
    assert edit_sets.EditSets().run(by_name["unchanged"], faces, None) == {}
    assert edit_accuracy.Transfers().run(by_name["unchanged"], faces, None)["edit_accuracy"].value < 1 / 7


def test_faces_without_an_edge_have_an_opinion_and_faces_of_another_kind_are_refused(fitted):
    assert np.isfinite(fitted.look(np.full((2, 48, 48), 90, np.uint8)).probabilities).all()
    with pytest.raises(ValueError, match=r"expected faces uint8 \[N, 48, 48\] with N > 0, found float32 \[2, 48, 48\]"):
        fitted.look(np.zeros((2, 48, 48), np.float32))


def test_judge_is_the_same_after_its_file(fitted, tmp_path):
    card = hog_judge.save(fitted, tmp_path / "judge.npz", {"name": "copy"})
    again = hog_judge.from_file(tmp_path / "judge.npz")
    assert again.checksum == fitted.checksum == card["checksum"]
    assert (again.card["name"], again.class_names) == ("copy", fitted.class_names)
    faces = toyfaces.load("valid", 0, 5).images
    np.testing.assert_array_equal(again.look(faces).probabilities, fitted.look(faces).probabilities)


def test_the_two_kinds_of_files_are_told_apart(fitted, toy_judge, tmp_path):
    hog_judge.save(fitted, tmp_path / "hog.npz", {})
    judge.save(toy_judge, tmp_path / "network.npz", {})
    with pytest.raises(ValueError, match=r"network.npz: expected a HOG judge, found KeyError"):
        hog_judge.from_file(tmp_path / "network.npz")
    with pytest.raises(ValueError, match=r"hog.npz: expected a judge, found KeyError"):
        judge.from_file(tmp_path / "hog.npz")


@pytest.mark.parametrize("name", ["toyfaces", "tfds:mine"])
def test_other_data_than_fer2013_are_refused(name):
    with pytest.raises(ValueError, match=rf"--judge=hog: expected fer2013, .*, found {name}"):
        hog_judge.packaged(name)


def test_scoring_takes_it_by_its_name():
    config = config_lib.Config(data=config_lib.DataConfig(name="toyfaces", count=60))
    with pytest.raises(ValueError, match=r"--judge=hog: expected fer2013"):
        run_scores.load_faces(config, run_scores.Options(judge="hog"))


def test_shipped_judge_is_whole_and_says_how_good_it_is():
    found = hog_judge.packaged("fer2013")
    assert (found.card["data"], found.card["split"]) == ("fer2013", "train")
    assert "export_judge.py --hog" in found.card["command"]
    for split, balanced in (("valid", 0.42), ("public", 0.40)):
        scored = found.card["scored"][split]
        confusion = np.array(scored["confusion"])
        assert scored["accuracy"] == np.trace(confusion) / confusion.sum()
        assert scored["balanced_accuracy"] > balanced
    assert found.card["fingerprint"] == judge.packaged("fer2013").card["fingerprint"]  # of one kind of faces, both
    assert CARD.with_suffix(".npz").stat().st_size < 100_000


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVE.exists(), reason="the real FER2013 is not beside the repository")
def test_shipped_judge_is_as_good_as_its_card_says(tmp_path):
    _, valid = validation_split.cut(fer2013.load("train", ARCHIVE, cache_dir=tmp_path))
    found = hog_judge.packaged("fer2013")
    scores = judge.accuracy(found.look(valid.images).verdicts, valid.labels, 7)
    for name in ("accuracy", "balanced_accuracy"):
        assert scores[name] == pytest.approx(found.card["scored"]["valid"][name], abs=0.005)
