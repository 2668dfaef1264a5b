"""Where state and data lie: on one device, or on many in one process or several."""

import dataclasses
from typing import Any

import flax.jax_utils
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from emogan import config as config_lib
from emogan.data import dataset
from emogan.recipes import state as state_lib

AXIS = "devices"


@dataclasses.dataclass(frozen=True)
class Layout:
    """The devices of a training, and what lies on each of them.

    Attributes:
      mode: `jit` over a mesh, or `pmap`, whose arrays have the devices as their first axis.
      mesh: the devices of all processes, in one axis.
      shard_data: whether each device holds its part of the data only.
      shard_optimizer: whether each device holds its part of the optimiser's state only (jit).
      own_batch_norm: whether each device normalises its share of a batch by itself.
    """

    mode: str
    mesh: Mesh
    shard_data: bool = False
    shard_optimizer: bool = False
    own_batch_norm: bool = False

    @property
    def count(self) -> int:
        """How many devices there are."""
        return self.mesh.size

    @property
    def devices(self) -> str:
        """What they are, in words: "1 device: cpu", "8 devices: NVIDIA H100 80GB HBM3 (gpu)"."""
        kinds = {(one.device_kind, one.platform): None for one in self.mesh.devices.flat}
        words = [kind if kind == platform else f"{kind} ({platform})" for kind, platform in kinds]
        return f"{self.count} device{'' if self.count == 1 else 's'}: {', '.join(words)}"

    @property
    def is_meshed(self) -> bool:
        """Whether arrays have shardings over the mesh: not under pmap, and not on a single device."""
        return self.mode == "jit" and self.count > 1

    @property
    def replicated(self) -> NamedSharding | None:
        """The sharding of what lies on every device, if arrays have one."""
        return NamedSharding(self.mesh, PartitionSpec()) if self.is_meshed else None

    @property
    def by_example(self) -> NamedSharding:
        """The sharding of what is cut along its first axis."""
        return NamedSharding(self.mesh, PartitionSpec(AXIS))

    def place(self, data: dataset.Dataset) -> state_lib.Batch:
        """Returns a data set's arrays on the devices: uint8 images, int32 labels and, if it has them, the others.

        Cut into parts, the last one is filled up with the first examples, which are not used there.
        """
        arrays = {"image": data.images, "label": data.labels}
        if data.distributions is not None:
            arrays["distribution"] = data.distributions
        if data.edits is not None:
            arrays |= {"target": data.targets, "edit": data.edits, "reference": data.references}
        if self.shard_data:
            padded = -(-len(data) // self.count) * self.count
            arrays = {name: np.take(values, range(padded), axis=0, mode="wrap") for name, values in arrays.items()}
        if not self.shard_data or self.count == 1:
            return self.place_state(arrays)
        if self.mode == "jit":
            return {name: _put(values, self.by_example) for name, values in arrays.items()}
        parts = {name: values.reshape(self.count, -1, *values.shape[1:]) for name, values in arrays.items()}
        return jax.pmap(lambda part: part, devices=list(self.mesh.devices.flat))(parts)

    def place_state(self, state: Any) -> Any:
        """Returns a state, or any tree of arrays, on the devices."""
        if self.mode == "pmap":
            return flax.jax_utils.replicate(state, list(self.mesh.devices.flat))
        return jax.tree.map(_put, state, self.shardings(state)) if self.is_meshed else jax.tree.map(jnp.asarray, state)

    def whole(self, tree: Any) -> Any:
        """Returns a placed tree of replicated arrays without the axis of devices that pmap gives it."""
        return jax.tree.map(lambda leaf: leaf[0], tree) if self.mode == "pmap" else tree

    def settled(self, tree: Any) -> Any:
        """Returns a tree of placed arrays; where they lie on several CPU devices, only once they are computed.

        All virtual CPU devices share few threads. Whatever is dispatched while a program with a collective still runs
        can take the thread that its last device needs; the others then wait until XLA ends the process (40 s).
        """
        shared = self.count > 1 and self.mesh.devices.flat[0].platform == "cpu"
        return jax.block_until_ready(tree) if shared else tree

    def target(self, shapes: Any) -> Any:
        """Returns the shapes, types and placement of what `whole` gives of a placed state of these shapes."""
        here = jax.sharding.SingleDeviceSharding(self.mesh.local_devices[0])
        placed = self.shardings(shapes) if self.is_meshed else jax.tree.map(lambda leaf: here, shapes)
        return jax.tree.map(lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where), shapes, placed)

    def restored(self, tree: Any) -> Any:
        """Returns what was loaded in the shape and place of `whole`, as `place_state` would have it."""
        return self.place_state(tree) if self.mode == "pmap" else tree

    def shardings(self, state: Any) -> Any:
        """Returns the sharding of each array of a state, where arrays have one."""
        return jax.tree_util.tree_map_with_path(self._sharding, state)

    def keep(self, state: Any) -> Any:
        """Returns a state, within a compiled function, that stays where `place_state` put it."""
        return jax.lax.with_sharding_constraint(state, self.shardings(state)) if self.is_meshed else state

    def spread(self, batch: state_lib.Batch) -> state_lib.Batch:
        """Returns a batch, within a compiled function, of which each device has its share."""
        return jax.lax.with_sharding_constraint(batch, self.by_example) if self.is_meshed else batch

    def _sharding(self, path: Any, leaf: Any) -> NamedSharding:
        if self.shard_optimizer and any(getattr(part, "name", None) == "opt_state" for part in path):
            axes = [axis for axis, size in enumerate(leaf.shape) if size % self.count == 0]
            if axes:
                longest = max(axes, key=lambda axis: leaf.shape[axis])
                return NamedSharding(self.mesh, PartitionSpec(*[None] * longest, AXIS))
        return self.replicated


def make(config: config_lib.ParallelConfig) -> Layout:
    """Returns the layout of a configuration over the devices that JAX sees.

    Raises:
      ValueError: if there are fewer devices, or pmap is asked for what it cannot do.
    """
    devices = jax.devices()
    mode = "jit" if config.mode == "auto" else config.mode
    if config.devices > len(devices):
        raise ValueError(
            f"--devices: expected at most the {len(devices)} devices that JAX sees, found {config.devices}; "
            "virtual ones of a CPU are made by JAX_NUM_CPU_DEVICES=N"
        )
    if jax.process_count() > 1 and (mode == "pmap" or config.devices not in (0, len(devices))):
        raise ValueError(
            f"expected --parallel=jit on all {len(devices)} devices of {jax.process_count()} processes, "
            f"found --parallel={mode} --devices={config.devices}; leave both out"
        )
    if mode == "pmap" and config.optimizer == "sharded":
        raise ValueError("parallel.optimizer: expected replicated with --parallel=pmap, found sharded; use jit")
    if config.batch_norm == "device" and config.optimizer == "sharded":
        raise ValueError(
            "parallel.optimizer: expected replicated with parallel.batch_norm=device, found sharded; change one of them"
        )
    mesh = jax.make_mesh(
        (config.devices or len(devices),),
        (AXIS,),
        axis_types=(AxisType.Auto,),
        devices=devices[: config.devices or None],
    )
    return Layout(mode, mesh, config.data == "sharded", config.optimizer == "sharded", config.batch_norm == "device")


def single() -> Layout:
    """Returns the layout of one device, the first."""
    return make(config_lib.ParallelConfig(devices=1))


def check_batch(name: str, batch_size: int, devices: int, microbatches: int, critic_steps: int = 1) -> None:
    """Checks that a batch can be cut into equal parts: for each device, each of D's updates, and each turn in memory.

    Raises:
      ValueError: if it cannot; the text names the sizes next to it that could.
    """
    parts = devices * microbatches * critic_steps
    if batch_size % parts:
        below = batch_size // parts * parts
        fits = f"{below} or {below + parts}" if below else f"{parts}"
        raise ValueError(
            f"{name}.batch_size: expected a multiple of {parts} ({devices} devices x {microbatches} microbatches x "
            f"{critic_steps} critic steps), found {batch_size}; {fits} would fit"
        )


def optimizer_bytes(state: Any) -> int:
    """Returns how many bytes of optimiser state lie on the first device of this process."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    own = [leaf for path, leaf in leaves if any(getattr(part, "name", None) == "opt_state" for part in path)]
    return sum(leaf.addressable_shards[0].data.nbytes for leaf in own)


def _put(values: Any, sharding: NamedSharding) -> jax.Array:
    if sharding.is_fully_addressable:
        return jax.device_put(values, sharding)
    # Each process hands over the parts of its own devices.
    values = np.asarray(values)
    return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])
