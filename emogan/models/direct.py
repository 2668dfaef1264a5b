"""Edits in one evaluation of a U-Net, and D on the features of a flow: the networks of phase `student`."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.models import conv, unet
from emogan.util import types

TIME = 0.5  # given to the U-Net with every face: a flow that it begins as knows expressions there
_HIDDEN = 64  # channels of a head


class Encoder(nn.Module):
    """E: the latent of a face is the face itself."""

    @nn.compact
    def __call__(self, images: types.Images, labels: types.Labels, train: bool = False) -> types.Images:
        """Returns the faces."""
        del labels, train
        return images


class Generator(nn.Module):
    """G: a face plus the answer of a U-Net to the face, its surroundings and the target label.

    Attributes:
      network: the U-Net.
    """

    network: unet.UNet

    @nn.compact
    def __call__(self, faces: types.Images, labels: types.Labels, train: bool = False) -> types.Images:
        """Returns edits [B, S, S, C] of faces to labels int [B], which may lie a little outside of [-1, 1]."""
        del train
        targets = jax.nn.one_hot(labels, self.network.num_classes, dtype=faces.dtype)
        times = jnp.full(faces.shape[0], TIME, faces.dtype)
        around = unet.around(self.network, faces)
        return faces + unet.DEVIATION * self.network(faces / unet.DEVIATION, times, targets, around)


class Heads(nn.Module):
    """D on the features that a flow has of noisy faces under a label (Sauer et al. 2023, 2024), a head a size."""

    @nn.compact
    def __call__(self, features: list[jax.Array]) -> types.Logits:
        """Returns logits [B], above 0 for faces that look real: the mean over places, summed over sizes."""
        logits = 0.0
        for i, x in enumerate(features):
            x = nn.Dense(_HIDDEN, name=f"in{i}")(_normalised(x))
            x = nn.leaky_relu(x, 0.2)
            x = conv.Conv(_HIDDEN, (3, 3), name=f"conv{i}")(x)
            x = nn.leaky_relu(x, 0.2)
            logits += jnp.mean(nn.Dense(1, name=f"out{i}")(x)[..., 0], axis=(1, 2))
        return logits


def _normalised(x: jax.Array) -> jax.Array:
    """Returns features [B, H, W, F] whose vectors at each place have a mean square of 1."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-6)
