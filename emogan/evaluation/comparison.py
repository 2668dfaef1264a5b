"""Recipes under one budget, of faces or of time: each trained and scored alike, side by side.

A row of the comparison is a preset, or one with changes: `emogan+seed=1+joint.guidance=2`.
"""

import copy
import dataclasses
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emogan import config as config_lib
from emogan import presets
from emogan.data import dataset
from emogan.evaluation import model_files, run_scores, tables
from emogan.figures import run_figures
from emogan.train import checkpoint, interrupt, pipeline, run_folder

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


@dataclasses.dataclass(frozen=True)
class Study:
    """What all rows have in common.

    Attributes:
      folder: where the runs are kept.
      budget: of each.
      changes: values of fields of every configuration, by dotted names.
      options: how to score.
      environment: what results say about where they were made, in addition to the versions.
      score: whether to score each row; if not, it leaves its E and G in FOLDER/ROW.npz, to be scored elsewhere.
      guidance: a run's folder whose finished classifiers are taken, where a row would train the same ones: so that rows
        differ only in later phases, and do not train the classifiers again.
    """

    folder: pathlib.Path
    budget: Budget = Budget()
    changes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: run_scores.Options = dataclasses.field(default_factory=run_scores.Options)
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    score: bool = True
    guidance: pathlib.Path | None = None


def run(
    rows: Sequence[str], study: Study, say: Callable[[str], None], signals: interrupt.Signals | None = None
) -> list[dict[str, Any]]:
    """Trains rows, each in its own folder, and returns the scores of each, if they are to be scored.

    Existing runs continue; their training time is unknown and is left out, but that of a training that was finished
    before is kept. Each recipe has its own widths unless they are changed, so equal faces are not equal work: the time
    is given with them.

    Args:
      rows: presets, and presets with changes.
      study: what they have in common.
      say: called with a line as each part is done.
      signals: what may end a training in order.

    Raises:
      ValueError, FileNotFoundError: if a row, a change, the guidance classifiers or the data are not as they must be.
    """
    results = []
    for row, config in configure(rows, study).items():
        workdir = study.folder / row
        cost = _train(config, workdir, study, say, signals)
        if study.score:
            results.append(_score(workdir, cost, study, say))
        else:
            path = study.folder / f"{row}.npz"
            model_files.write(workdir, path, {"cost": cost, **study.environment})
            say(f"wrote {path}")
    return results


def configure(rows: Sequence[str], study: Study) -> dict[str, config_lib.Config]:
    """Returns the configurations by rows, when data, judge and classifiers are there: errors come before training.

    Raises:
      ValueError, FileNotFoundError: if a row, a change, the guidance classifiers or the data are not as they must be.
    """
    configs = {row: _configure(row, study.changes) for row in rows}
    if study.guidance:
        run_folder.read_config(study.guidance)
    for config in {repr(config.data): config for config in configs.values()}.values():
        run_scores.load_faces(config, study.options)
    return configs


def _configure(row: str, changes: Mapping[str, str]) -> config_lib.Config:
    """Returns the configuration of a row; its own changes come after the changes of all rows.

    Raises:
      ValueError: if the preset, a field or a value is none, or the row cannot be a folder's name.
    """
    name, *own = row.split("+")
    config = presets.preset(name)
    if "/" in row or not all("=" in change for change in own):
        raise ValueError(f"{row}: expected PRESET or PRESET+FIELD=VALUE, without a slash, which --set may have")
    own = dict(change.partition("=")[::2] for change in own)
    for field, text in (*changes.items(), *own.items()):
        config_lib.override(config, field, text)
    config.check()
    return config


def _train(
    config: config_lib.Config,
    workdir: pathlib.Path,
    study: Study,
    say: Callable[[str], None],
    signals: interrupt.Signals | None,
) -> dict[str, float]:
    """Returns what the training took: `images_seen`, and `training_time` in seconds where that is known."""
    phases = config.phases.split(",")
    before = _steps(workdir, phases)
    if not study.budget.minutes:
        config_lib.share_epochs(config, study.budget.epochs)
    elif (workdir / "config.json").exists():
        for phase in phases:  # what was once settled, so that it is the same run that is gone on with
            getattr(config, phase).epochs = getattr(run_folder.read_config(workdir), phase).epochs
    else:
        _share_minutes(config, study.budget.minutes, say, signals)
    if study.guidance:
        take_guidance(config, workdir, study.guidance, say)
    start = time.monotonic()
    pipeline.run(config, workdir, signals=signals)
    seconds = time.monotonic() - start
    run_figures.draw(workdir)
    cost = {"images_seen": _images_seen(config, run_folder.read(workdir).examples)}
    if not any(before):
        cost["training_time"] = seconds
    elif before == _steps(workdir, phases) and (known := _training_time(workdir)):
        cost["training_time"] = known
    return cost


def _score(
    workdir: pathlib.Path, cost: Mapping[str, float], study: Study, say: Callable[[str], None]
) -> dict[str, Any]:
    result, shown = run_scores.score_run(workdir, "", study.options, say)
    result["environment"] |= study.environment
    result["methods"][0]["scores"] |= {name: {"value": value, "error": None} for name, value in cost.items()}
    run_scores.write(result, shown, workdir)
    return result


def _guidance(config: config_lib.Config) -> tuple[str, ...]:
    """Returns the classifiers that the model of a configuration is trained with."""
    recipe = config_lib.RECIPES[config_lib.last_phase(config)]
    return recipe.built_on(config) if recipe.whole else ()


def take_guidance(
    config: config_lib.Config, workdir: pathlib.Path, source: pathlib.Path, say: Callable[[str], None]
) -> None:
    """Copies the classifiers that `config` would train from the run that trained them, unless they are there.

    Raises:
      ValueError: if that run has them not, or trained them otherwise.
    """
    changed = config_lib.differences(run_folder.read_config(source), config)
    for name in _guidance(config):
        # What decides a classifier, in addition to its own fields.
        other = [line for line in changed if line.startswith((f"{name}.", "seed:", "data.", "parallel."))]
        if other:
            raise ValueError(f"{source}: expected a run with the same phase {name}, found {'; '.join(other)}")
        trained, taken = source / "checkpoints" / name, workdir / "checkpoints" / name
        if taken.exists():
            continue
        if not checkpoint.newest_step(trained):
            raise ValueError(f"{source}: expected a trained phase {name}, found none; train it first")
        part = taken.with_name(f"{name}.part")
        shutil.copytree(trained, part, dirs_exist_ok=True)
        part.rename(taken)
        say(f"{workdir.name}: phase {name} is that of {source}")


def _share_minutes(
    config: config_lib.Config, minutes: float, say: Callable[[str], None], signals: interrupt.Signals | None
) -> None:
    """Shortens or prolongs all phases equally so that they take the given minutes, by the pace of a few steps."""
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
        own = tables.load(workdir / "evaluation" / "metrics.json")["methods"][0]
    except (FileNotFoundError, ValueError):
        return None
    return own["scores"].get("training_time", {}).get("value")


def _images_seen(config: config_lib.Config, examples: int) -> int:
    phases = [getattr(config, name) for name in config.phases.split(",")]
    return sum(dataset.total_steps(phase.epochs, examples, phase.batch_size) * phase.batch_size for phase in phases)
