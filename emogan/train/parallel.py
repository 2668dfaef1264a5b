"""Runs any step many times in one dispatch, over data that live on the device."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from emogan import types
from emogan.data import dataset
from emogan.train import state as state_lib

Chunk = Callable[[Any, state_lib.Batch, jax.Array, jax.Array], tuple[Any, types.Metrics]]


def place(data: dataset.Dataset) -> state_lib.Batch:
    """Returns a data set's arrays on the device, as uint8 images and int32 labels."""
    return {"image": jnp.asarray(data.images), "label": jnp.asarray(data.labels)}


def make_chunk(phase: state_lib.Phase, num_examples: int, batch_size: int, longest: int) -> Chunk:
    """Returns a compiled (state, data, key, count) -> (state, metrics [longest]) that makes `count` steps.

    `count` <= `longest` is a traced number, so that chunks of any length are one compilation; metrics beyond it are
    zero. The state is donated. Step t sees the t-th batch of the permutation of its epoch, and the key folded with t:
    how the steps are cut into chunks never changes the result.
    """
    per_epoch = dataset.steps_per_epoch(num_examples, batch_size)

    def run(state: Any, data: state_lib.Batch, key: jax.Array, count: jax.Array) -> tuple[Any, types.Metrics]:
        data_key, step_key = jax.random.split(key)

        def order_of(epoch: jax.Array) -> jax.Array:
            return dataset.epoch_permutations(data_key, epoch, 1, num_examples)[0]

        def one(state: Any, order: jax.Array) -> tuple[Any, types.Metrics]:
            place_in_epoch = state.step % per_epoch
            chosen = jax.lax.dynamic_slice_in_dim(order, place_in_epoch * batch_size, batch_size)
            batch = {name: jnp.take(values, chosen, axis=0) for name, values in data.items()}
            return phase.step(state, batch, jax.random.fold_in(step_key, state.step))

        def body(i: jax.Array, carry: tuple[Any, jax.Array, types.Metrics]):
            state, order, written = carry
            order = jax.lax.cond(state.step % per_epoch == 0, lambda: order_of(state.step // per_epoch), lambda: order)
            state, metrics = one(state, order)
            return state, order, jax.tree.map(lambda all_, new: all_.at[i].set(new), written, metrics)

        order = order_of(state.step // per_epoch)
        shapes = jax.eval_shape(one, state, order)[1]
        empty = jax.tree.map(lambda shape: jnp.zeros((longest, *shape.shape), shape.dtype), shapes)
        state, _, metrics = jax.lax.fori_loop(0, count, body, (state, order, empty))
        return state, metrics

    return jax.jit(run, donate_argnums=0)
