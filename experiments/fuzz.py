"""Gives every parser damaged files by the thousand: each must be read, or refused in one line.

python experiments/fuzz.py --inputs=10000 --seed=0
"""

import pathlib
import resource
import signal
import sys
import tempfile
import time

import flag_config
import numpy as np
from absl import flags

from emogan import files, hostile
from emogan.train import writers

INPUTS = flags.DEFINE_integer("inputs", 10_000, "how many files", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "of the damage", lower_bound=0)
SECONDS = flags.DEFINE_integer("seconds", 20, "after which a parser is said to hang", lower_bound=1)
MEMORY = flags.DEFINE_integer("memory_mib", 3072, "the most that the process may take", lower_bound=256)
OUTPUT = flags.DEFINE_string("output", "runs/fuzz", "where an offending file, and the table as JSON, go")


class _Hang(BaseException):
    """No Exception, so that nobody on the way catches it."""


def main(_) -> None:
    signal.signal(signal.SIGALRM, _raise_hang)
    output = pathlib.Path(OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(SEED.value)
    rows = {parser.name: {"inputs": 0, "read": 0, "refused": 0, "slowest_s": 0.0} for parser in hostile.PARSERS}
    wholes = [parser.whole() for parser in hostile.PARSERS]
    progress = writers.Progress("damaged files")
    bad = []
    for i in range(INPUTS.value):
        parser, whole = hostile.PARSERS[i % len(wholes)], wholes[i % len(wholes)]
        content, row = hostile.draw(generator, parser, whole), rows[parser.name]
        began = time.perf_counter()
        try:
            signal.alarm(SECONDS.value)
            with tempfile.TemporaryDirectory() as folder:
                read = parser.meets(content, pathlib.Path(folder))
            row["read" if read else "refused"] += 1
        except (hostile.Unguarded, _Hang) as error:
            path = output / f"{i}_{pathlib.Path(parser.file).name}"
            path.write_bytes(content)
            bad.append(f"{path}: {error!r}; cause: {error.__cause__!r:.300}")
            writers.warn(bad[-1])
        finally:
            signal.alarm(0)
        row["inputs"] += 1
        row["slowest_s"] = max(row["slowest_s"], time.perf_counter() - began)
        progress(i + 1, INPUTS.value)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if peak > MEMORY.value:
        bad.append(f"the process took {peak:,} MiB, where {MEMORY.value:,} were expected at most")
        writers.warn(bad[-1])
    print("| parser | inputs | read | refused | slowest |\n|---|---|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['inputs']} | {row['read']} | {row['refused']} | {row['slowest_s']:.2f} s |")
    print(f"{INPUTS.value:,} files, {len(bad)} unguarded; peak memory of the process {peak:,} MiB")
    files.write_json(output / "fuzz.json", {"seed": SEED.value, "parsers": rows, "peak_mib": peak, "unguarded": bad})
    sys.exit(1 if bad else 0)


def _raise_hang(*_) -> None:
    raise _Hang(f"still reading after {SECONDS.value} s")


if __name__ == "__main__":
    flag_config.run(main)
