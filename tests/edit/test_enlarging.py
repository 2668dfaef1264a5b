"""Edits of small gray faces, enlarged to more pixels and to the photograph's colours."""

import numpy as np
import pytest
import skimage.data

from emogan.data import dataset
from emogan.edit import detection, enlarging, framing, photos, tints

STILL = np.zeros((48, 48, 2), np.float32)


@pytest.fixture(scope="module")
def portrait():
    """A photograph of a face in the public domain, uint8 [512, 512, 3], and the face's square."""
    pixels = skimage.data.astronaut()
    (face,) = detection.find(pixels)
    return pixels, face.square


def edited(before):
    """A small face with a dark spot where the mouth is."""
    rows, columns = np.indices((48, 48))
    spot = np.exp(-((rows - 36) ** 2 / 12 + (columns - 24) ** 2 / 30))
    return np.clip(before * (1 - 0.7 * spot), 0, 255).astype(np.uint8)


def put_back(pixels, square, after=None):
    before = framing.cut(pixels, square, dataset.FER2013)
    return photos.put_back(
        pixels, square, *enlarging.finer(pixels, square, before, before if after is None else after(before), STILL)
    )


def test_a_face_that_did_not_change_leaves_every_byte(portrait):
    np.testing.assert_array_equal(put_back(*portrait), portrait[0])


def test_an_edit_becomes_finer_and_takes_colours(portrait):
    pixels, square = portrait
    before = framing.cut(pixels, square, dataset.FER2013)
    large, answer, flow = enlarging.finer(pixels, square, before, edited(before), STILL)
    side = min(int(np.ceil(square.side)), 144)
    assert large.shape == answer.shape == (side, side, 3)
    assert (flow.shape, flow.dtype) == ((side, side, 2), np.float32)
    seen = framing.cut(answer, framing.whole(side, side), dataset.FER2013).astype(float)
    far = np.abs(before.astype(float) - edited(before)).mean()
    assert np.abs(seen - edited(before)).mean() < 0.5 * far
    np.testing.assert_array_equal(answer[: side // 4], large[: side // 4])
    mouth = np.s_[3 * side // 4 - 8 : 3 * side // 4 + 8, side // 2 - 12 : side // 2 + 12]
    assert np.ptp(answer[mouth].astype(int), axis=-1).mean() > 5


def test_a_gray_photograph_stays_gray(portrait):
    pixels, square = portrait
    gray = np.round(pixels @ tints.LUMA).astype(np.uint8)
    plain = put_back(gray, square, edited)
    assert plain.ndim == 2
    assert np.abs(plain.astype(int) - gray).max() > 20
    in_three = put_back(np.stack([gray] * 3, axis=-1), square, edited)
    assert (in_three == in_three[..., :1]).all()
    assert np.abs(in_three[..., 0].astype(int) - plain).max() <= 1


@pytest.mark.parametrize(("side", "expected"), [(40, 48), (59.2, 60), (143.6, 144), (400, 144)])
def test_there_are_no_more_pixels_than_the_photograph_has(side, expected):
    pixels = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    square = framing.Square(30.0, 20.0, side)
    before = framing.cut(pixels, square, dataset.FER2013)
    found = enlarging.finer(pixels, square, before, edited(before), np.full((48, 48, 2), (1.5, -3.0), np.float32))
    assert [len(one) for one in found] == [expected] * 3
    np.testing.assert_allclose(found[2][expected // 2, expected // 2] * 48 / expected, (1.5, -3.0), rtol=1e-4)


@pytest.mark.parametrize("shape", [(64, 64), (48, 48, 3)])
def test_other_faces_stay_as_they_are(shape):
    pixels, face = np.zeros((200, 200, 3), np.uint8), np.zeros(shape, np.uint8)
    flow = np.zeros((*shape[:2], 2), np.float32)
    found = enlarging.finer(pixels, framing.Square(10.0, 10.0, 150.0), face, face + 9, flow)
    for one, given in zip(found, (face, face + 9, flow), strict=True):
        np.testing.assert_array_equal(one, given)


def test_smaller_maps_have_the_means_of_what_they_cover():
    maps = np.random.default_rng(0).uniform(0, 1, (6, 6, 2)).astype(np.float32)
    np.testing.assert_allclose(enlarging._resized(maps, 3), maps.reshape(3, 2, 3, 2, 2).mean((1, 3)), rtol=1e-5)
    np.testing.assert_allclose(enlarging._resized(maps, 4).mean((0, 1)), maps.mean((0, 1)), rtol=1e-5)
