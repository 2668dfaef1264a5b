"""In which type networks compute in training."""

import jax
import jax.numpy as jnp

from emogan.models import onednn
from emogan.util import types

# auto is chosen once, when a run begins (`emogan.train.pipeline`); networks that are made outside a run take float32.
CHOICES = ("auto", "float32", "bfloat16")


def dtype(precision: str) -> types.DType:
    """Returns the type of features and products for one of `CHOICES`."""
    return jnp.dtype("float32" if precision == "auto" else precision)


def fastest(devices: int) -> str:
    """Returns the precision that this machine trains fastest in, float32 or bfloat16.

    It is bfloat16 on GPUs and TPUs, and on a CPU with instructions for it where oneDNN computes the convolutions. XLA
    shares convolutions over several devices of a CPU only without oneDNN, and then float32 is faster.
    """
    backend = jax.default_backend()
    if backend != "cpu":
        return "bfloat16" if backend in ("gpu", "tpu") else "float32"
    return "bfloat16" if devices == 1 and onednn.load().bfloat16 else "float32"
