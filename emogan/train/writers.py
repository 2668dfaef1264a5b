"""The records of a run: console, metrics.jsonl, TensorBoard, pictures. Nothing else in the library prints."""

import collections
import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence

import numpy as np

from emogan.util import files, images

_silent = False
_REDRAWN = 0.5  # seconds between two states of a bar on a terminal
_LINE_EACH = 30.0  # seconds between two lines of a progress that no terminal shows
_WIDTH = 70  # characters of a bar's line, so that a shorter one covers a longer one


def silence() -> None:
    """Lets this process print nothing more but what ends it: of several that train together, one speaks."""
    global _silent
    _silent = True


def say(text: str) -> None:
    """Prints one line at once."""
    if not _silent:
        print(text, flush=True)


def warn(text: str) -> None:
    """Prints one warning on standard error."""
    if not _silent:
        print(f"warning: {text}", file=sys.stderr, flush=True)


class Progress:
    """The progress of work that is not steps, on standard error: a bar on a terminal, else a line now and then.

    Args:
      what: the work, such as `editing`.
    """

    def __init__(self, what: str):
        self._what = what
        self._began = self._shown = time.monotonic()
        self._ended = False

    def __call__(self, done: int, total: int) -> None:
        """Shows that `done` parts of `total` are done, if the last time was long enough ago."""
        now, terminal = time.monotonic(), sys.stderr.isatty()
        ended = terminal and done >= total
        if _silent or self._ended or (now - self._shown < (_REDRAWN if terminal else _LINE_EACH) and not ended):
            return
        self._shown, self._ended = now, ended
        total = max(total, 1)
        left = f"{clock((now - self._began) * (total - done) / done)} left" if done else ""
        if terminal:
            filled = 30 * done // total
            bar = "#" * filled + "." * (30 - filled)
            line = f"{self._what} [{bar}] {100 * done // total:3d}%  {left}"
            print(f"\r{line:<{_WIDTH}}", end="\n" if ended else "", file=sys.stderr, flush=True)
        else:
            print(f"{self._what} {100 * done // total}%  {left}", file=sys.stderr, flush=True)


class Writer:
    """Writes one phase's record into a run's folder.

    Args:
      workdir: the run's folder.
      phase: the phase's name.
      first_step: how many steps are done already; what an earlier, killed process wrote of later ones is taken back.
      total_steps: how many the phase will have.
      batch_size: faces a step.
      tensorboard: whether to write TensorBoard events.

    Attributes:
      rate: faces a second, in the last chunks of steps.
    """

    def __init__(
        self, workdir: pathlib.Path, phase: str, first_step: int, total_steps: int, batch_size: int, tensorboard: bool
    ):
        self._phase = phase
        self._total = total_steps
        self._batch_size = batch_size
        self.rate = 0.0
        # The rate is that of the last chunks: the first one compiles.
        self._clock = collections.deque([(time.monotonic(), first_step)], maxlen=12)
        self._samples = workdir / "figures" / "samples"
        self._samples.mkdir(parents=True, exist_ok=True)
        path = workdir / "metrics.jsonl"
        rewind(path, phase, first_step or -1)  # a phase that begins again samples its step 0 again
        self._lines = path.open("a")
        self._board = None
        if tensorboard:
            from emogan.train import board  # only a run that writes events needs tensorboardX

            self._board = board.Board(workdir / "tensorboard" / phase, first_step + 1)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._lines.close()
        finally:
            if self._board:
                self._board.close()

    def steps(self, last_step: int, metrics: Mapping[str, np.ndarray]) -> None:
        """Records a chunk of steps that ended with `last_step`: each metric is an array with a value a step."""
        count = len(next(iter(metrics.values())))
        for i in range(count):
            step = last_step - count + i + 1
            values = {name: round(float(series[i]), 6) for name, series in metrics.items()}
            self._lines.write(json.dumps({"phase": self._phase, "step": step, **values}) + "\n")
            if self._board:
                self._board.scalars(values, step)
        self._lines.flush()
        if self._board:
            self._board.flush()
        self._console(last_step, {name: float(np.mean(series)) for name, series in metrics.items()})

    def sync(self) -> None:
        """Returns when all lines are on disk: a checkpoint must never be newer than its lines."""
        os.fsync(self._lines.fileno())

    def sample(self, step: int, faces: np.ndarray, metrics: Mapping[str, float], synthetic: bool = True) -> None:
        """Records the sample after `step`: faces uint8 [rows, columns, S, S(, 3)] and its metrics, if there are any."""
        picture = images.tile(faces)
        path = self._samples / f"{self._phase}_{step:06d}.png"
        images.save_png(path, picture, images.SYNTHETIC if synthetic else None)
        if self._board:
            self._board.image("samples", picture, step)
        if metrics:
            values = {name: round(float(value), 6) for name, value in metrics.items()}
            self._lines.write(json.dumps({"phase": self._phase, "sampled_at": step, **values}) + "\n")
            self._lines.flush()
            if self._board:
                self._board.scalars(values, step)
            say(f"{self._phase:8s} sample at {step}: " + "  ".join(f"{k} {v:.3f}" for k, v in values.items()))

    def _console(self, step: int, means: Mapping[str, float]) -> None:
        self._clock.append((time.monotonic(), step))
        began, first = self._clock[1] if len(self._clock) > 2 else self._clock[0]
        self.rate = self._batch_size * (step - first) / max(time.monotonic() - began, 1e-9)
        left = (self._total - step) * self._batch_size / self.rate
        shown = "  ".join(f"{name} {value:.3f}" for name, value in means.items() if name != "collapsed_for")
        say(f"{self._phase:8s} {step:>6d}/{self._total}  {shown}  {self.rate:.0f} images/s  {clock(left)} left")


class NullWriter:
    """Writes nothing: the record of all processes but the first."""

    rate = 0.0

    def __enter__(self) -> "NullWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def steps(self, last_step: int, metrics: Mapping[str, np.ndarray]) -> None:
        """See `Writer`, as of the others."""

    def sync(self) -> None:
        """See `Writer`."""

    def sample(self, step: int, faces: np.ndarray, metrics: Mapping[str, float], synthetic: bool = True) -> None:
        """See `Writer`."""


def clock(seconds: float) -> str:
    """Returns a duration as h:mm:ss, or m:ss below an hour."""
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def read_metrics(path: pathlib.Path, phase: str, step_field: str = "step") -> dict[str, np.ndarray]:
    """Returns a phase's metrics from metrics.jsonl as arrays, `step_field` among them; {} if there are none.

    What is not in every line is left out: a run that another version of emogan went on with may know other metrics.
    """
    if not path.exists():
        return {}
    rows = [row for row in map(_parse, _lines(path)) if row and row["phase"] == phase]
    rows = [row for row in rows if step_field in row]
    if not rows:
        return {}
    common = set.intersection(*map(set, rows)) - {"phase"}
    return {name: np.array([row[name] for row in rows]) for name in rows[0] if name in common}


def rewind(path: pathlib.Path, phase: str, step: int) -> None:
    """Removes from metrics.jsonl the lines of a phase after `step`, and a last line that was cut off."""
    if not path.exists():
        return
    kept = []
    for line in _lines(path):
        row = _parse(line)
        if row and not (row["phase"] == phase and max(row.get("step", 0), row.get("sampled_at", -1)) > step):
            kept.append(line)
    files.write_text(path, "".join(f"{line}\n" for line in kept))


def _lines(path: pathlib.Path) -> list[str]:
    # Where a disk changed a byte, one line is lost, and not the run.
    return path.read_text(errors="replace").splitlines()


def _parse(line: str) -> dict | None:
    # A process that is killed may leave half a line.
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and "phase" in row else None


def describe(columns: Sequence[tuple[str, str]]) -> str:
    """Returns two aligned columns of text, a line a pair."""
    width = max(len(left) for left, _ in columns)
    return "\n".join(f"{left:<{width}}  {right}" for left, right in columns)
