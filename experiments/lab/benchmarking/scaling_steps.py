"""Implementation of the scaling study: training's step over several devices, whole or without its averages."""

import dataclasses
from typing import Any

import jax
from benchmarking import communication, ours
from benchmarking import settings as settings_lib

from emogan.recipes import gan
from emogan.recipes import state as state_lib
from emogan.train import layout as layout_lib
from emogan.train import parallel
from emogan.util import process

WHOLE, ALONE = "whole", "alone"
FIRST_STEPS = 3  # whose losses are reported
LOSSES = ("discriminator_loss", "generator_loss")


def without_averages(phase: state_lib.Phase) -> state_lib.Phase:
    """Returns a phase whose step averages nothing over devices: each trains by itself on its share of the batch."""
    return dataclasses.replace(phase, step=lambda state, batch, key, *, axis_name=None: phase.step(state, batch, key))


class Steps(ours.Steps):
    """Steps of phase `gan` in chunks, on `settings.devices` devices by `settings.mode`.

    `settings.variant` is `whole` or `alone`, which leaves out the averages. A CPU is given that many virtual devices,
    which share its cores.
    """

    def __init__(self, settings: settings_lib.Settings):
        jax.config.update("jax_num_cpu_devices", settings.devices)  # nothing on a machine with GPUs
        process.keep_compiled()
        super().__init__(settings)

    def build(self) -> dict[str, Any]:
        """Puts weights and faces on the devices, makes the first steps and returns what they tell.

        Returns:
          `losses` of each of the first steps, by name, and `traffic`, see `communication.Traffic`.
        """
        settings, data = self._settings, self._settings.dataset()
        config = settings.config()
        alone = settings.variant == ALONE
        if alone and settings.mode == "jit":
            config.parallel.batch_norm = "device"  # only so does a step see the share of one device
        phase = gan.make(config, len(data.class_names), data.spec)
        layout = layout_lib.make(config.parallel)
        traffic = communication.traffic(
            communication.all_reduces(phase, settings.devices, settings.batch_size // settings.devices)
            if settings.devices > 1 and not alone
            else []
        )
        self._state = layout.place_state(phase.init(jax.random.key(ours.SEED)))
        self._data, self._key = layout.place(data), jax.random.key(ours.SEED + 1)
        self._chunk = parallel.make_chunk(
            without_averages(phase) if alone else phase, len(data), settings.batch_size, ours.LONGEST, layout
        )
        self._state, metrics = self._chunk(self._state, self._data, self._key, FIRST_STEPS)
        losses = [{name: float(metrics[name][i]) for name in LOSSES} for i in range(FIRST_STEPS)]
        return {"losses": losses, "traffic": dataclasses.asdict(traffic)}
