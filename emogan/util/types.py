"""Names for the arrays that flow through emogan."""

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import Array, Float, Int, UInt8

Images = Float[Array, "B S S C"]  # in [-1, 1]
ByteImages = UInt8[Array, "B S S *C"]  # in 0..255, as data sets hold them: without C in gray
Labels = Int[Array, "B"]  # in 0..6, in the order of `emotions.EMOTIONS`
Latents = Float[Array, "B Z"]
Logits = Float[Array, "B"]

Metrics = Mapping[str, jax.Array]  # scalars
Params = Mapping[str, Any]
DType = Any  # what `jax.numpy.dtype` takes
