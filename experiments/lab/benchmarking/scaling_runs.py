"""The scaling study: training's step by devices, batch sizes and ways to share a step, compared with one device.

Strong scaling keeps the batch of all devices, weak scaling the batch of each. Every point is timed twice in turn:

    whole   the step as training runs it
    alone   the same step on the same devices without its averages: each device trains by itself on its share

What `whole` takes longer is called communication: the all-reduces, the waiting for the slowest device that they imply,
and what the compiler does otherwise where it must place them. It is a difference of two programs, so it may be
negative within the spread; communication that hides behind computing does not show in it; and under jit `alone` is cut
by hand (`jax.shard_map`) where `whole` is cut by XLA. Latents, too, are drawn for the share alone in it.

Virtual devices of a CPU share its cores. There the ideal is the throughput of one device, and nothing can be faster:
what is seen is whether the result is the same and what sharing costs.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarking import equality, machine, race, scaling_report, scaling_steps, timing, workers
from benchmarking import settings as settings_lib

from emogan.util import files

MODES = ("jit", "pmap")
KINDS = ("strong", "weak")
_STEPS = "benchmarking.scaling_steps:Steps"


@dataclasses.dataclass(frozen=True)
class Point:
    """A step that is timed: how it is shared, by how many devices, and faces of all of them."""

    mode: str
    devices: int
    batch_size: int

    @property
    def name(self) -> str:
        """Its name, as `pmap 4 x 16`: four devices with 16 faces each."""
        return f"{self.mode} {self.devices} x {self.batch_size // self.devices}"


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured, and how long.

    Attributes:
      devices: how many share a step; one is measured in any case.
      batch_sizes: faces a step, of all devices in strong scaling and of each in weak scaling.
      modes: out of `MODES`; one device is always `jit`, and what all others are compared with.
      scaling: out of `KINDS`.
      width: of the networks.
      rounds: how often each point has its turn.
      steps: of a turn.
      precision: see `settings.Settings`.
    """

    devices: tuple[int, ...] = (1, 2, 4)
    batch_sizes: tuple[int, ...] = (32,)
    modes: tuple[str, ...] = MODES
    scaling: tuple[str, ...] = KINDS
    width: int = 16
    rounds: int = 5
    steps: int = 5
    precision: str = "tf32"

    def check(self) -> None:
        """Raises ValueError, naming the flag, if a value is out of its range."""
        for name, values, choices in (("modes", self.modes, MODES), ("scaling", self.scaling, KINDS)):
            wrong = [value for value in values if value not in choices]
            if wrong or not values:
                raise ValueError(f"--{name}: expected some of {', '.join(choices)}, found {(wrong or ['none'])[0]!r}")
        for name in ("devices", "batch_sizes", "rounds", "steps"):
            given = getattr(self, name)
            values = given if isinstance(given, tuple) else (given,)
            if not values or min(values) < 1:
                raise ValueError(f"--{name}: expected at least 1, found {min(values, default='none')}")
        if "strong" in self.scaling:
            for size in self.batch_sizes:
                uneven = [count for count in self.devices if size % count]
                if uneven:
                    raise ValueError(f"--batch_sizes: expected multiples of {uneven[0]} devices, found {size}")
        for point in self.points():
            self.settings(point).config()

    def family(self, kind: str, mode: str, size: int) -> list[Point]:
        """Returns the points of one curve, from one device up."""
        return [
            Point(mode if count > 1 else "jit", count, size * count if kind == "weak" else size)
            for count in sorted({1, *self.devices})
        ]

    def points(self) -> list[Point]:
        """Returns all points, each once, with one device at every batch: its losses are those expected."""
        wanted = [
            point
            for kind in self.scaling
            for mode in self.modes
            for size in self.batch_sizes
            for point in self.family(kind, mode, size)
        ]
        return list(dict.fromkeys([Point("jit", 1, point.batch_size) for point in wanted] + wanted))

    def settings(self, point: Point, variant: str = scaling_steps.WHOLE) -> settings_lib.Settings:
        """Returns an implementation's task."""
        return settings_lib.Settings(
            width=self.width,
            batch_size=point.batch_size,
            precision=self.precision,
            variant=variant,
            faces=1,  # two batches are drawn in any case
            mode=point.mode,
            devices=point.devices,
        )


def run(options: Options, folder: pathlib.Path, commit: str, say: Callable[[str], None]) -> list[pathlib.Path]:
    """Measures what the options ask for and returns the files written: scaling.json, scaling.md and scaling.png.

    Args:
      options: what is measured; of GPUs, no more than there are.
      folder: where the files go.
      commit: of emogan, which the files then tell.
      say: called with a line of progress.

    Raises:
      ValueError: if an option is wrong.
      equality.Unequal: if the losses of several devices are not those of one.
      workers.WorkerError: if a point cannot be measured.
    """
    options.check()
    folder.mkdir(parents=True, exist_ok=True)
    about = machine.about()
    with workers.Worker("benchmarking.machine:About", settings_lib.Settings()) as worker:
        about["jax"] = worker.call("about")
    virtual = about["jax"]["backend"] == "cpu"
    if not virtual and max(options.devices) > about["jax"]["count"]:
        say(f"there are {about['jax']['count']} devices: larger numbers are left out")
        fitting = tuple(count for count in options.devices if count <= about["jax"]["count"])
        options = dataclasses.replace(options, devices=fitting or (1,))
    points = options.points()
    implementations = [race.Implementation(_name(point, variant), _STEPS, options.settings(point, variant))
                   for point in points for variant in _variants(point)]  # fmt: skip
    found = race.race("scaling", implementations, race.Pace(options.rounds, 0.0, options.steps), say)
    measured = {point: measurement(point, found["implementations"]) for point in points}
    for point, one in measured.items():
        check(point, one["against_one_device"], virtual)
    result = {
        "about": {"commit": commit, **about},
        "options": dataclasses.asdict(options),
        "virtual_devices": virtual,
        "points": [dataclasses.asdict(point) | one for point, one in measured.items()],
        "curves": curves(options, {point: one["faces_per_second"] for point, one in measured.items()}, virtual),
    }
    return [
        files.write_json(folder / "scaling.json", result),
        files.write_text(folder / "scaling.md", scaling_report.to_markdown(result)),
        files.write_bytes(folder / "scaling.png", scaling_report.to_png(result)),
    ]


def measurement(point: Point, implementations: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a race found of a point.

    Returns:
      `seconds` of a step (median, min, max, n), `compute` and `communication` likewise, where there are several
      devices, `faces_per_second` by the median, `traffic`, `peak_mib`, and `against_one_device`, the largest relative
      differences of the first step's losses and of the later ones from those of one device with the same batch.
    """
    whole = implementations[_name(point, scaling_steps.WHOLE)]
    expected = implementations[_name(Point("jit", 1, point.batch_size), scaling_steps.WHOLE)]["losses"]
    apart = [
        max(abs(one[name] - value) / abs(value) for name, value in right.items())
        for one, right in zip(whole["losses"], expected, strict=True)
    ]
    found = {
        "seconds": whole["seconds"],
        "faces_per_second": point.batch_size / whole["seconds"]["median"],
        "traffic": whole["traffic"],
        "peak_mib": whole["memory"]["peak_mib"],
        "against_one_device": {"first": apart[0], "later": max(apart[1:])},
    }
    if point.devices > 1:
        alone = implementations[_name(point, scaling_steps.ALONE)]
        found["compute"] = alone["seconds"]
        found["communication"] = timing.Series(
            tuple(a - b for a, b in zip(whole["rounds"], alone["rounds"], strict=True))
        ).to_dict()
    return found


def check(point: Point, apart: Mapping[str, float], virtual: bool) -> None:
    """Raises equality.Unequal if the losses of a point lie further from those of one device than rounding goes."""
    later = equality.TOLERANCES["second_losses"]
    # TF32, in which GPUs multiply, has three digits.
    allowed = {"first": equality.TOLERANCES["first_losses"] if virtual else later, "later": later}
    for what, most in allowed.items():
        if not apart[what] <= most:
            raise equality.Unequal(
                f"{point.name}: expected the losses of one device, found those of the {what} steps apart by "
                f"{apart[what]:.2g} (at most {most:g})"
            )


def curves(options: Options, throughputs: Mapping[Point, float], virtual: bool) -> list[dict[str, Any]]:
    """Returns the curves of throughput and efficiency.

    The speed-up of N devices is their throughput (faces/s) in that of the curve's single device. The efficiency is the
    speed-up in the ideal one: N, or 1 where the devices are virtual and share the same cores. For strong scaling that
    is the textbook's T(1) / (N T(N)), for weak scaling its T(1) / T(N).

    Args:
      options: which curves there are.
      throughputs: faces/s of each point.
      virtual: whether the devices share the cores of one CPU.
    """
    found = []
    for kind in options.scaling:
        for mode in options.modes:
            for size in options.batch_sizes:
                points = options.family(kind, mode, size)
                base = throughputs[points[0]]
                rows = []
                for point in points:
                    ideal = 1 if virtual else point.devices
                    speedup = throughputs[point] / base
                    rows.append(
                        dataclasses.asdict(point)
                        | {
                            "faces_per_second": throughputs[point],
                            "ideal_faces_per_second": base * ideal,
                            "speedup": speedup,
                            "efficiency": speedup / ideal,
                        }
                    )
                found.append({"scaling": kind, "mode": mode, "batch_size": size, "points": rows})
    return found


def _variants(point: Point) -> Sequence[str]:
    return (scaling_steps.WHOLE, scaling_steps.ALONE) if point.devices > 1 else (scaling_steps.WHOLE,)


def _name(point: Point, variant: str) -> str:
    return f"{point.name}, {variant}"
