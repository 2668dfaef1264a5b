"""What a step averages over devices, read from the program of the step and not from a formula.

The step is traced with an axis of devices, as pmap runs it, and its sums over devices are listed with their sizes.
Under jit over a mesh XLA derives the same averages by itself; it may join several of them, or write one as two.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from emogan.recipes import state as state_lib
from emogan.train import layout as layout_lib

_LOOPS = ("scan", "while", "cond")


@dataclasses.dataclass(frozen=True)
class AllReduce:
    """The sum of one array over all devices.

    Attributes:
      bytes: what each device puts in.
      round: how many sums, this one counted, wait for one another before it is known. Sums of the same round can be
        made at once; rounds cannot.
      is_batch_norm: whether it belongs to batch norm, forward or backward.
    """

    bytes: int
    round: int
    is_batch_norm: bool


@dataclasses.dataclass(frozen=True)
class Traffic:
    """The all-reduces of one step together: bytes that each device puts in, and rounds that wait for one another."""

    bytes: int
    rounds: int
    batch_norm_rounds: int  # of the rounds, those in which batch norm waits


def all_reduces(phase: state_lib.Phase, devices: int, share: int) -> list[AllReduce]:
    """Returns the all-reduces of a step, in the order of the program; nothing is computed.

    Args:
      phase: whose step it is.
      devices: how many share the batch.
      share: faces of each device.

    Raises:
      ValueError: if a sum over devices is made in a loop, as with microbatches, where its rounds are not known.
    """
    state = jax.eval_shape(phase.init, jax.random.key(0))
    batch = {
        "image": jax.ShapeDtypeStruct((share, 48, 48), jnp.uint8),
        "label": jax.ShapeDtypeStruct((share,), jnp.int32),
    }
    step = lambda state, batch, key: phase.step(state, batch, key, axis_name=layout_lib.AXIS)  # noqa: E731
    traced = jax.make_jaxpr(step, axis_env=[(layout_lib.AXIS, devices)])(state, batch, jax.random.key(0))
    found: list[AllReduce] = []
    _follow(traced.jaxpr, [0] * len(traced.jaxpr.invars), found)
    return found


def traffic(found: Sequence[AllReduce]) -> Traffic:
    """Returns the sums of a step together."""
    return Traffic(
        sum(one.bytes for one in found),
        len({one.round for one in found}),
        len({one.round for one in found if one.is_batch_norm}),
    )


def _follow(jaxpr: Any, rounds: Sequence[int], found: list[AllReduce]) -> list[int]:
    """Appends the sums of a program to `found`, and returns after which round each of its results is known.

    `rounds` says the same of its inputs.
    """
    known = dict(zip(jaxpr.invars, rounds, strict=True))
    after = lambda value: 0 if isinstance(value, core.Literal) else known.get(value, 0)  # noqa: E731
    for equation in jaxpr.eqns:
        given = [after(value) for value in equation.invars]
        latest = max(given, default=0)
        results = [latest] * len(equation.outvars)
        inner = list(core.jaxprs_in_params(equation.params))
        if equation.primitive.name == "psum":
            results = [latest + 1] * len(equation.outvars)
            size = sum(value.aval.size * value.aval.dtype.itemsize for value in equation.invars)
            # Flax names what a layer does after the layer.
            found.append(AllReduce(size, latest + 1, "norm" in str(equation.source_info.name_stack)))
        elif len(inner) == 1 and len(inner[0].invars) == len(given) and equation.primitive.name not in _LOOPS:
            results = _follow(inner[0], given, found)
        elif any(_sums(part) for part in inner):
            raise ValueError(f"expected sums over devices outside of loops, found one in {equation.primitive.name}")
        known |= dict(zip(equation.outvars, results, strict=True))
    return [after(value) for value in jaxpr.outvars]


def _sums(jaxpr: Any) -> bool:
    parts = (part for equation in jaxpr.eqns for part in core.jaxprs_in_params(equation.params))
    return any(equation.primitive.name == "psum" for equation in jaxpr.eqns) or any(map(_sums, parts))
