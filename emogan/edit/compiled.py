"""E and G compiled once for all models of one kind and size: modules are static, variables are arguments."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from emogan.models import translator
from emogan.util import images, types

LARGEST_BATCH = 256


@functools.partial(jax.jit, static_argnums=0)
def encode(E: nn.Module, variables: types.Params, faces: jax.Array, labels: types.Labels) -> types.Latents:
    """Returns the latents [B, ...] of faces, uint8 [B, S, S(, 3)] or floats [B, S, S, C] in [-1, 1]."""
    faces = images.to_float(faces) if faces.dtype == jnp.uint8 else faces
    return E.apply(variables, faces, labels, train=False)


@functools.partial(jax.jit, static_argnums=0, static_argnames="as_bytes")
def decode(
    G: nn.Module,
    variables: types.Params,
    latents: types.Latents,
    labels: types.Labels,
    *,
    as_bytes: bool,
    strength: jax.Array | float | None = None,
) -> types.Images | types.ByteImages:
    """Returns the faces [B, S, S, C] of latents and labels [B], as floats in [-1, 1] or as bytes.

    A `strength` is one of `translator.Generator.draw`; other generators take none.
    """
    drawn = (
        G.apply(variables, latents, labels, train=False)
        if strength is None
        else G.apply(variables, latents, labels, strength=strength, method="draw").faces
    )
    # Cubic convolution and a smoothed residual go beyond the range that they are made of, at hard edges.
    faces = jnp.clip(drawn, -1.0, 1.0)
    return images.to_bytes(faces) if as_bytes else faces


@functools.partial(jax.jit, static_argnums=0)
def displacement(
    G: translator.Generator,
    variables: types.Params,
    latents: types.Latents,
    labels: types.Labels,
    *,
    strength: jax.Array | float = 1.0,
) -> jax.Array:
    """Returns from where G takes its pixels before it adds a residual, [B, S, S, 2]; see `translator.displacement`."""
    return drawing(G, variables, latents, labels, strength)[1]


def drawing(
    G: translator.Generator,
    variables: types.Params,
    latents: types.Latents,
    labels: types.Labels,
    strength: jax.Array | float,
) -> tuple[types.Images, jax.Array]:
    """Returns the faces [B, S, S, C] in [-1, 1] of a G that warps faces, and what `displacement` gives.

    Args:
      G, variables, latents, labels: as of `decode`.
      strength: of `translator.Generator.draw`; an array has a value for each face, [B, 1, 1, 1].
    """
    drawn, seen = G.apply(variables, latents, labels, strength=strength, method="draw", mutable="intermediates")
    offsets = translator.displacement(translator.enlarge(seen["intermediates"]["warp"][0]), G.reach)
    return jnp.clip(drawn.faces, -1.0, 1.0), offsets


def in_batches(
    function: Callable[..., jax.Array], rows: np.ndarray, *others: np.ndarray, largest: int = LARGEST_BATCH
) -> np.ndarray:
    """Returns function(rows, *others), called with batches of powers of two: few compilations.

    Args:
      function: of arrays with a first axis of one length, and so is its answer.
      rows, others: the arrays, [N, ...].
      largest: the largest batch, a power of two.
    """
    answers = []
    for start in range(0, max(len(rows), 1), largest):  # no rows are one batch of padding
        parts = [array[start : start + largest] for array in (rows, *others)]
        count = len(parts[0])
        padding = (1 << max(count - 1, 0).bit_length()) - count
        padded = [np.pad(part, ((0, padding), *((0, 0),) * (part.ndim - 1))) for part in parts]
        answers.append(np.asarray(function(*padded))[:count])
    return np.concatenate(answers)
