"""The numbers behind the paper's claims, on cases worked out by hand."""

import types

import claims
import numpy as np

from emogan.data import dataset
from emogan.util import images


def test_faces_given_back_are_perfect_and_moved_ones_are_measured(tmp_path):
    faces = np.zeros((4, 48, 48), np.uint8)
    faces[:, :24] = 200  # half of the pixels 100 above the mean, half 100 below
    data = dataset.Dataset(faces, np.arange(4, dtype=np.int32))
    edits = np.repeat(faces[None], 7, axis=0)
    edits[3] += 55  # label 3 alone moves the faces, by the most that bytes allow
    model = types.SimpleNamespace(faces=lambda images, emotion, labels: edits)
    path = tmp_path / "gan_000100.png"
    images.save_png(path, images.tile(np.repeat(faces[None], 2, axis=0)))

    found = claims.measure(model, data, [path])

    assert found["faces"] == 4
    assert found["other_labels_psnr"] == np.inf
    assert found["contrast"] == {"faces": 100.0, "edits": 100.0, "samples": {"gan_000100": 100.0}}
    np.testing.assert_allclose(found["moved"]["happy"], 55, rtol=1e-5)
    np.testing.assert_allclose(found["moved"]["sad"], 55 / 6, rtol=1e-5)


def test_own_label_is_told_from_the_others():
    faces = np.full((2, 48, 48), 100, np.uint8)
    data = dataset.Dataset(faces, np.array([3, 3], np.int32))
    edits = np.repeat(faces[None], 7, axis=0)
    edits[3] = 110
    model = types.SimpleNamespace(faces=lambda images, emotion, labels: edits)
    found = claims.measure(model, data, [])
    np.testing.assert_allclose(found["own_label_psnr"], 20 * np.log10(255 / 10), rtol=1e-6)
    assert found["other_labels_psnr"] == np.inf
