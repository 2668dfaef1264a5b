"""Draws a run's figures again: those of the paper, and the training curves.

python experiments/figures.py --workdir=runs/quick
"""

import pathlib

from absl import flags

from emogan import figures
from experiments import flag_config

WORKDIR = flags.DEFINE_string("workdir", "runs/quick", "a run's folder")


def main(_) -> None:
    for path in figures.draw(pathlib.Path(WORKDIR.value)):
        print(f"wrote {path}")


if __name__ == "__main__":
    flag_config.run(main)
