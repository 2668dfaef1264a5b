"""Runs any step many times in one dispatch, over data that live on the device."""

import functools
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


def make_chunk(
    phase: state_lib.Phase, num_examples: int, batch_size: int, longest: int, one_dispatch: bool | None = None
) -> Chunk:
    """Returns a compiled (state, data, key, count) -> (state, metrics [longest]) that makes `count` steps.

    `count` <= `longest` is a traced number, so that chunks of any length are one compilation; metrics beyond it are
    zero. The state is donated. Step t sees the t-th batch of the permutation of its epoch, and the key folded with t:
    how the steps are cut into chunks never changes the result.

    Unless `one_dispatch` says which, a chunk is one dispatch on an accelerator. On CPU it is one a step, because there
    XLA runs convolutions inside a loop on a single core (docs/architecture.md), and a dispatch is cheap.
    """
    per_epoch = dataset.steps_per_epoch(num_examples, batch_size)
    step = jax.jit(phase.step)  # so that it is traced once, though `begin` asks for its shapes and `move` runs it

    def order_of(epoch: jax.Array, key: jax.Array) -> jax.Array:
        return dataset.epoch_permutations(jax.random.split(key)[0], epoch, 1, num_examples)[0]

    def one(state: Any, order: jax.Array, data: state_lib.Batch, key: jax.Array) -> tuple[Any, types.Metrics]:
        place_in_epoch = state.step % per_epoch
        chosen = jax.lax.dynamic_slice_in_dim(order, place_in_epoch * batch_size, batch_size)
        batch = {name: jnp.take(values, chosen, axis=0) for name, values in data.items()}
        return step(state, batch, jax.random.fold_in(jax.random.split(key)[1], state.step))

    def begin(state: Any, data: state_lib.Batch, key: jax.Array) -> tuple[jax.Array, types.Metrics]:
        order = order_of(state.step // per_epoch, key)
        shapes = jax.eval_shape(one, state, order, data, key)[1]
        return order, jax.tree.map(lambda shape: jnp.zeros((longest, *shape.shape), shape.dtype), shapes)

    def move(i: jax.Array, carry: tuple[Any, jax.Array, types.Metrics], data: state_lib.Batch, key: jax.Array):
        state, order, written = carry
        epoch = state.step // per_epoch
        order = jax.lax.cond(state.step % per_epoch == 0, lambda: order_of(epoch, key), lambda: order)
        state, metrics = one(state, order, data, key)
        return state, order, jax.tree.map(lambda all_, new: all_.at[i].set(new), written, metrics)

    @functools.partial(jax.jit, donate_argnums=0)
    def in_one_dispatch(state: Any, data: state_lib.Batch, key: jax.Array, count: jax.Array):
        carry = (state, *begin(state, data, key))
        state, _, metrics = jax.lax.fori_loop(0, count, lambda i, carry: move(i, carry, data, key), carry)
        return state, metrics

    begin_alone, move_alone = jax.jit(begin), jax.jit(move, donate_argnums=1)

    def step_by_step(state: Any, data: state_lib.Batch, key: jax.Array, count: int):
        carry = (state, *begin_alone(state, data, key))
        for i in range(count):
            carry = move_alone(i, carry, data, key)
        return carry[0], carry[2]

    if one_dispatch is None:
        one_dispatch = jax.default_backend() != "cpu"
    return in_one_dispatch if one_dispatch else step_by_step
