"""Implementation `emogan`: its steps as training runs them, and the reference that the others are compared with."""

import time
from typing import Any

import jax
import numpy as np
from benchmarking import settings as settings_lib

from emogan.models import dcgan
from emogan.recipes import encoder, gan
from emogan.recipes import state as state_lib
from emogan.train import layout as layout_lib
from emogan.train import parallel

LONGEST = 100  # training samples every 100 steps, so no chunk is longer
SEED = 7


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


def make_phase(settings: settings_lib.Settings, classes: int) -> state_lib.Phase:
    """Returns the phase of the task; an encoder's G is a fresh one."""
    config = settings.config()
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
        phase = make_phase(self._settings, len(data.class_names))
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

        The task: `weights` (variables by network), and of two steps `images` uint8 [2, B, 48, 48], `labels` [2, B]
        and `latents` float32 [2, B, Z].
        """
        settings, data = self._settings, self._settings.dataset()
        phase = make_phase(settings, len(data.class_names))
        state = phase.init(jax.random.key(SEED))
        model, size = settings.config().model, settings.batch_size
        keys = [jax.random.key(SEED + 2 + i) for i in range(2)]
        latents = [
            np.asarray(dcgan.sample_latents(key, size, model.latent_size, model.latent_distribution)) for key in keys
        ]
        images, labels = data.images[: 2 * size], data.labels[: 2 * size]
        task = {
            "weights": jax.tree.map(np.asarray, weights_of(settings.phase, state)),
            "images": images.reshape(2, size, 48, 48),
            "labels": labels.reshape(2, size),
            "latents": np.stack(latents),
        }
        step = jax.jit(phase.step)
        states, metrics = [state], []
        for i, key in enumerate(keys):
            state, found = step(state, {"image": task["images"][i], "label": task["labels"][i]}, key)
            states.append(state)
            metrics.append(found)
        return task, results(settings, states, metrics)


def weights_of(phase: str, state: Any) -> dict[str, Any]:
    """Returns the variables of a state, by network."""
    if phase == "encoder":
        return {"encoder": dict(state.encoder.variables), "generator": dict(state.generator)}
    return {"generator": dict(state.generator.variables), "discriminator": dict(state.discriminator.variables)}


def results(settings: settings_lib.Settings, states: list[Any], metrics: list[Any]) -> dict[str, Any]:
    """Returns of two steps the losses, and of the first the gradients and the movement of each parameter.

    The gradients are read from Adam's first moment, which after one step is (1 - b1) times as large. `states` have the
    trained networks as attributes.
    """
    names = ("encoder",) if settings.phase == "encoder" else ("generator", "discriminator")
    wanted = ("loss",) if settings.phase == "encoder" else ("discriminator_loss", "generator_loss")
    share = 1 - settings.config().gan.b1
    gradients, moved = {}, {}
    for name in names:
        before, after = (getattr(state, name) for state in states[:2])
        gradients[name] = jax.tree.map(lambda moment: np.asarray(moment) / share, after.opt_state[0].mu)
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
