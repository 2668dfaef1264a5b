"""The discriminator D: is a face with its label from the data?"""

import flax.linen as nn
import jax.numpy as jnp

from emogan import types
from emogan.models import labeled_conv, trunk


class Discriminator(nn.Module):
    """The paper's conditional DCGAN discriminator (section 2.2.1); for the attributes see `trunk.Trunk`."""

    width: int = 64
    num_classes: int = 7
    batch_norm: bool = True
    resampling: str = "strided"
    axis_name: str | None = None
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, images: types.Images, labels: types.Labels, train: bool, batches: int = 1) -> types.Logits:
        """Returns logits [B], above 0 for faces held to be real; `batches` of them are normalised apart."""
        features = trunk.Trunk(
            self.width, self.num_classes, self.batch_norm, self.resampling, self.axis_name, self.dtype, name="trunk"
        )(images, labels, train, batches)
        # float32 again: a loss is a small difference of large numbers.
        return nn.Dense(1, dtype=jnp.float32, kernel_init=labeled_conv.WEIGHTS, name="logit")(features)[:, 0]
