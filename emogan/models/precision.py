"""In which type networks compute in training."""

import jax
import jax.numpy as jnp

from emogan.models import onednn
from emogan.util import types

# What auto stands for is decided when a run begins (`emogan.train.pipeline`); networks that are made outside a run
# take float32.
CHOICES = ("auto", "float32", "bfloat16")

_FIRST_GPUS = 8.0  # the compute capability of the first of NVIDIA's GPUs with units for bfloat16


def dtype(precision: str) -> types.DType:
    """Returns the type of features and products for one of `CHOICES`."""
    return jnp.dtype("float32" if precision == "auto" else precision)


def of_machine(devices: int) -> str:
    """Returns what `auto` stands for on this machine, float32 or bfloat16, if a run has this number of devices.

    It is bfloat16 on hardware that has instructions or units for it: a CPU where oneDNN computes the convolutions, an
    NVIDIA GPU from compute capability 8.0 on, or a TPU. It has been timed on a CPU without a matrix unit only
    (docs/performance.md). XLA shares convolutions over several devices of a CPU only without oneDNN, in float32.
    """
    backend = jax.default_backend()
    if backend == "cpu":
        has_it = devices == 1 and onednn.load().bfloat16 > 0
    elif backend == "gpu":
        has_it = _capability(jax.devices()[0]) >= _FIRST_GPUS
    else:
        has_it = backend == "tpu"
    return "bfloat16" if has_it else "float32"


def _capability(gpu: jax.Device) -> float:
    """Returns the compute capability of an NVIDIA GPU, 0 for others."""
    try:
        return float(getattr(gpu, "compute_capability", 0))
    except ValueError:  # AMD's GPUs have a name there
        return 0.0
