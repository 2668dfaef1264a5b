"""What a run is: typed configurations and their checks.

A `Config` is plain data. It comes from a preset (`presets`), is overridden by flags (experiments/flag_config.py), is
checked before any work, and is saved with the run as JSON.
"""

import dataclasses
import difflib
import json
import pathlib
from collections.abc import Mapping
from typing import Any, ClassVar

from emogan.data import dataset
from emogan.data.data_config import DataConfig
from emogan.edit import model_file
from emogan.models.dcgan import ModelConfig
from emogan.models.flow_edit import FlowEditConfig
from emogan.models.translator import TranslatorConfig
from emogan.models.unet import UNetConfig
from emogan.recipes.classifier import ClassifierConfig
from emogan.recipes.encoder import EncoderConfig
from emogan.recipes.flow import FlowConfig
from emogan.recipes.gan import GanConfig
from emogan.recipes.joint import JointConfig
from emogan.recipes.student import StudentConfig
from emogan.util import files, ranges, untrusted

# The fields are not frozen because ml_collections overrides them one by one from flags.


@dataclasses.dataclass
class RunConfig:
    """What a run writes, and how often; none of it changes the result."""

    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("*",)
    sample_every: int = 100  # steps
    checkpoint_every: int = 200  # steps
    keep_checkpoints: int = 2
    tensorboard: bool = True

    def check(self) -> None:
        ranges.between("run.sample_every", self.sample_every, 1, 10**6)
        ranges.between("run.checkpoint_every", self.checkpoint_every, 1, 10**6)
        ranges.between("run.keep_checkpoints", self.keep_checkpoints, 1, 1000)


@dataclasses.dataclass
class ParallelConfig:
    """How a step is spread over devices; only `batch_norm` and `microbatches` change its mathematics."""

    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("mode", "devices", "data", "optimizer")
    mode: str = "auto"  # jit over a mesh, or pmap; auto is jit
    devices: int = 0  # how many of those that JAX sees; 0 for all
    batch_norm: str = "global"  # over the batch of all devices, or device: each normalises its share by itself
    microbatches: int = 1  # parts of a batch that take turns in memory; batch norm normalises each by itself
    data: str = "replicated"  # on each device, or sharded: each has its part
    optimizer: str = "replicated"  # its state, likewise

    def check(self) -> None:
        ranges.one_of("parallel.mode", self.mode, ("auto", "jit", "pmap"))
        ranges.between("parallel.devices", self.devices, 0, 2**16)
        ranges.one_of("parallel.batch_norm", self.batch_norm, ("global", "device"))
        ranges.between("parallel.microbatches", self.microbatches, 1, 4096)
        ranges.one_of("parallel.data", self.data, ("replicated", "sharded"))
        ranges.one_of("parallel.optimizer", self.optimizer, ("replicated", "sharded"))


@dataclasses.dataclass
class Config:
    """Everything that decides a run; `seed` decides everything random in it."""

    preset: str = "quick"
    phases: str = "gan,encoder"  # what is trained, in this order, unless --phase names one
    seed: int = 0
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    gan: GanConfig = dataclasses.field(default_factory=GanConfig)
    encoder: EncoderConfig = dataclasses.field(default_factory=EncoderConfig)
    classifier: ClassifierConfig = dataclasses.field(default_factory=ClassifierConfig)
    robust: ClassifierConfig = dataclasses.field(default_factory=lambda: ClassifierConfig(attack=0.5))
    translator: TranslatorConfig = dataclasses.field(default_factory=TranslatorConfig)
    joint: JointConfig = dataclasses.field(default_factory=JointConfig)
    unet: UNetConfig = dataclasses.field(default_factory=UNetConfig)
    flow: FlowConfig = dataclasses.field(default_factory=FlowConfig)
    flow_edit: FlowEditConfig = dataclasses.field(default_factory=FlowEditConfig)
    student: StudentConfig = dataclasses.field(default_factory=StudentConfig)
    run: RunConfig = dataclasses.field(default_factory=RunConfig)
    parallel: ParallelConfig = dataclasses.field(default_factory=ParallelConfig)

    def check(self) -> None:
        """Raises ValueError, naming the field, if a value is out of its range."""
        ranges.between("seed", self.seed, 0, 2**31 - 1)
        for name in self.phases.split(","):
            ranges.one_of("phases", name, PHASES)
        for name, part in vars(self).items():
            if isinstance(part, ClassifierConfig):
                part.check(name)  # there are two
            elif dataclasses.is_dataclass(part):
                part.check()
        phases = self.phases.split(",")
        if len(models := [name for name in phases if RECIPES[name].whole]) > 1:
            raise ValueError(
                f"phases: expected {' or '.join(models)}, since a run has one model, found {self.phases}; leave one of "
                "them out"
            )
        for name in phases:
            RECIPES[name].check(self)


# The phases: fields of a configuration whose class has a recipe.
RECIPES = {field.name: field.type.recipe for field in dataclasses.fields(Config) if hasattr(field.type, "recipe")}
PHASES = tuple(RECIPES)


_DEVICES = "computed_on"  # in the JSON of a run: no field, since a run may go on elsewhere


def to_json(config: Config, devices: str = "") -> str:
    """Returns a configuration as JSON text, with the devices that it last ran on, if they are given."""
    values = dataclasses.asdict(config) | ({_DEVICES: devices} if devices else {})
    return json.dumps(values, indent=2) + "\n"


def from_json(text: str) -> Config:
    """Returns the configuration that `to_json` wrote.

    Raises:
      ValueError: if the text is not JSON, or has a field or a type that no configuration has.
    """
    try:
        values = untrusted.from_json(text)
    except ValueError as error:
        raise ValueError(f"expected a configuration as JSON, found {error}; train the run again") from error
    if isinstance(values, dict):
        values.pop(_DEVICES, None)
        data = values.get("data")
        if isinstance(data, dict) and "size" in data and not {"count", "channels"} & set(data):
            # Before faces had several sizes, this was how many faces were drawn.
            values["data"] = {**data, "count": data["size"], "size": dataset.FER2013.size}
    return ranges.from_dict(Config, values, "")


def of(card: Mapping[str, Any]) -> Config:
    """Returns the configuration of the run that trained a model, by the model's card.

    Raises:
      ValueError: if the card has none.
    """
    text = card.get("config")
    if not isinstance(text, str):
        raise ValueError("expected a model whose card has a configuration, found none; export the run again")
    return from_json(text)


def save(config: Config, path: pathlib.Path, devices: str = "") -> None:
    """Writes a configuration as `to_json` gives it; a reader sees the old file or the new one, never a part."""
    files.write_text(path, to_json(config, devices))


def flatten(config: Config) -> dict[str, Any]:
    """Returns the configuration's values under dotted names, such as `gan.epochs`."""
    flat = {}
    for name, value in dataclasses.asdict(config).items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": leaf for inner, leaf in value.items()})
        else:
            flat[name] = value
    return flat


def override(config: Config, name: str, text: str) -> None:
    """Sets the field of a dotted name, such as `gan.epochs`, to what a text says.

    Raises:
      ValueError: if there is no such field, or the text is no value of its type.
    """
    before = flatten(config)
    if name not in before:
        near = difflib.get_close_matches(name, before, 1) or ["none; config.json of a run has all"]
        raise ValueError(
            f"{untrusted.shown(name)}: expected a field of the configuration, found none of this name; the nearest is "
            f"{near[0]}"
        )
    part, _, field = name.rpartition(".")
    owner = getattr(config, part) if part else config
    kind = {each.name: each.type for each in dataclasses.fields(owner)}[field]
    try:
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{name}: expected {kind.__name__}, found {untrusted.shown(text)}") from error
    setattr(owner, field, value)


def last_phase(config: Config) -> str:
    """Returns the phase whose checkpoints hold a run's E and G: the one that trains both, or the last with an E."""
    phases = [name for name in config.phases.split(",") if RECIPES[name].editor]
    return next((name for name in phases if RECIPES[name].whole), phases[-1] if phases else "encoder")


def networks(config: Config) -> model_file.Networks:
    """Returns which networks the finished E and G of a run are."""
    given = {"kind": RECIPES[last_phase(config)].editor, "image": config.data.spec}
    names = {field.name for field in dataclasses.fields(model_file.Networks)} - set(given)
    return model_file.Networks(**given, **{name: getattr(config, name) for name in names})


def share_epochs(config: Config, epochs: float) -> None:
    """Divides passes over the data among the phases in the proportions of the configuration."""
    phases = [getattr(config, name) for name in config.phases.split(",")]
    factor = epochs / sum(phase.epochs for phase in phases)
    for phase in phases:
        phase.epochs *= factor


def multiply_batches(config: Config, devices: int) -> None:
    """Multiplies the batch sizes of all phases by the number of devices."""
    for name in PHASES:
        part = getattr(config, name)
        part.batch_size *= devices


# A run may be prolonged, moved, spread or written differently, and its preset renamed; all else makes it another run.
# Each part of the configuration lists the fields that may change as MAY_CHANGE; "*" is all of them.
_MAY_CHANGE = {"preset", "phases"} | {
    f"{part.name}.{field.name}"
    for part in dataclasses.fields(Config)
    if dataclasses.is_dataclass(part.type)
    for field in dataclasses.fields(part.type)
    if {field.name, "*"} & set(getattr(part.type, "MAY_CHANGE", ()))
}


def differences(old: Config, new: Config) -> list[str]:
    """Returns a line for each field whose change makes `new` another run than `old`, as `model.width: 64 -> 32`."""
    before, after = flatten(old), flatten(new)
    may_change = set(_MAY_CHANGE)
    # A run has one model: that of a phase that trains E and G by itself, where there is one, with what it builds on.
    was, now = (
        {
            (name, RECIPES[name].built_on(config))
            for name in config.phases.split(",")
            if name in RECIPES and RECIPES[name].whole
        }
        for config in (old, new)
    )
    if was and was != now:
        may_change.remove("phases")
    return [
        f"{name}: {before[name]!r} -> {after[name]!r}"
        for name in before
        if before[name] != after[name] and name not in may_change
    ]
