"""Maps in other sizes: with FxF pixels at each place, as means of 2x2 places, with each place four times."""

import jax
import jax.numpy as jnp

UNSHUFFLE = 2  # sides of the square of pixels that `unshuffle` takes as one place


def unshuffle(x: jax.Array, factor: int = UNSHUFFLE) -> jax.Array:
    """Returns [B, H / F, W / F, F * F * C], in which each place holds FxF pixels of x [B, H, W, C]; F is `factor`."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // factor, factor, width // factor, factor, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(*x.shape[:2], x.shape[3], -1)


def shuffle(x: jax.Array, factor: int = UNSHUFFLE) -> jax.Array:
    """Returns what `unshuffle` was given, [B, F * H, F * W, C / F / F] for x [B, H, W, C]."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, factor, factor, channels // factor**2)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, factor * height, factor * width, -1)


def shrink(x: jax.Array) -> jax.Array:
    """Returns the means of 2x2 places, [B, H / 2, W / 2, C], of x [B, H, W, C]."""
    batch, height, width, channels = x.shape
    return jnp.mean(x.reshape(batch, height // 2, 2, width // 2, 2, channels), axis=(2, 4))


def grow(x: jax.Array) -> jax.Array:
    """Returns each place four times, [B, 2 * H, 2 * W, C], of x [B, H, W, C]."""
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, 2, width, 2, channels))
    return x.reshape(batch, 2 * height, 2 * width, channels)
