"""Convolutions with fewer multiplications, for CPUs: the minimal filtering of Toom, Cook and Winograd.

A convolution of stride s is one of stride 1 over a map whose s * s phases are channels, with the kernel cut likewise
and filled with zeros. Of one with 3x3 taps, a tile of 3x3 outputs is then had from 25 products instead of 81: in each
dimension three outputs are coefficients of a product of polynomials, known from its values at five points (Winograd,
Arithmetic Complexity of Computations, 1980; Lavin and Gray, arXiv:1509.09308),

    out = A^T ((G w) * (B^T d))        d: the five inputs that three outputs see,  w: the three taps

where A, G and B hold constants, each is applied along the rows and then along the columns, and `*` is a matrix product
over channels for each of the 25 pairs of points. A 5x5 kernel of stride 2 costs 100 products for nine outputs instead
of 225.

`gather`, `scatter` and `pair` are those of `conv`: one form, linear in each argument, so that three transforms and
their transposes serve all of them. The values differ from those of a plain sum by rounding only: some 1e-6 of their
spread in float32, 3e-5 at most.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

OUTPUTS = TAPS = 3  # in each dimension; the maps of the networks are multiples of 3
POINTS = (0.0, 1.0, -1.0, 2.0)  # and infinity
COUNT = len(POINTS) + 1
# With fewer tiles the transform of the kernel takes longer than the multiplications that it saves, and with fewer
# channels that of the maps does (docs/performance.md).
FEWEST_TILES, FEWEST_CHANNELS = 192, 16


class Dimension(NamedTuple):
    """One dimension of a convolution: the sizes of kernel, stride and large map, and how much padding is before it."""

    kernel: int
    stride: int
    large: int
    before: int

    @property
    def small(self) -> int:
        """The size of the small map."""
        return -(-self.large // self.stride)

    @property
    def tiles(self) -> int:
        """How many tiles cover the small map."""
        return self.small // OUTPUTS

    @property
    def padding(self) -> tuple[int, int]:
        """Before and after the large map, as far as the tiles see."""
        return self.before, (self.small + TAPS - 1) * self.stride - self.before - self.large


def pays(rows: Dimension, columns: Dimension, examples: int, inputs: int, outputs: int) -> bool:
    """Returns whether this form is possible, and faster, for so many examples and channels of the two maps."""
    for dim in (rows, columns):
        most = TAPS * dim.stride
        if not most - dim.stride < dim.kernel <= most or dim.small % OUTPUTS or dim.padding[1] < 0:
            return False
    return examples * rows.tiles * columns.tiles >= FEWEST_TILES and min(inputs, outputs) >= FEWEST_CHANNELS


def gather(x: jax.Array, w: jax.Array, rows: Dimension, columns: Dimension) -> jax.Array:
    """The convolution: x [N,n,n,I] and w [k,k,I,O] give [N,m,m,O]."""
    values = jnp.einsum("pqti,pqio->pqto", _of_x(x, rows, columns), _of_w(w, rows, columns))
    return _y(values, len(x), rows, columns)


def scatter(y: jax.Array, w: jax.Array, rows: Dimension, columns: Dimension) -> jax.Array:
    """The transposed convolution: y [N,m,m,O] and w [k,k,I,O] give [N,n,n,I]."""
    # From the turned kernel, because the product with a turned transform of it takes twice as long.
    kernel = _of_w(w.swapaxes(2, 3), rows, columns, axis=3)
    values = jnp.einsum("pqto,pqoi->pqti", _of_y(y, rows, columns), kernel)
    return _x(values, len(y), rows, columns)


def pair(x: jax.Array, y: jax.Array, rows: Dimension, columns: Dimension) -> jax.Array:
    """The gradient of the kernel: x [N,n,n,I] and y [N,m,m,O] give [k,k,I,O]."""
    return _w(jnp.einsum("pqti,pqto->pqio", _of_x(x, rows, columns), _of_y(y, rows, columns)), rows, columns)


def _polynomial_values(length: int) -> np.ndarray:
    """Takes a polynomial's coefficients to its values at the points; at infinity, to the highest coefficient."""
    return np.concatenate([np.array(POINTS)[:, None] ** np.arange(length), np.eye(length)[-1:]])


A, G = _polynomial_values(OUTPUTS), _polynomial_values(TAPS)
# Rounded, because the inverse has zeros, which are then left out.
B = np.linalg.inv(_polynomial_values(COUNT)).T.round(12)  # [points, inputs]: the B^T above


def _sum(coefficients: np.ndarray, terms: list[jax.Array]) -> jax.Array:
    terms = [(c, term) for c, term in zip(coefficients, terms, strict=True) if c]
    return functools.reduce(jnp.add, [v if c == 1 else -v if c == -1 else v * np.asarray(c, v.dtype) for c, v in terms])


def _transform(constants: np.ndarray, terms: list[jax.Array], axis: int) -> jax.Array:
    """Returns constants [P, T] times the T terms, stacked along a new axis."""
    return jnp.stack([_sum(line, terms) for line in constants], axis)


def _every_third(x: jax.Array, start: int, count: int, axis: int) -> jax.Array:
    return jax.lax.slice_in_dim(x, start, start + OUTPUTS * (count - 1) + 1, OUTPUTS, axis)


def _of_x(x, rows, columns):
    """B^T d of the map: [points, points, N * tiles, phases * I]."""
    x = jnp.pad(x, ((0, 0), rows.padding, columns.padding, (0, 0)))
    shape = (len(x), rows.small + TAPS - 1, rows.stride, columns.small + TAPS - 1, columns.stride, x.shape[-1])
    x = x.reshape(shape).transpose(0, 1, 3, 2, 4, 5).reshape(shape[0], shape[1], shape[3], -1)
    x = _transform(B, [_every_third(x, i, rows.tiles, 1) for i in range(COUNT)], 0)
    x = _transform(B, [_every_third(x, i, columns.tiles, 3) for i in range(COUNT)], 1)
    return x.reshape(COUNT, COUNT, -1, x.shape[-1])


def _x(values, examples, rows, columns):
    """The transpose of `_of_x`: gives [N,n,n,I]."""

    def along(values, dim, axis):
        # Each tile reaches into the next one, and the last beyond itself: so there is one more.
        def pad(part, before, after):
            return jnp.pad(part, [(before, after) if i == axis else (0, 0) for i in range(part.ndim)])

        inputs = [_sum(line, list(values)) for line in B.T]
        tiles = [pad(own, 0, 1) for own in inputs[:OUTPUTS]]
        for i, beyond in enumerate(inputs[OUTPUTS:]):
            tiles[i] += pad(beyond, 1, 0)
        whole = jnp.stack(tiles, axis + 1)
        whole = whole.reshape(*whole.shape[:axis], -1, *whole.shape[axis + 2 :])
        return jax.lax.slice_in_dim(whole, 0, dim.small + TAPS - 1, 1, axis)

    values = values.reshape(COUNT, COUNT, examples, rows.tiles, columns.tiles, -1)
    values = along(values.swapaxes(0, 1), columns, 3)
    x = along(values, rows, 1)
    shape = (*x.shape[:3], rows.stride, columns.stride, x.shape[3] // (rows.stride * columns.stride))
    x = x.reshape(shape).transpose(0, 1, 3, 2, 4, 5).reshape(shape[0], shape[1] * shape[3], shape[2] * shape[4], -1)
    return x[:, rows.before : rows.before + rows.large, columns.before : columns.before + columns.large]


def _of_w(w, rows, columns, axis=2):
    """G w of the kernel: [points, points, phases * I, O], or [points, points, O, phases * I] for `axis` 3."""
    fill = [(0, TAPS * dim.stride - dim.kernel) for dim in (rows, columns)]
    w = jnp.pad(w, (*fill, (0, 0), (0, 0)))
    w = w.reshape(TAPS, rows.stride, TAPS, columns.stride, *w.shape[2:])
    w = jnp.moveaxis(w, (1, 3), (axis, axis + 1))
    shape = [TAPS, TAPS, *w.shape[2:axis], -1, *w.shape[axis + 3 :]]
    w = w.reshape(shape)
    w = _transform(G, list(w), 0)
    return _transform(G, list(w.swapaxes(0, 1)), 1)


def _w(values, rows, columns):
    """The transpose of `_of_w`: gives [k,k,I,O]."""
    w = _transform(G.T, list(values), 0)
    w = _transform(G.T, list(w.swapaxes(0, 1)), 1)
    w = w.reshape(TAPS, TAPS, rows.stride, columns.stride, -1, w.shape[-1]).transpose(0, 2, 1, 3, 4, 5)
    w = w.reshape(TAPS * rows.stride, TAPS * columns.stride, *w.shape[4:])
    return w[: rows.kernel, : columns.kernel]


def _of_y(y, rows, columns):
    """A y: [points, points, N * tiles, O]."""
    y = _transform(A, [_every_third(y, i, rows.tiles, 1) for i in range(OUTPUTS)], 0)
    y = _transform(A, [_every_third(y, i, columns.tiles, 3) for i in range(OUTPUTS)], 1)
    return y.reshape(COUNT, COUNT, -1, y.shape[-1])


def _y(values, examples, rows, columns):
    """The transpose of `_of_y`: gives [N,m,m,O]."""
    values = values.reshape(COUNT, COUNT, examples, rows.tiles, columns.tiles, -1)
    y = _transform(A.T, list(values), 3)
    y = _transform(A.T, list(y), 4)
    return y.reshape(examples, rows.small, columns.small, -1)
