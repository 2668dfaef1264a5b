"""Emogan's own tasks around the step: the start of a run, a training with all that it writes, and reading of data."""

import importlib.util
import pathlib
import statistics
import tempfile
import time
from typing import Any

import jax
from benchmarking import ours
from benchmarking import settings as settings_lib

from emogan.data import dataset, fer2013, toyfaces
from emogan.train import checkpoint, loop, parallel, writers
from emogan.train import layout as layout_lib
from emogan.util import process

TRAINING_SECONDS = 60.0  # about so long is the training where no number of steps is given


class Start:
    """The start of a run, from data to the first step; `settings.folder` keeps compiled code, "" none."""

    def __init__(self, settings: settings_lib.Settings):
        ours.set_precision(settings)
        self._settings = settings
        if settings.folder:
            process.keep_compiled(pathlib.Path(settings.folder))

    def first_step(self) -> dict[str, float]:
        """Returns the seconds of loading all drawn faces, of making the state, and of the first step."""
        times = [time.perf_counter()]
        data = _drawn_faces(self._settings.folder)
        times.append(time.perf_counter())
        phase = ours.make_phase(self._settings, data)
        batch = layout_lib.single().place(data)
        chunk = parallel.make_chunk(phase, len(data), self._settings.batch_size, ours.LONGEST)
        state = jax.block_until_ready(phase.init(jax.random.key(0)))
        times.append(time.perf_counter())
        jax.block_until_ready(chunk(state, batch, jax.random.key(1), 1))
        times.append(time.perf_counter())
        return {name: times[i + 1] - times[i] for i, name in enumerate(("data", "state", "step"))}


class Schedule:
    """A whole phase `gan` without its records: every step of every epoch, compilation included."""

    def __init__(self, settings: settings_lib.Settings):
        ours.set_precision(settings)
        self._settings = settings

    def whole(self, epochs: int) -> dict[str, float]:
        """Returns faces, steps and the seconds from the data in memory to the last step's end."""
        data = self._settings.dataset()
        began = time.perf_counter()
        phase = ours.make_phase(self._settings, data)
        batch = layout_lib.single().place(data)
        chunk = parallel.make_chunk(phase, len(data), self._settings.batch_size, ours.LONGEST)
        state, key = phase.init(jax.random.key(0)), jax.random.key(1)
        steps = epochs * (len(data) // self._settings.batch_size)
        for done in range(0, steps, ours.LONGEST):
            state, metrics = chunk(state, batch, key, min(ours.LONGEST, steps - done))
            jax.device_get(metrics)  # as training does, which looks at every step
        jax.block_until_ready(state)
        return {"faces": len(data), "steps": steps, "seconds": time.perf_counter() - began}

    def device_memory(self) -> dict[str, float]:
        """See `ours.device_memory`."""
        return ours.device_memory()


class Training(ours.Steps):
    """A training as a user runs it, with pictures, events and checkpoints, compared with its bare steps."""

    def measure(self, steps: int) -> dict[str, Any]:
        """Returns the seconds a step in training and of the bare steps before and after; `steps` 0: for a minute."""
        self.build()
        self.run(2)
        bare = [self.run(1)]
        steps = steps or max(4, round(TRAINING_SECONDS / bare[0]))
        turn = max(1, steps // 20)
        bare = [self.run(turn) / turn for _ in range(3)]
        tensorboard = importlib.util.find_spec("tensorboardX") is not None
        config, data = self._settings.config(), self._settings.dataset()
        made: list[_Clock] = []

        def writer_of(step: int) -> _Clock:
            made.append(_Clock(workdir, "gan", step, steps, self._settings.batch_size, tensorboard))
            return made[-1]

        with tempfile.TemporaryDirectory() as folder:
            workdir = pathlib.Path(folder)
            with checkpoint.Checkpoints(workdir / "checkpoints" / "gan", config.run.keep_checkpoints) as checkpoints:
                loop.train(
                    ours.make_phase(self._settings, data),
                    data,
                    key=jax.random.key(0),
                    total_steps=steps,
                    batch_size=self._settings.batch_size,
                    run=config.run,
                    checkpoints=checkpoints,
                    writer_of=writer_of,
                    about={},
                )
                took = time.monotonic() - made[0].first_done
        bare += [self.run(turn) / turn for _ in range(3)]
        in_training, alone = took / (steps - 1), statistics.median(bare)
        return {
            "steps": steps,
            "samples": _times(steps, config.run.sample_every),
            "checkpoints": _times(steps, config.run.checkpoint_every),
            "tensorboard": tensorboard,
            "seconds_a_step": in_training,
            "bare_seconds_a_step": {"median": alone, "min": min(bare), "max": max(bare), "n": len(bare)},
            "share_outside": 1 - alone / in_training,
        }


class Reading:
    """Data, read once in a process of its own: nothing is in its memory yet."""

    def __init__(self, settings: settings_lib.Settings):
        self._settings = settings

    def toyfaces(self) -> dict[str, float]:
        """Returns the seconds of loading all drawn faces, kept in `settings.folder` for the next time."""
        return _timed(lambda: _drawn_faces(self._settings.folder))

    def fer2013(self) -> dict[str, float]:
        """Returns the seconds of loading FER2013's Training, kept in `settings.folder` for the next time."""
        settings = self._settings
        return _timed(lambda: fer2013.load("train", settings.data_dir, cache_dir=settings.folder))


class _Clock(writers.Writer):
    """A run's writer that knows when the first steps had been made, and with them all been compiled."""

    first_done: float | None = None

    def steps(self, last_step: int, metrics: Any) -> None:
        if self.first_done is None:
            self.first_done = time.monotonic()
        super().steps(last_step, metrics)


def _drawn_faces(folder: str) -> dataset.Dataset:
    return toyfaces.load("train", cache_dir=pathlib.Path(folder) if folder else None)


def _timed(load: Any) -> dict[str, float]:
    began = time.perf_counter()
    data = load()
    return {"seconds": time.perf_counter() - began, "faces": len(data)}


def _times(steps: int, every: int) -> int:
    """Returns how often something is due in `steps` steps, the last of which always has it."""
    return steps // every + bool(steps % every)
