"""The rate of matrix products, by JAX and by PyTorch: the yardstick for what a step makes of the machine."""

import time

import jax
import jax.numpy as jnp
from benchmarking import ours
from benchmarking import settings as settings_lib

# [m, k] x [k, n]. The tall one is the second convolution of D at full width as a product of patches.
SHAPES = {
    "cpu": {"square": (2048, 2048, 2048), "tall": (9216, 1600, 128)},
    "gpu": {"square": (8192, 8192, 8192), "tall": (9216, 1600, 128)},
}


def flops(shape: tuple[int, int, int]) -> int:
    """Returns the operations of one product."""
    m, k, n = shape
    return 2 * m * k * n


class Product:
    """A product by JAX; `settings.variant` is its shape, as "m,k,n"."""

    def __init__(self, settings: settings_lib.Settings):
        ours.set_precision(settings)
        self._shape = tuple(map(int, settings.variant.split(",")))

    def build(self) -> None:
        """Draws the factors."""
        m, k, n = self._shape
        keys = jax.random.split(jax.random.key(0))
        self._a, self._b = jax.random.normal(keys[0], (m, k)), jax.random.normal(keys[1], (k, n))
        self._product = jax.jit(jnp.dot)
        jax.block_until_ready((self._a, self._b))

    def run(self, steps: int) -> float:
        """Returns the seconds of `steps` products."""
        began = time.perf_counter()
        for _ in range(steps):
            found = self._product(self._a, self._b)
        jax.block_until_ready(found)
        return time.perf_counter() - began
