"""The models that ship with emogan, by name."""

import dataclasses
import pathlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from emogan import config as config_lib
from emogan.recipes import state as state_lib
from emogan.train import weights
from emogan.util import untrusted

_FILES = {"fer2013": "emogan_fer2013.npz"}
NAMES = tuple(_FILES)
DEFAULT = "fer2013"


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A trained E and G.

    Attributes:
      config: of the run that trained them.
      class_names: the emotions' names; a label is an index into them.
      encoder, generator: their variables, float32.
      card: the model card: data, recipe, command, scores, limits; JSON.
    """

    config: config_lib.Config
    class_names: tuple[str, ...]
    encoder: state_lib.Variables
    generator: state_lib.Variables
    card: Mapping[str, Any]


def read(name: str) -> Pretrained:
    """Returns the model of a name out of `NAMES`."""
    with resources.as_file(resources.files("emogan") / "assets" / _FILES[name]) as path:
        return from_file(path)


def from_file(path: pathlib.Path) -> Pretrained:
    """Returns the model that `save` wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is no model, or was changed.
    """
    return weights.load(path, _make, "a model", "make one by experiments/export_model.py")


def save(
    path: pathlib.Path,
    config: config_lib.Config,
    class_names: tuple[str, ...],
    variables: tuple[state_lib.Variables, state_lib.Variables],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes E and G, in float16, with their card, and returns the card, to which `about` is added."""
    encoder, generator = variables
    card = {"config": config_lib.to_json(config), "class_names": list(class_names), **about}
    return weights.save(path, weights.in_halves({"encoder": encoder, "generator": generator}), card)


def _make(variables: dict[str, Any], card: dict[str, Any]) -> Pretrained:
    config = config_lib.from_json(card["config"])
    config.check()
    names = tuple(untrusted.escaped(name) for name in card["class_names"])
    both = weights.in_floats(variables)
    return Pretrained(config, names, both["encoder"], both.get("generator", {}), card)
