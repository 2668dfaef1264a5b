"""Implementation `emogan` of section `transfer`: another emotion on one face, or on many."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from benchmarking import ours
from benchmarking import settings as settings_lib

from emogan import config as config_lib
from emogan import emotions
from emogan.edit import loading, model_file
from emogan.recipes import encoder, gan

EMOTION = "happy"


def faces(settings: settings_lib.Settings) -> np.ndarray:
    """Returns the faces to edit, uint8 [N, 48, 48]: the drawn ones, over again if there are fewer."""
    return np.resize(settings.dataset().images, (settings.faces, 48, 48))


def timed(call: Callable[[], Any], count: int, each: bool) -> float:
    """Returns the seconds of `count` calls; if `each`, as many times the median call."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * count if each else sum(times)


class Transfer:
    """Edits `settings.faces` faces at a step, bytes to bytes; weights are fresh, which takes as long."""

    def __init__(self, settings: settings_lib.Settings):
        ours.set_precision(settings)
        self._settings = settings

    def build(self) -> None:
        """Draws weights and faces."""
        config, classes = self._settings.config(), len(emotions.EMOTIONS)
        spec = config.data.spec
        key = jax.random.key(ours.SEED)
        generator = gan.make(config, classes, spec).init(key).generator.variables
        state = encoder.make(config, classes, generator, spec).init(key)
        self._variables = {"encoder": dict(state.encoder.variables), "generator": dict(generator)}
        variables = self._variables["encoder"], self._variables["generator"]
        self._transfer = loading.of(model_file.Model(config_lib.networks(config), emotions.EMOTIONS, *variables, {}))
        self._faces = faces(self._settings)

    def run(self, steps: int) -> float:
        """Returns the seconds of `steps` edits of all faces."""
        return timed(lambda: self._transfer.faces(self._faces, EMOTION), steps, len(self._faces) == 1)

    def device_memory(self) -> dict[str, float]:
        """See `ours.device_memory`."""
        return ours.device_memory()

    def reference(self) -> tuple[dict[str, Any], np.ndarray]:
        """Returns the weights, and the edited faces as bytes."""
        self.build()
        weights = jax.tree.map(np.asarray, self._variables)
        return weights, self._transfer.faces(self._faces, EMOTION)
