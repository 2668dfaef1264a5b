"""Runs any step many times in one dispatch, over data that live on the devices."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from emogan.data import dataset
from emogan.models import conv
from emogan.recipes import state as state_lib
from emogan.train import layout as layout_lib
from emogan.util import types

Chunk = Callable[[Any, state_lib.Batch, jax.Array, jax.Array], tuple[Any, types.Metrics]]


def make_chunk(
    phase: state_lib.Phase,
    num_examples: int,
    batch_size: int,
    longest: int,
    layout: layout_lib.Layout | None = None,
    one_dispatch: bool | None = None,
) -> Chunk:
    """Returns a compiled (state, data, key, count) -> (state, metrics [longest]) that makes `count` steps.

    State and data are those that `layout` placed (without one: on one device). `count` <= `longest` is a traced
    number, so that chunks of any length are one compilation; metrics beyond it are zero. The state is donated. Step t
    sees the t-th batch of the permutation of its epoch, and the key folded with t: how the steps are cut into chunks
    never changes the result, nor, but for rounding, over how many devices a batch is spread.

    Unless `one_dispatch` says which, a chunk is one dispatch on an accelerator. On CPU it is one a step, because there
    XLA runs convolutions inside a loop on a single core (docs/architecture.md), and a dispatch is cheap.
    """
    layout = layout or layout_lib.single()
    per_epoch = dataset.steps_per_epoch(num_examples, batch_size)
    step = _step_over(phase, layout)

    def order_of(epoch: jax.Array, key: jax.Array) -> jax.Array:
        return dataset.epoch_permutations(jax.random.split(key)[0], epoch, 1, num_examples)[0]

    def one(state: Any, order: jax.Array, data: state_lib.Batch, key: jax.Array) -> tuple[Any, types.Metrics]:
        place_in_epoch = state.step % per_epoch
        chosen = jax.lax.dynamic_slice_in_dim(order, place_in_epoch * batch_size, batch_size)
        return step(state, _rows(data, chosen, layout), jax.random.fold_in(jax.random.split(key)[1], state.step))

    def begin(state: Any, data: state_lib.Batch, key: jax.Array) -> tuple[jax.Array, types.Metrics]:
        order = order_of(state.step // per_epoch, key)
        shapes = jax.eval_shape(one, state, order, data, key)[1]
        return layout.keep((order, jax.tree.map(lambda s: jnp.zeros((longest, *s.shape), s.dtype), shapes)))

    def move(i: jax.Array, carry: tuple[Any, jax.Array, types.Metrics], data: state_lib.Batch, key: jax.Array):
        state, order, written = carry
        epoch = state.step // per_epoch
        order = jax.lax.cond(state.step % per_epoch == 0, lambda: order_of(epoch, key), lambda: order)
        state, metrics = one(state, order, data, key)
        return layout.keep((state, order, jax.tree.map(lambda all_, new: all_.at[i].set(new), written, metrics)))

    def loop(state: Any, data: state_lib.Batch, key: jax.Array, count: jax.Array):
        carry = (state, *begin(state, data, key))
        state, _, metrics = jax.lax.fori_loop(0, count, lambda i, carry: move(i, carry, data, key), carry)
        return layout.keep((state, metrics))

    if layout.mode == "pmap":
        over = functools.partial(jax.pmap, axis_name=layout_lib.AXIS, devices=list(layout.mesh.devices.flat))
        begin_alone = over(begin, in_axes=(0, 0, None))
        move_alone = over(move, in_axes=(None, 0, 0, None), donate_argnums=1)
        loop_alone = over(loop, in_axes=(0, 0, None, None), donate_argnums=0)
    else:
        begin_alone = jax.jit(begin)
        move_alone = jax.jit(move, donate_argnums=1)
        loop_alone = jax.jit(loop, donate_argnums=0)

    def in_one_dispatch(state: Any, data: state_lib.Batch, key: jax.Array, count: jax.Array):
        state, metrics = layout.settled(loop_alone(state, data, key, count))
        return state, layout.whole(metrics)

    def step_by_step(state: Any, data: state_lib.Batch, key: jax.Array, count: int):
        carry = (state, *layout.settled(begin_alone(state, data, key)))
        for i in range(count):
            carry = layout.settled(move_alone(i, carry, data, key))
        return carry[0], layout.whole(carry[2])

    if one_dispatch is None:
        one_dispatch = jax.default_backend() != "cpu"
    return in_one_dispatch if one_dispatch else step_by_step


def _step_over(phase: state_lib.Phase, layout: layout_lib.Layout) -> Callable[..., tuple[Any, types.Metrics]]:
    """Returns the phase's step over a batch that is spread over the devices; what it gives is on each of them."""
    if layout.mode == "pmap":
        return functools.partial(phase.step, axis_name=layout_lib.AXIS)
    if layout.own_batch_norm and layout.is_meshed:
        # Only so can a step see the share of one device. (With its checks, it would count the averages twice.)
        nothing, share = PartitionSpec(), PartitionSpec(layout_lib.AXIS)
        return jax.shard_map(
            functools.partial(phase.step, axis_name=layout_lib.AXIS),
            mesh=layout.mesh,
            in_specs=(nothing, share, nothing),
            out_specs=nothing,
            check_vma=False,
        )

    def step(state: Any, batch: state_lib.Batch, key: jax.Array) -> tuple[Any, types.Metrics]:
        with conv.portable() if layout.count > 1 else contextlib.nullcontext():
            return phase.step(state, batch, key)

    return jax.jit(step)  # so that it is traced once, though `begin` asks for its shapes and `move` runs it


def _rows(data: state_lib.Batch, chosen: jax.Array, layout: layout_lib.Layout) -> state_lib.Batch:
    """Returns the chosen examples; each device has its share of them, and all of a batch are had in global order."""
    if layout.mode == "jit":
        batch = {name: jnp.take(values, chosen, axis=0) for name, values in data.items()}
        return layout.spread(batch)
    share = len(chosen) // layout.count
    here = jax.lax.axis_index(layout_lib.AXIS)
    own = lambda rows: jax.lax.dynamic_slice_in_dim(rows, here * share, share)  # noqa: E731
    if not layout.shard_data:
        return {name: jnp.take(values, own(chosen), axis=0) for name, values in data.items()}

    def gather(values: jax.Array) -> jax.Array:
        # Each device gives what it holds of the whole batch, and 0 for the rest.
        place = chosen - here * len(values)
        held = (place >= 0) & (place < len(values))
        rows = jnp.take(values, jnp.where(held, place, 0), axis=0)
        rows = jnp.where(held.reshape(-1, *[1] * (rows.ndim - 1)), rows, 0)
        return own(jax.lax.psum(rows, layout_lib.AXIS))

    return {name: gather(values) for name, values in data.items()}
