"""Measures how a step scales over devices: OUTPUT/scaling.json, scaling.md and scaling.png (docs/scaling.md).

1, 2 and 4 devices, virtual ones on a CPU:
python experiments/lab/scaling.py
on eight GPUs:
python experiments/lab/scaling.py --width=64 --devices=1,2,4,8 --batch_sizes=64,256 --steps=100
batch sizes on one GPU:
python experiments/lab/scaling.py --width=64 --devices=1 --batch_sizes=64,256,1024 --steps=100
what a model expects of 8 to 512 GPUs; nothing is measured:
python experiments/lab/scaling.py --model_only
"""

# isort: off
import beside  # noqa: F401

# isort: on
import os
import pathlib

import script
from absl import flags
from benchmarking import equality, scaling_model, scaling_runs, workers

from emogan.train import writers
from emogan.util import files

DEFAULTS = scaling_runs.Options()
OUTPUT = script.define_path("output", "runs/scaling", "the folder for the report")
DEVICES = flags.DEFINE_list("devices", [str(count) for count in DEFAULTS.devices], "how many share a step")
BATCH_SIZES = flags.DEFINE_list(
    "batch_sizes",
    [str(size) for size in DEFAULTS.batch_sizes],
    "faces a step: of all devices in strong scaling, of each in weak scaling",
)
MODES = flags.DEFINE_list("modes", list(DEFAULTS.modes), f"some of {', '.join(scaling_runs.MODES)}")
SCALING = flags.DEFINE_list("scaling", list(DEFAULTS.scaling), f"some of {', '.join(scaling_runs.KINDS)}")
WIDTH = flags.DEFINE_integer("width", DEFAULTS.width, "of the networks; the model's are of full width")
STEPS = flags.DEFINE_integer("steps", DEFAULTS.steps, "of a turn")
ROUNDS = flags.DEFINE_integer("rounds", DEFAULTS.rounds, "how often each point has its turn")
PRECISION = flags.DEFINE_enum("precision", DEFAULTS.precision, ["tf32", "float32"], "of matrix products on a GPU")
MODEL_ONLY = flags.DEFINE_bool("model_only", False, "print the model's tables and end")
ASSUME = flags.DEFINE_list("assume", [], "assumptions of the model, as flops_per_second=1e14,step_seconds=0.002")


def main(_) -> None:
    # XLA would take most of the GPU for each process.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    if MODEL_ONLY.value:
        print(scaling_model.to_markdown(scaling_model.assumptions(ASSUME.value)), end="")
        return
    output = pathlib.Path(OUTPUT.value)
    files.check_folder(output)
    try:
        options = scaling_runs.Options(
            devices=_whole_numbers("devices", DEVICES.value),
            batch_sizes=_whole_numbers("batch_sizes", BATCH_SIZES.value),
            modes=tuple(MODES.value),
            scaling=tuple(SCALING.value),
            width=WIDTH.value,
            rounds=ROUNDS.value,
            steps=STEPS.value,
            precision=PRECISION.value,
        )
        for path in scaling_runs.run(options, output, script.commit(), writers.say):
            writers.say(f"wrote {path}")
    except (equality.Unequal, workers.WorkerError) as error:
        script.fail(error)


def _whole_numbers(name: str, texts: list[str]) -> tuple[int, ...]:
    for text in texts:
        if not text.isdecimal():
            raise ValueError(f"--{name}: expected whole numbers, found {text!r}")
    return tuple(map(int, texts))


if __name__ == "__main__":
    script.run(main)
