"""A trained model as one file: E, G and the card that says what they are; those that ship with emogan, by name."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from emogan.data import dataset
from emogan.models.dcgan import ModelConfig
from emogan.models.flow_edit import FlowEditConfig
from emogan.models.translator import TranslatorConfig
from emogan.models.unet import UNetConfig
from emogan.util import ranges, types, untrusted, weights

FILE = "model.npz"  # in the folder of a finished run
FEED_FORWARD = "fer2013"  # E and G, which can be exported
DEFAULT = "fer2013-flow"  # whose edits look more natural, and take longer
SHIPPED = {FEED_FORWARD: "emogan_fer2013.npz", DEFAULT: "emogan_fer2013_flow.npz"}


@dataclasses.dataclass(frozen=True)
class Networks:
    """Which networks E and G are: their kind, and the parts of a configuration that decide them.

    They compute in float32, as their weights are: `model.precision=bfloat16` saves time in training only. Edits in it
    would be coarser, slow on CPUs without instructions for it, and could not be exported to ONNX.

    Attributes:
      kind: `dcgan` (the paper's), `translator`, `flow` or `direct` (a flow's student); `loading.KINDS`.
      model: of `dcgan`; its precision, of all kinds, becomes float32.
      translator: of `translator`.
      unet: of `flow` and `direct`.
      flow_edit: how `flow` edits.
      image: what the faces are.
    """

    kind: str
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    translator: TranslatorConfig = dataclasses.field(default_factory=TranslatorConfig)
    unet: UNetConfig = dataclasses.field(default_factory=UNetConfig)
    flow_edit: FlowEditConfig = dataclasses.field(default_factory=FlowEditConfig)
    image: dataset.ImageSpec = dataclasses.field(kw_only=True)

    def __post_init__(self) -> None:
        self.model.check()
        object.__setattr__(self, "model", dataclasses.replace(self.model, precision="float32"))

    def check(self) -> None:
        """Raises ValueError, naming the field, if a value is out of its range."""
        for field in dataclasses.fields(self):
            part = getattr(self, field.name)
            if hasattr(part, "check"):
                part.check()


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained E and G.

    Attributes:
      networks: which networks they are.
      class_names: the emotions' names; a label is an index into them.
      encoder, generator: their variables, float32.
      card: what the model is: its configuration as JSON, its data, and further entries of its maker.
    """

    networks: Networks
    class_names: tuple[str, ...]
    encoder: types.Params
    generator: types.Params
    card: Mapping[str, Any]


def shipped(name: str) -> Model:
    """Returns the model that ships with emogan under a name out of `SHIPPED`.

    Its card is the text beside the file: what is found out later is written there, and the weights stay as they are.
    """
    with resources.as_file(resources.files("emogan") / "assets") as folder:
        path = folder / SHIPPED[name]
        model = read(path)
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if card["checksum"] != model.card["checksum"]:
        raise ValueError(f"{path.with_suffix('.json')}: expected the card of {path.name}, found that of another file")
    return dataclasses.replace(model, card=card)


def read(path: pathlib.Path) -> Model:
    """Returns the model that `write` wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is no model, or was changed.
    """
    return weights.load(path, _make, "a model", "a finished run has one, and emogan model makes one")


def write(
    path: pathlib.Path,
    networks: Networks,
    class_names: Sequence[str],
    variables: tuple[types.Params, types.Params],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the variables of E and G, in their own type, with their card, and returns the card.

    Args:
      path: the file, .npz.
      networks, class_names: as in `Model`.
      variables: of E and of G.
      about: further entries of the card; JSON.
    """
    parts = dataclasses.asdict(networks)
    card = {"kind": parts.pop("kind"), "networks": parts, "class_names": list(class_names), **about}
    return weights.save(path, {"encoder": variables[0], "generator": variables[1]}, card)


def _make(variables: dict[str, Any], card: dict[str, Any]) -> Model:
    if "kind" in card:
        kind, parts = card["kind"], card["networks"]
    else:  # before files had a kind, it was in the run's configuration
        values = json.loads(card["config"])
        phases = values["phases"].split(",")
        kind = "translator" if "joint" in phases else "flow" if "flow" in phases else "dcgan"
        parts = {field.name: values[field.name] for field in dataclasses.fields(Networks)[1:] if field.name in values}
    image = dataclasses.asdict(dataset.FER2013)  # of older files, which do not say it
    networks = ranges.from_dict(Networks, {"kind": kind, "image": image, **parts}, "")
    networks.check()
    names = tuple(untrusted.escaped(name) for name in card["class_names"])
    both = weights.in_floats(variables)
    return Model(networks, names, both.get("encoder", {}), both.get("generator", {}), card)
