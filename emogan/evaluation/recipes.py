"""Recipes under one budget: each trained on as many faces, scored alike, side by side."""

import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emogan import config as config_lib
from emogan import pipeline, presets
from emogan.data import dataset
from emogan.evaluation import runs, tables
from emogan.train import checkpoint, interrupt


def compare(
    names: Sequence[str],
    epochs: int,
    changes: Mapping[str, str],
    folder: pathlib.Path,
    options: runs.Options,
    say: Callable[[str], None],
    environment: Mapping[str, str],
    signals: interrupt.Signals | None = None,
) -> dict[str, Any]:
    """Returns the scores of presets side by side, each trained in a folder of its own below `folder`.

    What is there is gone on with; then the training time, which nobody knows any more, is left out. The widths of the
    recipes are their own unless changed, so equal faces are not equal work: the time stands beside them.

    Args:
      names: of presets.
      epochs: passes over the training faces, divided among the phases of each.
      changes: values of fields of every configuration, by dotted names.
      folder: where the runs are kept.
      options: how to score.
      say: told a line as each part is done.
      environment: what results say of where they were made, beside the versions.
      signals: what may end a training in order.

    Raises:
      ValueError, FileNotFoundError: if a name, a change or the data are not as they must be.
    """
    configs = [_configure(name, epochs, changes) for name in names]  # what is wrong shows before the first training
    return tables.compare([_one(config, folder, options, say, environment, signals) for config in configs])


def _configure(name: str, epochs: int, changes: Mapping[str, str]) -> config_lib.Config:
    config = presets.preset(name)
    for field, text in changes.items():
        config_lib.override(config, field, text)
    config_lib.share_epochs(config, epochs)
    config.check()
    return config


def _one(
    config: config_lib.Config,
    folder: pathlib.Path,
    options: runs.Options,
    say: Callable[[str], None],
    environment: Mapping[str, str],
    signals: interrupt.Signals | None,
) -> dict[str, Any]:
    workdir = folder / config.preset
    phases = config.phases.split(",")
    begun = any(checkpoint.newest_step(workdir / "checkpoints" / phase) for phase in phases)
    start = time.monotonic()
    pipeline.run(config, workdir, signals=signals)
    seconds = time.monotonic() - start
    result, shown = runs.score_run(workdir, "", options, say)
    result["environment"] |= environment
    cost = {"images_seen": _images_seen(config, result["data"]["training faces"])}
    if not begun:
        cost["training_time"] = seconds
    result["contestants"][0]["scores"] |= {name: {"value": value, "error": None} for name, value in cost.items()}
    runs.write(result, shown, workdir)
    return result


def _images_seen(config: config_lib.Config, examples: int) -> int:
    phases = [getattr(config, name) for name in config.phases.split(",")]
    return sum(
        phase.epochs * dataset.steps_per_epoch(examples, phase.batch_size) * phase.batch_size for phase in phases
    )
