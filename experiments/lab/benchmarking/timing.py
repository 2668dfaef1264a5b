"""Implementations timed in turn, so that whatever slows the machine for a while slows all of them."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence

LARGEST_COUNT = 100_000

Run = Callable[[int], float]  # how many steps -> seconds that they took together


@dataclasses.dataclass(frozen=True)
class Series:
    """Measurements of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def to_dict(self) -> dict[str, float | int]:
        """Returns median, min, max and how many there are."""
        return {"median": self.median, "min": min(self.values), "max": max(self.values), "n": len(self.values)}


def count_for(run: Run, seconds: float) -> int:
    """Returns how many steps take about `seconds` seconds, at least 1; `run` must have compiled already."""
    # The fastest counts, so that a machine that stalls for a moment does not make the turns short.
    count, step = 1, min(run(1), run(1))
    while count * step < seconds / 4 and count < LARGEST_COUNT:
        # A first guess from so short a time is poor, hence no more than ten times as many at once.
        count = min(LARGEST_COUNT, max(count + 1, min(10 * count, math.ceil(seconds / max(step, 1e-9) / 2))))
        step = min(step, run(count) / count)
    return max(1, min(LARGEST_COUNT, round(seconds / step)))


def alternate(runs: Mapping[str, Run], counts: Mapping[str, int], rounds: int) -> dict[str, Series]:
    """Returns each implementation's seconds a step in each of `rounds`; in a round every one has its turn.

    One more round goes before and is thrown away. Every second round goes backwards, so that the order is balanced.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(-1, rounds):
        for name in list(runs) if i % 2 == 0 else reversed(runs):
            took = runs[name](counts[name]) / counts[name]
            if i >= 0:
                seconds[name].append(took)
    return {name: Series(tuple(values)) for name, values in seconds.items()}


def ratio(slower: Sequence[float], faster: Sequence[float]) -> dict[str, float]:
    """Returns how many times longer one takes: of the medians, and the spread of the rounds' own ratios."""
    own = [a / b for a, b in zip(slower, faster, strict=True)]
    return {
        "of_medians": statistics.median(slower) / statistics.median(faster),
        "median": statistics.median(own),
        "min": min(own),
        "max": max(own),
    }
