"""The paper's networks (section 2.2): the generator G, the discriminator D and the encoder E of a conditional DCGAN.

G: a latent and a label become a face. D: is a face with its label from the data? E: the latent from which G would have
drawn a face. D and E share the form of their convolutions, `Trunk`, and no weights.

The paper's faces are 48x48 gray. For others the networks grow by DCGAN's rule (Radford et al. 2016): the smallest map
is 3x3 or 4x4 and has 8 * width channels, and each doubling of the size halves them. So there are `stages` of stride 2:
three for 32 pixels, four for 48 and 64, five for 96 and 128, where the largest maps have width / 2 channels.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.data import dataset
from emogan.models import dense, labeled_conv, normalisation, precision
from emogan.util import ranges, types


@dataclasses.dataclass
class ModelConfig:
    """The networks; with the defaults they are the paper's."""

    BEFORE: ClassVar[Mapping[str, Any]] = {"precision": "float32"}
    width: int = 64  # features of D's first convolution; the others are 2, 4 and 8 times as wide (48 and 64 pixels)
    latent_size: int = 100
    latent_distribution: str = "uniform"  # uniform on (-1, 1), or normal
    encoder_labels: bool = False  # E(x, y), as in the authors' code, instead of the paper's E(x)
    encoder_output: str = "tanh"  # tanh keeps E(x) within the uniform prior; linear is the paper's words
    batch_norm: bool = True
    critic_norm: bool = True  # whether D has it, too; a penalty on D's gradients wants none there
    resampling: str = "strided"  # strided convolutions, or pooled: what the paper says strides improve on
    # Of features and products in training: float32, bfloat16, or auto, which is bfloat16 where a run begins on hardware
    # for it. Parameters and the finished model are float32.
    precision: str = "auto"

    def check(self) -> None:
        ranges.between("model.width", self.width, 1, 1024)
        ranges.between("model.latent_size", self.latent_size, 1, 4096)
        ranges.one_of("model.latent_distribution", self.latent_distribution, ("uniform", "normal"))
        ranges.one_of("model.encoder_output", self.encoder_output, ("tanh", "linear"))
        ranges.one_of("model.precision", self.precision, precision.CHOICES)
        ranges.one_of("model.resampling", self.resampling, ("strided", "pooled"))


def stages(size: int) -> tuple[int, int]:
    """Returns the side of the smallest map of faces with `size` pixels a side, and how often it is doubled to them."""
    smallest = 3 if size % 3 == 0 else 4
    return smallest, (size // smallest).bit_length() - 1


def widths(size: int, width: int) -> tuple[int, ...]:
    """Returns the channels after each convolution of D, from the largest map to the smallest."""
    count = stages(size)[1]
    return tuple(max(1, 8 * width >> (count - 1 - i)) for i in range(count))


class Trunk(nn.Module):
    """A face [B, S, S, C] becomes features [B, F], and the label, if it enters, 7 more; F is 3 * 3 * 8 * width at 48.

    Attributes:
      width: channels at 8 times the size of the smallest map; of 48x48 faces, those of the first convolution.
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
        for i, features in enumerate(widths(images.shape[1], self.width)):
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
      image: what the faces are.
      width: an eighth of the channels of the smallest map; see `Trunk`.
      num_classes: how many labels there are.
      batch_norm: whether features are normalised over the batch.
      resampling: `strided` doubles the size by stride-2 transposed convolutions, `pooled` by repeating pixels.
      axis_name: the device axis over which batch-norm statistics are averaged, if any.
      dtype: in which all but the last layer compute; the rounding of the last would be visible.
    """

    image: dataset.ImageSpec
    width: int = 64
    num_classes: int = 7
    batch_norm: bool = True
    resampling: str = "strided"
    axis_name: str | None = None
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, latents: types.Latents, labels: types.Labels, train: bool) -> types.Images:
        """Returns faces [B, S, S, C] in [-1, 1] for latents [B, Z] and labels [B]."""
        norm = normalisation.batch_norm(self.batch_norm, train, self.axis_name)
        one_hot = jax.nn.one_hot(labels, self.num_classes)
        side, (*others, widest) = stages(self.image.size)[0], widths(self.image.size, self.width)
        x = dense.Dense(side * side * widest, self.dtype, labeled_conv.WEIGHTS, name="project")(
            jnp.concatenate([latents, one_hot], axis=1)
        )
        x = nn.relu(norm("project_norm")(x)).reshape(-1, side, side, widest)
        for i, features in enumerate((*others[::-1], self.image.channels)):
            last = i == len(others)
            dtype = jnp.float32 if last else self.dtype
            if self.resampling == "pooled":
                x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
                layer = labeled_conv.LabeledConv(features, self.num_classes, stride=1, dtype=dtype, name=f"conv{i}")
            else:
                layer = labeled_conv.LabeledConv(
                    features, self.num_classes, transpose=True, dtype=dtype, name=f"conv{i}"
                )
            x = layer(x, labels)
            if not last:
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


def make_generator(
    model: ModelConfig, num_classes: int, spec: dataset.ImageSpec, axis_name: str | None = None
) -> Generator:
    """Returns the module G of a configuration, for faces of a spec."""
    dtype = precision.dtype(model.precision)
    return Generator(spec, model.width, num_classes, model.batch_norm, model.resampling, axis_name, dtype)


def make_discriminator(model: ModelConfig, num_classes: int, axis_name: str | None = None) -> Discriminator:
    """Returns the module D of a configuration, for faces of every size and number of channels."""
    norm, dtype = model.batch_norm and model.critic_norm, precision.dtype(model.precision)
    return Discriminator(model.width, num_classes, norm, model.resampling, axis_name, dtype)


def make_encoder(model: ModelConfig, num_classes: int, axis_name: str | None = None) -> Encoder:
    """Returns the module E of a configuration, for faces of every size and number of channels."""
    return Encoder(
        model.width,
        model.latent_size,
        num_classes if model.encoder_labels else 0,
        model.batch_norm,
        model.resampling,
        model.encoder_output,
        axis_name,
        precision.dtype(model.precision),
    )
