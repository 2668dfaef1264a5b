"""Prints how near a run's transfers come to the true drawings of the held-out toy faces, beside two trivial answers.

python experiments/toy_score.py --workdir=runs/quick
"""

import json
import pathlib

import flag_config
from absl import flags

from emogan import config as config_lib
from emogan import transfer
from emogan.evaluation import toy

WORKDIR = flags.DEFINE_string("workdir", "runs/quick", "the folder of a run on toy faces")


def main(_) -> None:
    workdir = pathlib.Path(WORKDIR.value)
    model = transfer.load(workdir)
    config = config_lib.from_json((workdir / "config.json").read_text())
    if config.data.name != "toyfaces":
        raise ValueError(
            f"{workdir}: expected a run on toyfaces, whose true transfers are known, found {config.data.name}"
        )
    size = config.data.size or None
    scores = toy.score(model, "valid", config.seed, size, size)
    path = workdir / "evaluation" / "toy.json"
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(scores, indent=2) + "\n")
    temporary.replace(path)
    print(toy.to_text(scores))
    print(f"wrote {path}")


if __name__ == "__main__":
    flag_config.run(main)
