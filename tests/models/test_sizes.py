"""Networks for faces of every size, gray and in colour."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan.data import dataset
from emogan.models import critic, dcgan, emotion_cnn, flow_edit, translator, unet

KEY = jax.random.key(0)
MODEL = dcgan.ModelConfig(width=2, latent_size=6)
LABELS = jnp.asarray([0, 5])
SPECS = [dataset.ImageSpec(size, channels) for size in dataset.SIZES for channels in (1, 3)]
each_spec = pytest.mark.parametrize("spec", SPECS, ids=str)


def faces_of(spec, count=2):
    return jax.random.uniform(KEY, (count, *spec.shape), minval=-1.0)


def shapes_of(module, *inputs, **options):
    shapes = jax.eval_shape(functools.partial(module.init, **options), KEY, *inputs)["params"]
    return {
        "/".join(part.key for part in path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)
    }


def answer(module, *inputs, **options):
    """The shape of what a module with drawn weights answers, which is computed."""
    called = jax.jit(lambda key: module.init_with_output(key, *inputs, **options)[0])
    found = called(KEY)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    return jax.tree.map(jnp.shape, found)


def shape_of_answer(module, *inputs, **options):
    return jax.eval_shape(lambda key: module.init_with_output(key, *inputs, **options)[0], KEY).shape


def test_stages_double_three_or_four_pixels():
    found = {size: dcgan.stages(size) for size in dataset.SIZES}
    assert found == {32: (4, 3), 48: (3, 4), 64: (4, 4), 96: (3, 5), 128: (4, 5)}
    assert all(smallest << count == size for size, (smallest, count) in found.items())
    assert dcgan.widths(48, 64) == dcgan.widths(64, 64) == (64, 128, 256, 512)
    assert dcgan.widths(32, 64) == (128, 256, 512)
    assert dcgan.widths(128, 64) == (32, 64, 128, 256, 512)


@each_spec
def test_the_papers_networks_have_the_kernels_of_their_size(spec):
    smallest, count = dcgan.stages(spec.size)
    widths = dcgan.widths(spec.size, 8)
    model = dcgan.ModelConfig(width=8, latent_size=6)
    D = shapes_of(dcgan.make_discriminator(model, 7), faces_of(spec), LABELS, train=False)
    E = shapes_of(dcgan.make_encoder(model, 7), faces_of(spec), LABELS, train=False)
    G = shapes_of(dcgan.make_generator(model, 7, spec), jnp.zeros((2, 6)), LABELS, train=False)
    features = smallest**2 * 64
    assert D["logit/kernel"] == (features + 7, 1)
    assert E["latent/kernel"] == (features, 6)
    assert G["project/kernel"] == (13, features)
    for i, (before, after) in enumerate(zip((spec.channels, *widths), widths, strict=False)):
        assert D[f"trunk/conv{i}/kernel"] == (5, 5, before + 7, after)
        assert E[f"trunk/conv{i}/kernel"] == (5, 5, before, after)
    down = (*widths[::-1], spec.channels)
    for i, (before, after) in enumerate(itertools.pairwise(down)):
        assert G[f"conv{i}/kernel"] == (5, 5, before + 7, after)
    assert f"conv{count}/kernel" not in G
    assert f"norm{count - 1}/scale" not in G  # the last draws the face


@each_spec
def test_the_papers_networks_draw_and_see_faces_of_every_kind(spec):
    # One is computed; to compile all takes minutes.
    ask = answer if spec == dataset.ImageSpec(96, 3) else shape_of_answer
    assert ask(dcgan.make_generator(MODEL, 7, spec), jnp.zeros((2, 6)), LABELS, train=False) == (2, *spec.shape)
    assert ask(dcgan.make_encoder(MODEL, 7), faces_of(spec), LABELS, train=False) == (2, 6)
    assert ask(dcgan.make_discriminator(MODEL, 7), faces_of(spec), LABELS, train=False) == (2,)


@each_spec
@pytest.mark.parametrize("skip", [True, False])
def test_the_code_is_a_quarter_of_the_face(spec, skip):
    settings = translator.TranslatorConfig(width=2, blocks=1, critic_width=2, skip=skip)
    E = translator.make_finished_encoder(settings, 7)
    G = translator.make_finished_generator(settings, 7, spec)
    code = translator.code_shape(settings, spec)
    assert code == (spec.size // 4, spec.size // 4, 6 + 16 * spec.channels * skip)
    codes = jax.eval_shape(lambda faces: E.init_with_output(KEY, faces, LABELS)[0], faces_of(spec))
    assert codes.shape == (2, *code)
    kernels = shapes_of(G, jnp.zeros((2, *code)), LABELS)
    assert kernels["up1/kernel"] == (5, 5, 2, spec.channels + skip)


@pytest.mark.parametrize("spec", [dataset.ImageSpec(32, 3), dataset.ImageSpec(64)], ids=str)
def test_a_face_in_the_code_comes_back_as_it_is_and_is_bent_in_all_its_channels(spec):
    faces = faces_of(spec)
    np.testing.assert_array_equal(translator.unfold(translator.fold(faces)), faces)
    moved = jnp.broadcast_to(jnp.asarray([0.0, 2.0]), (*faces.shape[:3], 2))
    np.testing.assert_allclose(translator.warp(faces, moved, 3)[:, :, :-3], faces[:, :, 2:-1], atol=1e-5)
    small = jnp.ones((2, spec.size // 4, spec.size // 4, 2))
    assert translator.enlarge(small).shape == (2, spec.size, spec.size, 2)
    settings = translator.TranslatorConfig(width=2, blocks=1, critic_width=2)
    E, G = translator.make_encoder(settings, 7), translator.make_generator(settings, 7, spec)
    codes, _ = E.init_with_output(KEY, faces, LABELS)
    drawing = G.init_with_output(KEY, codes, LABELS, method="draw")[0]
    # The first mask is nearly shut, and the first flow is 0.
    np.testing.assert_allclose(drawing.faces, faces, atol=0.1)
    assert answer(critic.make_discriminator(settings, 7), faces, LABELS) == ((2,), (2, 7))


@pytest.mark.parametrize("spec", [dataset.ImageSpec(32, 3)], ids=str)
def test_the_judge_and_the_u_net_take_faces_of_every_kind(spec):
    faces = faces_of(spec)
    assert answer(emotion_cnn.Classifier(width=2), faces, train=False) == ((2, 7), (2, 16))
    module = unet.UNet((8, 16), 1, True, 7)
    params = unet.initialise(module, KEY, spec)
    found = jax.jit(unet.velocity_of(module, params))(faces, jnp.full(2, 0.5), jnp.eye(7)[LABELS])
    assert found.shape == faces.shape
    assert params["velocity"]["kernel"].shape[-1] == 4 * spec.channels


def test_a_face_in_colour_has_a_number_and_noise_of_its_own():
    faces = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    numbers = flow_edit.seeds(faces)
    np.testing.assert_array_equal(flow_edit.seeds(faces / np.float32(127.5) - 1), numbers)
    assert len(set(flow_edit.seeds(np.stack([faces[0], faces[0, ..., ::-1]])).tolist())) == 2
    noise = flow_edit.noise(0, jnp.asarray(numbers), jnp.asarray(0), 2, faces.shape[1:])
    assert noise.shape == (2, 2, 32, 32, 3)
    assert abs(float(noise.std()) - 1) < 6 / math.sqrt(noise.size)
