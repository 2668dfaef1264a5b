"""The generator G: a latent and a label become a face."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan import types
from emogan.models import labeled_conv, normalisation


class Generator(nn.Module):
    """The paper's conditional DCGAN generator (section 2.2.1; sizes in docs/architecture.md).

    Attributes:
      width: channels before the last transposed convolution; the first has 8 times as many.
      num_classes: how many labels there are.
      batch_norm: whether features are normalised over the batch.
      resampling: `strided` doubles the size by stride-2 transposed convolutions, `pooled` by repeating pixels.
      axis_name: the device axis over which batch-norm statistics are averaged, if any.
      dtype: in which all but the last layer compute, whose rounding one would see.
    """

    width: int = 64
    num_classes: int = 7
    batch_norm: bool = True
    resampling: str = "strided"
    axis_name: str | None = None
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, latents: types.Latents, labels: types.Labels, train: bool) -> types.Images:
        """Returns faces [B, 48, 48, 1] in [-1, 1] for latents [B, Z] and labels [B]."""
        norm = normalisation.batch_norm(self.batch_norm, train, self.axis_name)
        one_hot = jax.nn.one_hot(labels, self.num_classes)
        x = nn.Dense(3 * 3 * 8 * self.width, dtype=self.dtype, kernel_init=labeled_conv.WEIGHTS, name="project")(
            jnp.concatenate([latents, one_hot], axis=1)
        )
        x = nn.relu(norm("project_norm")(x)).reshape(-1, 3, 3, 8 * self.width)
        for i, features in enumerate((4 * self.width, 2 * self.width, self.width, 1)):
            dtype = self.dtype if features > 1 else jnp.float32
            if self.resampling == "pooled":
                x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
                layer = labeled_conv.LabeledConv(features, self.num_classes, stride=1, dtype=dtype, name=f"conv{i}")
            else:
                layer = labeled_conv.LabeledConv(
                    features, self.num_classes, transpose=True, dtype=dtype, name=f"conv{i}"
                )
            x = layer(x, labels)
            if features > 1:
                x = nn.relu(norm(f"norm{i}")(x))
        return jnp.tanh(x)


def sample_latents(key: jax.Array, count: int, size: int, distribution: str) -> types.Latents:
    """Returns latents [count, size] from the prior: uniform on (-1, 1), or standard normal."""
    if distribution == "uniform":
        return jax.random.uniform(key, (count, size), minval=-1.0, maxval=1.0)
    return jax.random.normal(key, (count, size))
