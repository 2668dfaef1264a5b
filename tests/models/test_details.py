"""The network that draws the details of an edited face."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan.models import details

SIDE = details.SCALE * details.SIZE


@pytest.fixture
def guide():
    """Smooth colours float32 [2, 144, 144, 3] in [-0.5, 0.5]."""
    coarse = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 12, 12, 3)).astype(np.float32)
    return np.asarray(jax.image.resize(coarse, (2, SIDE, SIDE, 3), "linear"))


@pytest.mark.parametrize("size", [48, 64])
def test_an_untrained_network_adds_the_enlarged_difference(size):
    guide = jnp.full((1, 3 * size, 3 * size, 3), 0.25)
    after = jnp.full((1, size, size, 1), -0.5)
    params = details.Details().init(jax.random.key(0), guide, after)["params"]
    np.testing.assert_allclose(details.drawn(params, guide, after), -0.5, atol=1e-5)


def test_the_grays_of_a_large_face_are_means(guide):
    gray = np.asarray(guide) @ np.float32([0.299, 0.587, 0.114])
    expected = gray.reshape(2, 48, 3, 48, 3).mean((2, 4))
    np.testing.assert_allclose(details.small_gray(guide)[..., 0], expected, atol=1e-6)


def test_maps_are_enlarged_as_by_jax(guide):
    small = details.small_gray(guide)
    expected = jax.image.resize(small, (2, SIDE, SIDE, 1), "cubic")
    np.testing.assert_allclose(details.enlarged(small), expected, atol=1e-5)


def test_the_network_that_ships_leaves_a_face_that_did_not_change(guide):
    found = details.drawn(details.packaged(), guide, details.small_gray(guide))
    assert np.abs(found - guide).mean() < 0.01


def test_the_network_that_ships_draws_the_grays_of_the_edit(guide):
    after = np.clip(np.asarray(details.small_gray(guide)) + 0.4 * np.eye(48)[..., None], -1, 1)[:, ::-1]
    found = details.small_gray(details.drawn(details.packaged(), guide, after))
    given = np.abs(details.small_gray(guide) - after).mean()
    assert np.abs(found - after).mean() < 0.25 * given
