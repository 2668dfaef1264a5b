"""Draws a run's figures again: those of the paper, and the training curves.

python experiments/figures.py --workdir=runs/quick
"""

import pathlib

import flag_config
import script

from emogan import figures

WORKDIR = script.define_path("workdir", "runs/quick", "a run's folder")


def main(_) -> None:
    for path in figures.draw(pathlib.Path(WORKDIR.value)):
        print(f"wrote {path}")


if __name__ == "__main__":
    flag_config.run(main)
