"""Strided convolutions of NHWC maps that are fast on CPU too; parameters and results are those of Flax.

A convolution from a large map x [N,n,n,I] to a small one y [N,m,m,O] with kernel w [k,k,I,O], stride s
and SAME padding pairs input i with output o under tap t where i = s * o + t - before. It, and every
derivative of it, comes from one form that is linear in each of x, w and y:

    F(x, w, y) = sum over o, t of  x[s * o + t - before] . w[t] . y[o]

    dF/dy = gather(x, w)    the convolution                [N,m,m,O]
    dF/dx = scatter(y, w)   the transposed convolution     [N,n,n,I]
    dF/dw = pair(x, y)      the gradient of the kernel     [k,k,I,O]

The derivative of each of the three in one of its arguments is another of the three, so they are
given to JAX as each other's derivatives, and derivatives of any order (reverse mode only) stay among
them. Flax's transposed convolution is `scatter` with the kernel mirrored.

With stride 1 both maps have one size, and `scatter` is a `gather` with the kernel mirrored. That XLA does at
the speed of its matrix products on CPU too, and only `pair` needs another form there: a product a tap.

With other strides XLA's convolutions are slow on CPU. There the three are those of `toom_cook` where that pays, and
otherwise matrix products with the patches of x, a matrix P [N * m * m, k * k * I] with the input under every
tap of every output:

    gather = P w          scatter = fold(y w^T)          pair = P^T y

where `fold` adds each row back to the places that the patch came from. What limits them is moving P,
so it is always made from the large map, which has the fewer channels in these networks, and `fold`
adds within each of the s * s phases of the output, where every tap is a shift by whole positions.

At the border taps meet padding: 36% of them with a 5x5 kernel of stride 2 between 6x6 and 3x3.
`_groups` therefore cuts the taps into rectangles that have data for the same outputs, each with a
matrix product of its own over those outputs alone.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from emogan.models import toom_cook

# Share of taps on padding from which leaving them out pays for smaller products and a longer compilation.
PADDING_WORTH_SAVING = 0.15


class _Geometry(NamedTuple):
    kernel: tuple[int, int]
    strides: tuple[int, int]
    large: tuple[int, int]

    @property
    def small(self) -> tuple[int, int]:
        return tuple(-(-n // s) for n, s in zip(self.large, self.strides, strict=True))

    @property
    def padding(self) -> list[tuple[int, int]]:
        """Before and after, in each dimension; negative after where the kernel does not reach the end."""
        dims = zip(self.kernel, self.strides, self.large, self.small, strict=True)
        needs = [(m - 1) * s + k - n for k, s, n, m in dims]
        return [(max(need, 0) // 2, need - max(need, 0) // 2) for need in needs]

    @property
    def dimensions(self) -> list[toom_cook.Dimension]:
        dims = zip(self.kernel, self.strides, self.large, self.padding, strict=True)
        return [toom_cook.Dimension(k, s, n, pads[0]) for k, s, n, pads in dims]


def conv(x: jax.Array, kernel: jax.Array, strides: tuple[int, int] = (1, 1)) -> jax.Array:
    """Convolution with SAME padding: [N,H,W,I] and [kh,kw,I,O] give [N,ceil(H/sh),ceil(W/sw),O]."""
    return _gather(x, kernel, _Geometry(kernel.shape[:2], tuple(strides), x.shape[1:3]))


def conv_transpose(x: jax.Array, kernel: jax.Array, strides: tuple[int, int] = (1, 1)) -> jax.Array:
    """Transposed convolution with SAME padding: [N,H,W,I] and [kh,kw,I,O] give [N,H*sh,W*sw,O]."""
    large = (x.shape[1] * strides[0], x.shape[2] * strides[1])
    mirrored = kernel[::-1, ::-1].swapaxes(2, 3)
    return _scatter(x, mirrored, _Geometry(kernel.shape[:2], tuple(strides), large))


def taps(size: int, kernel: int, stride: int) -> np.ndarray:
    """Returns which taps of `conv` meet the input, not padding, for each output, [outputs, kernel] of 0 and 1."""
    g = _Geometry((kernel, 1), (stride, 1), (size, 1))
    met = stride * np.arange(g.small[0])[:, None] + np.arange(kernel) - g.padding[0][0]
    return ((met >= 0) & (met < size)).astype(np.float32)


def taps_of_transpose(size: int, kernel: int, stride: int) -> np.ndarray:
    """Returns which taps of `conv_transpose` meet the input, for each output, [outputs, kernel] of 0 and 1."""
    g = _Geometry((kernel, 1), (stride, 1), (size * stride, 1))
    met, rest = np.divmod(np.arange(size * stride)[:, None] - np.arange(kernel) + g.padding[0][0], stride)
    # The kernel of a transposed convolution is mirrored.
    return ((rest == 0) & (met >= 0) & (met < size)).astype(np.float32)[:, ::-1]


class _Forms(NamedTuple):
    """The forms of one of the three: of two arrays and the geometry, or, of `minimal`, its dimensions."""

    xla: Callable
    at_stride_1: Callable
    minimal: Callable
    patches: Callable


def _xla_is_fast(g):
    return g.strides == (1, 1)


def _fastest(forms, first, second, g, channels):
    """The answer by the form that is fastest for these shapes on the platform."""
    if _xla_is_fast(g):
        on_cpu = functools.partial(forms.at_stride_1, g=g)
    # An export's batch is a symbol, of which `toom_cook` cannot say whether it pays.
    elif isinstance(first.shape[0], int) and toom_cook.pays(*g.dimensions, first.shape[0], *channels):

        def on_cpu(first, second):
            return forms.minimal(first, second, *g.dimensions)
    else:
        on_cpu = functools.partial(forms.patches, g=g)

    def on_cpu_in_float32(*pair):
        # For bfloat16, too: CPUs compute no faster in it.
        return on_cpu(*(array.astype(jnp.float32) for array in pair)).astype(first.dtype)

    return lax.platform_dependent(first, second, cpu=on_cpu_in_float32, default=functools.partial(forms.xla, g=g))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _gather(x, w, g):
    return _fastest(_Forms(_gather_xla, _gather_xla, toom_cook.gather, _gather_patches), x, w, g, w.shape[2:])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _scatter(y, w, g):
    return _fastest(_Forms(_scatter_xla, _scatter_xla, toom_cook.scatter, _scatter_patches), y, w, g, w.shape[2:])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _pair(x, y, g):
    channels = (x.shape[3], y.shape[3])
    return _fastest(_Forms(_pair_xla, _pair_taps, toom_cook.pair, _pair_patches), x, y, g, channels)


_gather.defvjp(
    lambda x, w, g: (_gather(x, w, g), (x, w)),
    lambda g, xw, dy: (_scatter(dy, xw[1], g), _pair(xw[0], dy, g)),
)
_scatter.defvjp(
    lambda y, w, g: (_scatter(y, w, g), (y, w)),
    lambda g, yw, dx: (_gather(dx, yw[1], g), _pair(dx, yw[0], g)),
)
_pair.defvjp(
    lambda x, y, g: (_pair(x, y, g), (x, y)),
    lambda g, xy, dw: (_scatter(xy[1], dw, g), _gather(xy[0], dw, g)),
)


def _gather_xla(x, w, g):
    return lax.conv_general_dilated(x, w, g.strides, g.padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _scatter_xla(y, w, g):
    x = jax.ShapeDtypeStruct((y.shape[0], *g.large, w.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: _gather_xla(x, w, g), x)(y)[0]


def _pair_xla(x, y, g):
    w = jax.ShapeDtypeStruct((*g.kernel, x.shape[3], y.shape[3]), x.dtype)
    return jax.linear_transpose(lambda w: _gather_xla(x, w, g), w)(y)[0]


class _Group(NamedTuple):
    """Taps [start, stop) of one dimension and the outputs [first, end) for which they are computed."""

    start: int
    stop: int
    first: int
    end: int


def _groups(g: _Geometry) -> tuple[list[_Group], list[_Group]]:
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


def _patches(x, rows: _Group, columns: _Group, g: _Geometry):
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


def _gather_patches(x, w, g):
    groups, total = _groups(g), 0
    x = _pad(x, g.padding)
    for rows, columns in itertools.product(*groups):
        taps = w[rows.start : rows.stop, columns.start : columns.stop].reshape(-1, w.shape[-1])
        y = (_patches(x, rows, columns, g) @ taps).reshape(x.shape[0], rows.end - rows.first, -1, w.shape[-1])
        outside = [(group.first, m - group.end) for group, m in zip((rows, columns), g.small, strict=True)]
        total += _pad(y, outside)
    return total


def _pair_patches(x, y, g):
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


def _pair_taps(x, y, g):
    """The gradient of the kernel at stride 1: no patches, which would be k * k times x."""
    x = _pad(x, g.padding)
    (height, width), rows = g.small, y.reshape(-1, y.shape[-1]).T
    taps = [
        jnp.matmul(rows, x[:, i : i + height, j : j + width].reshape(-1, x.shape[-1])).T
        for i, j in itertools.product(*map(range, g.kernel))
    ]
    return jnp.stack(taps).reshape(*g.kernel, x.shape[-1], y.shape[-1])


def _scatter_patches(y, w, g):
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


class Conv(nn.Module):
    """Convolution with SAME padding over [N,H,W,C]; the parameters are those of `flax.linen.Conv`."""

    features: int
    kernel_size: tuple[int, int] = (5, 5)
    strides: tuple[int, int] = (1, 1)
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [N,H,W,C] to [N,ceil(H/sh),ceil(W/sw),features]."""
        return _apply(self, conv, x)


class ConvTranspose(nn.Module):
    """Transposed convolution with SAME padding; the parameters are those of `flax.linen.ConvTranspose`."""

    features: int
    kernel_size: tuple[int, int] = (5, 5)
    strides: tuple[int, int] = (1, 1)
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [N,H,W,C] to [N,H*sh,W*sw,features]."""
        return _apply(self, conv_transpose, x)


def _apply(module, function, x):
    kernel = module.param("kernel", module.kernel_init, (*module.kernel_size, x.shape[-1], module.features))
    y = function(x, kernel, module.strides)
    if module.use_bias:
        bias = module.param("bias", module.bias_init, (module.features,))
        y = y + bias.reshape(1, 1, 1, -1)
    return y
