"""Writes a judge as one file with its card, and scores it: what a run of phase `classifier` trained, or the HOG judge.

python experiments/lab/export_judge.py --workdir=runs/judge --output=judge.npz --command="..."
python experiments/lab/export_judge.py --hog --data_dir=PATH --output=judge_hog.npz     fits it: a minute
"""

# isort: off
import beside  # noqa: F401

# isort: on
import pathlib

import flag_config
import script
from absl import flags

from emogan import config as config_lib
from emogan.evaluation import hog_judge, scoring
from emogan.evaluation import judge as judge_lib
from emogan.train import pipeline, run_folder
from emogan.util import files

WORKDIR = script.define_path("workdir", "runs/judge", "the folder of a finished run of --config=judge")
HOG = flags.DEFINE_bool("hog", False, "fit the HOG judge on FER2013's train instead of reading a run")
DATA_DIR = script.define_path("data_dir", "", "with --hog: folder of FER2013")
OUTPUT = script.define_path("output", "judge.npz", "the file; its card is written next to it as .json")
COMMAND = flags.DEFINE_string("command", "", "how it was trained, for the card")
SPLITS = flags.DEFINE_list("splits", ["valid"], "on which it is scored for the card; of the last only once, at the end")


def main(_) -> None:
    workdir, path = pathlib.Path(WORKDIR.value), script.output(OUTPUT.value, beside=".json")
    if HOG.value:
        config = config_lib.Config(data=config_lib.DataConfig(name="fer2013", dir=DATA_DIR.value))
        judge, save = hog_judge.fit(pipeline.load_data(config, "train")), hog_judge.save
    else:
        config = run_folder.read(workdir).config
        judge, save = judge_lib.from_run(workdir), judge_lib.save
    scored = {}
    for split in SPLITS.value:
        data = pipeline.load_data(config, split)
        verdicts = judge.look(data.images).verdicts
        scored[split] = {"faces": len(data), **judge_lib.accuracy(verdicts, data.labels, len(data.class_names))}
        print(f"{split}: {100 * scored[split]['accuracy']:.2f} % of {len(data)} faces")
    about = {"name": path.stem, "command": COMMAND.value, "scored": scored, "environment": scoring.environment()}
    card = save(judge, path, about)
    files.write_json(path.with_suffix(".json"), card)
    print(f"wrote {path} ({path.stat().st_size / 1e6:.2f} MB) and {path.with_suffix('.json')}")


if __name__ == "__main__":
    flag_config.run(main)
