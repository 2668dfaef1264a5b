"""Counts the faces of a data set that occur twice, with two labels, or in two splits.

python experiments/audit.py --dataset=fer2013 --data_dir=PATH --output=audit.json
"""

import flag_config
import script
from absl import flags

from emogan import config as config_lib
from emogan.evaluation import leakage
from emogan.train import pipeline
from emogan.util import files

DATASET = flags.DEFINE_string("dataset", "fer2013", "toyfaces, fer2013 or tfds:NAME")
DATA_DIR = script.define_path("data_dir", "", "folder of the data")
DATA_COUNT = flags.DEFINE_integer("data_count", 0, "how many toy faces, 0 for all", 0)
SPLITS = flags.DEFINE_list(
    "splits", [], "each is searched in those before it; if not given, train and valid, and of fer2013 public"
)
OUTPUT = script.define_path("output", "", "a JSON file for the counts, if wanted")


def main(_) -> None:
    output = OUTPUT.value and script.output(OUTPUT.value)
    data = config_lib.DataConfig(name=DATASET.value, dir=DATA_DIR.value, count=DATA_COUNT.value)
    data.check()
    config = config_lib.Config(data=data)
    names = SPLITS.value or ["train", "valid", *(["public"] if DATASET.value == "fer2013" else [])]
    splits = {name: pipeline.load_data(config, name) for name in names}
    # As TFDS, one split may answer for two names.
    if len({data.fingerprint() for data in splits.values()}) < len(names):
        raise ValueError(
            f"--splits: expected different faces in each, found the same faces under two names: {', '.join(names)}"
        )
    found = leakage.audit(splits)
    print(leakage.to_text(found))
    if output:
        print(f"wrote {files.write_json(output, found)}")


if __name__ == "__main__":
    flag_config.run(main)
