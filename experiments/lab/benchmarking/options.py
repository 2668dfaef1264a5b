"""What a benchmark is asked to do, and what it found out of the machine."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from benchmarking import machine, race, workers
from benchmarking import settings as settings_lib

SECTIONS = ("matmul", *settings_lib.PHASES, "compile", "transfer", "data", "epoch", "schedule")
PEERS = ("stock", "torch")


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured, and how long.

    Attributes:
      sections: out of `SECTIONS`.
      widths: of the networks, each measured by itself.
      batch_size: faces a step.
      peers: out of `PEERS`.
      rounds: how often each implementation has its turn.
      round_seconds: about how long a turn is.
      precision: see `settings.Settings`.
      bfloat16: whether emogan's and PyTorch's steps are timed in bfloat16 as well.
      data_dir: FER2013, or "".
      epoch_steps: steps of section `epoch`, 0 for about a minute of them.
      transfer_faces: how many faces are edited at once.
      schedule_epochs: epochs of section `schedule`.
    """

    sections: tuple[str, ...] = SECTIONS
    widths: tuple[int, ...] = (64,)
    batch_size: int = 64
    peers: tuple[str, ...] = PEERS
    rounds: int = 7
    round_seconds: float = 2.0
    precision: str = "tf32"
    bfloat16: bool = False
    data_dir: str = ""
    epoch_steps: int = 0
    transfer_faces: int = 4096
    schedule_epochs: int = 50

    def check(self) -> None:
        """Raises ValueError, naming the flag, if a value is out of its range."""
        for name, values, choices in (("sections", self.sections, SECTIONS), ("peers", self.peers, PEERS)):
            wrong = [value for value in values if value not in choices]
            if wrong:
                raise ValueError(f"--{name}: expected some of {', '.join(choices)}, found {wrong[0]!r}")
        if not self.widths or not self.sections:
            raise ValueError("--width and --sections: expected at least one of each, found none")
        for name in ("rounds", "transfer_faces", "schedule_epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name}: expected at least 1, found {getattr(self, name)}")
        if self.epoch_steps and self.epoch_steps < 4:
            raise ValueError(f"--epoch_steps: expected at least 4, or 0 for a minute, found {self.epoch_steps}")
        if not self.round_seconds > 0:
            raise ValueError(f"--round_seconds: expected more than 0, found {self.round_seconds}")
        for width in self.widths:
            self.settings(width=width).config()
            if width % 16 and "flow" in self.sections:
                raise ValueError(
                    f"--width: expected multiples of 16 for section flow, found {width}; choose another, or leave flow "
                    "out of --sections"
                )
            for phase in (name for name in settings_lib.PHASES if name in self.sections):
                self.settings(width=width, phase=phase).config()
        if self.data_dir and not pathlib.Path(self.data_dir).exists():
            raise FileNotFoundError(f"--data_dir: expected a folder or file, found none at {self.data_dir}")

    def settings(self, **changes: Any) -> settings_lib.Settings:
        """Returns an implementation's task, with `changes`."""
        common = settings_lib.Settings(
            batch_size=self.batch_size, precision=self.precision, faces=max(1024, 2 * self.batch_size)
        )
        return dataclasses.replace(common, **changes)

    @property
    def pace(self) -> race.Pace:
        """Rounds, and seconds of a turn."""
        return race.Pace(self.rounds, self.round_seconds)


@dataclasses.dataclass(frozen=True)
class Context:
    """Options, what the frameworks say of the machine, and where progress is reported."""

    options: Options
    backend: str
    torch_variants: tuple[str, ...]
    about: dict[str, Any]
    say: Callable[[str], None]


def look_around(options: Options, say: Callable[[str], None]) -> Context:
    """Returns the context: each framework is asked in a process of its own."""
    about = machine.about()
    with workers.Worker("benchmarking.machine:About", options.settings()) as worker:
        about["jax"] = worker.call("about")
    variants: tuple[str, ...] = ()
    if "torch" in options.peers and not machine.has_torch():
        about["torch"] = 'left out: PyTorch is not installed; pip install "emogan[benchmark]"'
        say(f"torch {about['torch']}")
    elif "torch" in options.peers:
        with workers.Worker("benchmarking.torch_peer:About", options.settings()) as worker:
            about["torch"] = worker.call("about")
        variants = tuple(about["torch"]["variants"])
        if about["torch"]["backend"] != about["jax"]["backend"]:
            variants = ()
            about["torch"]["left_out"] = (
                f"PyTorch has the {about['torch']['backend']}, JAX the {about['jax']['backend']}: no comparison"
            )
            say(f"torch left out: {about['torch']['left_out']}")
    return Context(options, about["jax"]["backend"], variants, about, say)
