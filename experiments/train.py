"""Trains a preset: the paper's system (G against D, then E on the finished G), another recipe, or the judge.

It ends with pictures.

python experiments/train.py                                   the quick preset on drawn faces
python experiments/train.py --config=paper --data_dir=PATH    the paper on FER2013
python experiments/train.py --config=judge --data_dir=PATH    the judge on FER2013
"""

import os
import pathlib
import sys

import flag_config
import script
from absl import flags

from emogan import config as config_lib
from emogan.figures import run_figures
from emogan.train import hosts, interrupt, layout, loop, pipeline, plans, writers

CONFIG = flag_config.define_config()
PHASE = flags.DEFINE_enum("phase", "all", ["all", *config_lib.PHASES], "what to train; all is what the preset names")
WORKDIR = script.define_path("workdir", None, "the run's folder; runs/PRESET if not given")
DETERMINISTIC = flags.DEFINE_bool("deterministic", False, "on a GPU: the same bits every time, at some cost in speed")
flags.adopt_module_key_flags(flag_config)
PROFILE = flags.DEFINE_bool("profile", False, "trace some steps of each phase, into WORKDIR/profile")
BATCH_PER_DEVICE = flags.DEFINE_bool(
    "batch_per_device",
    False,
    "batch sizes are those of each device: the run's batch is this times the number of devices",
)
DISTRIBUTED = flags.DEFINE_bool("distributed", False, "one of several processes that train together (docs/scaling.md)")
COORDINATOR = flags.DEFINE_string("coordinator_address", "", "HOST:PORT of process 0, if the cluster does not set it")
NUM_PROCESSES = flags.DEFINE_integer("num_processes", 0, "how many processes, if the cluster does not set it")
PROCESS_ID = flags.DEFINE_integer("process_id", -1, "index of this process, if the cluster does not set it")
DRY_RUN = flags.DEFINE_bool("dry_run", False, "print the configuration, the parameters and the steps, and end")


def main(_) -> None:
    config = flag_config.resolve(CONFIG)
    if DETERMINISTIC.value:
        # XLA reads it when the first device is used, which nothing has done yet. CPUs need no such flag.
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true"
    if DISTRIBUTED.value or COORDINATOR.value or NUM_PROCESSES.value or PROCESS_ID.value >= 0:
        hosts.join(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
    if BATCH_PER_DEVICE.value:
        config_lib.multiply_batches(config, layout.make(config.parallel).count)
    workdir = pathlib.Path(WORKDIR.value or f"runs/{config.preset}")
    if DRY_RUN.value:
        config = pipeline.with_precision(config, workdir, PHASE.value)
        sizes = plans.make(config, pipeline.load_data(config, "train"), pipeline.phases_of(config, PHASE.value))
        print(config_lib.to_json(config), end="")
        for name, count in sizes.parameters.items():
            print(f"parameters of the {name}: {count:,}")
        for name, count in sizes.steps.items():
            print(f"steps of phase {name}: {count:,}")
        return
    try:
        with interrupt.Signals() as signals:
            pipeline.run(config, workdir, PHASE.value, PROFILE.value, signals)
            if hosts.are_many():
                writers.say(f"for the pictures: python experiments/figures.py --workdir={workdir}")
            else:
                for path in run_figures.draw(workdir):
                    writers.say(f"wrote {path}")
    except loop.TrainingError as error:
        flag_config.fail(error)
    except interrupt.Interrupted as stopped:
        writers.say(str(stopped))
        sys.exit(interrupt.EXIT_STATUS)


if __name__ == "__main__":
    flag_config.run(main)
