"""Random changes to a face that leave its emotion unchanged; jittable, each with its own key."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

from emogan.util import images as images_lib
from emogan.util import types

Image = jax.Array  # [H, W, C]


def all_of(images: types.Images, keys: jax.Array) -> types.Images:
    """Returns images [B, H, W, C] in [-1, 1] after flip, warp, light and erase; not clipped.

    Args:
      images: the faces.
      keys: typed keys [B]. What happens to a face depends only on its own key, not on the batch around it.
    """
    return _each(images, keys, (flip, warp, light, erase))


def without_fine_detail(images: types.Images, keys: jax.Array) -> types.Images:
    """Returns images [B, H, W, C] in [-1, 1] after flip, a small warp, blur, light and grain; not clipped.

    What single pixels hold, such as the rounding of a network or a faint pattern, is lost: the blur makes it weak and
    the grain is stronger than what is left of it.

    Args:
      images, keys: as of `all_of`.
    """
    moved = functools.partial(warp, shift=0.04, rotation=4.0, zoom=0.05)
    return _each(images, keys, (flip, moved, blur, light, grain))


def flip(image: Image, key: jax.Array) -> Image:
    """Returns an image [H, W, C], mirrored left to right in half of the cases."""
    return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)


def warp(image: Image, key: jax.Array, shift: float = 0.1, rotation: float = 12.0, zoom: float = 0.15) -> Image:
    """Returns an image [H, W, C] turned, resized and moved about its middle, bilinear; the border is repeated.

    Args:
      image: the face.
      key: decides the changes, each uniform between minus and plus its limit.
      shift: limit in each direction, as a share of the size.
      rotation: limit in degrees.
      zoom: limit of the natural logarithm of the factor of size.
    """
    height, width, _ = image.shape
    down, right, angle, factor = warp_of(key, shift, rotation, zoom)
    y, x = jnp.meshgrid(jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2, indexing="ij")
    rows = (jnp.cos(angle) * y - jnp.sin(angle) * x) / factor + (height - 1) / 2 + height * down
    columns = (jnp.sin(angle) * y + jnp.cos(angle) * x) / factor + (width - 1) / 2 + width * right
    channel = lambda plane: ndimage.map_coordinates(plane, [rows, columns], order=1, mode="nearest")  # noqa: E731
    return jax.vmap(channel, in_axes=-1, out_axes=-1)(image)


def warp_of(key: jax.Array, shift: float, rotation: float, zoom: float) -> jax.Array:
    """Returns how `warp` changes an image, [4]: down and right as shares of the size, radians, and a factor."""
    down, right, angle, factor = jax.random.uniform(key, (4,), minval=-1.0)
    return jnp.stack([shift * down, shift * right, jnp.deg2rad(rotation) * angle, jnp.exp(zoom * factor)])


def light(image: Image, key: jax.Array, contrast: float = 0.3, brightness: float = 0.2) -> Image:
    """Returns an image [H, W, C] with another contrast about its mean, and another brightness; not clipped.

    Args:
      image: the face, in [-1, 1].
      key: decides the changes, each uniform between minus and plus its limit.
      contrast: limit of the natural logarithm of the factor.
      brightness: limit of what is added.
    """
    factor, added = jax.random.uniform(key, (2,), minval=-1.0)
    mean = jnp.mean(image)
    return (image - mean) * jnp.exp(contrast * factor) + mean + brightness * added


def erase(image: Image, key: jax.Array, chance: float = 0.3, largest: float = 0.4) -> Image:
    """Returns an image [H, W, C], at times with a rectangle set to its mean (random erasing, Zhong et al. 2020).

    Args:
      image: the face.
      key: decides whether and where.
      chance: share of the images that lose something.
      largest: limit of the rectangle's sides, as a share of the image's.
    """
    height, width, _ = image.shape
    keys = jax.random.split(key, 3)
    sides = jax.random.uniform(keys[1], (2,), maxval=largest)
    middles = jax.random.uniform(keys[2], (2,))
    inside = [
        jnp.abs((jnp.arange(size) + 0.5) / size - middle) < side / 2
        for size, middle, side in zip((height, width), middles, sides, strict=True)
    ]
    rectangle = (inside[0][:, None] & inside[1][None, :])[..., None]
    return jnp.where(jax.random.bernoulli(keys[0], chance) & rectangle, jnp.mean(image), image)


def blur(image: Image, key: jax.Array, least: float = 0.6, most: float = 1.2) -> Image:
    """Returns an image [H, W, C] after a Gaussian blur, whose weights sum to 1 at the border, too.

    Args:
      image: the face.
      key: decides the blur's standard deviation, uniform between the limits.
      least, most: the limits in pixels.
    """
    deviation = jax.random.uniform(key, (), minval=least, maxval=most)

    # As products of matrices: XLA would compute sums of moved pictures again from the picture before for each of them.
    rows, columns = (images_lib.gaussian(size, deviation) for size in image.shape[:2])
    return jnp.einsum("hi,iwc,vw->hvc", rows, image, columns)


def grain(image: Image, key: jax.Array, deviation: float = 0.03) -> Image:
    """Returns an image [H, W, C] with independent Gaussian noise on every pixel; not clipped.

    Args:
      image: the face, in [-1, 1].
      key: decides the noise.
      deviation: its standard deviation; 0.03 is 4 of 255 grey levels.
    """
    return image + deviation * jax.random.normal(key, image.shape)


def _each(
    images: types.Images, keys: jax.Array, changes: Sequence[Callable[[Image, jax.Array], Image]]
) -> types.Images:
    """Returns images after changes, one after another, each with its own key, derived from the image's."""

    def one(image: Image, key: jax.Array) -> Image:
        for change, own in zip(changes, jax.random.split(key, len(changes)), strict=True):
            image = change(image, own)
        return image

    return jax.vmap(one)(images, keys)
