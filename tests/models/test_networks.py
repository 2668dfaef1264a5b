"""The networks G, D and E: sizes, ranges, weights, and where the label enters."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan import config as config_lib
from emogan import presets
from emogan.data import dataset
from emogan.models import dcgan, labeled_conv
from emogan.recipes import state

LATENT = 6


def inputs(count=4):
    latents = jax.random.normal(jax.random.key(0), (count, LATENT))
    faces = jax.random.uniform(jax.random.key(1), (count, 48, 48, 1), minval=-1.0)
    return {"generator": latents, "discriminator": faces, "encoder": faces}, jnp.arange(count) % 7


def network(name, width=2, classes=7, **options):
    if name == "encoder":
        return dcgan.Encoder(width=width, latent_size=LATENT, num_classes=classes, **options)
    if name == "generator":
        return dcgan.Generator(dataset.FER2013, width=width, num_classes=classes, **options)
    return dcgan.Discriminator(width=width, num_classes=classes, **options)


@functools.cache
def variables_of(module, name):
    xs, labels = inputs()
    return jax.jit(functools.partial(module.init, train=False))(jax.random.key(2), xs[name], labels)


@functools.partial(jax.jit, static_argnums=0)
def apply(module, variables, x, labels):
    return module.apply(variables, x, labels, train=False)


def shapes_of(module, x, labels):
    return jax.eval_shape(functools.partial(module.init, train=False), jax.random.key(0), x, labels)


def count(module, name, latent_size=LATENT):
    x = jnp.zeros((1, latent_size)) if name == "generator" else jnp.zeros((1, 48, 48, 1))
    return state.parameter_count(shapes_of(module, x, jnp.zeros((1,), jnp.int32))["params"])


def scaled(variables, factor=20.0):
    """Larger weights, so that what a layer does is seen at the end of a narrow network."""
    return {**variables, "params": jax.tree.map(lambda p: factor * p if p.ndim > 1 else p, variables["params"])}


def test_parameter_counts_are_the_papers():
    model = presets.paper().model
    with_labels = config_lib.ModelConfig(encoder_labels=True)
    assert count(dcgan.make_generator(model, 7, dataset.FER2013), "generator", 100) == 4_889_200
    assert count(dcgan.make_discriminator(model, 7), "discriminator") == 4_477_768
    assert count(dcgan.make_encoder(model, 7), "encoder") == 4_766_052
    assert count(dcgan.make_encoder(with_labels, 7), "encoder") == 4_934_752


@pytest.mark.parametrize("name", ["generator", "discriminator", "encoder"])
def test_pooling_changes_no_parameter_and_no_shape(name):
    xs, labels = inputs()
    strided, pooled = network(name), network(name, resampling="pooled")
    shapes = [shapes_of(module, xs[name], labels) for module in (strided, pooled)]
    assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])
    answers = [
        jax.eval_shape(functools.partial(module.apply, train=False), shape, xs[name], labels)
        for module, shape in zip((strided, pooled), shapes, strict=True)
    ]
    assert answers[0].shape == answers[1].shape


@pytest.mark.parametrize("name", ["generator", "discriminator", "encoder"])
def test_without_batch_norm_only_its_scales_and_offsets_are_missing(name):
    xs, labels = inputs()
    shapes = shapes_of(network(name, batch_norm=False), xs[name], labels)
    assert "batch_stats" not in shapes
    # G normalises its projection and three of its convolutions; D and E all convolutions but the first.
    features = 3 * 3 * 16 + 8 + 4 + 2 if name == "generator" else 4 + 8 + 16
    assert count(network(name), name) - state.parameter_count(shapes["params"]) == 2 * features


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_labeled_conv_is_a_convolution_of_features_joined_with_label_maps(stride, transpose):
    x = jax.random.normal(jax.random.key(0), (4, 6, 6, 3))
    labels = jnp.array([2, 0, 1, 2])
    ours = labeled_conv.LabeledConv(5, num_classes=4, stride=stride, transpose=transpose)
    theirs = (nn.ConvTranspose if transpose else nn.Conv)(5, (5, 5), (stride, stride))
    variables = jax.jit(ours.init)(jax.random.key(1), x, labels)
    variables = jax.tree.map(lambda p: p + 0.1, variables)

    def joined(variables, x):
        maps = jnp.broadcast_to(jax.nn.one_hot(labels, 4)[:, None, None], (*x.shape[:3], 4))
        return theirs.apply(variables, jnp.concatenate([x, maps], axis=-1))

    def both(function):
        value, pullback = jax.vjp(function, variables, x)
        return value, pullback(jnp.cos(jnp.arange(value.size, dtype=jnp.float32)).reshape(value.shape))

    found = jax.jit(lambda: both(lambda variables, x: ours.apply(variables, x, labels)))()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max())),
        found,
        jax.jit(lambda: both(joined))(),
    )


def test_labeled_conv_without_classes_needs_no_label():
    x = jnp.ones((1, 6, 6, 2))
    module = labeled_conv.LabeledConv(3)
    variables = module.init(jax.random.key(0), x, jnp.array([0]))
    assert variables["params"]["kernel"].shape == (5, 5, 2, 3)
    found = [module.apply(variables, x, jnp.array([label])) for label in (0, 5)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", ["generator", "discriminator", "encoder"])
def test_weights_are_drawn_with_the_papers_spread_and_biases_at_zero(name):
    # Wide enough that the spread of the smallest kernel, of 800 numbers, is known to 10%.
    params = variables_of(network(name, width=8), name)["params"]
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        kind = path[-1].key
        if kind == "kernel" and leaf.size > 400:
            assert abs(float(leaf.std()) - 0.02) < 0.002, path
            assert abs(float(leaf.mean())) < 0.003, path
        elif kind != "kernel":
            np.testing.assert_array_equal(leaf, 1.0 if kind == "scale" else 0.0)


def test_answers_have_their_shapes_and_ranges():
    xs, labels = inputs()
    answers = {}
    for name in xs:
        module = network(name)
        variables = scaled(variables_of(module, name), 100.0)
        answers[name] = apply(module, variables, xs[name], labels)
    assert {name: answer.shape for name, answer in answers.items()} == {
        "generator": (4, 48, 48, 1),
        "discriminator": (4,),
        "encoder": (4, LATENT),
    }
    for name in ("generator", "encoder"):  # tanh, driven far into its ends
        assert 0.9 < float(jnp.abs(answers[name]).max()) <= 1.0
    assert float(jnp.abs(answers["discriminator"]).max()) > 1.0


def test_linear_encoder_leaves_the_prior_where_tanh_stays():
    xs, labels = inputs()
    variables = scaled(variables_of(network("encoder"), "encoder"), 100.0)
    linear = apply(network("encoder", output="linear"), variables, xs["encoder"], labels)
    tanh = apply(network("encoder", output="tanh"), variables, xs["encoder"], labels)
    assert float(jnp.abs(linear).max()) > 1.0
    np.testing.assert_allclose(tanh, jnp.tanh(linear), rtol=1e-5, atol=1e-6)


def keep_label_of_one_layer(params, layer, name):
    """The parameters with the labels' part of every layer but one set to 0."""
    kept = {}
    first, last = {
        "generator": ("project", None),
        "discriminator": (None, "logit"),
        "encoder": (None, "latent"),
    }[name]
    for module, values in params.items():
        if module == "trunk":
            kept[module] = keep_label_of_one_layer(values, layer, name)
        elif module in (first, last) or module.startswith("conv"):
            kernel = values["kernel"]
            if module != layer:
                kernel = kernel.at[..., -7:, :].set(0.0)
            kept[module] = {**values, "kernel": kernel}
        else:
            kept[module] = values
    return kept


LABELED = {
    "generator": ["project", "conv0", "conv1", "conv2", "conv3"],
    "discriminator": ["conv0", "conv1", "conv2", "conv3", "logit"],
    "encoder": ["conv0", "conv1", "conv2", "conv3", "latent"],
}


@pytest.mark.parametrize("name", LABELED)
def test_label_enters_at_every_layer_and_nowhere_else(name):
    options = {"output": "linear"} if name == "encoder" else {}  # tanh would hide what drives it into its ends
    module, (xs, labels) = network(name, **options), inputs()
    variables = scaled(variables_of(module, name))

    def change(layer):
        params = keep_label_of_one_layer(variables["params"], layer, name)
        answers = [apply(module, {**variables, "params": params}, xs[name], y) for y in (labels, (labels + 1) % 7)]
        return float(jnp.abs(answers[0] - answers[1]).max())

    assert change(None) == 0.0
    for layer in LABELED[name]:
        assert change(layer) > 1e-4, layer


def test_encoder_without_labels_ignores_them():
    module, (xs, labels) = network("encoder", classes=0), inputs()
    variables = scaled(variables_of(module, "encoder"))
    answers = [apply(module, variables, xs["encoder"], y) for y in (labels, (labels + 1) % 7)]
    np.testing.assert_array_equal(*answers)
    assert float(jnp.std(answers[0], axis=0).max()) > 1e-3


def test_latents_follow_their_prior():
    uniform = dcgan.sample_latents(jax.random.key(0), 500, 100, "uniform")
    normal = dcgan.sample_latents(jax.random.key(0), 500, 100, "normal")
    assert uniform.shape == normal.shape == (500, 100)
    assert -1.0 <= float(uniform.min()) < -0.99
    assert 0.99 < float(uniform.max()) <= 1.0
    assert abs(float(uniform.std()) - 3**-0.5) < 0.01
    assert abs(float(normal.std()) - 1.0) < 0.02
    assert float(jnp.abs(normal).max()) > 3.0


def test_batch_norm_has_the_papers_constants():
    module, (xs, labels) = network("discriminator"), inputs()
    variables = variables_of(module, "discriminator")
    collections = ["batch_stats", "intermediates"]
    capture = functools.partial(module.apply, train=True, mutable=collections, capture_intermediates=True)
    _, captured = jax.jit(capture)(variables, xs["discriminator"], labels)
    trunk = captured["intermediates"]["trunk"]
    before, after = trunk["conv1"]["__call__"][0], trunk["norm1"]["__call__"][0]
    mean, var = before.mean((0, 1, 2)), before.var((0, 1, 2))
    expected = (before - mean[None, None, None]) / np.sqrt(var + 1e-5)[None, None, None]
    np.testing.assert_allclose(after, expected, rtol=1e-3, atol=1e-4)
    stats = captured["batch_stats"]["trunk"]["norm1"]
    np.testing.assert_allclose(stats["mean"], 0.1 * mean, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * var, rtol=1e-5)


@pytest.mark.parametrize("name", ["generator", "discriminator", "encoder"])
def test_bfloat16_computes_the_same_roughly_and_keeps_all_in_float32(name):
    xs, labels = inputs(32)
    exact, rough = network(name, width=8), network(name, width=8, dtype=jnp.bfloat16)
    variables = variables_of(exact, name)
    expected, _ = exact.apply(variables, xs[name], labels, train=True, mutable="batch_stats")
    found, changed = rough.apply(variables, xs[name], labels, train=True, mutable="batch_stats")
    assert found.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(changed)} == {jnp.dtype("float32")}
    drawn = jax.eval_shape(lambda key: rough.init(key, xs[name], labels, train=False), jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(drawn)} == {jnp.dtype("float32")}
    error = float(jnp.abs(found - expected).max() / jnp.abs(expected).max())
    assert 0 < error < 0.05, error


def test_bfloat16_reaches_the_products_of_an_accelerator():
    xs, labels = inputs()
    module = network("discriminator", dtype=jnp.bfloat16)
    variables = variables_of(network("discriminator"), "discriminator")
    apply = functools.partial(module.apply, train=False)
    text = jax.jit(apply).trace(variables, xs["discriminator"], labels).lower(lowering_platforms=("cuda",)).as_text()
    convolutions = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert len(convolutions) == 4
    assert all(line.count("bf16>") == 3 for line in convolutions), convolutions
