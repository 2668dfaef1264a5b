"""What many GPUs should give, worked out from the shapes and from stated assumptions. A model, not a measurement.

A step of phase gan takes

    fixed + FLOPs of a GPU's share / rate + the all-reduces of the step, one round after another

where nothing of the communication hides behind computing. FLOPs come from `flops`, bytes and rounds from the program
of the step (`communication`). An all-reduce of S bytes over n GPUs by the ring takes

    2 (n - 1) (latency + S / (n bandwidth))

(Patarasuk and Yuan 2009). Over several nodes it is made in three parts, as NCCL does: each node reduces and
scatters within, the GPUs of the same place in all nodes reduce their n-th part over the network, by the ring or by a
tree, 2 log2(m) latency + 2 S / bandwidth, whichever is faster, and each node gathers within.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

from benchmarking import communication, flops, markdown
from benchmarking import settings as settings_lib

from emogan.recipes import gan

GPUS = (1, 8, 64, 512)
EPOCH = 25_841  # faces of FER2013's `train`
CLASSES = 7


@dataclasses.dataclass(frozen=True)
class Assumptions:
    """What the model takes for granted. None of it was measured on a GPU.

    Attributes:
      width: of the networks; 64 is the paper's.
      flops_per_second: what a GPU makes of the step's FLOPs; 1e14 is a fifth of the 4.9e14 that an H100's data sheet
        gives for dense TF32.
      step_seconds: of a step, whatever its batch: launching kernels, moving weights, Adam.
      gpus_a_node: how many are joined by NVLink.
      node_bandwidth: bytes/s that a GPU sends within a node; an H100's data sheet gives 900e9 for both directions.
      node_latency: seconds of a hop within a node.
      network_bandwidth: bytes/s that a GPU sends to other nodes; 50e9 are 400 Gb/s for each GPU.
      network_latency: seconds of a hop between nodes.
    """

    width: int = 64
    flops_per_second: float = 1e14
    step_seconds: float = 2e-3
    gpus_a_node: int = 8
    node_bandwidth: float = 450e9
    node_latency: float = 1e-6
    network_bandwidth: float = 50e9
    network_latency: float = 5e-6


@dataclasses.dataclass(frozen=True)
class Step:
    """The parts of a step in seconds: computing, waiting for the rounds' latency, and sending of the bytes."""

    computing: float
    latency: float
    sending: float

    @property
    def seconds(self) -> float:
        """The whole step."""
        return self.computing + self.latency + self.sending


def assumptions(texts: Sequence[str] = ()) -> Assumptions:
    """Returns the assumptions, with those that texts such as `step_seconds=0.001` name changed.

    Raises:
      ValueError: if a text names none, or its value is not above 0.
    """
    kinds = {field.name: field.type for field in dataclasses.fields(Assumptions)}
    changes = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in kinds:
            raise ValueError(f"--assume: expected NAME=VALUE of {', '.join(kinds)}, found {text!r}")
        try:
            changes[name] = kinds[name](value)
        except ValueError as error:
            raise ValueError(f"--assume: {name}: expected a number, found {value!r}") from error
        if not 0 < changes[name] < math.inf:
            raise ValueError(f"--assume: {name}: expected more than 0, found {value}")
    return Assumptions(**changes)


def all_reduce_seconds(size: float, gpus: int, assumed: Assumptions) -> float:
    """Returns the seconds of an all-reduce of `size` bytes over `gpus` GPUs."""
    inner = min(gpus, assumed.gpus_a_node)
    nodes = math.ceil(gpus / inner)
    within = 2 * (inner - 1) * (assumed.node_latency + size / inner / assumed.node_bandwidth)
    part, latency, bandwidth = size / inner, assumed.network_latency, assumed.network_bandwidth
    ring = 2 * (nodes - 1) * (latency + part / nodes / bandwidth)
    tree = 2 * math.ceil(math.log2(nodes)) * latency + 2 * part / bandwidth
    return within + (min(ring, tree) if nodes > 1 else 0.0)


@functools.cache
def all_reduces(width: int, batch_norm: str) -> tuple[communication.AllReduce, ...]:
    """Returns the all-reduces of the GAN's step, with parallel.batch_norm `global` or `device`."""
    config = settings_lib.Settings(width=width).config()
    config.parallel.batch_norm = batch_norm
    phase = gan.make(config, CLASSES, config.data.spec)
    return tuple(communication.all_reduces(phase, devices=8, share=8))


def round_bytes(found: Sequence[communication.AllReduce]) -> list[int]:
    """Returns the bytes of each round, first to last."""
    rounds = sorted({one.round for one in found})
    return [sum(one.bytes for one in found if one.round == place) for place in rounds]


def step(gpus: int, share: float, batch_norm: str, assumed: Assumptions) -> Step:
    """Returns the step of `gpus` GPUs with `share` faces each."""
    sizes = round_bytes(all_reduces(assumed.width, batch_norm)) if gpus > 1 else []
    whole = sum(all_reduce_seconds(size, gpus, assumed) for size in sizes)
    latency = len(sizes) * all_reduce_seconds(0, gpus, assumed)
    computing = assumed.step_seconds + flops.gan_step(assumed.width, 1) * share / assumed.flops_per_second
    return Step(computing, latency, whole - latency)


def to_markdown(assumed: Assumptions) -> str:
    """Returns the assumptions, what was counted, and a table each of strong and weak scaling."""
    counted = {name: communication.traffic(all_reduces(assumed.width, name)) for name in ("global", "device")}
    given = [(field.name, f"{getattr(assumed, field.name):g}") for field in dataclasses.fields(Assumptions)]
    parts = [
        "A model, not a measurement. Assumed:",
        markdown.table(("assumption", "value"), given),
        f"Counted: {flops.gan_step(assumed.width, 64) / 1e9:.1f} GFLOP a step of 64 faces; all-reduced "
        f"{counted['global'].bytes / 1e6:.2f} MB in {counted['global'].rounds} rounds that wait for one another, "
        f"{counted['global'].batch_norm_rounds} of them in\nbatch norm; with parallel.batch_norm=device "
        f"{counted['device'].bytes / 1e6:.2f} MB in {counted['device'].rounds} rounds.",
        "Strong scaling, the paper's 64 faces a step:",
        _table([(gpus, 64 // gpus) for gpus in GPUS if gpus <= 64], assumed),
        "Strong scaling, 4,096 faces a step:",
        _table([(gpus, 4096 // gpus) for gpus in GPUS], assumed),
        "Weak scaling, 64 faces a GPU:",
        _table([(gpus, 64) for gpus in GPUS], assumed),
    ]
    return "\n\n".join(parts) + "\n"


def _table(points: Sequence[tuple[int, int]], assumed: Assumptions) -> str:
    base = points[0][1] / step(*points[0], "global", assumed).seconds
    rows = []
    for gpus, share in points:
        one, apart = (step(gpus, share, name, assumed) for name in ("global", "device"))
        rate = gpus * share / one.seconds
        batch = gpus * share
        rows.append(
            (
                gpus,
                share,
                *(f"{1e3 * part:.2f}" for part in (one.computing, one.latency, one.sending, one.seconds)),
                f"{rate:,.0f}",
                f"{rate / base:.1f}",
                f"{100 * rate / base / gpus:.0f} %",
                # G's first batch norm has nothing but the faces to average over.
                f"{100 * batch / apart.seconds / base / gpus:.0f} %" if share > 1 else "no: a single face",
                f"{EPOCH // batch}" if batch <= EPOCH else "none: more than FER2013 has",
            )
        )
    head = (
        "GPUs", "faces a GPU", "computing, ms", "latency, ms", "sending, ms", "a step, ms", "faces/s", "speed-up",
        "efficiency", "the same, batch norm per device", "steps an epoch",
    )  # fmt: skip
    return markdown.table(head, rows)
