"""D of a joint training: it judges a face as a whole and by its patches, and names its emotion."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.models import conv, precision, translator
from emogan.util import types

_WEIGHTS = nn.initializers.he_normal()


class Critic(nn.Module):
    """D: is a face from the data, and which emotion does it show? Without batch norm, so that each face is by itself.

    It judges the whole face, and every small patch by itself (as PatchGAN, Isola et al. 2017): a spot is seen wherever
    it is.

    Attributes:
      width: channels of the first convolution; the others have 2, 4 and 8 times as many.
      num_classes: how many labels there are.
      projection: whether the label decides what counts as real (Miyato and Koyama 2018).
      dtype: in which the convolutions compute.
    """

    width: int
    num_classes: int
    projection: bool = True
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(
        self, images: types.Images, labels: types.Labels, guidance: jax.Array | None = None, train: bool = False
    ) -> tuple[types.Logits, jax.Array]:
        """Returns logits [B], above 0 for faces held to be real, and logits [B, C] of the emotions.

        `guidance` are a guidance classifier's features [B, F] of the faces, if D gets them (Sauer et al. 2021).
        """
        del train
        x = images
        patches = 0.0
        for i, factor in enumerate((1, 2, 4, 8)):
            convolve = conv.Conv(
                factor * self.width, (5, 5), (2, 2), kernel_init=_WEIGHTS, dtype=self.dtype, name=f"conv{i}"
            )
            x = nn.leaky_relu(convolve(x), 0.2)
            if i in (1, 2):  # patches of 13 and of 29 pixels
                seen = nn.Dense(1, dtype=jnp.float32, name=f"patches{i}")(x)[..., 0]
                patches += jnp.sum(seen, axis=(1, 2)) / seen.shape[1]
        x = x.reshape(len(x), -1).astype(jnp.float32)  # a loss is a small difference of large numbers
        emotions = nn.Dense(self.num_classes, name="emotions")(x)
        features = nn.Dense(8 * self.width, kernel_init=_WEIGHTS, name="features")(x)
        if guidance is not None:
            features += nn.Dense(8 * self.width, use_bias=False, kernel_init=_WEIGHTS, name="guidance")(guidance)
        features = nn.leaky_relu(features, 0.2)
        logits = nn.Dense(1, name="logit")(features)[:, 0] + patches
        if self.projection:
            table = self.param("projection", nn.initializers.normal(0.02), (self.num_classes, features.shape[-1]))
            one_hot = jax.nn.one_hot(labels, self.num_classes, dtype=x.dtype)
            logits += jnp.sum(features * (one_hot @ table), axis=-1)
        return logits, emotions


def make_discriminator(settings: translator.TranslatorConfig, num_classes: int, computed_in: str = "float32") -> Critic:
    """Returns the module D of a configuration in one of `precision.CHOICES`, for faces of every size and colour."""
    return Critic(settings.critic_width, num_classes, settings.projection, precision.dtype(computed_in))
