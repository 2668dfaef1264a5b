"""Both lowerings of a convolution against Flax: parameters, values and derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from emogan.models import conv

PAIRS = {"conv": (conv.Conv, nn.Conv), "conv_transpose": (conv.ConvTranspose, nn.ConvTranspose)}
# (height, width), kernel, strides, channels in, channels out
CASES = [
    ((6, 6), (5, 5), (2, 2), 3, 4),
    ((3, 3), (5, 5), (2, 2), 4, 3),
    ((7, 10), (5, 5), (2, 2), 1, 3),
    ((9, 8), (4, 4), (2, 2), 3, 1),
    ((5, 6), (3, 4), (1, 1), 2, 3),
    ((6, 5), (5, 3), (1, 2), 1, 2),
    ((7, 8), (1, 2), (3, 2), 2, 2),
    ((1, 2), (5, 5), (2, 2), 2, 2),
]


def modules(name, case):
    _, kernel, strides, _, features = case
    ours, theirs = PAIRS[name]
    return ours(features, kernel, strides), theirs(features, kernel, strides)


def close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


def derivatives(module, variables, x, weight, second):
    """Value and gradients or, if `second`, the gradients of the squared norm of the gradients."""

    def loss(variables, x):
        y = module.apply(variables, x)
        return jnp.sum(weight * y + 0.1 * y**3), y

    def penalty(variables, x):
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(loss, (0, 1), has_aux=True)(variables, x)[0]))

    return jax.grad(penalty, (0, 1))(variables, x) if second else jax.grad(loss, (0, 1), has_aux=True)(variables, x)


def inputs(name, case):
    """Made by NumPy, since the many small operations would each be compiled."""
    size, kernel, strides, channels, features = case
    normal = np.random.default_rng(0).normal
    params = {"kernel": normal(size=(*kernel, channels, features)), "bias": normal(size=features)}
    if name == "conv":
        out = [-(-n // s) for n, s in zip(size, strides, strict=True)]
    else:
        out = [n * s for n, s in zip(size, strides, strict=True)]
    tree = normal(size=(2, *size, channels)), {"params": params}, normal(size=(2, *out, features))
    return jax.tree.map(np.float32, tree)


def compare(name, case, second):
    x, variables, weight = inputs(name, case)
    ours, flax = (jax.jit(functools.partial(derivatives, m, second=second)) for m in modules(name, case))
    close(ours(variables, x, weight), flax(variables, x, weight))


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_gradient_agree_with_flax(name, case):
    compare(name, case, second=False)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_gradient_of_gradient_agrees_with_flax(name, case):
    compare(name, case, second=True)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("case", CASES[:2], ids=str)
def test_lowering_for_other_platforms_agrees_with_flax(name, case, second, monkeypatch):
    monkeypatch.setattr(lax, "platform_dependent", lambda *args, default, **_: default(*args))
    compare(name, case, second)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("use_bias", [True, False])
def test_parameters_are_those_of_flax(name, use_bias):
    ours, theirs = (
        module(4, (5, 3), (2, 2), use_bias=use_bias, bias_init=nn.initializers.normal(1.0)) for module in PAIRS[name]
    )
    x = jnp.zeros((1, 6, 6, 2))
    found, expected = ours.init(jax.random.key(3), x), theirs.init(jax.random.key(3), x)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("name", PAIRS)
def test_only_the_cpu_lowering_is_free_of_convolutions(name):
    case = CASES[0]
    x, variables, weight = inputs(name, case)
    ours, _ = modules(name, case)
    traced = jax.jit(functools.partial(derivatives, ours, second=True)).trace(variables, x, weight)
    assert "stablehlo.convolution" not in traced.lower(lowering_platforms=("cpu",)).as_text()
    assert "stablehlo.convolution" in traced.lower(lowering_platforms=("cuda",)).as_text()
