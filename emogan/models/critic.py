"""D of a joint training: it judges a face as a whole and by its patches, and names its emotion."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.models import conv, translator
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
    """

    width: int
    num_classes: int
    projection: bool = True

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
            x = conv.Conv(factor * self.width, (5, 5), (2, 2), kernel_init=_WEIGHTS, name=f"conv{i}")(x)
            x = nn.leaky_relu(x, 0.2)
            if i in (1, 2):  # patches of 13 and of 29 pixels
                seen = nn.Dense(1, name=f"patches{i}")(x)[..., 0]
                patches += jnp.sum(seen, axis=(1, 2)) / seen.shape[1]
        x = x.reshape(len(x), -1)
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


def make_discriminator(settings: translator.TranslatorConfig, num_classes: int) -> Critic:
    """Returns the module D of a configuration, for faces of every size and number of channels."""
    return Critic(settings.critic_width, num_classes, settings.projection)
