"""Losses, one value per example; the caller averages."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from emogan.util import types


class Adversarial(NamedTuple):
    """What D and G pay for D's logits [B] of real faces and of generated ones, each (real, fake) -> [B].

    Attributes:
      discriminator: D's loss.
      generator: G's loss.
      relativistic: whether G's loss depends on the real logits.
    """

    discriminator: Callable[[types.Logits, types.Logits], types.Logits]
    generator: Callable[[types.Logits, types.Logits], types.Logits]
    relativistic: bool = False


# By the names that `gan.loss` and `joint.loss` know. Whoever brings a loss adds it here, or from outside before a
# configuration is checked: docs/extending.md.
ADVERSARIAL = {
    # -log D(x) - log(1 - D(G(z))), and the non-saturating -log D(G(z)) (Goodfellow et al. 2014, eq. (1), section 3)
    "cross_entropy": Adversarial(
        lambda real, fake: nn.softplus(-real) + nn.softplus(fake), lambda real, fake: nn.softplus(-fake)
    ),
    # the estimate of the Wasserstein distance (Arjovsky et al. 2017, eq. (2) and algorithm 1)
    "wasserstein": Adversarial(lambda real, fake: fake - real, lambda real, fake: -fake),
    # with a = 0, b = c = 1 (Mao et al. 2017, eq. (9))
    "least_squares": Adversarial(
        lambda real, fake: ((real - 1) ** 2 + fake**2) / 2, lambda real, fake: (fake - 1) ** 2 / 2
    ),
    # (Lim and Ye 2017; Miyato et al. 2018, eq. (16) and (17))
    "hinge": Adversarial(lambda real, fake: nn.relu(1 - real) + nn.relu(1 + fake), lambda real, fake: -fake),
    # which of a real face and a generated one is the more real (Jolicoeur-Martineau 2019; Huang et al. 2024, eq. (2))
    "relativistic": Adversarial(
        lambda real, fake: nn.softplus(fake - real), lambda real, fake: nn.softplus(real - fake), True
    ),
}


def squared_gradient(critic: Callable[[Any], types.Logits], faces: Any) -> types.Logits:
    """Returns |dD/dx|^2 at each face, [B]: twice the penalty R1 at real faces, R2 at generated (Mescheder et al. 2018).

    Args:
      critic: D with its labels; its answer for a face must not depend on the others.
      faces: [B, S, S, C], or a tree of arrays [B, ...], all that D sees of each.
    """
    gradients = jax.grad(lambda faces: jnp.sum(critic(faces)))(faces)
    return sum(jnp.sum(jnp.square(gradient), axis=range(1, gradient.ndim)) for gradient in jax.tree.leaves(gradients))


def gradient_penalty(
    critic: Callable[[types.Images], types.Logits], real: types.Images, fake: types.Images, mix: jax.Array
) -> types.Logits:
    """Returns (|dD/dx| - 1)^2 between real and generated faces, [B] (Gulrajani et al. 2017, eq. (3)).

    Args:
      critic: as `squared_gradient`.
      real, fake: faces [B, S, S, C].
      mix: where between them, [B] in 0..1, from fake to real.
    """
    mix = mix[:, None, None, None]
    # The root has no gradient at 0.
    return jnp.square(jnp.sqrt(squared_gradient(critic, mix * real + (1 - mix) * fake) + 1e-12) - 1.0)


def reconstruction(images: types.Images, reconstructions: types.Images) -> types.Logits:
    """Returns the squared error summed over pixels, [B] (eq. (14))."""
    return jnp.sum((images - reconstructions) ** 2, axis=(1, 2, 3))


def likeness(images: types.Images, others: types.Images) -> types.Logits:
    """Returns the correlation of the levels of each pair [B, S, S, C], [B]: -1 for a face and its negative.

    A picture of one grey level is like none, 0.
    """
    first, second = (x - jnp.mean(x, axis=(1, 2, 3), keepdims=True) for x in (images, others))
    lengths = jnp.sqrt(jnp.sum(first**2, axis=(1, 2, 3)) * jnp.sum(second**2, axis=(1, 2, 3)))
    return jnp.sum(first * second, axis=(1, 2, 3)) / jnp.maximum(lengths, 1e-6)


def latent(latents: types.Latents, estimates: types.Latents) -> types.Logits:
    """Returns the squared error summed over the latent, [B] (eq. (13))."""
    return jnp.sum((latents - estimates) ** 2, axis=1)
