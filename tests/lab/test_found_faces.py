"""Faces whose landmarks are learnt: the points follow the picture."""

import found_faces
import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.mark.parametrize("point", [0, 1, 2])
def test_points_move_with_the_picture(point):
    points = np.float32([[-10, -8], [9, -6], [1, 4]]) / 48
    column, row = np.round(points[point] * 48 + 23.5).astype(int)
    points[point] = (np.array([column, row]) - 23.5) / 48
    face = np.zeros((48, 48, 1), np.float32)
    face[row - 1 : row + 2, column - 1 : column + 2] = 1
    mirrored = 0
    for key in jax.random.split(jax.random.key(0), 20):
        picture, moved = found_faces.moved(jnp.asarray(face), jnp.asarray(points), key)
        bright = np.asarray(picture)[..., 0]
        bright = np.clip(bright - np.median(bright), 0, None)
        rows, columns = np.mgrid[:48, :48]
        seen = np.array([(bright * columns).sum(), (bright * rows).sum()]) / bright.sum()
        apart = np.linalg.norm(np.asarray(moved) * 48 + 23.5 - seen, axis=1)
        assert apart.min() < 0.6
        mirrored += apart[point] != apart.min()  # the eyes change places, the nose stays the nose
    assert mirrored == 0 if point == 2 else 0 < mirrored < 20
