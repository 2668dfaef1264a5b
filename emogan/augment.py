"""Random changes to faces that leave the emotion as it is; jittable, and independent for each face."""

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

from emogan import types


def flip(images: types.Images, key: jax.Array) -> types.Images:
    """Returns images [B, H, W, C], half of them mirrored left to right."""
    mirrored = jax.random.bernoulli(key, shape=(len(images), 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


def warp(
    images: types.Images, key: jax.Array, shift: float = 0.1, rotation: float = 12.0, zoom: float = 0.15
) -> types.Images:
    """Returns images [B, H, W, C] turned, resized and moved about their middle, bilinear; the border is repeated.

    Args:
      images: the faces.
      key: decides the changes, each uniform between minus and plus its limit.
      shift: limit in each direction, as a share of the size.
      rotation: limit in degrees.
      zoom: limit of the natural logarithm of the factor of size.
    """
    count, height, width, _ = images.shape
    down, right, angle, factor = jax.random.uniform(key, (4, count, 1, 1), minval=-1.0)
    angle, factor = jnp.deg2rad(rotation) * angle, jnp.exp(zoom * factor)
    y, x = jnp.meshgrid(jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2, indexing="ij")
    y, x = y[None], x[None]
    rows = (jnp.cos(angle) * y - jnp.sin(angle) * x) / factor + (height - 1) / 2 + shift * height * down
    columns = (jnp.sin(angle) * y + jnp.cos(angle) * x) / factor + (width - 1) / 2 + shift * width * right

    def one(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
        channel = lambda plane: ndimage.map_coordinates(plane, [rows, columns], order=1, mode="nearest")  # noqa: E731
        return jax.vmap(channel, in_axes=-1, out_axes=-1)(image)

    return jax.vmap(one)(images, rows, columns)


def light(images: types.Images, key: jax.Array, contrast: float = 0.3, brightness: float = 0.2) -> types.Images:
    """Returns images [B, H, W, C] with another contrast about their mean, and another brightness; not clipped.

    Args:
      images: the faces, in [-1, 1].
      key: decides the changes, each uniform between minus and plus its limit.
      contrast: limit of the natural logarithm of the factor.
      brightness: limit of what is added.
    """
    factor, added = jax.random.uniform(key, (2, len(images), 1, 1, 1), minval=-1.0)
    mean = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
    return (images - mean) * jnp.exp(contrast * factor) + mean + brightness * added


def erase(images: types.Images, key: jax.Array, chance: float = 0.3, largest: float = 0.4) -> types.Images:
    """Returns images [B, H, W, C], some with a rectangle set to their mean (random erasing, Zhong et al. 2020).

    Args:
      images: the faces.
      key: decides where.
      chance: share of the images.
      largest: limit of the rectangle's sides, as a share of the image's.
    """
    count, height, width, _ = images.shape
    keys = jax.random.split(key, 3)
    chosen = jax.random.bernoulli(keys[0], chance, (count, 1, 1, 1))
    sides = jax.random.uniform(keys[1], (2, count, 1), maxval=largest)
    middles = jax.random.uniform(keys[2], (2, count, 1))
    inside = [
        jnp.abs((jnp.arange(size) + 0.5) / size - middle) < side / 2
        for size, middle, side in zip((height, width), middles, sides, strict=True)
    ]
    rectangle = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    mean = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
    return jnp.where(chosen & rectangle, mean, images)


def all_of(images: types.Images, key: jax.Array) -> types.Images:
    """Returns images [B, H, W, C] after flip, warp, light and erase, each with its defaults."""
    keys = jax.random.split(key, 4)
    for change, own in zip((flip, warp, light, erase), keys, strict=True):
        images = change(images, own)
    return images
