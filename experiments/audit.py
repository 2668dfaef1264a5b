"""Counts the faces of a data set that stand there twice, with two labels, or in two splits.

python experiments/audit.py --dataset=fer2013 --data_dir=PATH --output=audit.json
"""

import pathlib

import flag_config
from absl import flags

from emogan import config as config_lib
from emogan import files, pipeline
from emogan.evaluation import leakage

DATASET = flags.DEFINE_string("dataset", "fer2013", "toyfaces, fer2013 or tfds:NAME")
DATA_DIR = flags.DEFINE_string("data_dir", "", "where the data lie")
DATA_SIZE = flags.DEFINE_integer("data_size", 0, "how many toy faces, 0 for all", 0)
SPLITS = flags.DEFINE_list("splits", ["train", "valid", "public"], "each is searched in those before it")
OUTPUT = flags.DEFINE_string("output", "", "a JSON file for the counts, if wanted")


def main(_) -> None:
    data = config_lib.DataConfig(name=DATASET.value, dir=DATA_DIR.value, size=DATA_SIZE.value)
    data.check()
    config = config_lib.Config(data=data)
    found = leakage.audit({split: pipeline.load_data(config, split) for split in SPLITS.value})
    print(leakage.to_text(found))
    if OUTPUT.value:
        print(f"wrote {files.write_json(pathlib.Path(OUTPUT.value), found)}")


if __name__ == "__main__":
    flag_config.run(main)
