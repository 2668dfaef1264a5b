"""Rows of a comparison trained at the same time, each in its own process.

One small training leaves most of a GPU idle, since its kernels are short; several share it. On CPUs they share cores.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from emogan.evaluation import comparison, tables
from emogan.train import interrupt, loop, writers
from emogan.util import process


class JobError(RuntimeError):
    """What went wrong in rows' processes, in one line."""


def run(rows: Sequence[str], study: comparison.Study, at_once: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Trains rows and returns the scores of each, as `comparison.run`; what each says goes to FOLDER/ROW.log.

    A row that fails does not stop the others.

    Args:
      rows: presets, and presets with changes.
      study: what they have in common; its budget is of faces, since minutes depend on what else runs.
      at_once: how many are trained at a time.
      say: called with a line as each row begins and ends.

    Raises:
      ValueError, FileNotFoundError: if a row, a change, the classifiers, the budget or the data are not as needed.
      JobError: if rows failed, when the others are done.
    """
    if study.budget.minutes:
        raise ValueError("--jobs: expected 1 with --minutes, since rows that run at the same time take longer")
    rows = list(comparison.configure(rows, study))
    study.folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")  # JAX may have threads by now, which no fork has
    waiting, running, failed = list(rows), {}, []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                row = waiting.pop(0)
                log = study.folder / f"{row}.log"
                worker = context.Process(target=_train, args=(row, study, log))
                worker.start()
                running[worker.sentinel] = (worker, row, log, time.monotonic())
                say(f"{row}: began, see {log}")
            for sentinel in multiprocessing.connection.wait(list(running)):
                worker, row, log, began = running.pop(sentinel)
                worker.join()
                say(f"{row}: ended after {(time.monotonic() - began) / 60:.1f} min with status {worker.exitcode}")
                if worker.exitcode:
                    failed.append(f"{row}: {_last_line(log) or f'status {worker.exitcode}'}")
    except BaseException:
        # A signal may have come to this process alone: each row then ends in order, with a checkpoint.
        for worker, *_ in running.values():
            worker.terminate()
        for worker, *_ in running.values():
            worker.join()
        raise
    if failed:
        raise JobError("; ".join(failed))
    if not study.score:
        return []
    return [tables.load(study.folder / row / "evaluation" / "metrics.json") for row in rows]


def _train(row: str, study: comparison.Study, log: pathlib.Path) -> None:
    # A terminal sends Ctrl-C to all processes; after it, the signal that `run` sends would end a row at once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process.keep_memory()
    process.keep_compiled()
    with log.open("a", buffering=1) as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        try:
            with interrupt.Signals() as signals:
                comparison.run([row], study, writers.say, signals)
        except interrupt.Interrupted as stopped:
            writers.say(str(stopped))
            sys.exit(interrupt.EXIT_STATUS)
        except (loop.TrainingError, ValueError, OSError) as error:
            writers.say(" ".join(str(error).split()))
            sys.exit(2)


def _last_line(log: pathlib.Path) -> str:
    lines = log.read_text().strip().splitlines() if log.exists() else []
    return lines[-1] if lines else ""
