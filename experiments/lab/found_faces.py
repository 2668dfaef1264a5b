"""What the detector of `emogan edit` finds in faces of 48x48 pixels, which are enlarged for it."""

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image

from emogan.data import augment
from emogan.edit import detection

FRAME = 192  # pixels of the side in which a face is shown, with half as many on each side of it
_SHIFT, _ROTATION, _ZOOM = 0.08, 12.0, 0.12  # see `augment.warp`
_OTHER_SIDE = np.array([1, 0, 2])  # of the points in a mirror image


def embedded(face: np.ndarray) -> np.ndarray:
    """Returns a face uint8 [48, 48] enlarged in the middle of a picture uint8 [384, 384], its border going on."""
    large = PIL.Image.fromarray(face).resize((FRAME, FRAME), PIL.Image.Resampling.BICUBIC)
    return np.pad(np.asarray(large), FRAME // 2, mode="edge")


def certain(pixels: np.ndarray) -> list[detection.Detection]:
    """Returns what emogan's detector finds with the confidence that it asks for by default."""
    return [one for one in detection.detect(pixels) if one.confidence >= detection.MIN_CONFIDENCE]


def of(face: np.ndarray) -> list[detection.Detection]:
    """Returns what `certain` finds in a face uint8 [48, 48], in pixels of `embedded`."""
    return certain(embedded(face))


def largest(found: list[detection.Detection]) -> detection.Detection:
    """Returns the largest of some faces."""
    return max(found, key=lambda one: one.box[2] * one.box[3])


def moved(face: jax.Array, points: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns a face [S, S, 1] in [-1, 1] and its points, both mirrored, turned, resized and moved at random."""
    of_flip, of_warp, of_light = jax.random.split(key, 3)
    mirrored = points[_OTHER_SIDE] * jnp.array([[-1.0, 1.0]])
    points = jnp.where(jax.random.bernoulli(of_flip), mirrored, points)
    face = augment.flip(face, of_flip)
    down, right, angle, factor = augment.warp_of(of_warp, _SHIFT, _ROTATION, _ZOOM)
    face = augment.warp(face, of_warp, _SHIFT, _ROTATION, _ZOOM)
    x, y = (points - jnp.stack([right, down])[None]).T
    turned = jnp.stack([jnp.cos(angle) * x - jnp.sin(angle) * y, jnp.sin(angle) * x + jnp.cos(angle) * y], axis=1)
    return augment.light(face, of_light), factor * turned
