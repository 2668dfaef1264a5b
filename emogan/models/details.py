"""The details of an edited face: a small network, which ships with emogan, from 48x48 gray pixels to 144x144 in colour.

It gets the edited face, small and gray, and the photograph, moved as the edit moves it. Where the two agree, the
photograph's details and colours stay; where they do not, as where lips open over teeth, it draws what fits the edit.
It learned this from portraits in the public domain (experiments/lab/fit_details.py).
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.models import conv, resampling
from emogan.util import images, types, weights

SIZE = 48  # of the edited faces that it learned from
SCALE = 3  # by which its answer is larger

_WIDTHS = (48, 72, 96)  # channels at 48, 24 and 12 places
_BLOCKS = 2  # residual blocks at each size, on the way down and on the way up
_RESIDUAL = 0.3  # what a block's answer is multiplied by (Lim et al. 2017)


class Details(nn.Module):
    """Residual blocks in three sizes with skip connections, without normalisation (Lim et al. 2017).

    Each place of the largest size has 3x3 pixels of the answer. The answer begins as the photograph plus the enlarged
    difference between its grays and those of the edit.

    Attributes:
      dtype: in which convolutions compute.
    """

    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, guide: types.Images, after: types.Images) -> types.Images:
        """Returns edited faces float32 [B, 3 * S, 3 * S, 3]; values may lie somewhat beyond [-1, 1].

        Args:
          guide: the photograph, moved as the edit moves it, [B, 3 * S, 3 * S, 3] in [-1, 1].
          after: the edited face, [B, S, S, 1] in [-1, 1]; S is a multiple of 4.
        """
        colour, gray = _small(guide), small_gray(guide)
        apart = after - gray
        fine = resampling.unshuffle(guide - enlarged(gray), SCALE)
        x = jnp.concatenate([fine, after, apart, colour], axis=-1).astype(self.dtype)
        x = self._conv(_WIDTHS[0], "stem")(x)
        skips = []
        for i, width in enumerate(_WIDTHS):
            if i:
                skips.append(x)
                x = self._conv(width, f"down{i}")(resampling.shrink(x))
            for j in range(_BLOCKS):
                x = _Block(self.dtype, name=f"d{i}{j}")(x)
        for i in reversed(range(len(_WIDTHS) - 1)):
            x = resampling.grow(self._conv(_WIDTHS[i], f"up{i}")(x)) + skips.pop()
            for j in range(_BLOCKS):
                x = _Block(self.dtype, name=f"u{i}{j}")(x)
        out = conv.Conv(3 * SCALE**2, (3, 3), dtype=self.dtype, kernel_init=nn.initializers.zeros_init(), name="out")
        drawn = resampling.shuffle(out(nn.silu(x)).astype(jnp.float32), SCALE)
        return guide + enlarged(apart) + drawn

    def _conv(self, features: int, name: str) -> nn.Module:
        return conv.Conv(features, (3, 3), dtype=self.dtype, name=name)


class _Block(nn.Module):
    dtype: types.DType

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = x
        for name in ("a", "b"):
            y = conv.Conv(x.shape[-1], (3, 3), dtype=self.dtype, name=name)(nn.silu(y))
        return x + y * jnp.asarray(_RESIDUAL, self.dtype)


def small_gray(faces: types.Images) -> jax.Array:
    """Returns the means over 3x3 pixels of the grays, [B, S, S, 1], of faces [B, 3 * S, 3 * S, 3]."""
    return _small(faces) @ jnp.asarray(images.LUMA)[:, None]


def _small(faces: types.Images) -> jax.Array:
    parts = resampling.unshuffle(faces, SCALE)
    return jnp.mean(parts.reshape(*parts.shape[:3], SCALE**2, 3), axis=3)


def drawn(params: types.Params, guides: types.Images, afters: types.Images) -> types.Images:
    """Returns what the network with these parameters draws; guides and afters as of `Details`."""
    return Details().apply({"params": params}, guides, afters)


def enlarged(maps: jax.Array) -> jax.Array:
    """Returns maps [B, S, S, C] enlarged bicubically, [B, 3 * S, 3 * S, C]."""
    # As two products with constants, which can be exported.
    size = maps.shape[1]
    weights_of = jax.image.resize(jnp.eye(size), (SCALE * size, size), "cubic")
    rows = jnp.tensordot(maps, weights_of, axes=(1, 1))  # [B, W, C, 3 * S]
    return jnp.tensordot(rows, weights_of, axes=(1, 1)).transpose(0, 2, 3, 1)


@functools.cache
def packaged() -> types.Params:
    """Returns the parameters that ship with emogan, float32."""
    return weights.packaged("details")
