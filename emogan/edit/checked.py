"""Arrays that a user gives, checked: faces and latents."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from emogan.data import dataset

_ROUNDING = 1e-3  # how far beyond [-1, 1] a float image may lie, as resampling and float16 leave it


def faces(given: Any, spec: dataset.ImageSpec) -> np.ndarray:
    """Returns faces [N, S, S(, 1)], or in colour [N, S, S, 3], as uint8 or float32, in their own shape.

    Raises:
      ValueError: if the shape is another, or they are neither uint8 nor floats in [-1, 1].
    """
    array = np.asarray(given)
    shapes = (spec.byte_shape, spec.shape)
    if array.shape[1:] not in shapes:
        hint = "; give a single face as faces[None]" if array.shape in shapes else ""
        expected = f"[N, {spec.size}, {spec.size}{'(, 1)' if spec.channels == 1 else ', 3'}]"
        raise ValueError(f"expected faces {expected}, found {list(array.shape)}{hint}")
    if array.dtype == np.uint8:
        return array
    if not jnp.issubdtype(array.dtype, jnp.floating):  # NumPy's own does not know bfloat16
        raise ValueError(f"expected faces of type uint8 or float, found {array.dtype}")
    array = array.astype(np.float32)
    if not (np.abs(array) <= 1.0 + _ROUNDING).all():
        raise ValueError(
            f"expected float faces in [-1, 1], found {array.min():g}..{array.max():g}; "
            "give values of 0..255 as uint8, or divide them by 127.5 and subtract 1"
        )
    return array


def strength(given: float) -> None:
    """Raises ValueError unless the strength of an edit lies in 0..10."""
    if not 0.0 <= given <= 10.0:
        raise ValueError(f"expected a strength in 0..10, found {given}")


def latents(given: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Returns latents [N, *shape] as float32.

    Raises:
      ValueError: if the shape or the type is another.
    """
    array = np.asarray(given)
    if array.ndim == 0 or array.shape[1:] != shape or not jnp.issubdtype(array.dtype, jnp.floating):
        expected = ", ".join(map(str, shape))
        raise ValueError(f"expected float latents [N, {expected}], found {array.dtype} {list(array.shape)}")
    return array.astype(np.float32)
