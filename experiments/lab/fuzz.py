"""Gives every reader of files thousands of hostile inputs: each must be read, or refused in one line.

python experiments/lab/fuzz.py --inputs=10000 --seed=0

Ends with status 1 where a reader traced back, hung or took too much memory; the input at fault stays in --output.
"""

# isort: off
import beside  # noqa: F401

# isort: on
import pathlib
import sys

import flag_config
import script
from absl import flags
from support import cases, fuzzer

from emogan.train import writers
from emogan.util import files

INPUTS = flags.DEFINE_integer("inputs", 10_000, "how many inputs, shared out among the readers", 1)
SEED = flags.DEFINE_integer("seed", 0, "of the inputs", 0)
SECONDS = flags.DEFINE_float("seconds", fuzzer.Limits.seconds, "the longest that an input may take", 0.0)
MEMORY = flags.DEFINE_integer("memory", fuzzer.Limits.memory_mib, "MiB that a reader may take beyond its start", 64)
OUTPUT = script.define_path("output", "fuzz", "a new folder for inputs at fault")


def main(_) -> None:
    output = pathlib.Path(OUTPUT.value)
    if output.exists():
        raise ValueError(f"--output: expected a folder that is not there yet, found {output}; choose another")
    files.check_folder(output)
    limits = fuzzer.Limits(SECONDS.value, MEMORY.value)
    each = -(-INPUTS.value // len(cases.MAKERS))
    tallies = []
    for reader in cases.MAKERS:
        folder = output / reader.replace(" ", "_")
        tally = fuzzer.run(reader, each, SEED.value, folder, limits, writers.Progress(reader))
        tallies.append(tally)
        writers.say(f"{reader}: {tally.inputs} inputs, {tally.fault or 'no fault'}")
    print(f"\nemogan {script.commit()}, seed {SEED.value}, at most {limits.seconds:g} s and {limits.memory_mib} MiB")
    print("| reader | inputs | accepted | refused | slowest (s) | memory beyond the start (MiB) |")
    print("|---|---|---|---|---|---|")
    for tally in tallies:
        numbers = f"{tally.inputs} | {tally.accepted} | {tally.refused} | {tally.slowest:.2f}"
        print(f"| {tally.reader} | {numbers} | {tally.peak_mib - tally.start_mib:.0f} |")
    if any(tally.fault for tally in tallies):
        sys.exit(1)
    if output.exists():
        output.rmdir()


if __name__ == "__main__":
    flag_config.run(main)
