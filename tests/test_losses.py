"""Losses against values worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan import config as config_lib
from emogan import losses

ZEROS = jnp.zeros((1, 48, 48, 1))

LN3 = np.log(3.0)  # sigmoid(ln 3) = 3/4
REAL = jnp.asarray([0.0, LN3, -LN3, 2.0])
FAKE = jnp.asarray([0.0, -LN3, LN3, 0.5])
WORKED_OUT = {
    "cross_entropy": ([2 * np.log(2), 2 * np.log(4 / 3), 2 * np.log(4)], [np.log(2), np.log(4), np.log(4 / 3)]),
    "wasserstein": ([0, -2 * LN3, 2 * LN3, -1.5], [0, LN3, -LN3, -0.5]),
    "least_squares": ([0.5, ((LN3 - 1) ** 2 + LN3**2) / 2, ((LN3 + 1) ** 2 + LN3**2) / 2, 0.625], [0.5]),
    "hinge": ([2, 0, 2 + 2 * LN3, 1.5], [0, LN3, -LN3, -0.5]),
    # sigmoid(2 ln 3) = 9/10
    "relativistic": ([np.log(2), np.log(10 / 9), np.log(10)], [np.log(2), np.log(10), np.log(10 / 9)]),
}


@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_adversarial_losses_are_those_worked_out_by_hand(name):
    for found, expected in zip(losses.ADVERSARIAL[name][:2], WORKED_OUT[name], strict=True):
        np.testing.assert_allclose(found(REAL, FAKE)[: len(expected)], expected, rtol=1e-6, atol=1e-7)


def test_a_loss_of_ones_own_is_known_to_configurations_by_its_name(monkeypatch):
    config = config_lib.Config()
    config.gan.loss = config.joint.loss = "mine"
    with pytest.raises(ValueError, match=r"gan.loss: expected .*, found 'mine'"):
        config.check()
    monkeypatch.setitem(losses.ADVERSARIAL, "mine", losses.ADVERSARIAL["hinge"])
    config.check()


def test_generator_loss_is_the_non_saturating_one():
    far = jnp.asarray([-100.0])  # D is sure: the saturating form would give no gradient here
    np.testing.assert_allclose(losses.ADVERSARIAL["cross_entropy"].generator(0.0, far), [100.0], rtol=1e-6)


def quadratic(faces):
    """Its slope is 2x, whose squared length is four times that of x."""
    return jnp.sum(faces**2, axis=(1, 2, 3))


def test_squared_gradient_of_a_parabola():
    faces = jnp.zeros((2, 48, 48, 1)).at[0, 3, 4].set(0.5).at[1, 7].set(0.1)
    np.testing.assert_allclose(losses.squared_gradient(quadratic, faces), [1.0, 4 * 48 * 0.01], rtol=1e-5)


def test_gradient_penalty_is_taken_between_real_and_generated_faces():
    real, fake = jnp.zeros((3, 48, 48, 1)).at[:, 0, 0].set(2.0), jnp.zeros((3, 48, 48, 1))
    # At (0, 1/4, 1) of the way the pixel is (0, 1/2, 2), and the slope (0, 1, 4).
    found = losses.gradient_penalty(quadratic, real, fake, jnp.asarray([0.0, 0.25, 1.0]))
    np.testing.assert_allclose(found, [1.0, 0.0, 9.0], atol=1e-4)


def test_gradient_penalty_of_a_flat_critic_has_a_finite_gradient():
    loss = lambda scale: losses.gradient_penalty(lambda x: scale * quadratic(x), ZEROS, ZEROS, jnp.zeros(1))[0]  # noqa: E731
    assert np.isfinite(jax.grad(loss)(1.0))


def test_likeness_is_the_correlation_of_grey_levels():
    images, others = np.random.default_rng(3).normal(size=(2, 4, 6, 6, 1)).astype(np.float32)
    others[1], others[2], others[3] = 0.5 - images[1], 3 * images[2] + 1, 0.25
    found = losses.likeness(jnp.asarray(images), jnp.asarray(others))
    expected = [np.corrcoef(images[0].ravel(), others[0].ravel())[0, 1], -1, 1, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_reconstruction_sums_over_pixels_and_keeps_examples_apart():
    images = np.zeros((3, 48, 48, 1), np.float32)
    others = images.copy()
    others[1] = 0.5
    others[2, 3, 4] = -2.0
    found = losses.reconstruction(jnp.asarray(images), jnp.asarray(others))
    np.testing.assert_allclose(found, [0.0, 48 * 48 / 4, 4.0], rtol=1e-6)


def test_latent_sums_over_the_latent_and_keeps_examples_apart():
    found = losses.latent(jnp.asarray([[1.0, 2.0], [0.0, -1.0]]), jnp.asarray([[0.0, 0.0], [0.5, 1.0]]))
    np.testing.assert_allclose(found, [5.0, 4.25], rtol=1e-6)
