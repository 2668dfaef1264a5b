"""Every form of a convolution against Flax: parameters, values and derivatives."""

import contextlib
import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import strategies as st
from jax import lax

from emogan.models import conv, onednn, patches, toom_cook

PAIRS = {"conv": (conv.Conv, nn.Conv), "conv_transpose": (conv.ConvTranspose, nn.ConvTranspose)}
# (height, width), kernel, strides, channels in, channels out
CASES = [
    ((6, 6), (5, 5), (2, 2), 3, 4),
    ((3, 3), (5, 5), (2, 2), 4, 3),
    ((7, 10), (5, 5), (2, 2), 1, 3),
    ((9, 8), (4, 4), (2, 2), 3, 1),
    ((5, 6), (3, 4), (1, 1), 2, 3),
    ((6, 5), (5, 3), (1, 2), 1, 2),
    ((7, 8), (1, 2), (3, 2), 2, 2),
    ((1, 2), (5, 5), (2, 2), 2, 2),
]


def modules(name, case):
    _, kernel, strides, _, features = case
    ours, theirs = PAIRS[name]
    return ours(features, kernel, strides), theirs(features, kernel, strides)


def close(found, expected, tolerance=1e-5):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


def derivatives(module, variables, x, weight, second):
    """Value and gradients or, if `second`, the gradients of the squared norm of the gradients."""

    def loss(variables, x):
        y = module.apply(variables, x)
        return jnp.sum(weight * y + 0.1 * y**3), y

    def penalty(variables, x):
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(loss, (0, 1), has_aux=True)(variables, x)[0]))

    return jax.grad(penalty, (0, 1))(variables, x) if second else jax.grad(loss, (0, 1), has_aux=True)(variables, x)


def inputs(name, case):
    """Made by NumPy, since the many small operations would each be compiled."""
    size, kernel, strides, channels, features = case
    normal = np.random.default_rng(0).normal
    params = {"kernel": normal(size=(*kernel, channels, features)), "bias": normal(size=features)}
    if name == "conv":
        out = [-(-n // s) for n, s in zip(size, strides, strict=True)]
    else:
        out = [n * s for n, s in zip(size, strides, strict=True)]
    tree = normal(size=(2, *size, channels)), {"params": params}, normal(size=(2, *out, features))
    return jax.tree.map(np.float32, tree)


def compare(name, case, second, tolerance=1e-5):
    x, variables, weight = inputs(name, case)
    ours, flax = (jax.jit(functools.partial(derivatives, m, second=second)) for m in modules(name, case))
    close(ours(variables, x, weight), flax(variables, x, weight), tolerance)


@pytest.fixture(params=["onednn", "portable"])
def form(request):
    """With oneDNN, and without."""
    if request.param == "onednn" and not onednn.load().available:
        pytest.skip(onednn.load().message or "there is no oneDNN for this platform")
    with conv.portable() if request.param == "portable" else contextlib.nullcontext():
        yield request.param


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_gradient_agree_with_flax(form, name, case):
    compare(name, case, second=False)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_gradient_of_gradient_agrees_with_flax(form, name, case):
    compare(name, case, second=True)


def exact(function, *arrays):
    """The answers of a function of XLA's own convolutions in float64, of arrays as they are rounded."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, function(*(jnp.asarray(np.asarray(a, np.float64)) for a in arrays)))


# Of results: sums are float32, so float32 is near exact, and bfloat16 is rounded to 8 bits once.
ROUNDING = {"float32": 2e-6, "bfloat16": 2**-8}


@hypothesis.settings(max_examples=12)
@hypothesis.given(
    st.tuples(st.integers(1, 5), st.integers(1, 13), st.integers(1, 13)),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 33), st.integers(1, 33)),
    st.sampled_from(["float32", "bfloat16"]),
)
def test_any_shape_is_computed_in_both_precisions(shape, kernel, strides, channels, precision):
    bound = ROUNDING[precision]
    rng = np.random.default_rng(0)
    g = patches.Geometry(kernel, strides, shape[1:])
    draw = lambda *size: jnp.asarray(rng.normal(size=size), precision)  # noqa: E731
    x, y = draw(*shape, channels[0]), draw(shape[0], *g.small, channels[1])
    w = draw(*kernel, *channels).astype(jnp.float32)  # a kernel that bfloat16 holds exactly
    for ours, theirs, pair in (
        (conv._gather, conv._gather_xla, (x, w)),
        (conv._scatter, conv._scatter_xla, (y, w)),
        (conv._pair, conv._pair_xla, (x, y)),
    ):
        found = ours(*pair, g)
        expected = exact(lambda a, b: theirs(a, b, g), *pair)  # noqa: B023
        assert found.dtype == (jnp.float32 if ours is conv._pair else jnp.dtype(precision))
        assert found.shape == expected.shape
        limit = 2e-6 if ours is conv._pair else bound  # the kernel's gradient is float32 in both
        largest = max(np.abs(expected).max(), 1e-3)
        np.testing.assert_allclose(np.asarray(found, np.float64), expected, rtol=limit, atol=limit * largest)


# Of each: the large map, kernel, strides, and the channels of both maps.
SMALL_MAPS = [
    ((6, 6), (5, 5), (2, 2), 136, 128),
    ((5, 6), (5, 3), (2, 2), 128, 130),
    ((5, 3), (3, 5), (2, 1), 128, 128),
    ((3, 6), (2, 3), (1, 2), 128, 144),
    ((6, 6), (1, 1), (2, 2), 130, 128),
    ((2, 2), (5, 5), (2, 2), 128, 128),
    # oneDNN's own is wrong where the small map is one place wide.
    ((7, 2), (2, 5), (2, 2), 7, 9),
    ((4, 1), (3, 3), (3, 2), 11, 15),
    ((5, 1), (3, 3), (1, 1), 5, 6),
]


@pytest.mark.skipif(not onednn.load().bfloat16, reason="a CPU without instructions for bfloat16 has another way")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", SMALL_MAPS, ids=str)
def test_gradients_of_kernels_that_are_products_of_taps(case, precision):
    large, kernel, strides, inputs, outputs = case
    g = patches.Geometry(kernel, strides, large, np.dtype(precision))
    rng = np.random.default_rng(0)
    x, y = (
        jnp.asarray(rng.normal(size=(3, *map_, channels)), jnp.bfloat16)
        for map_, channels in ((large, inputs), (g.small, outputs))
    )
    found = jax.jit(lambda x, y: conv._pair(x, y, g))(x, y)
    assert found.dtype == jnp.dtype(precision)
    expected = exact(lambda x, y: conv._pair_xla(x, y, g), x, y)
    limit = ROUNDING[precision]  # of the kernel, which may be rounded once
    np.testing.assert_allclose(np.asarray(found, np.float64), expected, rtol=limit, atol=limit * np.abs(expected).max())


@pytest.mark.skipif(not onednn.load().available, reason="without oneDNN there is no choice")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("channels", [1, 4, 5])
def test_a_transposed_convolution_to_few_channels_is_a_product(channels, precision):
    g = patches.Geometry((5, 5), (2, 2), (12, 12))
    rng = np.random.default_rng(0)
    y = jnp.asarray(rng.normal(size=(2, 6, 6, 8)), precision)
    w = jnp.asarray(rng.normal(size=(5, 5, channels, 8)), jnp.float32).astype(precision).astype(jnp.float32)
    scatter = jax.jit(lambda y, w: conv._scatter(y, w, g))
    assert (onednn._TARGET in scatter.lower(y, w).as_text()) == (channels > 4)
    expected = exact(lambda y, w: conv._scatter_xla(y, w, g), y, w)
    limit = ROUNDING[precision]
    found = np.asarray(scatter(y, w), np.float64)
    np.testing.assert_allclose(found, expected, rtol=limit, atol=limit * np.abs(expected).max())


def test_a_kernel_in_float32_is_rounded_beside_maps_in_bfloat16(form):
    x = jnp.ones((1, 1, 1, 1), jnp.bfloat16)
    kernel = jnp.full((1, 1, 1, 1), 1 + 2**-9, jnp.float32)  # bfloat16 has 8 bits
    assert conv.conv(x, kernel)[0, 0, 0, 0] == 1
    gradient = jax.grad(lambda k: conv.conv(x, k).astype(jnp.float32).sum())(kernel)
    assert gradient.dtype == jnp.float32


def test_the_same_call_gives_the_same_bits(form):
    x, variables, _ = inputs("conv", ((24, 24), (5, 5), (2, 2), 16, 32))
    x = np.repeat(x, 16, axis=0)
    module = conv.Conv(32, (5, 5), (2, 2))
    gradient = jax.jit(jax.grad(lambda v, x: jnp.sum(jnp.square(module.apply(v, x))), (0, 1)))
    first = gradient(variables, x)
    for _ in range(5):
        jax.tree.map(np.testing.assert_array_equal, gradient(variables, x), first)


def test_convolutions_are_mapped_over_examples(form):
    x, variables, _ = inputs("conv", CASES[0])
    module = conv.Conv(4, (5, 5), (2, 2))
    one_by_one = jax.vmap(lambda x: module.apply(variables, x[None])[0])(x)
    np.testing.assert_allclose(one_by_one, module.apply(variables, x), rtol=1e-5, atol=1e-5)


# (height, width) of the large map, kernel, strides: with every size of map that the networks have, and others.
TOOM_COOK = [
    ((6, 6), (5, 5), (2, 2)),
    ((12, 24), (5, 6), (2, 2)),
    ((11, 5), (5, 5), (2, 2)),
    ((12, 6), (6, 3), (2, 1)),
    ((9, 18), (7, 5), (3, 2)),
]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("case", TOOM_COOK, ids=str)
def test_fewer_products_give_what_flax_gives(name, second, case, monkeypatch):
    large, kernel, strides = case
    small = tuple(-(-n // s) for n, s in zip(large, strides, strict=True))
    if name == "conv_transpose":
        large = tuple(m * s for m, s in zip(small, strides, strict=True))
    monkeypatch.setattr(toom_cook, "FEWEST_TILES", 1)
    monkeypatch.setattr(toom_cook, "FEWEST_CHANNELS", 1)
    made = []
    for form in ("gather", "scatter", "pair"):
        whole = getattr(toom_cook, form)
        monkeypatch.setattr(toom_cook, form, lambda *args, form=form, whole=whole: made.append(form) or whole(*args))
    monkeypatch.setattr(toom_cook, "FEWEST_CHANNELS_BESIDE_ONEDNN", 1)
    compare(name, (large if name == "conv" else small, kernel, strides, 3, 4), second, tolerance=1e-4)
    assert set(made) == {"gather", "scatter", "pair"}


def test_fewer_products_are_for_maps_of_whole_tiles_with_channels_enough():
    def pays(examples=64, large=12, kernel=5, strides=2, inputs=32, outputs=64):
        geometry = patches.Geometry((kernel, kernel), (strides, strides), (large, large))
        return toom_cook.pays(*geometry.dimensions, examples, inputs, outputs)

    assert pays()
    assert pays(large=24, inputs=16)
    assert not pays(large=24, strides=1)  # XLA is as fast
    assert not pays(large=24, inputs=1)  # D's first layer
    assert not pays(large=14)
    assert not pays(kernel=7)
    assert not pays(examples=1)  # one face


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("case", CASES[:2], ids=str)
def test_lowering_for_other_platforms_agrees_with_flax(name, case, second, monkeypatch):
    monkeypatch.setattr(lax, "platform_dependent", lambda *args, default, **_: default(*args))
    compare(name, case, second)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("use_bias", [True, False])
def test_parameters_are_those_of_flax(name, use_bias):
    ours, theirs = (
        module(4, (5, 3), (2, 2), use_bias=use_bias, bias_init=nn.initializers.normal(1.0)) for module in PAIRS[name]
    )
    x = jnp.zeros((1, 6, 6, 2))
    found, expected = ours.init(jax.random.key(3), x), theirs.init(jax.random.key(3), x)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("name", PAIRS)
def test_only_the_cpu_lowering_is_free_of_convolutions(form, name):
    case = CASES[0]
    x, variables, weight = inputs(name, case)
    ours, _ = modules(name, case)
    traced = jax.jit(functools.partial(derivatives, ours, second=True)).trace(variables, x, weight)
    on_cpu = traced.lower(lowering_platforms=("cpu",)).as_text()
    assert "stablehlo.convolution" not in on_cpu
    assert (onednn._TARGET in on_cpu) == (form == "onednn")
    assert "stablehlo.convolution" in traced.lower(lowering_platforms=("cuda",)).as_text()
