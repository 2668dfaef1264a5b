"""Sections `compile`, `transfer`, `data`, `epoch` and `schedule`: what surrounds the steps."""

import dataclasses
import tempfile
import time
from typing import Any

import numpy as np
from benchmarking import equality, race, workers
from benchmarking import options as options_lib
from benchmarking import settings as settings_lib

_WHOLE = "benchmarking.whole:"
_OURS = "benchmarking.transfers:Transfer"
_TORCH = "benchmarking.torch_transfers:Transfer"
_TRAINING_FACES = 28_709


def starts(context: options_lib.Context) -> dict[str, Any]:
    """Returns, for each width, the seconds from a new process to its first step, when compiled code is kept or not."""
    found = {}
    for width in context.options.widths:
        with tempfile.TemporaryDirectory() as folder:
            task = context.options.settings(width=width, folder=folder)
            found[str(width)] = {name: _start(task) for name in ("first", "second")}
        for name, own in found[str(width)].items():
            context.say(f"compile width {width}: {name} start: {own['total']:.1f} s to the first step")
    return found


def transfers(context: options_lib.Context) -> dict[str, Any]:
    """Returns, for each width, a race of edits of one face and one of many faces."""
    options, found = context.options, {}
    for width in options.widths:
        equal = _compare_transfers(context, options.settings(width=width, faces=64))
        found[str(width)] = {"largest_difference_in_bytes": equal}
        for what, faces in (("one", 1), ("many", options.transfer_faces)):
            task = options.settings(width=width, faces=faces)
            implementations = [race.Implementation("emogan", _OURS, task)]
            for variant in _variants(context):
                own = dataclasses.replace(task, variant=variant)
                implementations.append(race.Implementation(f"PyTorch {variant}", _TORCH, own, optional=True))
            title = f"transfer width {width}, faces {faces}"
            race_found = race.race(title, implementations, options.pace, context.say)
            race.tell(title, race_found, context.say)
            found[str(width)][what] = {"faces": faces, **race_found}
    return found


def reading(context: options_lib.Context) -> dict[str, Any]:
    """Returns the seconds of reading data, each in a process of its own: the first time, and again."""
    found: dict[str, Any] = {}
    for name in ("toyfaces", "fer2013")[: 2 if context.options.data_dir else 1]:
        with tempfile.TemporaryDirectory() as folder:
            task = context.options.settings(data_dir=context.options.data_dir, folder=folder)
            times = []
            for _ in range(2):
                with workers.Worker(_WHOLE + "Reading", task) as worker:
                    times.append(worker.call(name))
        found[name] = {"faces": times[0]["faces"], "first": times[0]["seconds"], "again": times[1]["seconds"]}
        context.say(f"data: {name}: {found[name]['first']:.2f} s, again {found[name]['again']:.2f} s")
    return found


def training(context: options_lib.Context) -> dict[str, Any]:
    """Returns, for each width, how much of a training's time is not spent in steps."""
    found = {}
    for width in context.options.widths:
        with workers.Worker(_WHOLE + "Training", context.options.settings(width=width)) as worker:
            found[str(width)] = own = worker.call("measure", context.options.epoch_steps)
        context.say(
            f"epoch width {width}: {own['steps']} steps, {race.show(own['seconds_a_step'])} each, "
            f"{100 * own['share_outside']:.1f} % outside the device step"
        )
    return found


def schedule(context: options_lib.Context) -> dict[str, Any]:
    """Returns, for each width, the seconds of the paper's whole phase `gan` on a GPU; on a CPU it would take a day."""
    if context.backend == "cpu":
        context.say("schedule: left out, since JAX has no GPU here")
        return {}
    found = {}
    for width in context.options.widths:
        task = context.options.settings(width=width, faces=_TRAINING_FACES)
        with workers.Worker(_WHOLE + "Schedule", task) as worker:
            found[str(width)] = own = worker.call("whole", context.options.schedule_epochs)
            own["memory"] = worker.memory()
        context.say(f"schedule width {width}: {own['steps']} steps in {own['seconds']:.1f} s, compilation included")
    return found


def _start(task: settings_lib.Settings) -> dict[str, float]:
    with workers.Worker(_WHOLE + "Start", task) as worker:
        imported = time.perf_counter() - worker.began
        parts = worker.call("first_step")
        return {"imports": imported, **parts, "total": time.perf_counter() - worker.began}


def _variants(context: options_lib.Context) -> list[str]:
    return [name for name in context.torch_variants if name in ("eager", "channels_last")]


def _compare_transfers(context: options_lib.Context, task: settings_lib.Settings) -> dict[str, int]:
    """Returns how far PyTorch's edited faces lie from emogan's, in gray levels.

    Raises:
      equality.Unequal: if that is more than a rounding.
    """
    variants, found = _variants(context), {}
    if not variants:
        return found
    task = dataclasses.replace(task, precision="float32", exact_padding=True)
    with workers.Worker(_OURS, task) as worker:
        weights, ours = worker.call("reference")
    for variant in variants:
        with workers.Worker(_TORCH, dataclasses.replace(task, variant=variant)) as worker:
            theirs = worker.call("follow", weights)
        found[f"PyTorch {variant}"] = largest = int(np.abs(ours.astype(int) - theirs).max())
        if largest > 1:
            raise equality.Unequal(f"PyTorch {variant}: expected emogan's edits, found them {largest} levels apart")
    return found
