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

On CPU the three are computed by oneDNN where it is installed (`emogan.models.onednn`). Maps may be float32 or bfloat16,
and the kernel float32 with maps in bfloat16: it is then rounded, and its gradient is float32. Sums are float32.

Some shapes are faster otherwise. A strided transposed convolution to up to 4 channels is a matrix product with the
`patches` of x, in float32 in both precisions. In float32, `toom_cook` is used where it pays, since it needs fewer
multiplications, and products with patches for small maps of many channels. Without oneDNN, every strided convolution
for which `toom_cook` does not pay is such a product: XLA's own strided and transposed convolutions take up to a hundred
times as long on CPU. At stride 1 its convolution is as fast as a matrix product, and `scatter` is a `gather` with the
kernel mirrored; only `pair` needs another form there: a product a tap.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from emogan.models import dense, onednn, patches, toom_cook
from emogan.util import types

# Beside oneDNN: up to which size of the small map, and from how many channels, products with patches are faster.
LARGEST_PRODUCT, FEWEST_PRODUCT_CHANNELS = 3, 256
# To how many channels a strided transposed convolution is faster as such a product.
MOST_THIN_CHANNELS = 4

_portable = contextvars.ContextVar("portable", default=False)


@contextlib.contextmanager
def portable() -> Iterator[None]:
    """Within it, convolutions are traced without oneDNN.

    For programs that leave the process, as exports do, and for those that XLA partitions over devices: it would
    compute the whole of a foreign call on each.
    """
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


def conv(x: jax.Array, kernel: jax.Array, strides: tuple[int, int] = (1, 1)) -> jax.Array:
    """Convolution with SAME padding: [N,H,W,I] and [kh,kw,I,O] give [N,ceil(H/sh),ceil(W/sw),O] in x's type."""
    return _gather(x, kernel, patches.Geometry(kernel.shape[:2], tuple(strides), x.shape[1:3], kernel.dtype))


def conv_transpose(x: jax.Array, kernel: jax.Array, strides: tuple[int, int] = (1, 1)) -> jax.Array:
    """Transposed convolution with SAME padding: [N,H,W,I] and [kh,kw,I,O] give [N,H*sh,W*sw,O] in x's type."""
    large = (x.shape[1] * strides[0], x.shape[2] * strides[1])
    mirrored = kernel[::-1, ::-1].swapaxes(2, 3)
    return _scatter(x, mirrored, patches.Geometry(kernel.shape[:2], tuple(strides), large, kernel.dtype))


def taps(size: int, kernel: int, stride: int) -> np.ndarray:
    """Returns which taps of `conv` meet the input, not padding, for each output, [outputs, kernel] of 0 and 1."""
    g = patches.Geometry((kernel, 1), (stride, 1), (size, 1))
    met = stride * np.arange(g.small[0])[:, None] + np.arange(kernel) - g.padding[0][0]
    return ((met >= 0) & (met < size)).astype(np.float32)


def taps_of_transpose(size: int, kernel: int, stride: int) -> np.ndarray:
    """Returns which taps of `conv_transpose` meet the input, for each output, [outputs, kernel] of 0 and 1."""
    g = patches.Geometry((kernel, 1), (stride, 1), (size * stride, 1))
    met, rest = np.divmod(np.arange(size * stride)[:, None] - np.arange(kernel) + g.padding[0][0], stride)
    # The kernel of a transposed convolution is mirrored.
    return ((rest == 0) & (met >= 0) & (met < size)).astype(np.float32)[:, ::-1]


class _Forms(NamedTuple):
    """The ways to compute one of the three."""

    kind: onednn.Kind
    xla: Callable
    at_stride_1: Callable
    minimal: Callable
    patches: Callable


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _gather(x, w, g):
    forms = _Forms(onednn.Kind.GATHER, _gather_xla, _gather_xla, toom_cook.gather, patches.gather)
    result = jax.ShapeDtypeStruct((x.shape[0], *g.small, w.shape[3]), x.dtype)
    return _compute(forms, x, w, g, w.shape[2:], result)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _scatter(y, w, g):
    forms = _Forms(onednn.Kind.SCATTER, _scatter_xla, _scatter_xla, toom_cook.scatter, patches.scatter)
    result = jax.ShapeDtypeStruct((y.shape[0], *g.large, w.shape[2]), y.dtype)
    return _compute(forms, y, w, g, w.shape[2:], result)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _pair(x, y, g):
    forms = _Forms(onednn.Kind.PAIR, _pair_xla, patches.pair_at_stride_1, toom_cook.pair, patches.pair)
    result = jax.ShapeDtypeStruct((*g.kernel, x.shape[3], y.shape[3]), g.dtype)
    return _compute(forms, x, y, g, (x.shape[3], y.shape[3]), result)


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


def _compute(forms, first, second, g, channels, result):
    """One of the three by what is fastest for these shapes on the platform that it is lowered for."""
    native = not _portable.get() and jax.default_backend() == "cpu" and onednn.load().available

    def rounded(second):  # a kernel in float32 with maps in bfloat16
        return second.astype(first.dtype)

    def by_onednn(first, second, dtype):
        computed = jax.ShapeDtypeStruct(result.shape, dtype)
        return onednn.call(forms.kind, first, second, computed, g.strides, g.padding)

    def on_cpu(first, second):
        thin = _is_thin(forms.kind, g, channels)
        if native and first.dtype == jnp.bfloat16 and onednn.load().bfloat16 and not thin:
            return by_onednn(first, second, result.dtype)
        # Without instructions for bfloat16, and in XLA's own operations, float32 is faster.
        pair = first.astype(jnp.float32), rounded(second).astype(jnp.float32)
        # An export's batch is a symbol, which may or may not be large enough.
        if isinstance(first.shape[0], int) and toom_cook.pays(*g.dimensions, first.shape[0], *channels, native):
            found = forms.minimal(*pair, *g.dimensions)
        elif native and not (thin or _is_product(g, channels)):
            found = by_onednn(*pair, jnp.float32)
        elif g.strides == (1, 1):
            found = forms.at_stride_1(*pair, g)
        else:
            found = forms.patches(*pair, g)
        return found.astype(result.dtype)

    def elsewhere(first, second):
        return forms.xla(first, rounded(second), g).astype(result.dtype)

    return lax.platform_dependent(first, second, cpu=on_cpu, default=elsewhere)


def _is_product(g, channels):
    """Whether nearly all the work is the product of patches and kernel, which XLA does faster than oneDNN."""
    return g.strides != (1, 1) and max(g.small) <= LARGEST_PRODUCT and min(channels) >= FEWEST_PRODUCT_CHANNELS


def _is_thin(kind, g, channels):
    """Whether this is a strided transposed convolution to so few channels that oneDNN uses few lanes of a vector."""
    return kind == onednn.Kind.SCATTER and g.strides != (1, 1) and channels[0] <= MOST_THIN_CHANNELS


def _gather_xla(x, w, g):
    return lax.conv_general_dilated(x, w, g.strides, g.padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _scatter_xla(y, w, g):
    x = jax.ShapeDtypeStruct((y.shape[0], *g.large, w.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: _gather_xla(x, w, g), x)(y)[0]


def _pair_xla(x, y, g):
    w = jax.ShapeDtypeStruct((*g.kernel, x.shape[3], y.shape[3]), x.dtype)
    return jax.linear_transpose(lambda w: _gather_xla(x, w, g), w)(y)[0]


class Conv(nn.Module):
    """Convolution with SAME padding over [N,H,W,C] in `dtype`; the parameters are those of `flax.linen.Conv`."""

    features: int
    kernel_size: tuple[int, int] = (5, 5)
    strides: tuple[int, int] = (1, 1)
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [N,H,W,C] to [N,ceil(H/sh),ceil(W/sw),features]."""
        return _apply(self, conv, x)


class ConvTranspose(nn.Module):
    """Transposed convolution with SAME padding in `dtype`; the parameters are those of `flax.linen.ConvTranspose`."""

    features: int
    kernel_size: tuple[int, int] = (5, 5)
    strides: tuple[int, int] = (1, 1)
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()
    dtype: types.DType = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [N,H,W,C] to [N,H*sh,W*sw,features]."""
        return _apply(self, conv_transpose, x)


class Pointwise(nn.Module):
    """A dense layer at each place of [N,H,W,C] in `dtype`; the parameters are those of `flax.linen.Dense`.

    It is a 1x1 convolution: on a CPU, oneDNN is faster here than XLA's matrix product.
    """

    features: int
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()
    dtype: types.DType = jnp.float32

    kernel_size, strides = (), (1, 1)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [N,H,W,C] to [N,H,W,features]."""
        return _apply(self, lambda x, kernel, strides: conv(x, kernel[None, None], strides), x)


def _apply(module, function, x):
    kernel = module.param("kernel", module.kernel_init, (*module.kernel_size, x.shape[-1], module.features))
    y = function(x.astype(module.dtype), kernel, module.strides)
    return dense.add_bias(y, module.param("bias", module.bias_init, (module.features,))) if module.use_bias else y
