"""Pixels: between bytes and floats, grids of faces, and PNG files."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from emogan import types


def to_float(images: types.ByteImages) -> types.Images:
    """Returns images [B, 48, 48, 1] in [-1, 1] for bytes [B, 48, 48]."""
    return images[..., None].astype(jnp.float32) / 127.5 - 1.0


def to_bytes(images: types.Images) -> types.ByteImages:
    """Returns bytes [B, 48, 48] for images [B, 48, 48, 1] in [-1, 1], rounded to the nearest."""
    return jnp.clip(jnp.round((images[..., 0] + 1.0) * 127.5), 0.0, 255.0).astype(jnp.uint8)


def tile(images: np.ndarray) -> np.ndarray:
    """Returns one picture uint8 [rows * H, columns * W] of a grid of images uint8 [rows, columns, H, W]."""
    rows, columns, height, width = images.shape
    return np.asarray(images).transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def untile(picture: np.ndarray, size: int = 48) -> np.ndarray:
    """Returns the grid uint8 [rows, columns, size, size] that `tile` made into one picture.

    Raises:
      ValueError: if the picture is no whole number of tiles.
    """
    height, width = picture.shape
    if height % size or width % size:
        raise ValueError(f"expected a picture of {size}x{size} tiles, found {width}x{height} pixels")
    return picture.reshape(height // size, size, width // size, size).transpose(0, 2, 1, 3)


def save_png(path: pathlib.Path, picture: np.ndarray) -> None:
    """Writes a picture uint8 [H, W] or [H, W, 3]; a reader sees the old file or the new one, never a part."""
    import PIL.Image

    temporary = path.with_name(path.name + ".tmp")
    PIL.Image.fromarray(np.asarray(picture)).save(temporary, format="PNG")
    temporary.replace(path)


def load_png(path: pathlib.Path) -> np.ndarray:
    """Returns a PNG file's gray values, uint8 [H, W]."""
    import PIL.Image

    with PIL.Image.open(path) as image:
        return np.asarray(image.convert("L"))


def psnr(images: jax.Array, others: jax.Array) -> jax.Array:
    """Returns the peak signal-to-noise ratio in dB, [B], of images in [-1, 1] against others of the same shape."""
    error = jnp.mean((images - others) ** 2, axis=tuple(range(1, images.ndim)))
    return 10.0 * jnp.log10(4.0 / error)
