"""Implementation `emogan`: its steps as training runs them, and the reference that the others are compared with."""

import time
from typing import Any

import jax
import numpy as np
import optax
from benchmarking import settings as settings_lib

from emogan.data import dataset
from emogan.models import dcgan
from emogan.recipes import encoder, flow, gan, joint
from emogan.recipes import state as state_lib
from emogan.train import layout as layout_lib
from emogan.train import parallel

LONGEST = 100  # training samples every 100 steps, so no chunk is longer
SEED = 7
_MANY_STEPS = 10**6  # of a schedule whose rate hardly falls in a benchmark


# The networks that each phase trains, as attributes of its state.
TRAINED = {
    "gan": ("generator", "discriminator"),
    "encoder": ("encoder",),
    "joint": ("translator", "discriminator"),
    "flow": ("network",),
}


def set_precision(settings: settings_lib.Settings) -> None:
    """Sets the precision of matrix products on accelerators."""
    if jax.default_backend() != "cpu":
        jax.config.update(
            "jax_default_matmul_precision", {"tf32": "tensorfloat32", "float32": "float32"}[settings.precision]
        )


def device_memory() -> dict[str, float]:
    """Returns the peak of the device's memory in MiB, where the device tells."""
    stats = jax.local_devices()[0].memory_stats() or {}
    peak = stats.get("peak_bytes_in_use")
    return {} if peak is None else {"device_peak_mib": peak / 2**20}


def make_phase(settings: settings_lib.Settings, data: dataset.Dataset) -> state_lib.Phase:
    """Returns the phase of the task; an encoder's G is a fresh one."""
    config, classes = settings.config(), len(data.class_names)
    if settings.phase == "flow":
        return flow.make(config, classes, data)
    if settings.phase == "joint":
        guides = joint.draw_guidance(config, classes, jax.random.key(SEED), config.data.spec)
        return joint.make(config, classes, _MANY_STEPS, data.class_counts(), guides, config.data.spec)
    phase = gan.make(config, classes, config.data.spec)
    if settings.phase == "encoder":
        generator = phase.init(jax.random.key(SEED)).best_generator
        return encoder.make(config, classes, generator, config.data.spec)
    return phase


class Steps:
    """Emogan's steps, in chunks."""

    def __init__(self, settings: settings_lib.Settings):
        set_precision(settings)
        self._settings = settings

    def build(self) -> None:
        """Draws weights and faces and puts them on the device; nothing of a step is compiled."""
        data = self._settings.dataset()
        phase = make_phase(self._settings, data)
        self._data = layout_lib.single().place(data)
        self._chunk = parallel.make_chunk(phase, len(data), self._settings.batch_size, LONGEST)
        self._state = phase.init(jax.random.key(SEED))
        self._key = jax.random.key(SEED + 1)
        jax.block_until_ready((self._state, self._data))

    def run(self, steps: int) -> float:
        """Returns the seconds of `steps` steps."""
        began = time.perf_counter()
        for done in range(0, steps, LONGEST):
            self._state, _ = self._chunk(self._state, self._data, self._key, min(LONGEST, steps - done))
        jax.block_until_ready(self._state)
        return time.perf_counter() - began

    def device_memory(self) -> dict[str, float]:
        """See the function."""
        return device_memory()

    def follow(self, task: dict[str, Any]) -> dict[str, Any]:
        """Returns what these settings make of `reference`'s task, which draws the same weights and latents."""
        del task
        return self.reference()[1]

    def reference(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the task of the equality, and what emogan makes of it (`results`).

        The task: `weights` (variables by network), and the `batches` of two steps. In phase `flow` they are what
        `flow.examples` returns first; in `joint` faces, labels and wanted labels of `joint.examples`, and `changes_of`
        its keys; in the others images uint8 [B, 48, 48], labels [B] and latents float32 [B, Z].
        """
        settings, data = self._settings, self._settings.dataset()
        phase = make_phase(settings, data)
        state = phase.init(jax.random.key(SEED))
        if settings.phase in ("joint", "flow"):
            for name in TRAINED[settings.phase]:
                network = getattr(state, name)
                state = state.replace(**{name: network.replace(params=_without_zeros(network.params))})
        size, keys = settings.batch_size, [jax.random.key(SEED + 2 + i) for i in range(2)]
        inputs = [
            {"image": data.images[start : start + size], "label": data.labels[start : start + size]}
            for start in (0, size)
        ]
        task = {
            "weights": jax.tree.map(np.asarray, weights_of(settings.phase, state)),
            "batches": [_drawn(settings, data, *pair) for pair in zip(inputs, keys, strict=True)],
        }
        step = jax.jit(phase.step)
        states, metrics = [state], []
        for batch, key in zip(inputs, keys, strict=True):
            state, found = step(state, batch, key)
            states.append(state)
            metrics.append(found)
        return task, results(settings, states, metrics)


def _drawn(
    settings: settings_lib.Settings, data: dataset.Dataset, batch: dict[str, np.ndarray], key: jax.Array
) -> tuple[np.ndarray, ...]:
    """Returns a batch with the random numbers that the step draws with this key; see `Steps.reference`."""
    config = settings.config()
    if settings.phase == "flow":
        *found, _ = flow.examples(config.flow, batch, key, data.spec, len(data.class_names))  # no network is told more
        return tuple(np.asarray(part) for part in found)
    if settings.phase == "joint":
        counts = data.class_counts()
        frequency = np.asarray(counts, np.float32) / sum(counts)
        faces, labels, wanted, _, looks = joint.examples(config.joint, batch, key, frequency)
        changes = [part for i in range(looks.shape[1]) for part in jax.vmap(changes_of)(looks[:, i])]
        return tuple(np.asarray(part) for part in (faces, labels, wanted, *changes))
    model = config.model
    latents = dcgan.sample_latents(key, settings.batch_size, model.latent_size, model.latent_distribution)
    return batch["image"], batch["label"], np.asarray(latents)


def changes_of(key: jax.Array) -> tuple[jax.Array, ...]:
    """Returns the random numbers with which `augment.all_of` changes a face, in its order.

    They are: whether it is mirrored; moves, angle and zoom [4]; contrast and brightness [2]; whether a part is erased,
    and the sides and the middle of that [2]. But for the sides and the middle, their unit is the limit.
    """
    flip, warp, light, erase = jax.random.split(key, 4)
    whether, sides, middle = jax.random.split(erase, 3)
    return (
        jax.random.bernoulli(flip),
        jax.random.uniform(warp, (4,), minval=-1.0),
        jax.random.uniform(light, (2,), minval=-1.0),
        jax.random.bernoulli(whether, 0.3),
        jax.random.uniform(sides, (2,), maxval=0.4),
        jax.random.uniform(middle, (2,)),
    )


def _without_zeros(params: Any) -> Any:
    """Returns parameters with noise: the last layers of fresh networks are 0, which would hide what is before them."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(SEED), len(leaves))
    drawn = [0.03 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, [leaf + noise for leaf, noise in zip(leaves, drawn, strict=True)])


def weights_of(phase: str, state: Any) -> dict[str, Any]:
    """Returns the variables of a state, by network."""
    if phase in ("joint", "flow"):
        found = {name: {"params": getattr(state, name).params} for name in TRAINED[phase]}
        return found | (dict(state.classifiers) if phase == "joint" else {})
    if phase == "encoder":
        return {"encoder": dict(state.encoder.variables), "generator": dict(state.generator)}
    return {"generator": dict(state.generator.variables), "discriminator": dict(state.discriminator.variables)}


def results(settings: settings_lib.Settings, states: list[Any], metrics: list[Any]) -> dict[str, Any]:
    """Returns of two steps the losses, and of the first the gradients and the movement of each parameter.

    The gradients are read from Adam's first moment, which after one step is (1 - b1) times as large. `states` have the
    trained networks as attributes.
    """
    config = settings.config()
    names, b1 = TRAINED[settings.phase], getattr(config, settings.phase).b1
    wanted = ("loss",) if len(names) == 1 else ("discriminator_loss", "generator_loss")
    gradients, moved = {}, {}
    for name in names:
        before, after = (getattr(state, name) for state in states[:2])
        moments = optax.tree_utils.tree_get(after.opt_state, "mu")
        gradients[name] = jax.tree.map(lambda moment: np.asarray(moment) / (1 - b1), moments)
        moved[name] = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), after.params, before.params)
    return {
        "losses": [{name: float(found[name]) for name in wanted} for found in metrics],
        "gradients": flat(gradients),
        "moved": flat(moved),
    }


def flat(tree: Any) -> dict[str, np.ndarray]:
    """Returns a tree's arrays by names such as `generator/conv0/kernel`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {"/".join(part.key for part in path): np.asarray(leaf) for path, leaf in leaves}
