"""Draws a run's figures again: those of the paper, and the training curves.

python experiments/figures.py --workdir=runs/quick
"""

import pathlib

import flag_config
import script

from emogan.figures import run_figures
from emogan.util import files

WORKDIR = script.define_path("workdir", "runs/quick", "a run's folder")


def main(_) -> None:
    workdir = pathlib.Path(WORKDIR.value)
    if workdir.is_dir():  # of what is no run's folder, its reader says more
        files.check_folder(workdir, "--workdir")
    for path in run_figures.draw(workdir):
        print(f"wrote {path}")


if __name__ == "__main__":
    flag_config.run(main)
