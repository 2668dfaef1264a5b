"""Labelled grids: in gray and in colour."""

import numpy as np
import pytest

from emogan.util import grids


def test_a_grid_in_colour_holds_its_faces_where_that_in_gray_does():
    gray = np.random.default_rng(0).integers(0, 256, (2, 3, 20, 20), dtype=np.uint8)
    colour = gray[..., None] // np.array([1, 2, 4], np.uint8)
    one, other = (grids.labelled_grid(faces, ("a", "b", "c"), ("d", "e"), scale=2) for faces in (gray, colour))
    assert other.shape == (*one.shape, 3)
    np.testing.assert_array_equal(other[..., 0], one)
    assert (other[..., 2] != one).any()


@pytest.mark.parametrize("shape", [(2, 3, 20), (2, 3, 20, 20, 4), (0, 3, 20, 20, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected faces uint8 \[rows, columns, H, W\(, 3\)\], found uint8"):
        grids.labelled_grid(np.zeros(shape, np.uint8))
