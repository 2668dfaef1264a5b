"""Tables in Markdown."""

from collections.abc import Sequence
from typing import Any

from benchmarking import race


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def seconds(series: dict[str, Any]) -> str:
    """Returns the median and the range of measurements in seconds."""
    return f"{race.show(series['median'])} ({race.show(series['min'])} to {race.show(series['max'])})"


def left_out(found: dict[str, Any]) -> str:
    """Returns a line for each implementation that a race was without, and why."""
    return "".join(f"\n\nLeft out: {name}: {reason}" for name, reason in found["left_out"].items())
