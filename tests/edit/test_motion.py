"""Where an edit moved the parts of a face."""

import numpy as np
import pytest
from scipy import ndimage

from emogan.data import dataset, toyfaces
from emogan.edit import motion


def face(size=48):
    return toyfaces.load("valid", 0, 1, spec=dataset.ImageSpec(size)).images[0].astype(np.float32)


def moved(levels, ways):
    """Levels [S, S], each taken from as far down and right of its place as `ways` [S, S, 2] says."""
    places = np.indices(levels.shape) + np.moveaxis(ways, -1, 0)
    return ndimage.map_coordinates(levels, places, order=1, mode="nearest")


def bump(size, down, right):
    """Ways [S, S, 2] that are largest in the middle of the lower half, where a mouth is."""
    y, x = np.indices((size, size)) / size
    near = np.exp(-((y - 0.68) ** 2 + (x - 0.5) ** 2) / (2 * 0.12**2))
    return np.stack([down * near, right * near], axis=-1).astype(np.float32)


@pytest.mark.parametrize("size", dataset.SIZES)
@pytest.mark.parametrize(("down", "right"), [(2.0, 0.0), (-1.5, 1.0)])
def test_what_moved_is_found_where_the_face_has_edges(size, down, right):
    down, right = down * size / 48, right * size / 48
    before, ways = face(size), bump(size, down, right)
    after = moved(before, ways)
    found = motion.between(before, after)
    assert found.shape == (size, size, 2)
    assert found.dtype == np.float32
    left = np.abs(moved(before, found) - after).mean()
    assert left < 0.5 * np.abs(before - after).mean()
    mouth = slice(int(0.6 * size), int(0.76 * size)), slice(int(0.38 * size), int(0.62 * size))
    assert np.abs(found[mouth] - ways[mouth]).mean() < 0.45 * np.abs(ways[mouth]).mean()


def test_each_edit_of_each_face_has_its_motion():
    faces = np.stack([face(), face()[:, ::-1]])
    edits = np.stack([faces, np.roll(faces, 1, axis=1)])
    found = motion.of_edits(faces, edits)
    assert found.shape == (2, 2, 48, 48, 2)
    np.testing.assert_array_equal(found[1, 1], motion.between(faces[1], edits[1, 1]))


def test_a_face_that_is_not_edited_does_not_move():
    assert np.abs(motion.between(face(), face())).max() == 0
    assert np.abs(motion.between(np.full((48, 48), 90.0), np.full((48, 48), 120.0))).max() < 1e-3


def test_light_and_shade_do_not_move_it():
    shade = 40 * np.exp(-np.square(np.indices((48, 48)) - 24).sum(0) / (2 * 14.0**2))
    assert np.abs(motion.between(face(), face() + shade)).mean() < 0.15


def test_what_is_drawn_anew_moves_only_what_is_near():
    """A dark mouth where there was skin."""
    skin = 128 + np.random.default_rng(0).normal(0, 4, (48, 48))
    drawn = skin.copy()
    drawn[30:36, 18:30] = 20
    found = np.abs(motion.between(skin, drawn))
    assert found.max() < 7
    assert found[:18].max() < 0.5


def test_colours_count_as_their_luminance():
    before, after = face(), moved(face(), bump(48, 2.0, 0.0))
    gray = motion.between(before, after)
    colour = motion.between(*(np.repeat(one[..., None], 3, axis=-1) for one in (before, after)))
    np.testing.assert_allclose(colour, gray, atol=1e-3)


def test_a_darker_copy_moves_as_the_face_does():
    before, after = face(), moved(face(), bump(48, 2.0, 0.0))
    np.testing.assert_allclose(motion.between(before / 4, after / 4), motion.between(before, after), atol=1e-3)
