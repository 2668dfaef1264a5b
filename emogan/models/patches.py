"""Strided convolutions as matrix products with patches, for CPUs; `conv` has the names.

Of the patches of x, a matrix P [N * m * m, k * k * I] with the input under every tap of every output:

    gather = P w          scatter = fold(y w^T)          pair = P^T y

where `fold` adds each row back to the places that the patch came from. What limits them is moving P,
so it is always made from the large map, which has the fewer channels in these networks, and `fold`
adds within each of the s * s phases of the output, where every tap is a shift by whole positions.

At the border taps meet padding: 36% of them with a 5x5 kernel of stride 2 between 6x6 and 3x3. `_groups` therefore cuts
the taps into rectangles that have data for the same outputs, each with its own matrix product over only those outputs.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from emogan.models import toom_cook

# Share of taps on padding from which leaving them out pays for smaller products and a longer compilation.
PADDING_WORTH_SAVING = 0.15


class Geometry(NamedTuple):
    """Kernel, strides and large map of a convolution with SAME padding, and the type of its kernel."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    large: tuple[int, int]
    dtype: np.dtype = np.dtype("float32")  # of the kernel

    @property
    def small(self) -> tuple[int, int]:
        """The size of the small map."""
        return tuple(-(-n // s) for n, s in zip(self.large, self.strides, strict=True))

    @property
    def padding(self) -> list[tuple[int, int]]:
        """Before and after, in each dimension; negative after where the kernel does not reach the end."""
        dims = zip(self.kernel, self.strides, self.large, self.small, strict=True)
        needs = [(m - 1) * s + k - n for k, s, n, m in dims]
        return [(max(need, 0) // 2, need - max(need, 0) // 2) for need in needs]

    @property
    def dimensions(self) -> list[toom_cook.Dimension]:
        """Rows and columns as `toom_cook` has them."""
        dims = zip(self.kernel, self.strides, self.large, self.padding, strict=True)
        return [toom_cook.Dimension(k, s, n, pads[0]) for k, s, n, pads in dims]


class _Group(NamedTuple):
    """Taps [start, stop) of one dimension and the outputs [first, end) for which they are computed."""

    start: int
    stop: int
    first: int
    end: int


def _groups(g: Geometry) -> tuple[list[_Group], list[_Group]]:
    """Consecutive taps that have data for the same outputs, in each dimension; all in one if that saves little."""
    whole = tuple([_Group(0, k, 0, m)] for k, m in zip(g.kernel, g.small, strict=True))
    found, data = [], 1.0
    for k, s, n, m, (before, _) in zip(g.kernel, g.strides, g.large, g.small, g.padding, strict=True):
        groups = []
        for t in range(k):
            first, end = max(0, -((t - before) // s)), min(m, (n - 1 + before - t) // s + 1)
            if end <= first:  # a tap that meets nothing but padding
                return whole
            if groups and groups[-1][2:] == (first, end):
                groups[-1] = groups[-1]._replace(stop=t + 1)
            else:
                groups.append(_Group(t, t + 1, first, end))
        found.append(groups)
        data *= sum((group.stop - group.start) * (group.end - group.first) for group in groups) / (k * m)
    return tuple(found) if 1 - data >= PADDING_WORTH_SAVING else whole


def _patches(x, rows: _Group, columns: _Group, g: Geometry):
    """The group's outputs by (taps and channels), from the map with its padding."""
    # Columns first and rows of those: 5 + 5 slices instead of 25, which run as fast and compile in 0.6 of the time.
    (sh, sw), width = g.strides, columns.end - columns.first
    left = [sw * columns.first + j for j in range(columns.start, columns.stop)]
    top = [sh * rows.first + i for i in range(rows.start, rows.stop)]
    x = jnp.concatenate([x[:, :, a : a + sw * (width - 1) + 1 : sw] for a in left], axis=-1)
    x = jnp.concatenate([x[:, a : a + sh * (rows.end - rows.first - 1) + 1 : sh] for a in top], axis=-1)
    return x.reshape(-1, x.shape[-1])


def _pad(x, pads):
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((a, b, 0) for a, b in pads), (0, 0, 0)))


def gather(x: jax.Array, w: jax.Array, g: Geometry) -> jax.Array:
    """The convolution: x [N,n,n,I] and w [k,k,I,O] give [N,m,m,O]."""
    groups, total = _groups(g), 0
    x = _pad(x, g.padding)
    for rows, columns in itertools.product(*groups):
        taps = w[rows.start : rows.stop, columns.start : columns.stop].reshape(-1, w.shape[-1])
        y = (_patches(x, rows, columns, g) @ taps).reshape(x.shape[0], rows.end - rows.first, -1, w.shape[-1])
        outside = [(group.first, m - group.end) for group, m in zip((rows, columns), g.small, strict=True)]
        total += _pad(y, outside)
    return total


def pair(x: jax.Array, y: jax.Array, g: Geometry) -> jax.Array:
    """The gradient of the kernel: x [N,n,n,I] and y [N,m,m,O] give [k,k,I,O]."""
    groups, strips = _groups(g), []
    x = _pad(x, g.padding)
    for rows in groups[0]:
        strip = []
        for columns in groups[1]:
            part = y[:, rows.first : rows.end, columns.first : columns.end].reshape(-1, y.shape[-1])
            # y^T P is faster than P^T y: the smaller of the two is turned.
            taps = jnp.matmul(part.T, _patches(x, rows, columns, g)).T
            strip.append(taps.reshape(rows.stop - rows.start, -1, x.shape[-1], y.shape[-1]))
        strips.append(jnp.concatenate(strip, axis=1))
    return jnp.concatenate(strips, axis=0)


def pair_at_stride_1(x: jax.Array, y: jax.Array, g: Geometry) -> jax.Array:
    """The gradient of the kernel at stride 1: no patches, which would be k * k times x."""
    x = _pad(x, g.padding)
    (height, width), rows = g.small, y.reshape(-1, y.shape[-1]).T
    taps = [
        jnp.matmul(rows, x[:, i : i + height, j : j + width].reshape(-1, x.shape[-1])).T
        for i, j in itertools.product(*map(range, g.kernel))
    ]
    return jnp.stack(taps).reshape(*g.kernel, x.shape[-1], y.shape[-1])


def scatter(y: jax.Array, w: jax.Array, g: Geometry) -> jax.Array:
    """The transposed convolution: y [N,m,m,O] and w [k,k,I,O] give [N,n,n,I]."""
    (sh, sw), (top, left) = g.strides, (before for before, _ in g.padding)
    height, width = (-(-n // s) for n, s in zip(g.large, g.strides, strict=True))
    phases = [[jnp.zeros((), y.dtype)] * sw for _ in range(sh)]
    for rows, columns in itertools.product(*_groups(g)):
        part = y[:, rows.first : rows.end, columns.first : columns.end]
        taps = w[rows.start : rows.stop, columns.start : columns.stop]
        patches = part.reshape(-1, w.shape[3]) @ taps.reshape(-1, w.shape[3]).T
        patches = patches.reshape(*part.shape[:3], *taps.shape[:3])
        for i, j in itertools.product(range(rows.start, rows.stop), range(columns.start, columns.stop)):
            # Output o reaches row s * o + i - top = s * (o + shift) + phase.
            (down, r), (right, c) = divmod(i - top, sh), divmod(j - left, sw)
            down, right = down + rows.first, right + columns.first
            tap = patches[:, :, :, i - rows.start, j - columns.start]
            pads = [(down, height - down - tap.shape[1]), (right, width - right - tap.shape[2])]
            phases[r][c] += _pad(tap, pads)
    shape = (y.shape[0], height, width, w.shape[2])
    x = jnp.stack([jnp.stack([jnp.broadcast_to(p, shape) for p in row], axis=3) for row in phases], axis=2)
    return x.reshape(shape[0], height * sh, width * sw, shape[3])[:, : g.large[0], : g.large[1]]
