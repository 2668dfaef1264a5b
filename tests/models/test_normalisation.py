"""Batch norm against Flax's, and several batches in one call against so many calls."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan.models import normalisation

VALUES = np.random.default_rng(0).normal(1.0, 2.0, size=(6, 4, 5, 3)).astype(np.float32)


def variables():
    params = {"scale": jnp.array([1.0, 2.0, -1.0]), "bias": jnp.array([0.5, 0.0, 1.0])}
    stats = {"mean": jnp.array([0.1, 0.2, 0.3]), "var": jnp.array([1.0, 2.0, 3.0])}
    return {"params": params, "batch_stats": stats}


def train(module, variables, x):
    return jax.jit(lambda variables, x: module.apply(variables, x, mutable=["batch_stats"]))(variables, x)


def close(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), found, expected)


@pytest.mark.parametrize("x", [VALUES, VALUES.reshape(-1, 3)], ids=["maps", "rows"])
def test_one_batch_is_normalised_as_by_flax(x):
    theirs = nn.BatchNorm(use_running_average=False, momentum=0.9, epsilon=1e-5)
    close(train(normalisation.BatchNorm(train=True), variables(), x), train(theirs, variables(), x))


def test_inference_uses_the_running_averages_as_flax_does():
    theirs = nn.BatchNorm(use_running_average=True, momentum=0.9, epsilon=1e-5)
    ours = normalisation.BatchNorm(train=False, batches=2)
    close(ours.apply(variables(), VALUES), theirs.apply(variables(), VALUES))


def test_variables_are_those_of_flax():
    ours = normalisation.BatchNorm(train=True, batches=2).init(jax.random.key(0), VALUES)
    close(ours, nn.BatchNorm(use_running_average=False).init(jax.random.key(0), VALUES))


def test_batches_in_one_call_are_so_many_calls():
    one = normalisation.BatchNorm(train=True)
    first, stats = train(one, variables(), VALUES[:3])
    second, stats = train(one, {**variables(), **stats}, VALUES[3:])
    found = train(normalisation.BatchNorm(train=True, batches=2), variables(), VALUES)
    close(found, (jnp.concatenate([first, second]), stats))


def test_gradients_do_not_cross_from_batch_to_batch():
    module = normalisation.BatchNorm(train=True, batches=2)

    def last(x):
        return jnp.sum(module.apply(variables(), x, mutable=["batch_stats"])[0][3:] ** 3)

    gradient = jax.jit(jax.grad(last))(VALUES)
    assert np.abs(gradient[3:]).min() > 0
    np.testing.assert_array_equal(gradient[:3], 0.0)
