"""Losses, one value per example; the caller averages."""

import jax.numpy as jnp
import optax

from emogan import types


def discriminator_real(logits: types.Logits) -> types.Logits:
    """Returns D's cross-entropy on real faces, -log D(x), [B] (Goodfellow et al. 2014, eq. (1))."""
    return optax.sigmoid_binary_cross_entropy(logits, jnp.ones_like(logits))


def discriminator_fake(logits: types.Logits) -> types.Logits:
    """Returns D's cross-entropy on generated faces, -log(1 - D(G(z))), [B] (Goodfellow et al. 2014, eq. (1))."""
    return optax.sigmoid_binary_cross_entropy(logits, jnp.zeros_like(logits))


def generator(logits: types.Logits) -> types.Logits:
    """Returns G's non-saturating loss, -log D(G(z)), [B] (Goodfellow et al. 2014, section 3)."""
    return optax.sigmoid_binary_cross_entropy(logits, jnp.ones_like(logits))


def reconstruction(images: types.Images, reconstructions: types.Images) -> types.Logits:
    """Returns the squared error summed over pixels, [B] (eq. (14))."""
    return jnp.sum((images - reconstructions) ** 2, axis=(1, 2, 3))


def latent(latents: types.Latents, estimates: types.Latents) -> types.Logits:
    """Returns the squared error summed over the latent, [B] (eq. (13))."""
    return jnp.sum((latents - estimates) ** 2, axis=1)
