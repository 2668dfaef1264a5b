"""What a flow is told of a face besides its noisy version: where its eyes and nose are, and what surrounds them.

The inner face, an ellipse from above the brows to below the chin, is left out: it has the expression. The rest is hair,
forehead, neck, light and background, which an edit should not change. So the flow needs no capacity to guess them from
noise, and two velocities under different labels differ little there.
"""

import jax
import jax.numpy as jnp

from emogan.models import landmarks, resampling
from emogan.util import types

_BUMP = 2.5 / 48  # standard deviation of the mark at each point; this and all lengths are parts of the face's side
_LEAST, _MOST = 8 / 48, 26 / 48  # between the eyes, as the ellipse's size takes it
_LEVEL = (1e-6, 0.0)

# In distances between the eyes, or, of a head that is turned, in as many eyes-to-nose distances times `_NOSE`.
_NOSE = 1.45
_LOWER = 0.36  # the ellipse's middle, below the middle between eyes and nose
_WIDTH, _HEIGHT = 1.08, 1.25  # its half axes
_EDGE = (0.94, 1.06)  # in its radii: inside until the first, outside from the second on


def channels(colours: int) -> int:
    """Returns how many channels `of` has for faces of 1 or 3."""
    return 3 * landmarks.POINTS + 1 + 4 * (colours + 1)


def of(faces: types.Images, points: jax.Array) -> jax.Array:
    """Returns what a `unet.UNet` is told of faces, [B, S / 2, S / 2, K]; 0 everywhere says that nothing is known.

    Args:
      faces: [B, S, S, C] in [-1, 1], without noise.
      points: [B, 3, 2], of `landmarks.of`.
    """
    outside = 1.0 - inner(points, faces.shape[1])
    maps = (_marks(points, faces.shape[1] // 2), resampling.unshuffle(faces * outside), resampling.unshuffle(outside))
    return jnp.concatenate(maps, axis=-1)


def found(faces: types.Images) -> jax.Array:
    """Returns `of` for faces whose points the network that ships with emogan finds."""
    return of(faces, landmarks.of(landmarks.packaged(), faces))


def inner(points: jax.Array, size: int) -> jax.Array:
    """Returns how far each pixel belongs to the inner face, 0 to 1, [B, S, S, 1], for points [B, 3, 2]."""
    left, right, nose = points[:, 0], points[:, 1], points[:, 2]
    # A little is added so that eyes at one place have a line between them, which is level.
    line, middle = right - left + jnp.asarray(_LEVEL)[None], (left + right) / 2
    length = jnp.maximum(_length(line), 1e-7)
    apart = jnp.clip(jnp.maximum(length, _NOSE * _length(nose - middle)), _LEAST, _MOST)
    along = line / length[:, None]
    down = jnp.stack([-along[:, 1], along[:, 0]], axis=1)
    centre = (middle + nose) / 2 + _LOWER * apart[:, None] * down
    x, y = _from(centre[:, None], size)
    across = (x * along[:, :1, None, None] + y * along[:, 1:, None, None]) / (_WIDTH * apart)[:, None, None, None]
    below = (x * down[:, :1, None, None] + y * down[:, 1:, None, None]) / (_HEIGHT * apart)[:, None, None, None]
    radius = jnp.sqrt(jnp.square(across) + jnp.square(below) + 1e-6)
    least, most = _EDGE
    return jnp.clip((most - radius) / (most - least), 0.0, 1.0).transpose(0, 2, 3, 1)


def _marks(points: jax.Array, size: int) -> jax.Array:
    """Returns for each place how far it lies from the points, a mark at each point, and 1: [B, S, S, 10]."""
    x, y = _from(points, size)
    marks = jnp.exp(-(jnp.square(x) + jnp.square(y)) / (2 * _BUMP**2))
    maps = jnp.concatenate([2.0 * x, 2.0 * y, marks, jnp.ones_like(marks[:, :1])], axis=1)
    return maps.transpose(0, 2, 3, 1)


def _from(points: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Returns how far right and below of points [B, N, 2] the places of a map are, twice [B, N, S, S]."""
    places = (jnp.arange(size) + 0.5) / size - 0.5
    x = places[None, None, None, :] - points[:, :, :1, None]
    y = places[None, None, :, None] - points[:, :, 1:, None]
    shape = (points.shape[0], points.shape[1], size, size)
    return jnp.broadcast_to(x, shape), jnp.broadcast_to(y, shape)


def _length(vectors: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(vectors), axis=1))
