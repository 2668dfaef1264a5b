"""Batch normalisation with the paper's constants, and what normalises each example by itself."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

EPSILON, DECAY = 1e-5, 0.9


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) over all but the last axis; the variables are those of Flax.

    Attributes:
      train: whether a batch's own statistics are used, and remembered; otherwise the running averages.
      batches: how many batches of one size stand in the input, one behind the other. Each is normalised by its own
        statistics, and the running averages follow them in turn: the result is that of as many calls.
      axis_name: the device axis over which the statistics are averaged, if any.
    """

    train: bool
    batches: int = 1
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns x [B, ..., C], normalised in float32, in its own type."""
        dtype, x = x.dtype, x.astype(jnp.float32)
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones_init(), (channels,))
        bias = self.param("bias", nn.initializers.zeros_init(), (channels,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        batches = self.batches if self.train else 1
        if self.train:
            # First over each example, which all cores of a CPU share, then over the few numbers that are left.
            inner = tuple(range(1, x.ndim - 1))
            moments = [jnp.mean(v, inner).reshape(batches, -1, channels).mean(1) for v in (x, jnp.square(x))]
            if self.axis_name is not None and not self.is_initializing():
                moments = jax.lax.pmean(moments, self.axis_name)
            mean, var = moments[0], jnp.maximum(moments[1] - jnp.square(moments[0]), 0.0)
            if not self.is_initializing():
                for i in range(batches):
                    running_mean.value = DECAY * running_mean.value + (1 - DECAY) * mean[i]
                    running_var.value = DECAY * running_var.value + (1 - DECAY) * var[i]
        else:
            mean, var = running_mean.value[None], running_var.value[None]
        factor = jax.lax.rsqrt(var + EPSILON) * scale[None]
        shape = (-1, *(1,) * (x.ndim - 2), channels)
        count = len(x) // batches if self.train else 1  # the batch of an export is a symbol, which has no length
        mean, factor = (jnp.repeat(v, count, axis=0).reshape(shape) for v in (mean, factor))
        return ((x - mean) * factor + bias.reshape((1,) * (x.ndim - 1) + (channels,))).astype(dtype)


def of_examples(x: jax.Array, groups: int = 0) -> tuple[jax.Array, jax.Array]:
    """Returns the mean and 1 / standard deviation, [B, C] each, of each example's maps [B, H, W, C] in float32.

    They are taken in one pass, for each channel by itself or, if there are `groups`, for all channels of a group.
    """
    moments = [jnp.mean(v, axis=(1, 2)) for v in (x, jnp.square(x))]
    if groups:
        moments = [jnp.mean(v.reshape(-1, groups, x.shape[-1] // groups), axis=2) for v in moments]
    mean, square = moments
    found = mean, jax.lax.rsqrt(jnp.maximum(square - jnp.square(mean), 0.0) + EPSILON)
    return tuple(jnp.repeat(v, x.shape[-1] // groups, axis=1) for v in found) if groups else found


def batch_norm(
    use: bool, train: bool, axis_name: str | None, batches: int = 1
) -> Callable[[str], Callable[[jax.Array], jax.Array]]:
    """Returns a maker of layers by name: `BatchNorm`, or the identity if not `use`."""
    if not use:
        return lambda name: lambda x: x
    return lambda name: BatchNorm(train, batches, axis_name, name=name)
