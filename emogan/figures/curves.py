"""Training curves of a run, read from its metrics.jsonl."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from emogan.train import writers


@dataclasses.dataclass(frozen=True)
class _Line:
    """One curve: its metric, its name in the legend, and whether it is known at the samples only."""

    metric: str
    name: str
    sampled: bool = False


@dataclasses.dataclass(frozen=True)
class _Panel:
    """One pair of axes: its phase, what its height means, and its curves."""

    phase: str
    title: str
    unit: str
    lines: tuple[_Line, ...]


def _classifier_panels(phase: str) -> tuple[_Panel, ...]:
    training = _Line("accuracy", "training batches, changed")
    valid, balanced = (
        _Line(metric, "valid, averaged network", sampled=True) for metric in ("valid_accuracy", "valid_balanced")
    )
    return (
        _Panel(phase, "loss", "cross-entropy", (_Line("loss", f"{phase}, on changed faces"),)),
        _Panel(phase, "accuracy", "share of right verdicts", (training, valid)),
        _Panel(phase, "balanced accuracy", "mean share over the classes", (balanced,)),
    )


_PANELS = (
    _Panel(
        "gan",
        "losses",
        "cross-entropy",
        (_Line("discriminator_loss", "D, real + generated"), _Line("generator_loss", "G")),
    ),
    _Panel(
        "gan",
        "what D answers",
        "mean logit",
        (_Line("real_logit", "real faces"), _Line("fake_logit", "generated faces")),
    ),
    _Panel("gan", "how far D tells faces apart", "standard deviation", (_Line("logit_spread", "D's logits"),)),
    _Panel(
        "joint",
        "losses",
        "loss",
        (_Line("discriminator_loss", "D, real + edited"), _Line("generator_loss", "E and G")),
    ),
    _Panel(
        "joint",
        "emotions named",
        "share",
        (_Line("edit_accuracy", "wanted ones, on edits"), _Line("discriminator_accuracy", "by D, on real faces")),
    ),
    _Panel(
        "joint",
        "distance to the source",
        "gray levels a pixel",
        (_Line("reconstruction", "under the own label"), _Line("change", "under another")),
    ),
    _Panel("encoder", "loss", "squared error a face", (_Line("loss", "E"),)),
    _Panel(
        "encoder",
        "reconstruction under the own label",
        "PSNR, dB",
        (_Line("psnr", "training batches"), _Line("sample_psnr", "the 16 sampled faces", sampled=True)),
    ),
    _Panel(
        "encoder",
        "does the label matter?",
        "share, or spread of [-1, 1]",
        (
            _Line("edge", "share of z at the prior's edge"),
            _Line("edit_spread", "spread of a face's seven edits", sampled=True),
        ),
    ),
    _Panel("flow", "loss", "squared error a pixel", (_Line("loss", "velocity"),)),
    _Panel(
        "flow",
        "loss by time",
        "squared error a pixel",
        (_Line("loss_t0", "t below 1/4, near faces"), _Line("loss_t3", "t above 3/4, near noise")),
    ),
    _Panel(
        "flow",
        "loss between, where emotions are decided",
        "squared error a pixel",
        (_Line("loss_t1", "t from 1/4 to 1/2"), _Line("loss_t2", "t from 1/2 to 3/4")),
    ),
    *_classifier_panels("classifier"),
    *_classifier_panels("robust"),
)

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
    shown = {panel.phase for panel in _PANELS}
    phases = [phase for phase, (steps, _) in tables.items() if steps and phase in shown]
    if not phases:
        return None
    figure = matplotlib.figure.Figure(figsize=(15, 4.4 * len(phases)), layout="constrained")
    rows = figure.subfigures(len(phases), 1, squeeze=False)[:, 0]
    for row, phase in zip(rows, phases, strict=True):
        steps = tables[phase][0]
        window = _window(len(steps["step"]))
        drawn = f"; thin: every step, bold: mean over {window}" if window > 1 else ""
        row.suptitle(f"phase {phase}: {int(steps['step'][-1]):,} steps{drawn}", fontsize=13, fontweight="bold")
        panels = [panel for panel in _PANELS if panel.phase == phase]
        for axes, panel in zip(row.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw_panel(axes, panel, *tables[phase], steps_per_epoch[phase])
    return figure


def _window(count: int) -> int:
    return count // 40


def _draw_panel(axes: Any, panel: _Panel, steps: dict, samples: dict, per_epoch: int) -> None:
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
