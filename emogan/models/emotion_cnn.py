"""The judge: a residual network that predicts the emotion on a face."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.models import conv, normalisation, resampling
from emogan.util import types

STAGES = (1, 3, 6, 8)  # widths at a half, a quarter, an eighth and a sixteenth of the size, in multiples of `width`


class _Block(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016, fig. 2), which halve the size if `stride` is 2."""

    features: int
    stride: int
    axis_name: str | None
    dtype: types.DType

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        norm = normalisation.batch_norm(True, train, self.axis_name)
        init = nn.initializers.he_normal()

        def convolve(name: str, x: jax.Array, stride: int) -> jax.Array:
            return conv.Conv(
                self.features, (3, 3), (stride, stride), use_bias=False, kernel_init=init, dtype=self.dtype, name=name
            )(x)

        y = nn.relu(norm("norm0")(convolve("conv0", x, self.stride)))
        y = norm("norm1")(convolve("conv1", y, 1))
        if self.stride > 1:
            x = resampling.shrink(x)
        if x.shape[-1] != self.features:
            shortcut = conv.Pointwise(
                self.features, use_bias=False, kernel_init=init, dtype=self.dtype, name="shortcut"
            )
            x = norm("shortcut_norm")(shortcut(x))
        return nn.relu(x + y)


class Classifier(nn.Module):
    """A residual network for [B, S, S, C]: a 5x5 convolution of stride 2, then a block at each size of `STAGES`.

    Attributes:
      width: channels at half the size; see `STAGES` for the others.
      num_classes: how many labels there are.
      axis_name: the device axis over which batch-norm statistics are averaged, if any.
      dtype: in which all but the last layer compute.
    """

    width: int = 32
    num_classes: int = 7
    axis_name: str | None = None
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, images: types.Images, train: bool) -> tuple[jax.Array, jax.Array]:
        """Returns logits [B, C] and the features [B, 8 * width] before the last layer, for images in [-1, 1]."""
        norm = normalisation.batch_norm(True, train, self.axis_name)
        init = nn.initializers.he_normal()
        stem = conv.Conv(self.width, (5, 5), (2, 2), use_bias=False, kernel_init=init, dtype=self.dtype, name="stem")
        x = nn.relu(norm("stem_norm")(stem(images)))
        for i, factor in enumerate(STAGES):
            x = _Block(factor * self.width, 1 if i == 0 else 2, self.axis_name, self.dtype, name=f"block{i}")(x, train)
        features = jnp.mean(x.astype(jnp.float32), axis=(1, 2))
        return nn.Dense(self.num_classes, name="logits")(features), features
