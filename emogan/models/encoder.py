"""The encoder E: the latent from which G would have drawn a face."""

import flax.linen as nn
import jax.numpy as jnp

from emogan import types
from emogan.models import labeled_conv, trunk


class Encoder(nn.Module):
    """The paper's encoder (section 2.2.2): D's trunk without labels, then a linear layer; see `trunk.Trunk`.

    Attributes:
      latent_size: Z.
      num_classes: 0 for the paper's E(x); the number of labels for E(x, y), as in the authors' code.
      dtype: in which the convolutions compute.
      output: `tanh` keeps latents in (-1, 1), where G was trained under a uniform prior; `linear` lets them leave.
    """

    width: int = 64
    latent_size: int = 100
    num_classes: int = 0
    batch_norm: bool = True
    resampling: str = "strided"
    output: str = "tanh"
    axis_name: str | None = None
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, images: types.Images, labels: types.Labels, train: bool) -> types.Latents:
        """Returns latents [B, Z]; `labels` are used only where `num_classes` > 0."""
        features = trunk.Trunk(
            self.width, self.num_classes, self.batch_norm, self.resampling, self.axis_name, self.dtype, name="trunk"
        )(images, labels, train)
        latents = nn.Dense(self.latent_size, dtype=jnp.float32, kernel_init=labeled_conv.WEIGHTS, name="latent")(
            features
        )
        return jnp.tanh(latents) if self.output == "tanh" else latents
