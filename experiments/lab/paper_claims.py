"""Measures what the paper says of its pictures on the held-out faces of a run.

python experiments/lab/paper_claims.py --workdir=runs/quick
"""

# isort: off
import beside  # noqa: F401

# isort: on
import json
import pathlib

import claims
import flag_config
import script
from absl import flags

from emogan.data import dataset
from emogan.edit import loading
from emogan.train import pipeline, run_folder
from emogan.util import files

WORKDIR = script.define_path("workdir", "runs/quick", "the folder of a finished run")
SPLIT = flags.DEFINE_enum("split", "valid", dataset.HELD_OUT, "which held-out faces")


def main(_) -> None:
    workdir = pathlib.Path(WORKDIR.value)
    if workdir.is_dir():  # of what is no run's folder, its reader says more
        files.check_folder(workdir, "--workdir")
    model = loading.load(workdir)
    config = run_folder.read(workdir).config
    samples = sorted((workdir / "figures" / "samples").glob("gan_*.png"))
    measured = {"split": SPLIT.value} | claims.measure(model, pipeline.load_data(config, SPLIT.value), samples)
    path = workdir / "evaluation" / "paper_claims.json"
    path.parent.mkdir(exist_ok=True)
    files.write_json(path, measured)
    print(json.dumps(measured, indent=2))
    print(f"wrote {path}")


if __name__ == "__main__":
    flag_config.run(main)
