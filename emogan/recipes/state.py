"""What a phase carries from step to step, and the pieces that all steps share."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from emogan import config as config_lib
from emogan.util import types

Variables = Mapping[str, Any]  # {"params": ..., "batch_stats": ...}
# {"image": uint8 [B, 48, 48], "label": int32 [B]}, and "distribution": float32 [B, C] where the data have them
Batch = Mapping[str, jax.Array]


@struct.dataclass
class NetworkState:
    """A network in training: its weights, running statistics and optimiser state."""

    params: types.Params
    batch_stats: types.Params
    opt_state: optax.OptState

    @property
    def variables(self) -> Variables:
        """The variables as `Module.apply` takes them."""
        return {"params": self.params, "batch_stats": self.batch_stats}


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What a phase says of a step that went wrong: why, and whether to stop."""

    message: str
    stop: bool


@dataclasses.dataclass(frozen=True)
class Phase:
    """One training: how its state begins, moves by a step, shows itself, and is told sick.

    Attributes:
      name: the name of the phase, of its folder of checkpoints and of its lines in metrics.jsonl.
      init: key -> state.
      step: (state, batch, key, axis_name=None) -> (state, metrics); pure, `state.step` counts its calls.
      sample: (state, batch, key) -> (faces uint8 [rows, columns, 48, 48], metrics); pure.
      sample_columns: what the columns of the sample show, empty if they need no name.
      diagnose: metrics of one step as floats -> Diagnosis, or None while all is well.
      synthetic: whether the sample's faces are generated, which the pictures' metadata then say.
    """

    name: str
    init: Callable[[jax.Array], Any]
    step: Callable[..., tuple[Any, types.Metrics]]
    sample: Callable[[Any, Batch, jax.Array], tuple[jax.Array, types.Metrics]]
    sample_columns: tuple[str, ...]
    diagnose: Callable[[Mapping[str, float]], Diagnosis | None]
    synthetic: bool = True


def initialise(
    module: nn.Module, optimizer: optax.GradientTransformation, key: jax.Array, *inputs: jax.Array
) -> NetworkState:
    """Returns a network's first state, its weights drawn from key."""
    variables = jax.jit(lambda key: module.init(key, *inputs, train=False))(key)
    params = variables["params"]
    return NetworkState(params, variables.get("batch_stats", {}), jax.jit(optimizer.init)(params))


def forward(
    module: nn.Module, params: types.Params, batch_stats: types.Params, *inputs: jax.Array, **options: Any
) -> tuple[jax.Array, types.Params]:
    """Returns a module's answer in training and its new running statistics."""
    answer, updates = module.apply(
        {"params": params, "batch_stats": batch_stats}, *inputs, train=True, mutable=["batch_stats"], **options
    )
    return answer, updates.get("batch_stats", {})


def update(
    network: NetworkState, optimizer: optax.GradientTransformation, gradients: types.Params, batch_stats: types.Params
) -> NetworkState:
    """Returns the network after one step of its optimiser, with new running statistics."""
    updates, opt_state = optimizer.update(gradients, network.opt_state, network.params)
    return NetworkState(optax.apply_updates(network.params, updates), batch_stats, opt_state)


def mean_over(tree: Any, axis_name: str | None) -> Any:
    """Returns a tree averaged over a device axis, or as it is without one."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def norm_axis(parallel: config_lib.ParallelConfig, axis_name: str | None) -> str | None:
    """Returns the device axis over which batch norm averages, where the steps have the axis `axis_name`."""
    return axis_name if parallel.batch_norm == "global" else None


def mean_of_parts(gradients_of: Callable[..., Any], count: int, *inputs: jax.Array) -> Any:
    """Returns the mean of what `gradients_of` gives for `count` equal parts of the inputs, one after another.

    The memory is that of one part. The parts take turns in the examples, so that each device keeps its own.
    """
    if count == 1:
        return gradients_of(*inputs)
    parts = tuple(x.reshape(-1, count, *x.shape[1:]).swapaxes(0, 1) for x in inputs)
    shapes = jax.eval_shape(gradients_of, *(part[0] for part in parts))
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    add = lambda total, part: (jax.tree.map(jnp.add, total, gradients_of(*part)), None)  # noqa: E731
    total, _ = jax.lax.scan(add, zeros, parts)
    return jax.tree.map(lambda value: value / count, total)


def own_share(draw: Callable[[int], jax.Array], count: int, axis_name: str | None) -> jax.Array:
    """Returns this device's `count` rows of what `draw` gives for the rows of all devices.

    Random numbers are drawn for the whole batch on every device, so that their values do not depend on how many
    devices share it.
    """
    if axis_name is None:
        return draw(count)
    whole = draw(count * jax.lax.axis_size(axis_name))
    return jax.lax.dynamic_slice_in_dim(whole, jax.lax.axis_index(axis_name) * count, count)


def moving_average(average: Any, new: Any, decay: float, step: jax.Array) -> Any:
    """Returns the exponential moving average after `new`.

    The decay grows as (1 + step) / (10 + step) up to `decay`, so that the first weights are soon forgotten.
    """
    decay = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda a, n: decay * a + (1.0 - decay) * n, average, new)
