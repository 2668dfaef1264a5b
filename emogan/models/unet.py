"""A U-Net: a velocity for each pixel of a noisy face, for its time, its label and what is known of the face."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.data import dataset
from emogan.models import conv, dense, normalisation, ode, precision, resampling, surroundings
from emogan.util import ranges, types


@dataclasses.dataclass
class UNetConfig:
    """The network of phase `flow`."""

    BEFORE: ClassVar[Mapping[str, Any]] = {"deeper": 0, "surroundings": False}
    widths: str = "32,96,160"  # channels at a half, a quarter, an eighth and, if there are four, a sixteenth
    blocks: int = 1  # residual blocks at each size on the way down; one more on the way up
    attention: bool = True  # self-attention at the smallest size
    deeper: int = 1  # further blocks at each size but the largest, down and up, and in the middle with its attention
    surroundings: bool = True  # whether it is told where eyes and nose are, and the face outside of its inner part

    def check(self) -> None:
        for width in self.channels():
            ranges.between("unet.widths", width, 8, 1024)
        ranges.between("unet.blocks", self.blocks, 1, 64)
        ranges.between("unet.deeper", self.deeper, 0, 64)

    def channels(self) -> tuple[int, ...]:
        """Returns `widths` as numbers.

        Raises:
          ValueError: if they are not one to four multiples of 8.
        """
        numbers = tuple(int(text) if text.isdecimal() else 0 for text in self.widths.split(","))
        if len(numbers) > 4 or any(number % 8 or not number for number in numbers):
            raise ValueError(
                f"unet.widths: expected one to four multiples of 8 with commas between them, found {self.widths!r:.100}"
            )
        return numbers


DEVIATION = 0.5  # of the values of faces in [-1, 1], about; 0.51 in FER2013
GROUPS = 8  # channels a group norm takes together are 1/8 of all
_BEGIN_AT_ZERO = ("conv1", "modulation", "out", "velocity", "told0", "told1", "told2", "told3")
_KERNEL = (3, 3)
_TOLD = (32, 64)  # channels that what is known of a face has at the largest size, and at the others
HEAD = 56  # channels of an attention head, at most
_LONGEST, _SHORTEST = 1.0, 1e-3  # periods of the sinusoids of time, which lies in [0, 1]


class _Trunk(nn.Module):
    """The way down and the middle of a `UNet`, which has the same attributes and parameters."""

    widths: tuple[int, ...] = (32, 96, 160)
    blocks: int = 1
    attention: bool = True
    num_classes: int = 7
    dtype: types.DType = jnp.float32
    deeper: int = 0
    surroundings: bool = False

    def descend(
        self, faces: types.Images, times: jax.Array, labels: jax.Array, around: jax.Array | None
    ) -> tuple[jax.Array, list[jax.Array], Callable[[str, int, jax.Array], jax.Array]]:
        """Returns the features of the middle, those for the skip connections, and (name, features, x) -> a block."""
        size = 4 * self.widths[0]
        y = dense.Dense(size, self.dtype, name="time0")(sinusoids(times, self.widths[0]))
        y = dense.Dense(size, self.dtype, name="time1")(nn.silu(y))
        null = 1.0 - jnp.sum(labels, axis=1, keepdims=True)
        known = jnp.concatenate([labels, null], axis=1)
        condition = nn.silu(y + nn.Dense(size, use_bias=False, dtype=self.dtype, name="label")(known))

        def block(name: str, features: int, x: jax.Array) -> jax.Array:
            return _Block(features, self.dtype, name=name)(x, condition)

        x = resampling.unshuffle(faces.astype(self.dtype))
        x = conv.Conv(self.widths[0], _KERNEL, dtype=self.dtype, name="stem")(x)
        told = self._told(faces, around)
        x = x + told[0] if told else x
        skips = [x]
        for level, width in enumerate(self.widths):
            if level:
                x = resampling.shrink(x)
                x = x + told[level] if told else x
                skips.append(x)
            for i in range(self.blocks):
                x = block(f"down{level}_{i}", width, x)
                if i == self.blocks - 1:
                    x = self._further("down", level, x, block)
                skips.append(x)
        x = block("middle0", self.widths[-1], x)
        for i in range(1 + self.deeper):
            if self.attention:
                x = _Attention(self.dtype, name=f"attention{i or ''}")(x)
            x = block(f"middle{i + 1}", self.widths[-1], x)
        return x, skips, block

    def _further(
        self, way: str, level: int, x: jax.Array, block: Callable[[str, int, jax.Array], jax.Array]
    ) -> jax.Array:
        """Returns x after the further blocks of a size; x itself at the largest, level 0."""
        for i in range(self.deeper if level else 0):
            x = block(f"{way}{level}_deeper{i}", x.shape[-1], x)
        return x

    def _told(self, faces: types.Images, around: jax.Array | None) -> list[jax.Array]:
        """Returns what is added to the features of each size for `around`; nothing in a network that takes none."""
        if not self.surroundings:
            return []
        size, channels = faces.shape[1] // resampling.UNSHUFFLE, surroundings.channels(faces.shape[-1])
        known = jnp.zeros((faces.shape[0], size, size, channels)) if around is None else around
        return _Told((self.widths[0], *self.widths[:-1]), self.dtype, name="surroundings")(known.astype(self.dtype))


class Features(_Trunk):
    """What a `UNet` sees in noisy faces: its parameters, but for those of the way up."""

    @nn.compact
    def __call__(
        self, faces: types.Images, times: jax.Array, labels: jax.Array, around: jax.Array | None = None
    ) -> list[jax.Array]:
        """Returns the features of each size, from 1/2 on, and last those of the middle; arguments as of `UNet`."""
        middle, skips, _ = self.descend(faces, times, labels, around)
        return [*skips[self.blocks :: self.blocks + 1], middle]


class UNet(_Trunk):
    """Residual blocks at 1/2, 1/4 and 1/8 of the size with skip connections.

    Ronneberger et al. 2015; Dhariwal and Nichol 2021.

    Time and label scale and shift the features inside each block. Resampling is the mean of 2x2 and its transpose,
    so that each convolution is 3x3 with stride 1. Parameters, normalisation and the answer are float32.

    Attributes:
      widths: channels at 1/2, 1/4, 1/8, ... of the size; multiples of 8.
      blocks: residual blocks at each size on the way down; there is one more on the way up.
      attention: whether the middle, at the smallest size, has self-attention.
      num_classes: how many labels there are.
      dtype: in which convolutions and dense layers compute.
      deeper: further blocks at each size but the largest, on the way down and up, and in the middle.
      surroundings: whether it takes `around`.
    """

    @nn.compact
    def __call__(
        self, faces: types.Images, times: jax.Array, labels: jax.Array, around: jax.Array | None = None
    ) -> types.Images:
        """Returns velocities float32 [B, S, S, C].

        Args:
          faces: [B, S, S, C], a mixture of a face in [-1, 1] and of noise.
          times: [B] in [0, 1], the share of noise.
          labels: [B, C], distributions over the classes; rows of 0 are the null label.
          around: [B, S / 2, S / 2, K], of `surroundings.of`; zeros, or None, where nothing is known.
        """
        x, skips, block = self.descend(faces, times, labels, around)
        for level, width in reversed(list(enumerate(self.widths))):
            for i in range(self.blocks + 1):
                x = block(f"up{level}_{i}", width, jnp.concatenate([x, skips.pop()], axis=-1))
            x = self._further("up", level, x, block)
            x = resampling.grow(x) if level else x
        x = nn.silu(_GroupNorm(name="norm")(x))
        x = conv.Conv(resampling.UNSHUFFLE**2 * faces.shape[-1], _KERNEL, dtype=self.dtype, name="velocity")(x)
        return resampling.shuffle(x.astype(jnp.float32))


class _Told(nn.Module):
    """From what is known of a face to what is added to the features of each size."""

    widths: tuple[int, ...]
    dtype: types.DType

    @nn.compact
    def __call__(self, around: jax.Array) -> list[jax.Array]:
        added = []
        for i, width in enumerate(self.widths):
            around = resampling.shrink(around) if i else around
            around = nn.silu(conv.Conv(_TOLD[i > 0], _KERNEL, dtype=self.dtype, name=f"conv{i}")(around))
            if i:
                added.append(conv.Pointwise(width, dtype=self.dtype, name=f"told{i}")(around))
            else:
                added.append(conv.Conv(width, _KERNEL, dtype=self.dtype, name="told0")(around))
        return added


class _GroupNorm(nn.Module):
    """Group normalisation (Wu and He 2018) in float32, and the modulation of `scale` and `shift` [B, C] in one pass."""

    @nn.compact
    def __call__(self, x: jax.Array, scale: jax.Array | None = None, shift: jax.Array | None = None) -> jax.Array:
        dtype, x = x.dtype, x.astype(jnp.float32)
        channels = x.shape[-1]
        gain = self.param("scale", nn.initializers.ones_init(), (channels,))[None]
        bias = self.param("bias", nn.initializers.zeros_init(), (channels,))[None]
        mean, factor = normalisation.of_examples(x, GROUPS)
        a = factor * gain
        b = bias - mean * a
        if scale is not None:
            scale, shift = scale.astype(jnp.float32), shift.astype(jnp.float32)
            a, b = a * (1.0 + scale), b * (1.0 + scale) + shift
        return (x * a[:, None, None] + b[:, None, None]).astype(dtype)


class _Block(nn.Module):
    """Two 3x3 convolutions with a shortcut, the second after a norm that time and label modulate."""

    features: int
    dtype: types.DType

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array) -> jax.Array:
        y = conv.Conv(self.features, _KERNEL, dtype=self.dtype, name="conv0")(nn.silu(_GroupNorm(name="norm0")(x)))
        both = dense.Dense(2 * self.features, self.dtype, name="modulation")(condition)
        scale, shift = jnp.split(both, 2, axis=1)
        y = nn.silu(_GroupNorm(name="norm1")(y, scale, shift))
        y = conv.Conv(self.features, _KERNEL, dtype=self.dtype, name="conv1")(y)
        if x.shape[-1] != self.features:
            x = conv.Pointwise(self.features, dtype=self.dtype, name="shortcut")(x)
        return x + y


class _Attention(nn.Module):
    """Self-attention of all places of a map (Vaswani et al. 2017), with a shortcut."""

    dtype: types.DType

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        batch, height, width, channels = x.shape
        heads = max(1, channels // HEAD)
        y = conv.Pointwise(3 * channels, dtype=self.dtype, name="qkv")(_GroupNorm(name="norm")(x))
        q, k, v = y.reshape(batch, height * width, 3, heads, -1).transpose(2, 0, 3, 1, 4)
        alike = jnp.matmul(q, k.swapaxes(2, 3)).astype(jnp.float32) / math.sqrt(q.shape[-1])
        y = jnp.matmul(nn.softmax(alike).astype(self.dtype), v)
        y = y.transpose(0, 2, 1, 3).reshape(batch, height, width, channels)
        return x + conv.Pointwise(channels, dtype=self.dtype, name="out")(y)


def initialise(module: UNet, key: jax.Array, spec: dataset.ImageSpec) -> types.Params:
    """Returns first parameters: kernels are normal with variance 1 / inputs, but each block begins as its shortcut.

    So the first velocity is 0 everywhere. All kernels are parts of one draw, because a program that draws each by
    itself takes minutes to compile on a CPU.
    """
    face, label = jnp.zeros((1, *spec.shape)), jnp.zeros((1, module.num_classes))
    shapes = jax.eval_shape(module.init, key, face, jnp.zeros(1), label)["params"]
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)
    names = [tuple(part.key for part in path[-2:]) for path, _ in leaves]
    drawn = [name[1] == "kernel" and name[0] not in _BEGIN_AT_ZERO for name in names]
    normal = jax.random.normal(key, (sum(leaf.size for (_, leaf), own in zip(leaves, drawn, strict=True) if own),))
    made, start = [], 0
    for (_, leaf), name, own in zip(leaves, names, drawn, strict=True):
        if own:
            part = normal[start : start + leaf.size].reshape(leaf.shape)
            made.append(part / math.sqrt(leaf.size / leaf.shape[-1]))
            start += leaf.size
        else:
            made.append(jnp.full(leaf.shape, float(name[1] == "scale"), leaf.dtype))
    return jax.tree_util.tree_unflatten(tree, made)


def sinusoids(times: jax.Array, features: int) -> jax.Array:
    """Returns sines and cosines [B, features] of times [B], with periods from 1e-3 to 1 in geometric steps."""
    half = features // 2
    rates = 2 * math.pi / jnp.geomspace(_LONGEST, _SHORTEST, half)
    angles = times[:, None] * rates[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=1)


def make(settings: UNetConfig, num_classes: int, computed_in: str) -> UNet:
    """Returns the network of a configuration in one of `precision.CHOICES`, for faces of every size and colour."""
    return UNet(**_attributes(settings, num_classes, computed_in))


def make_features(settings: UNetConfig, num_classes: int, computed_in: str) -> Features:
    """Returns what gives the features of the network of a configuration; else as `make`."""
    return Features(**_attributes(settings, num_classes, computed_in))


def _attributes(settings: UNetConfig, num_classes: int, computed_in: str) -> dict[str, Any]:
    own = {name: getattr(settings, name) for name in ("blocks", "attention", "deeper", "surroundings")}
    return {"widths": settings.channels(), **own, "num_classes": num_classes, "dtype": precision.dtype(computed_in)}


def around(module: UNet, faces: types.Images) -> jax.Array | None:
    """Returns what a network is told of faces [B, S, S, C] without noise; None if it takes nothing."""
    return surroundings.found(faces) if module.surroundings else None


def answer_to(
    module: nn.Module,
    params: types.Params,
    x: types.Images,
    times: jax.Array,
    labels: jax.Array,
    around: jax.Array | None = None,
) -> Any:
    """Returns what a network answers to x_t = (1 - t) x + t n, which it is given with a variance of 1."""
    return module.apply({"params": params}, x * jax.lax.rsqrt(_variance(times)), times, labels, around)


def _variance(times: jax.Array) -> jax.Array:
    """Returns the variance of x_t at times [B], [B, 1, 1, 1]."""
    t = times[:, None, None, None]
    return jnp.square((1.0 - t) * DEVIATION) + jnp.square(t)


def velocity_of(module: UNet, params: types.Params, around: jax.Array | None = None) -> ode.Velocity:
    """Returns the velocity that a network with these parameters has learnt.

    What is known of the faces, `around`, holds for every batch that the velocity is asked for: it may have the faces in
    the same order several times.

    Raises:
      ValueError: when it is asked, if the batch is no multiple of the faces that are known.

    It is the best linear estimate of the velocity from x, plus the network's output in units of the error of that
    estimate: the preconditioning of Karras et al. 2022 (table 1), for x_t = (1 - t) x + t n. So the network begins at
    that estimate, and what it takes and gives has the same variance at every time.
    """

    def velocity(x: types.Images, times: jax.Array, labels: jax.Array) -> types.Images:
        t, variance = times[:, None, None, None], _variance(times)
        estimate = x * (t - (1.0 - t) * DEVIATION**2) / variance
        known = around
        if around is not None and x.shape[0] != around.shape[0]:
            if x.shape[0] % around.shape[0]:
                raise ValueError(f"expected a multiple of {around.shape[0]} faces, found {x.shape[0]}")
            known = jnp.tile(around, (x.shape[0] // around.shape[0], 1, 1, 1))
        answer = answer_to(module, params, x, times, labels, known)
        return estimate + DEVIATION * jax.lax.rsqrt(variance) * answer

    return velocity
