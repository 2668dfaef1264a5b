"""The paper's networks (section 2.2): the generator G, the discriminator D and the encoder E of a conditional DCGAN.

G: a latent and a label become a face. D: is a face with its label from the data? E: the latent from which G would have
drawn a face. D and E share the form of their convolutions, `Trunk`, and no weights.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.models import labeled_conv, normalisation
from emogan.util import types


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


class Discriminator(nn.Module):
    """The paper's conditional DCGAN discriminator (section 2.2.1); for the attributes see `Trunk`."""

    width: int = 64
    num_classes: int = 7
    batch_norm: bool = True
    resampling: str = "strided"
    axis_name: str | None = None
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, images: types.Images, labels: types.Labels, train: bool, batches: int = 1) -> types.Logits:
        """Returns logits [B], above 0 for faces held to be real; `batches` of them are normalised apart."""
        features = Trunk(
            self.width, self.num_classes, self.batch_norm, self.resampling, self.axis_name, self.dtype, name="trunk"
        )(images, labels, train, batches)
        # float32 again: a loss is a small difference of large numbers.
        return nn.Dense(1, dtype=jnp.float32, kernel_init=labeled_conv.WEIGHTS, name="logit")(features)[:, 0]


class Encoder(nn.Module):
    """The paper's encoder (section 2.2.2): D's trunk without labels, then a linear layer; see `Trunk`.

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
        features = Trunk(
            self.width, self.num_classes, self.batch_norm, self.resampling, self.axis_name, self.dtype, name="trunk"
        )(images, labels, train)
        latents = nn.Dense(self.latent_size, dtype=jnp.float32, kernel_init=labeled_conv.WEIGHTS, name="latent")(
            features
        )
        return jnp.tanh(latents) if self.output == "tanh" else latents
