"""Where a face has its eyes and its nose: a small network, which ships with emogan."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.models import conv
from emogan.util import images, types, weights

SIZE = 48  # of the faces that the network is given
POINTS = 3  # the eye on the left of the picture, the one on the right, and the tip of the nose

_WIDTHS = (24, 48, 96)  # channels at a half, a quarter and an eighth of the size
_LAST = 32  # channels before the dense layers
_HIDDEN = 96
_LEAST_DEVIATION = 0.02  # of a face's values, so that a constant one gives finite points


class Landmarks(nn.Module):
    """Three convolutions with stride 2 and two dense layers: points [B, 3, 2] for gray faces [B, 48, 48, 1]."""

    @nn.compact
    def __call__(self, faces: types.Images) -> jax.Array:
        """Returns x and y of each point, [B, POINTS, 2], from the middle of the face, in parts of its side.

        Args:
          faces: [B, 48, 48, 1]. Only their contrast counts, not their brightness.
        """
        mean = jnp.mean(faces, axis=(1, 2, 3), keepdims=True)
        variance = jnp.mean(jnp.square(faces - mean), axis=(1, 2, 3), keepdims=True)
        x = (faces - mean) * jax.lax.rsqrt(variance + _LEAST_DEVIATION**2)
        for i, width in enumerate(_WIDTHS):
            x = nn.silu(conv.Conv(width, (5, 5) if i == 0 else (3, 3), (2, 2), name=f"conv{i}")(x))
        x = nn.silu(conv.Conv(_LAST, (3, 3), name="conv3")(x))
        x = nn.silu(nn.Dense(_HIDDEN, name="dense0")(x.reshape(x.shape[0], -1)))
        return nn.Dense(2 * POINTS, name="dense1")(x).reshape(-1, POINTS, 2)


@functools.cache
def packaged() -> types.Params:
    """Returns the parameters that ship with emogan, float32."""
    return weights.packaged("landmarks")


def of(params: types.Params, faces: types.Images) -> jax.Array:
    """Returns the points [B, POINTS, 2] of faces [B, S, S, C] of every size, gray or in colour, in [-1, 1]."""
    if faces.shape[-1] == 3:
        faces = faces @ jnp.asarray(images.LUMA)[:, None]
    if faces.shape[1] != SIZE:
        # As two products with constants, which can be exported.
        weights_of = jax.image.resize(jnp.eye(faces.shape[1]), (SIZE, faces.shape[1]), "linear")
        rows = jnp.tensordot(faces[..., 0], weights_of, axes=(1, 1))  # [B, W, SIZE]
        faces = jnp.tensordot(rows, weights_of, axes=(1, 1))[..., None]
    return Landmarks().apply({"params": params}, faces)
