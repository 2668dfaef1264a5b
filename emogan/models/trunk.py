"""The four convolutions that the discriminator and the encoder have in common, each with weights of its own."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan import types
from emogan.models import labeled_conv, normalisation


class Trunk(nn.Module):
    """A face [B, 48, 48, 1] becomes features [B, 3 * 3 * 8 * width], and the label, if it enters, 7 more.

    Attributes:
      width: channels of the first convolution.
      num_classes: how many labels are joined to the input of every convolution; 0 for none.
      batch_norm: whether all but the first convolution are normalised over the batch.
      resampling: `strided` halves the size by stride-2 convolutions, `pooled` by maximum pooling.
      axis_name: the device axis over which batch-norm statistics are averaged, if any.
      dtype: in which the convolutions compute, and of the result.
    """

    width: int
    num_classes: int
    batch_norm: bool
    resampling: str
    axis_name: str | None
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, images: types.Images, labels: types.Labels, train: bool, batches: int = 1) -> jax.Array:
        """Returns features [B, F] for images in [-1, 1], in `batches` that batch norm keeps apart."""
        norm = normalisation.batch_norm(self.batch_norm, train, self.axis_name, batches)
        stride = 1 if self.resampling == "pooled" else 2
        x = images
        for i, features in enumerate((self.width, 2 * self.width, 4 * self.width, 8 * self.width)):
            x = labeled_conv.LabeledConv(features, self.num_classes, stride, dtype=self.dtype, name=f"conv{i}")(
                x, labels
            )
            if i > 0:
                x = norm(f"norm{i}")(x)
            x = nn.leaky_relu(x, 0.2)
            if self.resampling == "pooled":
                x = nn.max_pool(x, (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        if self.num_classes:
            x = jnp.concatenate([x, jax.nn.one_hot(labels, self.num_classes, dtype=x.dtype)], axis=1)
        return x
