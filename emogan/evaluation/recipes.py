"""Recipes under one budget, of faces or of time: each trained and scored alike, side by side."""

import copy
import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emogan import config as config_lib
from emogan import pipeline, presets, run_folder
from emogan.data import dataset
from emogan.evaluation import runs, tables
from emogan.train import checkpoint, interrupt

_PROBE_STEPS = 12  # the first two compile and are not timed


@dataclasses.dataclass(frozen=True)
class Budget:
    """What each recipe may cost; its phases share it as they share the epochs of its preset.

    Attributes:
      epochs: passes over the training faces, where there are no `minutes`.
      minutes: of steps, at the pace that a few steps of each phase showed on this machine; compiling costs extra.
    """

    epochs: float = 6.0
    minutes: float = 0.0


def compare(
    names: Sequence[str],
    budget: Budget,
    changes: Mapping[str, str],
    folder: pathlib.Path,
    options: runs.Options,
    say: Callable[[str], None],
    environment: Mapping[str, str],
    signals: interrupt.Signals | None = None,
) -> dict[str, Any]:
    """Returns the scores of presets side by side, each trained in a folder of its own below `folder`.

    What is there is gone on with; then the training time, which nobody knows any more, is left out, but that of a
    training that was finished before is kept. The widths of the recipes are their own unless changed, so equal faces
    are not equal work: the time stands beside them.

    Args:
      names: of presets.
      budget: of each.
      changes: values of fields of every configuration, by dotted names.
      folder: where the runs are kept.
      options: how to score.
      say: told a line as each part is done.
      environment: what results say of where they were made, beside the versions.
      signals: what may end a training in order.

    Raises:
      ValueError, FileNotFoundError: if a name, a change or the data are not as they must be.
    """
    # What is wrong shows before the first training.
    configs = [_configure(name, changes) for name in names]
    for config in {repr(config.data): config for config in configs}.values():
        runs.load_faces(config, options)
    return tables.compare([_one(config, budget, folder, options, say, environment, signals) for config in configs])


def _configure(name: str, changes: Mapping[str, str]) -> config_lib.Config:
    config = presets.preset(name)
    for field, text in changes.items():
        config_lib.override(config, field, text)
    config.check()
    return config


def _one(
    config: config_lib.Config,
    budget: Budget,
    folder: pathlib.Path,
    options: runs.Options,
    say: Callable[[str], None],
    environment: Mapping[str, str],
    signals: interrupt.Signals | None,
) -> dict[str, Any]:
    workdir = folder / config.preset
    phases = config.phases.split(",")
    before = _steps(workdir, phases)
    if not budget.minutes:
        config_lib.share_epochs(config, budget.epochs)
    elif (workdir / "config.json").exists():
        for phase in phases:  # what was once settled, so that it is the same run that is gone on with
            getattr(config, phase).epochs = getattr(run_folder.read_config(workdir), phase).epochs
    else:
        _share_minutes(config, budget.minutes, say, signals)
    start = time.monotonic()
    pipeline.run(config, workdir, signals=signals)
    seconds = time.monotonic() - start
    result, shown = runs.score_run(workdir, "", options, say)
    result["environment"] |= environment
    cost = {"images_seen": _images_seen(config, result["data"]["training faces"])}
    if not any(before):
        cost["training_time"] = seconds
    elif before == _steps(workdir, phases) and (known := _training_time(workdir)):
        cost["training_time"] = known
    result["contestants"][0]["scores"] |= {name: {"value": value, "error": None} for name, value in cost.items()}
    runs.write(result, shown, workdir)
    return result


def _share_minutes(
    config: config_lib.Config, minutes: float, say: Callable[[str], None], signals: interrupt.Signals | None
) -> None:
    """Shortens, or prolongs, all phases alike so that they take so many minutes, by the pace of a few steps."""
    examples = len(pipeline.load_data(config, "train"))
    probe = copy.deepcopy(config)
    for name in config.phases.split(","):
        phase = getattr(probe, name)
        phase.epochs = _PROBE_STEPS / dataset.steps_per_epoch(examples, phase.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        rates = pipeline.run(probe, pathlib.Path(folder), signals=signals)
    # All of its epochs, at these rates, would take so long; each phase keeps its share of the epochs, not of the time.
    whole = sum(getattr(config, name).epochs * examples / rate for name, rate in rates.items())
    for name, rate in rates.items():
        phase = getattr(config, name)
        phase.epochs *= 60 * minutes / whole
        say(f"{config.preset}: {rate:.0f} images/s in phase {name}, so {phase.epochs:.2f} epochs")


def _steps(workdir: pathlib.Path, phases: Sequence[str]) -> list[int | None]:
    return [checkpoint.newest_step(workdir / "checkpoints" / phase) for phase in phases]


def _training_time(workdir: pathlib.Path) -> float | None:
    """What an earlier result says."""
    try:
        own = tables.load(workdir / "evaluation" / "metrics.json")["contestants"][0]
    except (FileNotFoundError, ValueError):
        return None
    return own["scores"].get("training_time", {}).get("value")


def _images_seen(config: config_lib.Config, examples: int) -> int:
    phases = [getattr(config, name) for name in config.phases.split(",")]
    return sum(dataset.total_steps(phase.epochs, examples, phase.batch_size) * phase.batch_size for phase in phases)
