"""What a run will do, before anything is computed: how large its networks are, and how many steps its phases have."""

import dataclasses
from collections.abc import Sequence

from emogan import config as config_lib
from emogan.data import dataset
from emogan.recipes import state


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run will do: parameters of each network, and steps of each phase."""

    parameters: dict[str, int]
    steps: dict[str, int]
    num_examples: int
    class_names: tuple[str, ...]


def make(config: config_lib.Config, data: dataset.Dataset, phases: Sequence[str] = ("gan", "encoder")) -> Plan:
    """Returns the sizes that a configuration gives with these data and phases; nothing is computed.

    Raises:
      ValueError: if the data hold less than one batch.
    """
    recipes, classes = config_lib.RECIPES, len(data.class_names)
    networks = {}
    for name in phases:
        networks |= recipes[name].networks(config, name, classes, data.spec)
    steps = {}
    for name in dict.fromkeys(name for phase in phases for name in (*recipes[phase].built_on(config), phase)):
        settings = getattr(config, name)
        steps[name] = dataset.total_steps(settings.epochs, len(data), settings.batch_size)
    parameters = {name: state.parameter_count(shapes) for name, shapes in networks.items()}
    return Plan(parameters, steps, len(data), data.class_names)
