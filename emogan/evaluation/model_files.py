"""The E and G of a run as one small file with a card, which `evaluate.py --model` scores anywhere."""

import pathlib
from collections.abc import Mapping
from typing import Any

from emogan import config as config_lib
from emogan.edit import model_file
from emogan.evaluation import scoring
from emogan.util import images, weights


def write(workdir: pathlib.Path, path: pathlib.Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the E and G of a finished run, in float16, and returns their card.

    Args:
      workdir: the run's folder.
      path: the file, .npz.
      about: further entries of the card, in addition to those of the run and of this machine.

    Raises:
      FileNotFoundError: if the folder is none of a finished run.
      ValueError: if its model is damaged.
    """
    model = model_file.read(workdir / model_file.FILE)
    config = config_lib.of(model.card)
    config.data.dir = ""  # of this machine
    card = {
        "name": path.stem,
        **images.SYNTHETIC,
        "config": config_lib.to_json(config),
        "data": {name: model.card["data"][name] for name in ("name", "split", "examples", "fingerprint")},
        "environment": scoring.environment(),
        **about,
    }
    variables = weights.in_halves(model.encoder), weights.in_halves(model.generator)
    return model_file.write(path, model.networks, model.class_names, variables, card)
