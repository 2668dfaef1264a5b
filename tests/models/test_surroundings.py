"""What a flow is told of a face: places and masks worked out by hand, and that nothing of the inner face is in it."""

import jax.numpy as jnp
import numpy as np
import pytest

from emogan.data import dataset, toyfaces
from emogan.models import landmarks, surroundings
from emogan.util import images

FRONTAL = np.float32([[-8, -6], [8, -6], [0, 3]]) / 48
POINTS = np.stack([FRONTAL, FRONTAL + np.float32([4, -2]) / 48])
FACES = np.random.default_rng(0).uniform(-1, 1, (2, 48, 48, 1)).astype(np.float32)


def test_the_ellipse_lies_below_the_middle_of_eyes_and_nose():
    mask = np.asarray(surroundings.inner(POINTS, 48))[..., 0]
    # 16 pixels between the eyes: half axes 17.28 and 20, around (0, -1.5 + 5.76) from the middle of the face.
    rows, columns = np.mgrid[:48, :48] - 23.5
    for one, (x, y) in zip(mask, [(0, 4.26), (4, 2.26)], strict=True):
        radius = np.hypot((columns - x) / 17.28, (rows - y) / 20)
        np.testing.assert_array_equal(one[radius < 0.93], 1)
        np.testing.assert_array_equal(one[radius > 1.07], 0)
        between = one[np.abs(radius - 1) < 0.05]
        assert 0 < between.min() < between.max() < 1


def test_a_tilted_face_has_a_tilted_ellipse():
    quarter = np.stack([-FRONTAL[:, 1], FRONTAL[:, 0]], axis=1)  # clockwise, as pictures have y down
    upright, tilted = np.asarray(surroundings.inner(np.stack([FRONTAL, quarter]), 48))[..., 0]
    np.testing.assert_allclose(tilted, np.rot90(upright, -1), atol=1e-4)


def test_a_head_in_profile_keeps_its_size_and_all_is_finite_where_points_coincide():
    profile = FRONTAL.copy()
    profile[:2, 0] = (-1 / 48, 1 / 48)  # the eyes 2 pixels apart, the nose 9 below: as of 13.05 between the eyes
    area = np.asarray(surroundings.inner(np.stack([profile, np.zeros((3, 2), np.float32)]), 48)).sum(axis=(1, 2, 3))
    assert area[0] == pytest.approx(np.pi * 1.08 * 1.25 * 13.05**2, rel=0.05)
    assert area[1] == pytest.approx(np.pi * 1.08 * 1.25 * 8**2, rel=0.05)  # the least
    assert np.isfinite(np.asarray(surroundings.of(FACES[:1], np.zeros((1, 3, 2), np.float32)))).all()


@pytest.mark.parametrize(("size", "colours"), [(48, 1), (48, 3), (64, 1)])
def test_the_inner_face_is_not_told(size, colours):
    faces = np.random.default_rng(0).uniform(-1, 1, (2, size, size, colours)).astype(np.float32)
    inner = np.asarray(surroundings.inner(POINTS, size)) == 1
    outer = np.asarray(surroundings.inner(POINTS, size)) == 0
    told = np.asarray(surroundings.of(faces, POINTS))
    assert told.shape == (2, size // 2, size // 2, surroundings.channels(colours))
    np.testing.assert_array_equal(surroundings.of(np.where(inner, -faces, faces), POINTS), told)
    assert np.abs(np.asarray(surroundings.of(np.where(outer, -faces, faces), POINTS)) - told).mean() > 0.01


def test_marks_stand_at_the_points():
    told = np.asarray(surroundings.of(FACES, POINTS))
    for i in range(3):
        row, column = np.unravel_index(told[0, :, :, 6 + i].argmax(), (24, 24))
        x, y = FRONTAL[i] * 24 + 12
        assert abs(column + 0.5 - x) <= 0.5 + 1e-6
        assert abs(row + 0.5 - y) <= 0.5 + 1e-6
        # Twice the distance to the right and down, in sides.
        assert told[0, row, column, i] == pytest.approx(2 * ((column + 0.5) / 24 - 0.5 - FRONTAL[i, 0]), abs=1e-6)
        assert told[0, row, column, 3 + i] == pytest.approx(2 * ((row + 0.5) / 24 - 0.5 - FRONTAL[i, 1]), abs=1e-6)
    np.testing.assert_array_equal(told[..., 9], 1)


def test_landmarks_of_drawn_faces_are_eyes_above_a_nose():
    faces = images.to_float(jnp.asarray(toyfaces.load("valid", count=64).images))
    points = np.asarray(landmarks.of(landmarks.packaged(), faces))
    assert points.shape == (64, 3, 2)
    left, right, nose = points.swapaxes(0, 1)
    assert np.mean((left[:, 0] < 0) & (right[:, 0] > 0)) > 0.9
    assert np.mean((nose[:, 1] > left[:, 1]) & (nose[:, 1] > right[:, 1])) > 0.9


def test_landmarks_depend_neither_on_the_light_nor_on_the_size_and_follow_the_mirror():
    faces = images.to_float(jnp.asarray(toyfaces.load("valid", count=32).images))
    params = landmarks.packaged()
    points = np.asarray(landmarks.of(params, faces))
    np.testing.assert_allclose(landmarks.of(params, 0.5 * faces + 0.2), points, atol=0.01)
    twice = jnp.repeat(jnp.repeat(faces, 2, axis=1), 2, axis=2)
    np.testing.assert_allclose(landmarks.of(params, twice), points, atol=0.03)  # which the resizing blurs
    np.testing.assert_allclose(landmarks.of(params, jnp.repeat(faces, 3, axis=-1)), points, atol=1e-3)
    mirrored = np.asarray(landmarks.of(params, faces[:, :, ::-1]))[:, [1, 0, 2]] * [-1, 1]
    assert np.median(np.abs(mirrored - points)) < 0.03


def test_a_constant_face_has_finite_points():
    spec = dataset.FER2013
    assert np.isfinite(np.asarray(landmarks.of(landmarks.packaged(), jnp.zeros((1, *spec.shape))))).all()
