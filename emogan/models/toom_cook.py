"""Convolutions with fewer multiplications, for CPUs: the minimal filtering of Toom, Cook and Winograd.

A convolution of stride s is one of stride 1 over a map whose s * s phases are channels, with the kernel cut likewise
and filled with zeros. Of one with 3x3 taps, a tile of 3x3 outputs is then had from 25 products instead of 81: in each
dimension three outputs are coefficients of a product of polynomials, known from its values at five points (Winograd,
Arithmetic Complexity of Computations, 1980; Lavin and Gray, arXiv:1509.09308),

    out = A^T ((G w) * (B^T d))        d: the five inputs that three outputs see,  w: the three taps

where A, G and B hold constants, each is applied along the rows and then along the columns, and `*` is a matrix product
over channels for each of the 25 pairs of points. The fifth point is infinity, where a polynomial has its highest
coefficient: that is 0 for the phases that have two taps only, which therefore have no part in the products there. So a
5x5 kernel of stride 2 costs 81 products for nine outputs instead of 225.

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
# channels that of the maps does; oneDNN is faster at more shapes (docs/performance.md).
FEWEST_TILES, FEWEST_CHANNELS = 192, 16
FEWEST_CHANNELS_BESIDE_ONEDNN = 64


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
    def groups(self) -> list[tuple[slice, int]]:
        """Points, and how many phases have a part in the products there."""
        full = self.kernel - (TAPS - 1) * self.stride  # the number of phases that have all taps
        if full == self.stride:
            return [(slice(COUNT), full)]
        return [(slice(COUNT - 1), self.stride), (slice(COUNT - 1, COUNT), full)]

    @property
    def padding(self) -> tuple[int, int]:
        """Before and after the large map, as far as the tiles see."""
        return self.before, (self.small + TAPS - 1) * self.stride - self.before - self.large


def pays(
    rows: Dimension, columns: Dimension, examples: int, inputs: int, outputs: int, beside_onednn: bool = False
) -> bool:
    """Returns whether this form is possible, and faster, for these numbers of examples and channels.

    Faster than matrix products of XLA, or, with `beside_onednn`, than oneDNN.
    """
    fewest = FEWEST_CHANNELS_BESIDE_ONEDNN if beside_onednn else FEWEST_CHANNELS
    if rows.stride == columns.stride == 1:  # XLA is as fast there
        return False
    for dim in (rows, columns):
        most = TAPS * dim.stride
        if not most - dim.stride < dim.kernel <= most or dim.small % OUTPUTS or dim.padding[1] < 0:
            return False
    return examples * rows.tiles * columns.tiles >= FEWEST_TILES and min(inputs, outputs) >= fewest


def gather(x: jax.Array, w: jax.Array, rows: Dimension, columns: Dimension) -> jax.Array:
    """The convolution: x [N,n,n,I] and w [k,k,I,O] give [N,m,m,O]."""
    values = _products("pqti,pqio->pqto", _of_x(x, rows, columns), _of_w(w, rows, columns))
    return _y(values, len(x), rows, columns)


def scatter(y: jax.Array, w: jax.Array, rows: Dimension, columns: Dimension) -> jax.Array:
    """The transposed convolution: y [N,m,m,O] and w [k,k,I,O] give [N,n,n,I]."""
    # From the turned kernel, because the product with a turned transform of it takes twice as long.
    kernel = _of_w(w.swapaxes(2, 3), rows, columns, turned=True)
    return _x(_products("pqto,pqoi->pqti", _of_y(y, rows, columns), kernel), len(y), rows, columns)


def pair(x: jax.Array, y: jax.Array, rows: Dimension, columns: Dimension) -> jax.Array:
    """The gradient of the kernel: x [N,n,n,I] and y [N,m,m,O] give [k,k,I,O]."""
    return _w(_products("pqti,pqto->pqio", _of_x(x, rows, columns), _of_y(y, rows, columns)), rows, columns)


# Values at pairs of points: for each group of the rows and each of the columns an array [points of the rows, points of
# the columns, ...], in lists of lists.
_Values = list[list[jax.Array]]


def _products(terms: str, first: _Values, second: _Values) -> _Values:
    return [
        [jnp.einsum(terms, *pair) for pair in zip(*lines, strict=True)] for lines in zip(first, second, strict=True)
    ]


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


def _filled(x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
    return jnp.pad(x, [(before, after) if i == axis % x.ndim else (0, 0) for i in range(x.ndim)])


def _of_x(x, rows, columns):
    """B^T d of the map: [points, points, N * tiles, phases * I] for the groups."""
    x = jnp.pad(x, ((0, 0), rows.padding, columns.padding, (0, 0)))
    shape = (len(x), rows.small + TAPS - 1, rows.stride, columns.small + TAPS - 1, columns.stride, x.shape[-1])
    x = x.reshape(shape).transpose(0, 1, 3, 2, 4, 5)

    def along_columns(x, points, phases):
        x = x[..., :phases, :]
        x = _transform(B[points], [_every_third(x, i, columns.tiles, 3) for i in range(COUNT)], 1)
        return x.reshape(*x.shape[:2], -1, x.shape[-3] * x.shape[-2] * x.shape[-1])

    def along_rows(points, phases):
        own = x[..., :phases, :, :]
        own = _transform(B[points], [_every_third(own, i, rows.tiles, 1) for i in range(COUNT)], 0)
        return [along_columns(own, *group) for group in columns.groups]

    return [along_rows(*group) for group in rows.groups]


def _x(values, examples, rows, columns):
    """The transpose of `_of_x`: gives [N,n,n,I]."""

    def along(groups, dim, axis, phases_axis):
        """From [points, ...] for each group, with the phases that it has."""
        terms = [_filled(v, phases_axis, 0, dim.stride - v.shape[phases_axis]) for group in groups for v in group]
        inputs = [_sum(line, terms) for line in B.T]
        # Each tile reaches into the next one, and the last beyond itself: so there is one more.
        tiles = [_filled(own, axis, 0, 1) for own in inputs[:OUTPUTS]]
        for i, beyond in enumerate(inputs[OUTPUTS:]):
            tiles[i] += _filled(beyond, axis, 1, 0)
        whole = jnp.stack(tiles, axis + 1)
        whole = whole.reshape(*whole.shape[:axis], -1, *whole.shape[axis + 2 :])
        return jax.lax.slice_in_dim(whole, 0, dim.small + TAPS - 1, 1, axis)

    def unfolded(v, r, c):
        """[points of columns, points of rows, N, tiles, tiles, phases, phases, I]"""
        return v.reshape(*v.shape[:2], examples, rows.tiles, columns.tiles, r, c, -1).swapaxes(0, 1)

    lines = [
        along([unfolded(v, r, c) for v, (_, c) in zip(line, columns.groups, strict=True)], columns, 3, -2)
        for line, (_, r) in zip(values, rows.groups, strict=True)
    ]
    x = along(lines, rows, 1, -3).transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(examples, x.shape[1] * rows.stride, x.shape[3] * columns.stride, -1)
    return x[:, rows.before : rows.before + rows.large, columns.before : columns.before + columns.large]


def _of_w(w, rows, columns, turned=False):
    """G w of the kernel: [points, points, phases * I, O] for the groups, or [.., O, phases * I] of w [k,k,O,I]."""
    fill = [(0, TAPS * dim.stride - dim.kernel) for dim in (rows, columns)]
    w = jnp.pad(w, (*fill, (0, 0), (0, 0)))
    w = w.reshape(TAPS, rows.stride, TAPS, columns.stride, *w.shape[2:])
    w = jnp.moveaxis(w, (1, 3), (3, 4) if turned else (2, 3))

    def group(r, c):
        own = w[..., : r[1], : c[1], :] if turned else w[:, :, : r[1], : c[1]]
        shape = (own.shape[2], -1) if turned else (-1, own.shape[-1])
        K = np.kron(G[r[0]], G[c[0]]).astype(w.dtype)
        return jnp.dot(K, own.reshape(TAPS * TAPS, -1)).reshape(len(G[r[0]]), len(G[c[0]]), *shape)

    return [[group(r, c) for c in columns.groups] for r in rows.groups]


def _w(values, rows, columns):
    """The transpose of `_of_w`: gives [k,k,I,O]."""
    w = 0
    for line, (p, r) in zip(values, rows.groups, strict=True):
        for v, (q, c) in zip(line, columns.groups, strict=True):
            K = np.kron(G[p], G[q]).astype(v.dtype)
            own = jnp.dot(K.T, v.reshape(len(K), -1)).reshape(TAPS, TAPS, r, c, -1, v.shape[-1])
            w += _filled(_filled(own, 2, 0, rows.stride - r), 3, 0, columns.stride - c)
    w = w.transpose(0, 2, 1, 3, 4, 5)
    w = w.reshape(TAPS * rows.stride, TAPS * columns.stride, *w.shape[4:])
    return w[: rows.kernel, : columns.kernel]


def _of_y(y, rows, columns):
    """A y: [points, points, N * tiles, O] for the groups."""

    def group(r, c):
        own = _transform(A[r], [_every_third(y, i, rows.tiles, 1) for i in range(OUTPUTS)], 0)
        own = _transform(A[c], [_every_third(own, i, columns.tiles, 3) for i in range(OUTPUTS)], 1)
        return own.reshape(*own.shape[:2], -1, own.shape[-1])

    return [[group(r, c) for c, _ in columns.groups] for r, _ in rows.groups]


def _y(values, examples, rows, columns):
    """The transpose of `_of_y`: gives [N,m,m,O]."""

    def along_columns(line):
        terms = [v for group in line for v in group.swapaxes(0, 1)]
        return _transform(A.T, [v.reshape(-1, examples, rows.tiles, columns.tiles, v.shape[-1]) for v in terms], 4)

    y = _transform(A.T, [v for line in values for v in along_columns(line)], 2)
    return y.reshape(examples, rows.small, columns.small, -1)
