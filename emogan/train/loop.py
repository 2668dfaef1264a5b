"""Trains a phase: iterate, sample, log, save. It knows no particular phase."""

import contextlib
import pathlib
import time
from typing import Any

import jax
import numpy as np

from emogan import config as config_lib
from emogan.data import dataset
from emogan.recipes import state as state_lib
from emogan.train import checkpoint, hosts, interrupt, parallel, writers
from emogan.train import layout as layout_lib
from emogan.train import profile as profile_lib

CHUNK_SECONDS = 5.0
SHOWN = 64  # training faces that samples are drawn for or from


class TrainingError(RuntimeError):
    """A training that cannot go on; its last good checkpoint is kept."""


def train(
    phase: state_lib.Phase,
    data: dataset.Dataset,
    *,
    key: jax.Array,
    total_steps: int,
    batch_size: int,
    run: config_lib.RunConfig,
    checkpoints: checkpoint.Checkpoints,
    writer_of: Any,
    about: dict[str, Any],
    profile: pathlib.Path | None = None,
    layout: layout_lib.Layout | None = None,
    signals: interrupt.Signals | None = None,
) -> Any:
    """Returns the phase's state after `total_steps`, beginning from the newest whole checkpoint if there is one.

    Args:
      phase: what to train.
      data: the faces.
      key: decides the first weights, the order of the data, and everything random in the steps.
      total_steps: when to end; with a checkpoint at or beyond it nothing is trained.
      batch_size: faces a step.
      run: how often to sample and to save.
      checkpoints: where states are kept.
      writer_of: first step -> `writers.Writer`.
      about: saved with every checkpoint.
      profile: where a trace of some steps goes, if one is wanted.
      layout: the devices; only the first one if not given.
      signals: what may end the training after any chunk, with a checkpoint.

    Raises:
      TrainingError: if a loss is no longer finite, or the phase's diagnosis is to stop.
      checkpoint.CheckpointError: if there are checkpoints, and none is a whole one of this phase.
      interrupt.Interrupted: after a signal, when the checkpoint is on disk.
      OSError: if something cannot be written.
    """
    layout = layout or layout_lib.single()
    init_key, chunk_key, sample_key = jax.random.split(key, 3)
    if checkpoints.latest_step:
        target = layout.target(jax.eval_shape(phase.init, init_key))
        state = layout.restored(checkpoints.restore(target))
    else:
        state = layout.place_state(phase.init(init_key))
    step = checkpoints.latest_step or 0
    if step >= total_steps:
        writers.say(f"{phase.name:8s} finished already at step {step}")
        return layout.whole(state)
    placed = layout.place(data)
    shown = layout.whole(layout.place_state({"image": data.images[:SHOWN], "label": data.labels[:SHOWN]}))
    longest = run.sample_every
    chunk = parallel.make_chunk(phase, len(data), batch_size, longest, layout)
    sample = jax.jit(phase.sample, out_shardings=layout.replicated)

    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(writer_of(step))
        trace = stack.enter_context(profile_lib.Profile(profile))
        if step == 0:
            _sample(writer, phase, sample(layout.whole(state), shown, sample_key), step)
        count = 1  # the first chunk compiles, the second tells how long a step takes
        timed = None
        while step < total_steps:
            began = time.monotonic()
            stop = min(_next(step, run.sample_every), _next(step, run.checkpoint_every), total_steps)
            made = trace.limit(min(count, stop - step))
            state, metrics = chunk(state, placed, chunk_key, made)
            if signals and timed is None and count == 1:
                stack.enter_context(signals.deferred())  # only now, since the first chunk compiles
            rows = {name: values[:made] for name, values in jax.device_get(metrics).items()}
            step += made
            writer.steps(step, rows)
            _examine(phase, step - made, rows)
            if step % run.sample_every == 0 or step == total_steps:
                _sample(writer, phase, sample(layout.whole(state), shown, sample_key), step)
            stopped = signals.caught() if signals else ""
            if stopped and step < total_steps:
                writers.say(f"{phase.name:8s} {stopped}: stopping at step {step}, with a checkpoint")
            if step % run.checkpoint_every == 0 or step == total_steps or stopped:
                writer.sync()
                whole = layout.whole(state)
                # Metrics are of before a step's last update, which may be the one that went wrong.
                if not checkpoint.is_finite(whole):
                    raise TrainingError(_went_wrong(phase, "the state is not finite", step))
                checkpoints.save(step, whole, about)
            if stopped:
                break
            if timed is not None:
                count = hosts.agreed(max(1, min(longest, round(CHUNK_SECONDS * made / (time.monotonic() - began)))))
            timed = step
            trace.after(made)
        checkpoints.wait()
    return layout.whole(state)


def _next(step: int, interval: int) -> int:
    return (step // interval + 1) * interval


def _sample(writer: writers.Writer, phase: state_lib.Phase, made: Any, step: int) -> None:
    faces, metrics = jax.device_get(made)
    writer.sample(step, faces, metrics, phase.synthetic)


def _went_wrong(phase: state_lib.Phase, what: str, step: int) -> str:
    return (
        f"{phase.name}: {what} after step {step}; the last checkpoint before it is kept. "
        f"Try a smaller --config.{phase.name}.learning_rate or another --config.seed"
    )


def _examine(phase: state_lib.Phase, done: int, rows: dict[str, np.ndarray]) -> None:
    for i in range(len(next(iter(rows.values())))):
        metrics = {name: float(values[i]) for name, values in rows.items()}
        for name, value in metrics.items():
            if not np.isfinite(value):
                raise TrainingError(_went_wrong(phase, f"{name} is {value}", done + i + 1))
        diagnosis = phase.diagnose(metrics)
        if diagnosis and diagnosis.stop:
            raise TrainingError(f"{phase.name}: step {done + i + 1}: {diagnosis.message}")
        if diagnosis:
            writers.warn(f"{phase.name}: step {done + i + 1}: {diagnosis.message}")
