"""The audit of data, on data whose faults are put in by hand."""

import numpy as np

from emogan.data import dataset
from emogan.evaluation import leakage


def noise(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def data(images, labels):
    return dataset.Dataset(images, np.array(labels, np.int32))


def test_faults_within_a_split_are_counted():
    images = noise(0, 10)
    images[1] = images[2] = images[0]  # one group of three, two labels
    images[4] = images[3]  # a group of two, one label
    images[6] = np.clip(images[5] * 0.8 + 20, 0, 255).astype(np.uint8)  # a near-duplicate, another label
    images[7] = 40  # constant
    found = leakage.within(data(images, [0, 0, 1, 2, 2, 3, 4, 0, 0, 0]))
    assert found == {
        "faces": 10,
        "groups of equal faces": 2,
        "of these with conflicting labels": 1,
        "faces that repeat an equal one": 3,
        "groups of near-duplicates": 3,
        "of these with conflicting labels, near": 2,
        "constant images": 1,
    }


def test_faces_in_two_splits_are_counted():
    known, held_out = noise(0, 10), noise(1, 8)
    held_out[0] = known[3]
    held_out[1] = np.clip(known[4] * 0.8 + 20, 0, 255).astype(np.uint8)
    held_out[2] = known[5][:, ::-1]
    found = leakage.between(data(held_out, [0] * 8), data(known, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
    assert found == {"equal": 1, "near": 2, "near, with another label": 1, "near when mirrored": 1}


def test_audit_compares_every_two_splits_once():
    splits = {name: data(noise(i, 4), [0] * 4) for i, name in enumerate("abc")}
    found = leakage.audit(splits)
    assert list(found["within"]) == ["a", "b", "c"]
    assert list(found["between"]) == ["b in a", "c in a", "c in b"]
    text = leakage.to_text(found)
    assert text.count("constant images") == 3
    assert "faces of c in b:" in text
