"""The paper's networks (section 2.2): the generator G, the discriminator D and the encoder E of a conditional DCGAN.

G: a latent and a label become a face. D: is a face with its label from the data? E: the latent from which G would have
drawn a face. D and E share the form of their convolutions, `Trunk`, and no weights.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.models import labeled_conv, normalisation
from emogan.util import ranges, types


@dataclasses.dataclass
class ModelConfig:
    """The networks; with the defaults they are the paper's."""

    width: int = 64  # features of D's first convolution; the others are 2, 4 and 8 times as wide
    latent_size: int = 100
    latent_distribution: str = "uniform"  # uniform on (-1, 1), or normal
    encoder_labels: bool = False  # E(x, y), as in the authors' code, instead of the paper's E(x)
    encoder_output: str = "tanh"  # tanh keeps E(x) within the uniform prior; linear is the paper's words
    batch_norm: bool = True
    critic_norm: bool = True  # whether D has it, too; a penalty on D's gradients wants none there
    resampling: str = "strided"  # strided convolutions, or pooled: what the paper says strides improve on
    precision: str = "float32"  # bfloat16: of features and products in G, D and E; all that is kept stays float32

    def check(self) -> None:
        ranges.between("model.width", self.width, 1, 1024)
        ranges.between("model.latent_size", self.latent_size, 1, 4096)
        ranges.one_of("model.latent_distribution", self.latent_distribution, ("uniform", "normal"))
        ranges.one_of("model.encoder_output", self.encoder_output, ("tanh", "linear"))
        ranges.one_of("model.precision", self.precision, ("float32", "bfloat16"))
        ranges.one_of("model.resampling", self.resampling, ("strided", "pooled"))


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


def make_generator(model: ModelConfig, num_classes: int, axis_name: str | None = None):
    """Returns the module G of a configuration."""
    return Generator(model.width, num_classes, model.batch_norm, model.resampling, axis_name, model.precision)


def make_discriminator(model: ModelConfig, num_classes: int, axis_name: str | None = None):
    """Returns the module D of a configuration."""
    return Discriminator(
        model.width, num_classes, model.batch_norm and model.critic_norm, model.resampling, axis_name, model.precision
    )


def make_encoder(model: ModelConfig, num_classes: int, axis_name: str | None = None):
    """Returns the module E of a configuration."""
    return Encoder(
        model.width,
        model.latent_size,
        num_classes if model.encoder_labels else 0,
        model.batch_norm,
        model.resampling,
        model.encoder_output,
        axis_name,
        model.precision,
    )
