"""The U-Net of phase `flow`: sizes worked out by hand, and its pieces against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan.data import dataset
from emogan.models import resampling, unet

SMALL = unet.UNet((8, 16), 1)
FACES = np.random.default_rng(0).normal(size=(3, 48, 48, 1)).astype(np.float32)
TIMES = np.array([0.1, 0.5, 0.9], np.float32)
LABELS = np.eye(7, dtype=np.float32)[[0, 3, 6]]


def spread(params, size=0.2):
    """Parameters of which none is 0, so that everything in the network has an effect."""
    random = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: leaf + random.normal(0, size, leaf.shape).astype(np.float32), params)


@pytest.fixture(scope="module")
def params():
    return spread(unet.initialise(SMALL, jax.random.key(0), dataset.FER2013))


@pytest.fixture(scope="module")
def velocity(params):
    apply = jax.jit(SMALL.apply)
    return lambda x=FACES, t=TIMES, y=LABELS, params=params: apply({"params": params}, x, t, y)


def block(inputs, outputs, condition):
    """How many parameters a residual block has."""
    norms, convolutions = 2 * inputs + 2 * outputs, 9 * (inputs + outputs) * outputs + 2 * outputs
    shortcut = (inputs + 1) * outputs if inputs != outputs else 0
    return norms + convolutions + (condition + 1) * 2 * outputs + shortcut


def expected_count(widths, blocks, classes=7, deeper=0, told=False):
    first, last, condition = widths[0], widths[-1], 4 * widths[0]
    total = (first + 1) * condition + (condition + 1) * condition + (classes + 1) * condition
    total += 9 * 4 * first + first  # the stem
    skips, channels = [first], first
    for level, width in enumerate(widths):
        skips += [channels] if level else []
        for _ in range(blocks):
            total += block(channels, width, condition)
            channels = width
            skips.append(width)
    middle = block(last, last, condition)
    total += middle + (1 + deeper) * (middle + 2 * last + (last + 1) * 4 * last)
    total += deeper * 2 * sum(block(width, width, condition) for width in widths[1:])
    for width in reversed(widths):
        for _ in range(blocks + 1):
            total += block(channels + skips.pop(), width, condition)
            channels = width
    assert not skips
    if told:
        total += (9 * 18 + 1) * 32 + (9 * 32 + 1) * first
        inputs = 32
        for width in widths[:-1]:
            total += (9 * inputs + 1) * 64 + (64 + 1) * width
            inputs = 64
    return total + 2 * first + (9 * first + 1) * 4


@pytest.mark.parametrize(
    ("widths", "blocks", "deeper", "told"),
    [((8, 16), 1, 0, False), ((64, 128, 224), 2, 0, False), ((8, 8, 16, 16), 3, 2, True), ((8,), 1, 1, True)],
    ids=str,
)
def test_parameters_are_as_many_as_counted_by_hand(widths, blocks, deeper, told):
    module = unet.UNet(widths, blocks, deeper=deeper, surroundings=told)
    shapes = jax.eval_shape(lambda key: unet.initialise(module, key, dataset.FER2013), jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == expected_count(widths, blocks, 7, deeper, told)
    assert expected_count((64, 128, 224), 2) == 11_743_172


def test_what_is_known_of_a_face_counts_and_nothing_is_as_zeros():
    module = unet.UNet((8, 16), 1, deeper=1, surroundings=True)
    first = unet.initialise(module, jax.random.key(0), dataset.FER2013)
    params, known = spread(first), np.random.default_rng(2).normal(size=(3, 24, 24, 18)).astype(np.float32)
    faces, times, labels = (jnp.asarray(one) for one in (FACES, TIMES, LABELS))
    ask = lambda around: np.asarray(unet.velocity_of(module, params, around)(faces, times, labels))  # noqa: E731
    nothing = ask(None)
    np.testing.assert_array_equal(ask(0 * known), nothing)
    assert np.abs(ask(known) - nothing).mean() > 0.01
    # Each face has its own; the faces may come several times.
    alone = np.asarray(unet.velocity_of(module, params, known[1:2])(faces[1:2], times[1:2], labels[1:2]))
    np.testing.assert_allclose(ask(known)[1:2], alone, rtol=1e-3, atol=1e-4)
    twice = [jnp.concatenate([one, one]) for one in (faces, times, labels)]
    np.testing.assert_allclose(unet.velocity_of(module, params, known)(*twice)[3:], ask(known), rtol=1e-3, atol=1e-4)
    # The first network does not use it yet, but what uses it is drawn.
    untouched = unet.velocity_of(module, first, known)(faces, times, labels)
    np.testing.assert_array_equal(untouched, unet.velocity_of(module, first)(faces, times, labels))
    assert np.abs(first["surroundings"]["conv0"]["kernel"]).mean() > 0


def test_first_velocity_is_0_and_kernels_have_variance_1_over_their_inputs():
    module = unet.UNet((32, 64), 1)
    params = jax.jit(lambda key: unet.initialise(module, key, dataset.FER2013))(jax.random.key(0))
    np.testing.assert_array_equal(module.apply({"params": params}, FACES, TIMES, LABELS), 0.0)
    kernel = np.asarray(params["down1_0"]["conv0"]["kernel"])
    assert kernel.std() == pytest.approx((9 * 32) ** -0.5, rel=0.03)
    assert np.asarray(params["time1"]["kernel"]).std() == pytest.approx(128**-0.5, rel=0.03)
    np.testing.assert_array_equal(params["middle0"]["norm0"]["scale"], 1.0)
    assert not np.array_equal(params["middle0"]["conv0"]["kernel"], params["middle1"]["conv0"]["kernel"])


def test_velocity_has_the_shape_of_faces_and_depends_on_face_time_and_label(velocity):
    v = velocity()
    assert v.shape == FACES.shape
    assert v.dtype == jnp.float32
    for other in (velocity(x=FACES[::-1]), velocity(t=TIMES[::-1]), velocity(y=LABELS[::-1]), velocity(y=0 * LABELS)):
        assert np.abs(other[0] - v[0]).mean() > 0.01 * np.abs(v[0]).mean()
    np.testing.assert_allclose(velocity(x=FACES[:1], t=TIMES[:1], y=LABELS[:1]), v[:1], rtol=1e-3, atol=1e-4)


def test_label_embedding_of_a_blend_is_the_blend_of_the_embeddings(params):
    # Sad and angry have one embedding here; a blend of them can then be told from neither.
    alike = jax.tree.map(jnp.copy, params)
    kernel = alike["label"]["kernel"]
    alike["label"]["kernel"] = kernel.at[1].set(kernel[0])
    blends = np.zeros((3, 7), np.float32)
    blends[:, 0], blends[:, 1] = [1.0, 0.0, 0.3], [0.0, 1.0, 0.7]
    same = jnp.tile(FACES[:1], (3, 1, 1, 1))
    apply = jax.jit(SMALL.apply)
    v = apply({"params": alike}, same, np.full(3, 0.5, np.float32), blends)
    np.testing.assert_allclose(v[1:], jnp.broadcast_to(v[:1], (2, 48, 48, 1)), rtol=1e-3, atol=1e-4)
    apart = apply({"params": params}, same, np.full(3, 0.5, np.float32), blends)
    assert np.abs(apart[2] - apart[0]).mean() > 1e-3


def test_bfloat16_is_near_and_answers_in_float32(params, velocity):
    half = unet.UNet((8, 16), 1, dtype=jnp.bfloat16)
    v = jax.jit(half.apply)({"params": params}, FACES, TIMES, LABELS)
    assert v.dtype == jnp.float32
    whole = velocity()
    assert 0 < np.abs(v - whole).mean() < 0.05 * np.abs(whole).mean()


def test_group_norm_is_that_of_numpy():
    x = np.random.default_rng(2).normal(1.0, 2.0, (2, 4, 4, 16)).astype(np.float32)
    scale, shift = (np.random.default_rng(i).normal(size=(2, 16)).astype(np.float32) for i in (3, 4))
    params = {"scale": np.linspace(0.5, 2, 16, dtype=np.float32), "bias": np.linspace(-1, 1, 16, dtype=np.float32)}
    groups = x.reshape(2, 16, 8, 2)
    mean, variance = groups.mean((1, 3), keepdims=True), groups.var((1, 3), keepdims=True)
    plain = ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape) * params["scale"] + params["bias"]
    norm = unet._GroupNorm()
    np.testing.assert_allclose(norm.apply({"params": params}, x), plain, atol=1e-5)
    expected = plain * (1 + scale[:, None, None]) + shift[:, None, None]
    np.testing.assert_allclose(norm.apply({"params": params}, x, scale, shift), expected, atol=1e-5)


def test_shuffle_undoes_unshuffle_whose_places_hold_2x2_pixels():
    x = jnp.arange(2 * 6 * 4 * 3.0).reshape(2, 6, 4, 3)
    folded = resampling.unshuffle(x)
    assert folded.shape == (2, 3, 2, 12)
    np.testing.assert_array_equal(folded[1, 2, 0].reshape(2, 2, 3), x[1, 4:6, 0:2])
    np.testing.assert_array_equal(resampling.shuffle(folded), x)


def test_shrink_takes_means_and_grow_repeats():
    x = np.arange(16.0, dtype=np.float32).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(resampling.shrink(x)[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(resampling.grow(x)[0, :3, :2, 0], [[0, 0], [0, 0], [4, 4]])
    np.testing.assert_array_equal(resampling.shrink(resampling.grow(x)), x)


def test_the_first_velocity_is_the_best_linear_estimate_from_the_mixture():
    params = unet.initialise(SMALL, jax.random.key(0), dataset.FER2013)
    velocity = jax.jit(unet.velocity_of(SMALL, params))
    random = np.random.default_rng(0)
    for t in (0.0, 0.3, 0.8, 1.0):
        faces = random.normal(0, unet.DEVIATION, (8, 48, 48, 1)).astype(np.float32)
        noises = random.normal(0, 1, faces.shape).astype(np.float32)
        mixed = (1 - t) * faces + t * noises
        answer = np.asarray(velocity(mixed, np.full(8, t, np.float32), np.zeros((8, 7), np.float32)))
        # Least squares over all pixels, without an offset: both have mean 0.
        slope = (mixed * (noises - faces)).sum() / np.square(mixed).sum()
        np.testing.assert_allclose(answer, slope * mixed, atol=0.06)
        left = np.square(noises - faces - answer).mean()
        variance = ((1 - t) * unet.DEVIATION) ** 2 + t**2
        assert left == pytest.approx(unet.DEVIATION**2 / variance, rel=0.05)
