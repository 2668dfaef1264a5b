"""Bias addition and dense layers; the gradients of biases are summed in float32, also in bfloat16."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan.util import types


def add_bias(y: jax.Array, bias: jax.Array) -> jax.Array:
    """Returns y [..., C] + bias [C], in the type of y.

    The gradient of the bias is a sum over all examples and places. XLA sums bfloat16 in bfloat16 on a CPU: with 8 bits,
    37,000 numbers whose sum is 11.2 had the sum 2.0. So this adds in float32, and the sum of the gradient is float32.
    """
    wide = jnp.promote_types(y.dtype, jnp.float32)
    return (y.astype(wide) + bias[(None,) * (y.ndim - 1)]).astype(y.dtype)


class Dense(nn.Module):
    """A dense layer over the last axis that computes in `dtype`; parameters are those of `flax.linen.Dense`."""

    features: int
    dtype: types.DType = jnp.float32
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [..., C] to [..., features]."""
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        return add_bias(x.astype(self.dtype) @ kernel.astype(self.dtype), bias)
