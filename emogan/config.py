"""What a run is: typed configurations and their checks.

A `Config` is plain data. It comes from a preset (`presets`), is overridden by flags (experiments/flag_config.py), is
checked before any work, and is saved beside the run as JSON.
"""

import dataclasses
import difflib
import json
import pathlib
from typing import Any

from emogan.phase_configs import (
    ClassifierConfig,
    EncoderConfig,
    FlowConfig,
    FlowEditConfig,
    GanConfig,
    JointConfig,
    TranslatorConfig,
    UNetConfig,
)
from emogan.util import files, ranges, untrusted

PHASES = ("gan", "encoder", "classifier", "robust", "joint", "flow")
_CLASSIFIERS = ("classifier", "robust")

# The fields are not frozen because ml_collections overrides them one by one from flags.


@dataclasses.dataclass
class DataConfig:
    """Which faces a run learns from."""

    name: str = "toyfaces"  # toyfaces, fer2013, folder, or tfds:NAME
    dir: str = ""  # where FER2013 or the prepared TFDS data lie
    size: int = 0  # toyfaces: how many faces to draw for each split; 0 means as many as FER2013 has
    on_bad_row: str = "error"  # FER2013, folder: error, or skip (counts and reports)
    labels: str = "fer2013"  # the data's own; of FER2013 also ferplus, or auto: ferplus where fer2013new.csv is there
    ferplus: str = ""  # fer2013new.csv, where it does not lie beside FER2013
    class_names: str = ""  # folder: what the classes are called, with commas between, in the order of their numbers

    def check(self) -> None:
        ranges.one_of("data.on_bad_row", self.on_bad_row, ("error", "skip"))
        ranges.one_of("data.labels", self.labels, ("fer2013", "ferplus", "auto"))
        ranges.between("data.size", self.size, 0, 10**7)
        if self.name not in ("toyfaces", "fer2013", "folder") and not self.name.startswith("tfds:"):
            raise ValueError(f"data.name: expected toyfaces, fer2013, folder or tfds:NAME, found {self.name!r:.100}")
        if self.labels == "ferplus" and self.name != "fer2013":
            raise ValueError(f"data.labels: expected ferplus with data.name=fer2013 alone, found {self.name!r:.50}")


@dataclasses.dataclass
class ModelConfig:
    """The networks; with the defaults they are the paper's."""

    width: int = 64  # features of D's first convolution; the others are 2, 4 and 8 times as wide
    latent_size: int = 100
    latent_distribution: str = "uniform"  # uniform on (-1, 1), or normal
    encoder_labels: bool = False  # E(x, y), as in the authors' code, instead of the paper's E(x)
    encoder_output: str = "tanh"  # tanh keeps E(x) within the uniform prior; linear is the paper's words
    batch_norm: bool = True
    critic_norm: bool = True  # whether D has it, too; a penalty on D's gradients wants none there
    resampling: str = "strided"  # strided convolutions, or pooled: what the paper says strides improve on
    precision: str = "float32"  # bfloat16: of features and products in G, D and E; all that is kept stays float32

    def check(self) -> None:
        ranges.between("model.width", self.width, 1, 1024)
        ranges.between("model.latent_size", self.latent_size, 1, 4096)
        ranges.one_of("model.latent_distribution", self.latent_distribution, ("uniform", "normal"))
        ranges.one_of("model.encoder_output", self.encoder_output, ("tanh", "linear"))
        ranges.one_of("model.precision", self.precision, ("float32", "bfloat16"))
        ranges.one_of("model.resampling", self.resampling, ("strided", "pooled"))


@dataclasses.dataclass
class RunConfig:
    """What a run writes, and how often; none of it changes the result."""

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
        if self.gan.loss == "began" and self.parallel.microbatches > 1:
            raise ValueError(
                f"parallel.microbatches: expected 1 with gan.loss=began, found {self.parallel.microbatches}; "
                "give it a smaller gan.batch_size"
            )
        phases = self.phases.split(",")
        if {"joint", "flow"} <= set(phases):
            raise ValueError(
                f"phases: expected joint or flow, since a run has one model, found {self.phases}; leave one of them out"
            )
        if "joint" not in phases:
            return
        if self.joint.guide and not guides(self):
            raise ValueError(
                f"joint.guide: expected 0, or one of the phases {' and '.join(_CLASSIFIERS)} in phases, found "
                f"{self.joint.guide} and {self.phases}"
            )
        if self.translator.informed and (self.joint.gradient_penalty or not guides(self)):
            raise ValueError(
                "translator.informed: expected false, or a guide and joint.gradient_penalty=0, found true with "
                f"joint.guide={self.joint.guide}, phases {self.phases} and "
                f"joint.gradient_penalty={self.joint.gradient_penalty}"
            )
        if self.parallel.microbatches > 1:
            raise ValueError(
                f"parallel.microbatches: expected 1 with phase joint, found {self.parallel.microbatches}; "
                "give it a smaller joint.batch_size"
            )


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
    return _from_dict(Config, values, "")


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


def guides(config: Config) -> tuple[str, ...]:
    """Returns the phases whose classifiers guide phase `joint`: all of the configuration's, if they are asked to."""
    return tuple(name for name in config.phases.split(",") if name in _CLASSIFIERS and config.joint.guide)


def share_epochs(config: Config, epochs: float) -> None:
    """Divides so many passes over the data among the phases, as the configuration divided its own."""
    phases = [getattr(config, name) for name in config.phases.split(",")]
    factor = epochs / sum(phase.epochs for phase in phases)
    for phase in phases:
        phase.epochs *= factor


def multiply_batches(config: Config, devices: int) -> None:
    """Makes the batch sizes of all phases so many times as large."""
    for name in PHASES:
        part = getattr(config, name)
        part.batch_size *= devices


# A run may be prolonged, moved, spread or written differently, and its preset renamed; all else makes it another run.
_MAY_CHANGE = (
    *("preset", "phases", "data.dir", "data.on_bad_row", "data.ferplus"),
    *("gan.epochs", "encoder.epochs", "gan.on_collapse"),
    "flow.epochs",  # its learning rate does not depend on them
    *("translator.strength", "translator.mirrored"),
    *("parallel.mode", "parallel.devices", "parallel.data", "parallel.optimizer"),
)


def differences(old: Config, new: Config) -> list[str]:
    """Returns a line for each field whose change makes `new` another run than `old`, as `model.width: 64 -> 32`."""
    before, after = flatten(old), flatten(new)
    may_change = set(_MAY_CHANGE)
    # The run's model is that of phase `joint` or `flow` where there is one, and that of `joint` holds its guides.
    was, now = (set(config.phases.split(",")) & {"joint", "flow"} for config in (old, new))
    if was and (was != now or ("joint" in was and guides(old) != guides(new))):
        may_change.remove("phases")
    free = ("run.", "flow_edit.")  # what is written, and how a trained flow is used
    return [
        f"{name}: {before[name]!r} -> {after[name]!r}"
        for name in before
        if before[name] != after[name] and name not in may_change and not name.startswith(free)
    ]


def _from_dict(cls: type, values: Any, prefix: str) -> Any:
    if not isinstance(values, dict):
        raise ValueError(f"{prefix or 'config'}: expected an object, found {values!r:.100}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if unknown := sorted(set(values) - set(fields)):
        name = prefix + untrusted.shown(unknown[0])
        raise ValueError(f"{name}: expected a field out of {', '.join(fields)}, found another")
    arguments = {}
    for name, value in values.items():
        kind = fields[name].type
        if dataclasses.is_dataclass(kind):
            arguments[name] = _from_dict(kind, value, f"{prefix}{name}.")
            continue
        if kind is float and type(value) is int and abs(value) < 1 << 63:
            value = float(value)
        if type(value) is not kind:
            raise ValueError(f"{prefix}{name}: expected {kind.__name__}, found {value!r:.100}")
        arguments[name] = value
    return cls(**arguments)
