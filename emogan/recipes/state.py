"""What a phase carries from step to step, and the pieces that all steps share."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from emogan.data import dataset
from emogan.util import ranges, types

if TYPE_CHECKING:
    from emogan import config as config_lib

STEP = "_step"  # after the name of a phase: at which step it was when another phase was built on it

Variables = Mapping[str, Any]  # {"params": ..., "batch_stats": ...}
# {"image": uint8 [B, S, S(, 3)], "label": int32 [B]}; where the data have them, "distribution": float32 [B, C], and
# "target": int32 [B] with "edit": uint8 [B, S, S(, 3)]
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
    """The diagnosis of a failed step: why it failed, and whether to stop."""

    message: str
    stop: bool


@dataclasses.dataclass(frozen=True)
class Phase:
    """One training: its initial state, training step, samples, and failure check.

    Attributes:
      name: the name of the phase, of its folder of checkpoints and of its lines in metrics.jsonl.
      init: key -> state.
      step: (state, batch, key, axis_name=None) -> (state, metrics); pure, `state.step` counts its calls.
      sample: (state, batch, key) -> (faces uint8 [rows, columns, S, S(, 3)], metrics); pure.
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


@dataclasses.dataclass(frozen=True)
class Line:
    """One training curve: its metric, its name in the legend, and whether it is known at the samples only."""

    metric: str
    name: str
    sampled: bool = False


@dataclasses.dataclass(frozen=True)
class Panel:
    """One pair of axes of the training curves: its title, what its height means, and its curves."""

    title: str
    unit: str
    lines: tuple[Line, ...]


class Run(Protocol):
    """What a run gives to the phase that is to be built: its configuration, its data, and its earlier phases."""

    config: "config_lib.Config"
    num_classes: int
    class_counts: Any  # training faces of each label, [C]
    spec: dataset.ImageSpec  # what the faces are
    steps: Mapping[str, int]  # of each phase, and of those that it builds on

    def held_out(self) -> dataset.Dataset:
        """Returns the faces kept from training, on which samples are judged."""

    def finished(self, name: str, part: Callable[[Any], Any]) -> tuple[int, Any]:
        """Returns the last step of a finished phase, and a part of its last state, in the host's memory."""

    def folder(self, name: str) -> pathlib.Path:
        """Returns a folder of the run, for what a phase keeps next to its checkpoints."""

    def progress(self, what: str) -> Callable[[int, int], None]:
        """Returns a function that shows (done, total) of work that is not steps."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that other modules need from a phase: the class of its settings has one as `recipe`.

    Attributes:
      build: (run, name) -> the phase, and what its checkpoints say of what it was built on: a phase whose state may
        not change afterwards as {its name + `STEP`: its step}.
      begin: (config, num_classes, name, key, spec) -> its first state, with the phases that it builds on not yet
        trained; only its shapes are used.
      networks: (config, name, num_classes, spec) -> the shapes of the parameters of its networks, by their names.
      curves: of its training.
      built_on: config -> the names of the phases whose finished states it needs.
      prepare: (run, data) -> the training data with what else the phase needs; called once, before it trains.
      check: raises ValueError if the configuration does not fit the phase; only called where it is to be trained.
      editor: which kind of editor its last state is (`edit.loading.KINDS`); empty if it is none. The state then has
        `best_encoder` and `generator`, the variables of E and G.
      whole: whether it trains E and G by itself, so that a run has no other phase whose state is an editor.
      bfloat16: whether its networks can compute in bfloat16 (`model.precision`).
    """

    build: Callable[[Run, str], tuple[Phase, dict[str, Any]]]
    begin: Callable[..., Any]
    networks: Callable[..., dict[str, Any]]
    curves: tuple[Panel, ...]
    built_on: Callable[[Any], tuple[str, ...]] = lambda config: ()
    prepare: Callable[[Run, dataset.Dataset], dataset.Dataset] = lambda run, data: data
    check: Callable[[Any], None] = lambda config: None
    editor: str = ""
    whole: bool = False
    bfloat16: bool = False


def shapes(module: nn.Module, *inputs: tuple[int, ...], dtypes: Sequence[Any] = (), **options: Any) -> types.Params:
    """Returns the shapes of a module's parameters for inputs of these shapes, float32 by default."""
    dtypes = (*dtypes, *(jnp.float32,) * (len(inputs) - len(dtypes)))
    given = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in zip(inputs, dtypes, strict=True)]
    return jax.eval_shape(functools.partial(module.init, **options), jax.random.key(0), *given)["params"]


def loaded(
    load: Callable[[], types.Params], key: jax.Array, fresh: Callable[[jax.Array], types.Params]
) -> types.Params:
    """Returns trained parameters for a phase's first state, or under a trace `fresh(key)`.

    Under a trace only the shapes are wanted, as of a run that goes on from its checkpoint, and nothing is loaded.
    """
    return fresh(key) if isinstance(key, jax.core.Tracer) else jax.tree.map(jnp.asarray, load())


def parameter_count(variables: Any) -> int:
    """Returns how many numbers a tree of parameters holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


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
    """Returns a module's output in training and its new running statistics."""
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
    """Returns a tree averaged over a device axis, or unchanged without one."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def norm_axis(parallel: "config_lib.ParallelConfig", axis_name: str | None) -> str | None:
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


def check_optimisation(name: str, settings: Any) -> None:
    """Raises ValueError unless a phase's epochs, batch size and Adam's constants lie in their ranges."""
    ranges.between(f"{name}.epochs", settings.epochs, 1e-6, 1e5)
    # Batch norm over a single example would send every feature to its offset.
    ranges.between(f"{name}.batch_size", settings.batch_size, 2, 2**16)
    ranges.between(f"{name}.learning_rate", settings.learning_rate, 1e-8, 1.0)
    ranges.between(f"{name}.b1", settings.b1, 0.0, 0.9999)


def check_parts(name: str, settings: Any) -> None:
    """Raises ValueError unless a batch divides into the parts of D's updates."""
    ranges.between(f"{name}.critic_steps", settings.critic_steps, 1, 100)
    if settings.batch_size < 2 * settings.critic_steps or settings.batch_size % settings.critic_steps:
        raise ValueError(
            f"{name}.batch_size: expected a multiple of {name}.critic_steps, {settings.critic_steps}, with at least 2 "
            f"faces a part, found {settings.batch_size}"
        )
