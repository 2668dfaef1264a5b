"""What the faces of a data set are: their size, and gray or in colour."""

import dataclasses

import numpy as np
import PIL.Image
import pytest

from emogan import data as data_lib
from emogan.data import data_config, dataset, duplicates, pictures


@pytest.mark.parametrize("size", dataset.SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_data_set_tells_what_its_faces_are(size, channels):
    spec = dataset.ImageSpec(size, channels)
    data = dataset.no_faces(spec)
    assert data.spec == spec
    assert data.images.shape[1:] == spec.byte_shape
    assert spec.shape == (size, size, channels)


def test_the_usual_faces_are_those_of_fer2013():
    assert dataset.no_faces(dataset.FER2013).spec == dataset.FER2013 == dataset.ImageSpec(48, 1)
    assert str(dataset.FER2013) == "48x48 gray"
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.FER2013.size = 64


@pytest.mark.parametrize("values", [(50, 1), (0, 1), (256, 3), (48, 2), (48, 0)])
def test_other_sizes_and_channels_are_refused(values):
    with pytest.raises(ValueError, match="expected faces "):
        dataset.ImageSpec(*values)


@pytest.mark.parametrize(
    "shape", [(2, 50, 50), (2, 48, 64), (2, 48, 48, 1), (2, 48, 48, 4), (2, 48), (2, 48, 48, 3, 1)], ids=str
)
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected images uint8 \[N, S, S\] or \[N, S, S, 3\] with S of 32, 48"):
        dataset.Dataset(np.zeros(shape, np.uint8), np.zeros(2, np.int32))


def test_pictures_keep_their_colour_where_it_is_asked_for():
    red = PIL.Image.new("RGB", (90, 70), (200, 10, 10))
    assert pictures.square(red, dataset.FER2013).shape == (48, 48)
    found = pictures.square(red, dataset.ImageSpec(64, 3))
    assert found.shape == (64, 64, 3)
    assert (found == [200, 10, 10]).all()


def test_a_folder_gives_faces_of_the_size_and_colour_that_are_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("happy", "sad"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 256, (40, 50, 3), np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / "train" / name / f"{i}.png")
    config = data_config.DataConfig(name="folder", dir=str(tmp_path), size=32, channels=3)
    config.check()
    data = data_lib.load(config, "training", 0)
    assert data.spec == dataset.ImageSpec(32, 3)
    assert data.images.std(axis=3).min(axis=(1, 2)).max() < data.images.std(axis=3).mean()
    config.channels = 1
    assert data_lib.load(config, "training", 0).spec == dataset.ImageSpec(32, 1)


@pytest.mark.parametrize("shape", [(64, 64), (32, 32, 3), (128, 128)])
def test_duplicates_are_found_in_every_size(shape):
    rng = np.random.default_rng(0)
    few = rng.integers(0, 256, (5, 8, 8, *shape[2:]), np.uint8)
    faces = few.repeat(shape[0] // 8, axis=1).repeat(shape[0] // 8, axis=2)
    paler = (faces[:2] * 0.7 + 30).astype(np.uint8)
    np.testing.assert_array_equal(duplicates.near_pairs(np.concatenate([faces, paler])), [[0, 5], [1, 6]])
