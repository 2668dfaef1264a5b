"""Losses against values worked out by hand."""

import jax.numpy as jnp
import numpy as np

from emogan import losses

# sigmoid(ln 3) = 3/4
LOGITS = np.array([0.0, np.log(3.0), -np.log(3.0)], np.float32)


def test_discriminator_wants_real_faces_at_one_and_generated_at_zero():
    expected = np.log([2.0, 4 / 3, 4.0])
    np.testing.assert_allclose(losses.discriminator_real(jnp.asarray(LOGITS)), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.discriminator_fake(jnp.asarray(-LOGITS)), expected, rtol=1e-6)


def test_generator_loss_is_the_non_saturating_one():
    np.testing.assert_allclose(losses.generator(jnp.asarray(LOGITS)), np.log([2.0, 4 / 3, 4.0]), rtol=1e-6)
    far = jnp.asarray([-100.0])  # D is sure: the saturating form would give no gradient here
    np.testing.assert_allclose(losses.generator(far), [100.0], rtol=1e-6)


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
