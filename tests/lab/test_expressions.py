"""Portraits with a made expression: the same for a seed, and unlike the portrait only within the face."""

import expressions
import numpy as np
import pytest
import skimage.data

from emogan.edit import detection, framing


@pytest.fixture(scope="module")
def portraits():
    """Two portraits: a photograph in the public domain, and its mirror image."""
    pixels, crops, points = skimage.data.astronaut(), [], []
    for one in (pixels, np.ascontiguousarray(pixels[:, ::-1])):
        square = detection.find(one)[0].square
        crop = framing.crop(one, framing.about(square.middle, 1.5 * square.side, square.angle), expressions._CROP)
        crops.append(crop)
        points.append(detection.detect(crop)[0].landmarks)
    return expressions.Portraits(np.stack(crops), np.float32(points))


@pytest.fixture(scope="module")
def pairs(portraits):
    return expressions.made(portraits, 24, 0)


def test_pairs_have_the_shapes_that_the_network_takes(pairs):
    assert pairs.guides.shape == pairs.answers.shape == (24, 144, 144, 3)
    assert pairs.afters.shape == (24, 48, 48)
    assert {part.dtype for part in (pairs.guides, pairs.afters, pairs.answers)} == {np.dtype(np.uint8)}


def test_a_seed_gives_the_same_pairs(portraits, pairs):
    again = expressions.made(portraits, 3, 0)
    np.testing.assert_array_equal(again.guides, pairs.guides[:3])
    np.testing.assert_array_equal(again.answers, pairs.answers[:3])
    assert (expressions.made(portraits, 3, 1).answers != again.answers).any()


def test_an_expression_changes_the_face_and_not_what_is_around_it(pairs):
    apart = np.abs(pairs.guides.astype(float) - pairs.answers).mean((0, 3))
    assert apart[48:120, 36:108].mean() > 5
    assert apart[:8, :8].mean() < 1


def test_the_small_face_is_the_answer_in_gray(pairs):
    for after, answer in zip(pairs.afters, pairs.answers, strict=True):
        from_answer = framing.crop(answer, framing.whole(144, 144), 48) @ [0.299, 0.587, 0.114]
        assert np.corrcoef(after.ravel(), from_answer.ravel())[0, 1] > 0.97


def test_a_folder_without_portraits_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--data_dir: expected \.jpg portraits with one face each, found 0"):
        expressions.read(tmp_path)
