"""Implementations side by side: each built in its process, then timed in turn."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarking import settings as settings_lib
from benchmarking import timing, workers

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Implementation:
    """Who it is, the class that does the work (see `workers.Worker`), and its task."""

    name: str
    target: str
    settings: settings_lib.Settings
    optional: bool = False  # whether it is left out where it fails, rather than everything ended


@dataclasses.dataclass(frozen=True)
class Pace:
    """How long is measured: rounds, and about how many seconds a turn takes, or how many steps it has."""

    rounds: int
    seconds: float
    steps: int = 0  # 0: as many as fit in the seconds of a turn


def race(title: str, implementations: Sequence[Implementation], pace: Pace, say: Say) -> dict[str, Any]:
    """Returns the measurements of implementations, and how many times longer than the first one each takes.

    Raises:
      workers.WorkerError: if one fails that is not optional.
    """
    found: dict[str, Any] = {"implementations": {}, "left_out": {}, "ratios": {}}
    with contextlib.ExitStack() as stack:
        members: dict[str, workers.Worker] = {}
        counts: dict[str, int] = {}
        for one in implementations:
            try:
                worker = stack.enter_context(workers.Worker(one.target, one.settings))
                found["implementations"][one.name], counts[one.name] = _prepare(worker, pace)
                members[one.name] = worker
            except workers.WorkerError as error:
                if not one.optional:
                    raise workers.WorkerError(f"{title}: {one.name}: {error}") from error
                _leave_out(one.name, error, found, title, say)
                continue
            say(f"{title}: {one.name} ready, {counts[one.name]} a turn")
        say(f"{title}: {pace.rounds} rounds of {len(members)} implementations")
        series = _rounds(members, counts, pace, {one.name: one.optional for one in implementations}, found, title, say)
        for name, own in series.items():
            found["implementations"][name] |= {
                "steps_a_turn": counts[name],
                "seconds": own.to_dict(),
                "rounds": list(own.values),
            }
            found["implementations"][name]["memory"] = members[name].memory()
    first = next(iter(series))
    found["ratios"] = {name: timing.ratio(own.values, series[first].values) for name, own in series.items()}
    return found


def tell(title: str, found: dict[str, Any], say: Say) -> None:
    """Tells the result of a race, a line an implementation."""
    first = next(iter(found["ratios"]))
    for name, ratio in found["ratios"].items():
        median = found["implementations"][name]["seconds"]["median"]
        say(f"{title}: {name}: {show(median)} ({ratio['of_medians']:.2f} times {first})")


def show(seconds: float) -> str:
    """Returns seconds as a short text, in ms or µs where that is handier."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            return f"{seconds / size:.3g} {unit}"
    raise AssertionError


def _rounds(
    members: dict[str, workers.Worker],
    counts: dict[str, int],
    pace: Pace,
    optional: dict[str, bool],
    found: dict[str, Any],
    title: str,
    say: Say,
) -> dict[str, timing.Series]:
    """Returns everyone's seconds a step; who fails on the way is left out, and the rounds begin again."""
    last = ""

    def run_of(name: str) -> timing.Run:
        def run(steps: int) -> float:
            nonlocal last
            last = name
            return members[name].run(steps)

        return run

    staying = list(members)
    while True:
        try:
            return timing.alternate({name: run_of(name) for name in staying}, counts, pace.rounds)
        except workers.WorkerError as error:
            if not optional[last]:
                raise workers.WorkerError(f"{title}: {last}: {error}") from error
            _leave_out(last, error, found, title, say)
            staying.remove(last)


def _leave_out(name: str, error: Exception, found: dict[str, Any], title: str, say: Say) -> None:
    found["left_out"][name] = str(error)
    found["implementations"].pop(name, None)
    say(f"{title}: {name} left out: {error}")


def _prepare(worker: workers.Worker, pace: Pace) -> tuple[dict[str, Any], int]:
    """Returns the implementation's first seconds with what it tells of itself, and how many steps its turn has."""
    began = time.perf_counter()
    told = worker.call("build") or {}
    built = time.perf_counter() - began
    first = worker.run(1)
    second = worker.run(1)  # PyTorch compiles some of its graphs only then
    count = pace.steps or (1 if min(first, second) > pace.seconds else timing.count_for(worker.run, pace.seconds))
    return {"build_seconds": built, "first_step_seconds": first, **told}, count
