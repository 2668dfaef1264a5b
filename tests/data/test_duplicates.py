"""Duplicates: what is found, what is not, and the cut of Training beside them."""

import numpy as np
import pytest

from emogan.data import dataset, duplicates, toyfaces
from emogan.data.fer2013 import validation_split


@pytest.fixture(scope="module")
def faces():
    return toyfaces.load("train", 0, 60).images


def test_changed_contrast_and_a_watermark_leave_a_near_duplicate(faces):
    paler = (faces[3] * 0.6 + 70).astype(np.uint8)
    marked = faces[7].copy()
    marked[30:33, 10:40:2] = 255
    pairs = duplicates.near_pairs(np.stack([paler, marked]), faces)
    assert {(0, 3), (1, 7)} <= set(map(tuple, pairs))


def test_noise_has_no_near_duplicates():
    noise = np.random.default_rng(0).integers(0, 256, (300, 48, 48), dtype=np.uint8)
    assert len(duplicates.near_pairs(noise)) == 0
    assert len(duplicates.near_pairs(noise[:100], noise[100:])) == 0


def test_constant_images_are_duplicates_of_their_own_value_only():
    images = np.zeros((4, 48, 48), np.uint8)
    images[[1, 3]] = 200
    assert duplicates.near_pairs(images).tolist() == [[0, 2], [1, 3]]
    assert duplicates.near_pairs(images[:1], images[1:]).tolist() == [[0, 1]]


def test_pairs_do_not_depend_on_the_blocks(faces, monkeypatch):
    repeated = np.concatenate([faces, faces[:20]])
    whole = duplicates.near_pairs(repeated)
    monkeypatch.setattr(duplicates, "_BLOCK", 7)
    np.testing.assert_array_equal(duplicates.near_pairs(repeated), whole)
    assert {(i, 60 + i) for i in range(20)} <= set(map(tuple, whole))


def test_a_face_that_is_repeated_makes_no_more_pairs_than_there_are_faces(faces):
    repeated = np.concatenate([faces[:2].repeat(300, axis=0), faces[2:]])
    pairs = duplicates.near_pairs(repeated)
    assert len(pairs) < 700
    group = duplicates.groups(len(repeated), pairs)
    assert (group[:300] == group[0]).all()
    assert (group[300:600] == group[300]).all()
    pairs = duplicates.near_pairs(faces, repeated)
    assert {(0, 0), (1, 300), (2, 600)} <= set(map(tuple, pairs))
    assert len(pairs) < 200
    assert set(duplicates.near_pairs(repeated, faces)[:, 0]) == set(range(658))


def test_groups_join_chains():
    found = duplicates.groups(6, np.array([[0, 2], [2, 5], [1, 3]]))
    assert found[0] == found[2] == found[5]
    assert found[1] == found[3]
    assert len(set(found)) == 3
    assert len(set(duplicates.groups(3, np.zeros((0, 2), int)))) == 3


def test_nearest_of_a_face_is_itself_with_correlation_one(faces):
    places, alike = duplicates.nearest(faces[:5], faces, 3)
    assert places[:, 0].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(alike[:, 0], 1, atol=1e-5)
    assert (np.diff(alike, axis=1) <= 0).all()


@pytest.fixture(scope="module")
def training():
    """Noise, which has no duplicates but those put in: the first 30 stand there thrice, once in other grays."""
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (400, 48, 48), dtype=np.uint8)
    labels = (np.arange(400) % 7).astype(np.int32)
    images = np.concatenate([images, images[:30], (0.8 * images[:30] + 20).astype(np.uint8)])
    labels = np.concatenate([labels, labels[:30], labels[:30]])
    order = random.permutation(len(images))
    return dataset.Dataset(images[order], labels[order], name="fer2013", split="train")


def test_cut_keeps_every_duplicate_on_one_side_and_takes_a_tenth_of_each_class(training):
    train, valid = validation_split.cut(training)
    assert (train.split, valid.split) == ("train", "valid")
    assert len(train) + len(valid) == len(training)
    assert len(duplicates.near_pairs(train.images, valid.images)) == 0
    assert len(duplicates.near_pairs(training.images)) == 60
    share = valid.class_counts() / training.class_counts()
    assert (share <= 0.1).all()
    assert (share > 0.04).all()


def test_cut_is_the_same_in_any_order(training):
    order = np.random.default_rng(2).permutation(len(training))
    shuffled = dataset.Dataset(training.images[order], training.labels[order])
    np.testing.assert_array_equal(validation_split.choose(shuffled), validation_split.choose(training)[order])


def test_cut_is_remembered_for_the_same_faces_only(training, tmp_path, monkeypatch):
    whole = validation_split.cut(training, tmp_path)
    fewer = dataset.Dataset(training.images[:100], training.labels[:100])
    other = validation_split.cut(fewer, tmp_path)
    assert len(other[0]) + len(other[1]) == 100
    monkeypatch.setattr(validation_split, "choose", lambda data: pytest.fail("searched again"))
    again = validation_split.cut(training, tmp_path)
    assert [part.fingerprint() for part in again] == [part.fingerprint() for part in whole]
    next(tmp_path.glob("valid-*.npz")).write_bytes(b"broken")
    next(iter(sorted(tmp_path.glob("valid-*.npz"))[1:])).write_bytes(b"broken")
    with pytest.raises(pytest.fail.Exception, match="searched again"):
        validation_split.cut(training, tmp_path)
