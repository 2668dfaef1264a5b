"""Compares emogan with the same networks in stock Flax and in PyTorch: OUTPUT/benchmark.json and benchmark.md.

python experiments/lab/benchmark.py                                      everything at full width (more than an hour)
python experiments/lab/benchmark.py --width=64,16 --sections=gan,matmul  the GAN's step at two widths
python experiments/lab/benchmark.py --sections=gan --bfloat16            the GAN's step in float32 and in bfloat16
python experiments/lab/benchmark.py --sections=joint,flow --batch_size=32  the steps of presets emogan and flow
python experiments/lab/benchmark.py --sections=gan,schedule              on a GPU: the step, and the paper's whole phase
"""

# isort: off
import beside  # noqa: F401

# isort: on
import os
import pathlib

import script
from absl import flags
from benchmarking import equality, suite, workers
from benchmarking import options as options_lib

from emogan.train import writers
from emogan.util import files

DEFAULTS = options_lib.Options()
OUTPUT = script.define_path("output", "runs/benchmark", "the folder for the report")
SECTIONS = flags.DEFINE_list("sections", list(DEFAULTS.sections), f"some of {', '.join(options_lib.SECTIONS)}")
WIDTH = flags.DEFINE_list("width", [str(width) for width in DEFAULTS.widths], "widths of the networks")
BATCH_SIZE = flags.DEFINE_integer("batch_size", DEFAULTS.batch_size, "faces a step")
PEERS = flags.DEFINE_list(
    "peers", list(DEFAULTS.peers), f"compared with emogan; some of {', '.join(options_lib.PEERS)}"
)
ROUNDS = flags.DEFINE_integer("rounds", DEFAULTS.rounds, "how often each implementation has its turn")
ROUND_SECONDS = flags.DEFINE_float("round_seconds", DEFAULTS.round_seconds, "about how long a turn is")
PRECISION = flags.DEFINE_enum("precision", DEFAULTS.precision, ["tf32", "float32"], "of matrix products on a GPU")
BFLOAT16 = flags.DEFINE_bool(
    "bfloat16", DEFAULTS.bfloat16, "sections of steps: emogan and PyTorch (autocast) in bfloat16 as well"
)
DATA_DIR = script.define_path("data_dir", "", "FER2013, to time its reading")
EPOCH_STEPS = flags.DEFINE_integer("epoch_steps", DEFAULTS.epoch_steps, "steps of section epoch; 0 for a minute")
TRANSFER_FACES = flags.DEFINE_integer("transfer_faces", DEFAULTS.transfer_faces, "faces edited at once")
SCHEDULE_EPOCHS = flags.DEFINE_integer("schedule_epochs", DEFAULTS.schedule_epochs, "epochs of section schedule")


def main(_) -> None:
    # XLA would take most of the GPU for each process.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    output = pathlib.Path(OUTPUT.value)
    files.check_folder(output)
    try:
        options = options_lib.Options(
            sections=tuple(SECTIONS.value),
            widths=tuple(map(_whole_number, WIDTH.value)),
            batch_size=BATCH_SIZE.value,
            peers=tuple(PEERS.value),
            rounds=ROUNDS.value,
            round_seconds=ROUND_SECONDS.value,
            precision=PRECISION.value,
            bfloat16=BFLOAT16.value,
            data_dir=DATA_DIR.value,
            epoch_steps=EPOCH_STEPS.value,
            transfer_faces=TRANSFER_FACES.value,
            schedule_epochs=SCHEDULE_EPOCHS.value,
        )
        for path in suite.run(options, output, script.commit(), writers.say):
            writers.say(f"wrote {path}")
    except (equality.Unequal, workers.WorkerError) as error:
        script.fail(error)


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"--width: expected whole numbers, found {text!r}")
    return int(text)


if __name__ == "__main__":
    script.run(main)
