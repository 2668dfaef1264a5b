"""Dark and flat faces as an editor sees them, and its edits brought back."""

import numpy as np
import pytest

from emogan.data import toyfaces
from emogan.edit import exposure


@pytest.fixture
def face():
    """A face with more contrast than is needed, uint8 [1, 48, 48]."""
    levels = toyfaces.load("valid", 0, 1).images.astype(float)
    low, high = np.percentile(levels, (5, 95))
    return np.clip((levels - low) * 180 / (high - low) + 40, 0, 255).astype(np.uint8)


def spread(faces):
    low, high = np.percentile(faces, (5, 95))
    return high - low


def test_a_face_with_contrast_is_edited_as_it_is(face):
    seen = exposure.of(face)
    np.testing.assert_array_equal(seen.faces, face)
    edit = 255 - face
    np.testing.assert_array_equal(seen.back(edit), edit)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_dark_face_gets_the_contrast_and_its_edit_a_part_of_the_change(face, channels):
    dark = face // 3 if channels == 1 else np.stack([face // 3] * 3, axis=-1)
    seen = exposure.of(dark)
    assert spread(seen.faces) == pytest.approx(exposure.RANGE, abs=4)
    assert np.median(seen.faces) > np.median(dark)
    np.testing.assert_array_equal(seen.back(seen.faces), dark)  # no edit is no change
    brighter = np.clip(seen.faces.astype(int) + 30, 0, 255).astype(np.uint8)
    change = seen.back(brighter).astype(int) - dark
    assert np.median(change) == pytest.approx(30 * spread(dark) / exposure.RANGE, abs=1)


def test_faces_of_one_sequence_are_stretched_alike(face):
    frames = np.concatenate([face // 3, face // 2])
    assert len(set(exposure.of(frames).gains)) == 2
    together = exposure.of(frames, together=True)
    assert len(set(together.gains)) == 1
    assert together.gains[0] > 1


def test_a_face_without_any_contrast_stays_one(face):
    black = np.zeros_like(face)
    seen = exposure.of(black)
    assert spread(seen.faces) == 0
    np.testing.assert_array_equal(seen.back(seen.faces), black)
