"""The networks of phase `student`: edits in one evaluation of a U-Net, D on its features, and a model made of them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import tiny_models

from emogan import config as config_lib
from emogan import emotions
from emogan.data import dataset, toyfaces
from emogan.export import card, jax_file, onnx_file
from emogan.models import direct, surroundings, unet
from emogan.util import images

SETTINGS = unet.UNetConfig(widths="8,16,24", blocks=2, attention=True)
KEY = jax.random.key(0)
FACES = images.to_float(toyfaces.load("valid", 0, 3).images)
LABELS = jnp.asarray([0, 3, 6])


@pytest.fixture(scope="module")
def params():
    first = unet.initialise(unet.make(SETTINGS, 7, "float32"), KEY, dataset.FER2013)
    random = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: leaf + random.normal(0, 0.1, leaf.shape).astype(np.float32), first)


def test_an_edit_is_the_face_and_what_the_network_answers_to_it_at_half_the_time(params):
    network = unet.make(SETTINGS, 7, "float32")
    found = direct.Generator(network).apply({"params": {"network": params}}, FACES, LABELS)
    around = surroundings.found(FACES)
    answer = network.apply({"params": params}, 2 * FACES, jnp.full(3, 0.5), jax.nn.one_hot(LABELS, 7), around)
    np.testing.assert_allclose(found, FACES + 0.5 * answer, atol=1e-5)
    assert jnp.abs(found - FACES).max() > 0.1
    np.testing.assert_array_equal(direct.Encoder().apply({}, FACES, LABELS), FACES)


def test_features_are_those_of_the_network_with_its_parameters(params):
    network, features = unet.make(SETTINGS, 7, "float32"), unet.make_features(SETTINGS, 7, "float32")
    inputs = 2 * FACES, jnp.asarray([0.1, 0.5, 0.9]), jax.nn.one_hot(LABELS, 7)
    own = jax.eval_shape(features.init, KEY, *inputs)["params"]
    assert set(own) < set(params)
    assert {re.sub("[0-9].*", "", name) for name in set(params) - set(own)} == {"up", "norm", "velocity"}
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, {name: params[name] for name in own})
    found = features.apply({"params": params}, *inputs)
    assert [one.shape[1:] for one in found] == [(24, 24, 8), (12, 12, 16), (6, 6, 24), (6, 6, 24)]
    _, seen = network.apply({"params": params}, *inputs, capture_intermediates=True, mutable="intermediates")
    names = ("down0_1", "down1_deeper0", "down2_deeper0", "middle2")
    for one, name in zip(found, names, strict=True):
        np.testing.assert_allclose(one, seen["intermediates"][name]["__call__"][0], atol=1e-5)


def test_heads_see_every_size_and_no_scale(params):
    features = [jax.random.normal(key, (3, 4, 4, 8)) for key in jax.random.split(KEY, 2)]
    heads = direct.Heads().init(KEY, features)
    logits = direct.Heads().apply(heads, features)
    assert logits.shape == (3,)
    np.testing.assert_allclose(direct.Heads().apply(heads, [10 * one for one in features]), logits, atol=1e-3)
    for i in range(2):
        other = [one[::-1] if i == place else one for place, one in enumerate(features)]
        assert jnp.abs(direct.Heads().apply(heads, other) - logits).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("spec", [dataset.FER2013, dataset.ImageSpec(32, 3)], ids=str)
def test_a_model_edits_and_is_exported(spec):
    config = config_lib.Config(phases="student", unet=SETTINGS)
    config.data.size, config.data.channels = spec.size, spec.channels
    network = unet.make(SETTINGS, 7, "float32")
    random = np.random.default_rng(2)
    first = unet.initialise(network, KEY, spec)
    noisy = jax.tree.map(lambda leaf: leaf + random.normal(0, 0.01, leaf.shape).astype(np.float32), first)
    model = tiny_models.make(config, emotions.EMOTIONS, {}, {"params": {"network": noisy}})
    faces = toyfaces.load("valid", 0, 2, spec=spec).images
    edited = model.faces(faces, "sad")
    assert (edited.shape, edited.dtype) == (faces.shape, np.uint8)
    assert (edited != faces).any()
    np.testing.assert_array_equal(model.faces(faces, "sad", strength=0.0), faces)
    np.testing.assert_array_equal(model.faces(faces, "all")[4], edited)
    floats = np.asarray(images.to_float(faces)).reshape(-1, *spec.shape)
    np.testing.assert_allclose(model.encode(faces), floats, atol=1e-6)
    for made in (onnx_file, jax_file):
        assert card.largest_difference(made.from_bytes(made.to_bytes(model, {})), model) <= card.TOLERANCE
