"""Dense layers and biases compute what Flax's compute, and their gradients are right in bfloat16."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan.models import conv, dense, labeled_conv


@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 4, 6)])
def test_a_dense_layer_is_that_of_flax(shape):
    x = jax.random.normal(jax.random.key(0), shape)
    theirs = nn.Dense(7)
    variables = theirs.init(jax.random.key(1), x)
    variables["params"]["bias"] = jnp.arange(7.0)
    assert jax.tree.map(jnp.shape, dense.Dense(7).init(jax.random.key(1), x)) == jax.tree.map(jnp.shape, variables)
    np.testing.assert_allclose(dense.Dense(7).apply(variables, x), theirs.apply(variables, x), rtol=1e-6, atol=1e-6)


LAYERS = {
    "dense": (lambda dtype: dense.Dense(8, dtype), ()),
    "convolution": (lambda dtype: conv.Conv(8, (3, 3), dtype=dtype), ()),
    "labeled convolution": (
        lambda dtype: labeled_conv.LabeledConv(8, 2, 1, dtype=dtype),
        (jnp.zeros(16, jnp.int32),),
    ),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_gradient_of_a_bias_is_a_sum_in_float32(layer):
    make, more = LAYERS[layer]
    module = make(jnp.bfloat16)
    x = jnp.zeros((16, 24, 24, 3))
    # The sum over 9,216 places, of which bfloat16 would lose most: 256 + 1 is 256 in it.
    gradient = jax.random.uniform(jax.random.key(0), (16, 24, 24, 8), minval=0.5).astype(jnp.bfloat16)
    params = module.init(jax.random.key(1), x, *more)["params"]

    @jax.jit
    def bias_gradient(gradient):
        _, back = jax.vjp(lambda params: module.apply({"params": params}, x, *more), params)
        return back(gradient)[0]["bias"]

    expected = np.asarray(gradient, np.float64).sum((0, 1, 2))
    np.testing.assert_allclose(bias_gradient(gradient), expected, rtol=1e-5)
