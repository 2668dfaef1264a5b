"""A whole run: data and phases, in one folder."""

import contextlib
import dataclasses
import errno
import pathlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from emogan import config as config_lib
from emogan import data as data_lib
from emogan.data import dataset
from emogan.edit import model_file
from emogan.models import precision
from emogan.recipes import state as state_lib
from emogan.train import checkpoint, hosts, interrupt, lock, loop, plans, run_folder, writers
from emogan.train import layout as layout_lib
from emogan.util import files, images, untrusted


def phases_of(config: config_lib.Config, phase: str = "all") -> tuple[str, ...]:
    """Returns the phases that `phase` names: itself or, for `all`, those of the configuration.

    Raises:
      ValueError: if there is no such phase, or it trains E and G by itself in a configuration without it, whose
        model is another.
    """
    if phase != "all" and phase not in config_lib.PHASES:
        raise ValueError(f"--phase: expected all, {' or '.join(config_lib.PHASES)}, found {phase!r}")
    phases = tuple(config.phases.split(","))
    if phase != "all" and config_lib.RECIPES[phase].whole and phase not in phases:
        raise ValueError(f"--phase={phase}: expected {phase} in --config.phases, found {config.phases}")
    return phases if phase == "all" else (phase,)


def run(
    config: config_lib.Config,
    workdir: pathlib.Path,
    phase: str = "all",
    profile: bool = False,
    signals: interrupt.Signals | None = None,
) -> dict[str, float]:
    """Trains what `phase` names (`all`: the configuration's phases) in `workdir`, continuing what is there.

    Returns how many faces a second each phase came to take that was trained now.

    Args:
      config: of the run.
      workdir: the run's folder, which one process at a time writes to.
      phase: what to train.
      profile: whether each phase leaves a trace of some of its steps in WORKDIR/profile/PHASE.
      signals: what may end the run in order.

    Raises:
      ValueError, FileNotFoundError: if something given is wrong; the text says what and what to do.
      OSError: if the folder cannot be written to, or the disk is full.
      interrupt.Interrupted: after a signal.
      loop.TrainingError: if the training cannot go on.
    """
    config.check()
    phases = phases_of(config, phase)
    checkpoint.place(workdir)
    layout = layout_lib.make(config.parallel)
    config = with_precision(config, workdir, phase)
    _refuse_other_run(config, workdir)
    for name in phases:
        config_lib.RECIPES[name].check(config)
        settings, microbatches = getattr(config, name), config.parallel.microbatches
        critic_steps = getattr(settings, "critic_steps", 1)
        layout_lib.check_batch(name, settings.batch_size, layout.count, microbatches, critic_steps)
    with _told_of_full_disks(workdir), lock.held(workdir) if hosts.is_first() else contextlib.nullcontext():
        return _run(config, workdir, phases, profile, layout, signals)


def with_precision(config: config_lib.Config, workdir: pathlib.Path, phase: str = "all") -> config_lib.Config:
    """Returns the configuration of `run` with a precision in place of `auto`: that of the run, if it has begun.

    Raises:
      ValueError: if there is no such phase, there are not as many devices, or the folder's config.json is damaged.
    """
    if config.model.precision != "auto":
        return config
    phases = {*config.phases.split(","), *phases_of(config, phase)}
    if (workdir / "config.json").exists():
        chosen = run_folder.read_config(workdir).model.precision
    elif any(config_lib.RECIPES[name].bfloat16 for name in phases):
        chosen = precision.of_machine(layout_lib.make(config.parallel).count)
    else:
        chosen = "float32"
    return dataclasses.replace(config, model=dataclasses.replace(config.model, precision=chosen))


def _run(
    config: config_lib.Config,
    workdir: pathlib.Path,
    phases: Sequence[str],
    profile: bool,
    layout: layout_lib.Layout,
    signals: interrupt.Signals | None,
) -> dict[str, float]:
    data = load_data(config, "train")
    sizes = plans.make(config, data, phases)
    _refuse_other_data(workdir, data)
    _refuse_stale(config, workdir, sizes, phases)
    if hosts.is_first():
        _settle(config, workdir, data, layout.devices)
    hosts.meet("the folder is settled")
    writers.say(
        f"{data.name} {data.split}: {len(data)} faces{_kind_of(data)}{_labels_of(data)}; "
        + ", ".join(f"{name} {count:,} parameters" for name, count in sizes.parameters.items())
    )
    in_bfloat16 = config.model.precision == "bfloat16" and any(config_lib.RECIPES[name].bfloat16 for name in phases)
    writers.say(f"computing on {layout.devices}{', in bfloat16' if in_bfloat16 else ''}")
    writers.say(f"writing to {workdir}; stop at any time, the same command continues")
    rates, building = {}, _Run(config, workdir, data, sizes, layout)
    last = config_lib.last_phase(config)
    for name in phases:
        made, about = building.build(name)
        traces = workdir / "profile" / name if profile else None
        finished = checkpoint.newest_step(workdir / "checkpoints" / name) >= sizes.steps[name]
        if hosts.is_first() and not finished:
            (workdir / model_file.FILE).unlink(missing_ok=True)  # of what was trained before
        prepared = data if finished else building.prepare(name, data)
        rates[name] = _train(made, config, workdir, prepared, sizes, about, traces, layout, signals)
    if last in phases:
        _write_model(building, last, data, workdir)
    return {name: rate for name, rate in rates.items() if rate}


def _write_model(run: "_Run", last: str, data: dataset.Dataset, workdir: pathlib.Path) -> None:
    """Writes E and G of a finished run as one file."""
    config = run.config
    step, variables = run.finished(last, lambda state: (state.best_encoder, state.generator))
    if not hosts.is_first():
        return
    folder = workdir / "checkpoints"
    steps = {name: checkpoint.newest_step(folder / name) for name in config.phases.split(",")} | {last: step}
    about = {
        "name": workdir.resolve().name,
        "config": config_lib.to_json(config),
        "data": _about_data(data),
        "steps": steps,
        **images.SYNTHETIC,
    }
    model_file.write(workdir / model_file.FILE, config_lib.networks(config), data.class_names, variables, about)
    writers.say(f"wrote {workdir / model_file.FILE}")


class _Run:
    """What a phase is built on: see `state.Run`."""

    def __init__(
        self,
        config: config_lib.Config,
        workdir: pathlib.Path,
        data: dataset.Dataset,
        sizes: plans.Plan,
        layout: layout_lib.Layout,
    ):
        self.config, self.steps = config, sizes.steps
        self.num_classes, self.class_counts = len(sizes.class_names), data.class_counts()
        self.spec = data.spec
        self._workdir, self._layout, self._name = workdir, layout, ""

    def build(self, name: str) -> tuple[state_lib.Phase, dict[str, Any]]:
        """Returns a phase, and what its checkpoints say of what it was built on."""
        self._name = name
        return config_lib.RECIPES[name].build(self, name)

    def prepare(self, name: str, data: dataset.Dataset) -> dataset.Dataset:
        """Returns the training data with what else a phase needs, which the first process makes."""
        prepared = config_lib.RECIPES[name].prepare(self, data) if hosts.is_first() else None
        hosts.meet(f"the data of {name} are prepared")
        return config_lib.RECIPES[name].prepare(self, data) if prepared is None else prepared

    def held_out(self) -> dataset.Dataset:
        return load_data(self.config, "valid")

    def folder(self, name: str) -> pathlib.Path:
        return self._workdir / name

    def progress(self, what: str) -> Callable[[int, int], None]:
        return writers.Progress(what)

    def finished(self, name: str, part: Callable[[Any], Any]) -> tuple[int, Any]:
        """Returns the last step of a finished phase, and a part of its last state, in the host's memory.

        The optimiser's part may lie with other processes, so no more than the part is taken to the host.

        Raises:
          ValueError: if the phase has not finished there, or its last checkpoint is damaged.
        """
        folder, wanted = self._workdir / "checkpoints" / name, self.steps[name]
        done = checkpoint.newest_step(folder)
        if done >= wanted:
            recipe = config_lib.RECIPES[name]
            begin = lambda key: recipe.begin(self.config, self.num_classes, name, key, self.spec)  # noqa: E731
            saved = checkpoint.read(folder, self._layout.target(jax.eval_shape(begin, jax.random.key(0))))
            if saved.step >= wanted:
                return saved.step, jax.device_get(part(saved.state))
            done = saved.step
        raise ValueError(
            f"--phase={self._name}: expected a finished phase {name} in {self._workdir} ({wanted} steps), "
            f"found {done} steps; run --phase={name} (or --phase=all) with the same flags first"
        )


def load_data(config: config_lib.Config, split: str) -> dataset.Dataset:
    """Returns a split of a run's data, with progress and remarks on the console."""
    return data_lib.load(
        config.data,
        split,
        config.seed,
        progress=writers.Progress(f"reading {config.data.name}"),
        report=lambda line: writers.say(f"{config.data.name}: {line}"),
    )


def _train(
    phase: Any,
    config: config_lib.Config,
    workdir: pathlib.Path,
    data: Any,
    sizes: plans.Plan,
    about: dict,
    profile: pathlib.Path | None,
    layout: layout_lib.Layout,
    signals: interrupt.Signals | None,
) -> float:
    settings = getattr(config, phase.name)
    # Each phase has a key of its own, by its name, so that one phase more never changes another's randomness.
    key = jax.random.fold_in(jax.random.key(config.seed), zlib.crc32(phase.name.encode()))
    total = sizes.steps[phase.name]
    writer = writers.NullWriter()

    def make_writer(step: int) -> Any:
        nonlocal writer
        if hosts.is_first():
            writer = writers.Writer(workdir, phase.name, step, total, settings.batch_size, config.run.tensorboard)
        return writer

    with checkpoint.Checkpoints(workdir / "checkpoints" / phase.name, config.run.keep_checkpoints) as checkpoints:
        if about and checkpoints.latest_step:
            _check_built_on(workdir, phase.name, checkpoints.about(), about)
        loop.train(
            phase,
            data,
            key=key,
            total_steps=total,
            batch_size=settings.batch_size,
            run=config.run,
            checkpoints=checkpoints,
            writer_of=make_writer,
            about=about,
            profile=profile,
            layout=layout,
            signals=signals,
        )
    return writer.rate


@contextlib.contextmanager
def _told_of_full_disks(workdir: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise OSError(
            f"{workdir}: expected room to write, found: {error.strerror}; make room, and the same command continues"
        ) from error


def _check_built_on(workdir: pathlib.Path, name: str, about: dict, now: dict) -> None:
    """Raises ValueError unless a phase's checkpoint was built on the steps that other phases have now."""
    for key in now:
        if about.get(key, now[key]) != now[key]:
            other = key.removesuffix(state_lib.STEP)
            raise ValueError(
                f"{workdir}: phase {name} was trained on phase {other} at step {about[key]}, but {other} is at step "
                f"{now[key]}; delete {workdir / 'checkpoints' / name} to train {name} again"
            )


def _refuse_stale(config: config_lib.Config, workdir: pathlib.Path, sizes: plans.Plan, phases: Sequence[str]) -> None:
    """Raises ValueError if a phase is to go on whose present state another phase was trained on."""
    for name, recipe in config_lib.RECIPES.items():
        others = [other for other in recipe.built_on(config) if other in phases]
        folder = workdir / "checkpoints" / name
        if others and checkpoint.newest_step(folder):
            newest = {other: checkpoint.newest_step(workdir / "checkpoints" / other) for other in others}
            now = {other + state_lib.STEP: max(sizes.steps[other], newest[other]) for other in others}
            with checkpoint.Checkpoints(folder) as checkpoints:
                _check_built_on(workdir, name, checkpoints.about(), now)


def _refuse_other_run(config: config_lib.Config, workdir: pathlib.Path) -> None:
    if others := run_folder.foreign(workdir):
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise ValueError(
            f"{workdir}: expected a run's folder, an empty or a new one, found {untrusted.shown(others[0])}{more} in "
            "it; choose another --workdir"
        )
    if not (workdir / "config.json").exists():
        return
    changed = config_lib.differences(run_folder.read_config(workdir), config)
    if changed:
        raise ValueError(
            f"{workdir}: expected the configuration that it was begun with, found {'; '.join(changed)}; "
            "choose another --workdir"
        )


def _refuse_other_data(workdir: pathlib.Path, data: dataset.Dataset) -> None:
    if not (workdir / "data.json").exists():
        return
    found = _about_data(data)
    changed = [
        f"{untrusted.shown(name)}: {untrusted.shown(value)} -> {found.get(name)}"
        for name, value in run_folder.read_about_data(workdir).items()
        if value != found.get(name)
    ]
    if changed:
        raise ValueError(
            f"{workdir}: expected the data that it was begun with, found {'; '.join(changed)}; choose another --workdir"
        )


def _settle(config: config_lib.Config, workdir: pathlib.Path, data: dataset.Dataset, devices: str) -> None:
    """Writes the configuration with the devices, and what the data are, once nothing in the folder refuses them."""
    workdir.mkdir(parents=True, exist_ok=True)
    if not (workdir / "data.json").exists():
        files.write_json(workdir / "data.json", _about_data(data))
    config_lib.save(config, workdir / "config.json", devices)


def _about_data(data: dataset.Dataset) -> dict[str, Any]:
    about = {"name": data.name, "split": data.split, "examples": len(data), "fingerprint": data.fingerprint()}
    if data.label_source != "own":
        about |= {"labels": data.label_source, "no_face": data.left_out}
    return {**about, "class_names": list(data.class_names)}


def _kind_of(data: dataset.Dataset) -> str:
    return "" if data.spec == dataset.FER2013 else f" of {data.spec}"


def _labels_of(data: dataset.Dataset) -> str:
    return (
        "" if data.label_source == "own" else f" with labels of {data.label_source}, {data.left_out} left out (no face)"
    )
