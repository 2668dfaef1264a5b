"""All sections one after another; what is found is written after each, so that a long run that fails keeps the rest."""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable
from typing import Any

from benchmarking import options as options_lib
from benchmarking import runs, steps, summary
from benchmarking import settings as settings_lib

from emogan.util import files

_SECTIONS: dict[str, Callable[[options_lib.Context], dict[str, Any]]] = {
    "matmul": steps.matmul,
    **{phase: functools.partial(steps.of_phase, phase) for phase in settings_lib.PHASES},
    "compile": runs.starts,
    "transfer": runs.transfers,
    "data": runs.reading,
    "epoch": runs.training,
    "schedule": runs.schedule,
}


def run(
    options: options_lib.Options, folder: pathlib.Path, commit: str, say: Callable[[str], None]
) -> list[pathlib.Path]:
    """Measures what the options ask for and returns the files written: benchmark.json and benchmark.md.

    Args:
      options: what is measured.
      folder: where the files go.
      commit: of emogan, which the files then tell.
      say: called with a line of progress.

    Raises:
      ValueError, FileNotFoundError: if an option is wrong.
      equality.Unequal: if an implementation does not compute what emogan computes.
      workers.WorkerError: if an implementation fails without which there is nothing to compare.
    """
    options.check()
    folder.mkdir(parents=True, exist_ok=True)
    context = options_lib.look_around(options, say)
    result: dict[str, Any] = {"about": {"commit": commit, **context.about}, "options": dataclasses.asdict(options)}
    for name in options_lib.SECTIONS:
        if name not in options.sections:
            continue
        began = time.monotonic()
        result[name] = _SECTIONS[name](context)
        result.setdefault("section_seconds", {})[name] = round(time.monotonic() - began, 1)
        summary.add_shares(result)
        written = [
            files.write_json(folder / "benchmark.json", result),
            files.write_text(folder / "benchmark.md", summary.to_markdown(result)),
        ]
        say(f"section {name} took {time.monotonic() - began:.0f} s")
    return written
