"""Training curves of a run, read from its metrics.jsonl."""

import pathlib
from typing import Any

import numpy as np

from emogan import config as config_lib
from emogan.recipes import state
from emogan.train import writers

_COLORS = ("#1f6fb4", "#d1491a")


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Returns the mean over about `window` neighbours, [N] for values [N]; over those there are, at both ends."""
    reach = window // 2
    if reach < 1:
        return np.asarray(values, float)
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=float)])
    middle = np.arange(len(values))
    first, last = np.maximum(middle - reach, 0), np.minimum(middle + reach + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def draw(metrics: pathlib.Path, steps_per_epoch: dict[str, int]) -> Any | None:
    """Returns the training curves as a `matplotlib.figure.Figure`, a row a phase, or None if there is nothing to show.

    Args:
      metrics: a run's metrics.jsonl.
      steps_per_epoch: of each phase, for the axis of epochs.
    """
    import matplotlib.figure

    tables = {
        phase: (writers.read_metrics(metrics, phase), writers.read_metrics(metrics, phase, "sampled_at"))
        for phase in steps_per_epoch
    }
    phases = [phase for phase, (steps, _) in tables.items() if steps]
    if not phases:
        return None
    figure = matplotlib.figure.Figure(figsize=(15, 4.4 * len(phases)), layout="constrained")
    rows = figure.subfigures(len(phases), 1, squeeze=False)[:, 0]
    for row, phase in zip(rows, phases, strict=True):
        steps = tables[phase][0]
        window = _window(len(steps["step"]))
        drawn = f"; thin: every step, bold: mean over {window}" if window > 1 else ""
        row.suptitle(f"phase {phase}: {int(steps['step'][-1]):,} steps{drawn}", fontsize=13, fontweight="bold")
        panels = config_lib.RECIPES[phase].curves
        for axes, panel in zip(row.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw_panel(axes, panel, *tables[phase], steps_per_epoch[phase])
    return figure


def _window(count: int) -> int:
    return count // 40


def _draw_panel(axes: Any, panel: state.Panel, steps: dict, samples: dict, per_epoch: int) -> None:
    low, high = np.inf, -np.inf
    for line, color in zip(panel.lines, _COLORS, strict=False):
        table, x = (samples, "sampled_at") if line.sampled else (steps, "step")
        if line.metric not in table:
            continue
        values = table[line.metric]
        if line.sampled:
            axes.plot(table[x], values, "o-", color=color, markersize=4, linewidth=1, label=line.name)
            low, high = min(low, values.min()), max(high, values.max())
            continue
        window = _window(len(values))
        if window > 1:
            axes.plot(table[x], values, color=color, alpha=0.25, linewidth=0.7)
        axes.plot(table[x], smooth(values, window), color=color, linewidth=1.8, label=line.name)
        # A single wild step would else press all others into a strip.
        rare = 0.3 if len(values) > 300 else 0.0
        low, high = min(low, np.percentile(values, rare)), max(high, np.percentile(values, 100 - rare))
    if np.isfinite(high - low):
        reach = (high - low) or 1.0
        axes.set_ylim(low - 0.06 * reach, high + 0.28 * reach)  # the legend has the room above
        axes.legend(fontsize=9, loc="upper right")
    axes.set_title(panel.title, fontsize=11)
    axes.set_xlabel("step")
    axes.set_ylabel(panel.unit)
    axes.grid(alpha=0.3)
    epochs = axes.secondary_xaxis("top", functions=(lambda s: s / per_epoch, lambda e: e * per_epoch))
    epochs.set_xlabel("epoch", fontsize=9)
    epochs.tick_params(labelsize=8)
