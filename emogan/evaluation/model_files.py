"""The E and G of a run as one small file with a card, which `evaluate.py --model` scores anywhere."""

import pathlib
from collections.abc import Mapping
from typing import Any

from emogan.edit import loading, pretrained
from emogan.evaluation import scoring
from emogan.train import run_folder
from emogan.util import images


def write(workdir: pathlib.Path, path: pathlib.Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the E and G of a finished run, in float16, and returns their card.

    Args:
      workdir: the run's folder.
      path: the file, .npz.
      about: what the card shall say, beside what the run and this machine tell.

    Raises:
      FileNotFoundError: if the folder is no run's.
      ValueError: if its last phase has not finished, or a file in it is damaged.
    """
    model, data = loading.load(workdir), run_folder.read_about_data(workdir)
    model.config.data.dir = ""  # of this machine
    card = {
        "name": path.stem,
        **images.SYNTHETIC,
        "data": {name: data[name] for name in ("name", "split", "examples", "fingerprint")},
        "environment": scoring.environment(),
        **about,
    }
    return pretrained.save(path, model.config, model.class_names, model.variables, card)
