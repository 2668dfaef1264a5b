"""A trained flow as a model that edits faces: arrays, labels, strength, and the folder of a run."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import tiny_models

import emogan
from emogan import config as config_lib
from emogan import presets
from emogan.data import dataset, toyfaces
from emogan.edit import flow_editor, loading, model_file
from emogan.figures import run_figures
from emogan.models import flow_edit, ode, surroundings, unet
from emogan.train import pipeline, plans
from emogan.util import images, weights


def tiny_config(**edits):
    config = presets.flow()
    config.data = config_lib.DataConfig(count=16)
    config.unet = config_lib.UNetConfig(widths="8", blocks=1, attention=False)
    config.flow.epochs, config.flow.batch_size = 1, 8
    config.flow_edit = config_lib.FlowEditConfig(**{"steps": 3, **edits})
    config.run = config_lib.RunConfig(sample_every=2, checkpoint_every=2, tensorboard=False)
    return config


@pytest.fixture(scope="module")
def params():
    """Of an untrained network in which everything has an effect."""
    random = np.random.default_rng(1)
    first = unet.initialise(unet.make(tiny_config().unet, 7, "float32"), jax.random.key(0), dataset.FER2013)
    return jax.tree.map(lambda leaf: leaf + random.normal(0, 0.1, leaf.shape).astype(np.float32), first)


@pytest.fixture(scope="module")
def model_of(params):
    return lambda **edits: tiny_models.make(tiny_config(**edits), emogan.EMOTIONS, {"params": params}, {})


@pytest.fixture(scope="module")
def model(model_of):
    return model_of()


@pytest.fixture(scope="module")
def faces():
    return toyfaces.load("valid", 0, 3).images


def test_bytes_and_floats_give_the_same_in_their_own_type(model, faces):
    edited = model.faces(faces, "happy", labels=[0, 1, 2])
    assert edited.dtype == np.uint8
    assert edited.shape == faces.shape
    assert np.abs(edited.astype(float) - faces).mean() > 1
    floats = np.asarray(images.to_float(faces))
    exact = model.faces(floats, "happy", labels=[0, 1, 2])
    assert exact.dtype == np.float32
    assert exact.shape == (3, 48, 48, 1)
    assert np.abs(np.asarray(images.to_bytes(exact)).astype(int) - edited).max() <= 1
    assert model.faces(faces[..., None], 3).shape == (3, 48, 48, 1)
    assert model.faces(faces[:0], "all").shape == (7, 0, 48, 48)


def test_all_has_every_label_in_its_order_and_faces_do_not_depend_on_their_batch(model, faces):
    every = model.faces(faces, "all", labels=[0, 1, 2]).astype(int)
    assert every.shape == (7, 3, 48, 48)
    one = model.faces(faces[1:2], "sad", labels=1).astype(int)
    assert np.abs(every[emogan.EMOTIONS.index("sad"), 1:2] - one).max() <= 1


@pytest.mark.parametrize("method", ["difference", "inversion"])
def test_label_strength_and_method_make_a_difference(model_of, faces, method):
    model = model_of(method=method)
    edit = lambda *given, **options: model.faces(faces, *given, labels=0, **options).astype(int)  # noqa: E731
    full = edit("happy")
    for other in (edit("sad"), edit("happy", strength=0.5), edit(np.float32([0, 0, 0, 0.5, 0.5, 0, 0]))):
        assert np.abs(other - full).mean() > 0.1


@pytest.mark.parametrize("solver", ["euler", "heun"])
def test_own_label_at_equal_guidance_and_strength_0_are_the_face_itself(model_of, faces, solver):
    labels = [0, 3, 6]
    for guidance in (1.0, 4.0):
        equal = model_of(guidance=str(guidance), guidance_source=guidance, solver=solver)
        np.testing.assert_array_equal(equal.faces(faces, labels, labels), faces)
        own = np.float32([[0.6, 0.4, 0, 0, 0, 0, 0]] * 3)
        np.testing.assert_array_equal(equal.faces(faces, own, own), faces)
    model = model_of(solver=solver)
    np.testing.assert_array_equal(model.faces(faces, "happy", labels, strength=0.0), faces)
    assert np.abs(model.faces(faces, labels, labels).astype(int) - faces).mean() > 0.1


def test_each_emotion_can_have_its_guidance(model_of, faces):
    mixed, two, five = (model_of(guidance=text) for text in ("2,5,2,5,5,2,2", "2", "5"))
    blend = np.float32([0, 0, 0.5, 0, 0.5, 0, 0])
    for emotion, same in (("fearful", two), ("happy", five), (blend, model_of(guidance="3.5"))):
        np.testing.assert_array_equal(mixed.faces(faces, emotion, 0), same.faces(faces, emotion, 0))
    assert np.abs(two.faces(faces, "happy", 0).astype(int) - mixed.faces(faces, "happy", 0)).mean() > 0.5
    with pytest.raises(ValueError, match=r"flow_edit.guidance: expected 1 number or 7, one for each emotion, found 2"):
        model_of(guidance="2,5")


def test_guidance_acts_from_its_time_on(model_of, faces):
    none, always, never = (model_of(guidance_t_min=t) for t in (0.0, 0.01, 1.0))
    np.testing.assert_array_equal(none.faces(faces, "sad", 0), always.faces(faces, "sad", 0))
    unguided = model_of(guidance="1", redraw_guidance=1.0)
    np.testing.assert_array_equal(never.faces(faces, "sad", 0), unguided.faces(faces, "sad", 0))
    late = model_of(guidance_t_min=0.4).faces(faces, "sad", 0).astype(int)
    for other in (none, never):
        assert np.abs(late - other.faces(faces, "sad", 0)).mean() > 0.1


@pytest.mark.parametrize("redraw_t", [0.0, 0.45])
def test_edits_are_those_of_the_compiled_whole(model_of, params, faces, redraw_t):
    model = model_of(redraw_t=redraw_t, redraw_steps=3, guidance="4", noises=2)
    own, numbers = jnp.asarray([0, 1, 2]), jnp.asarray(flow_edit.seeds(faces))
    network = unet.make(tiny_config().unet, 7, "float32")
    around = surroundings.found(images.to_float(faces))
    expected = flow_edit.edit(
        unet.velocity_of(network, params, around),
        jnp.asarray(images.to_float(faces)),
        model.networks.flow_edit,
        ode.Condition(jax.nn.one_hot(jnp.full(3, 3), 7), jnp.full(3, 4.0)),
        ode.Condition(jax.nn.one_hot(own, 7)),
        numbers,
    )
    found = model.faces(np.asarray(images.to_float(faces)), 3, labels=np.asarray(own))
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert np.abs(found - model_of(redraw_t=0.7, guidance="4").faces(found, 3, labels=own)).mean() > 0.01


def test_edits_are_told_the_surroundings_and_encode_and_decode_are_not(model_of, params, faces):
    model = model_of(method="inversion", inversion_steps=2, inversion_guidance=3.0, inversion_t_max=0.7)
    floats, happy = images.to_float(faces), jax.nn.one_hot(jnp.full(3, 3), 7)
    known, network = surroundings.found(floats), unet.make(tiny_config().unet, 7, "float32")

    def solved(x, begin, end, condition, around):
        velocity = unet.velocity_of(network, params, around)
        return ode.solve(velocity, x, ode.times(begin, end, 2), condition, "heun")

    noise = solved(floats, 0.0, 1.0, ode.null(3, 7), None)
    np.testing.assert_allclose(model.encode(faces), noise, atol=1e-3)
    assert np.abs(model.encode(faces) - solved(floats, 0.0, 1.0, ode.null(3, 7), known)).mean() > 0.01
    drawn = jnp.clip(solved(noise, 1.0, 0.0, ode.condition(happy, 3.0), None), -1, 1)
    np.testing.assert_allclose(model.decode(np.asarray(noise), "happy"), drawn, atol=2e-3)
    there = solved(floats, 0.0, 0.7, ode.null(3, 7), known)
    back = jnp.clip(solved(there, 0.7, 0.0, ode.condition(happy, 3.0), known), -1, 1)
    np.testing.assert_allclose(model.faces(np.asarray(floats), "happy"), back, atol=2e-3)

    numbers = jnp.asarray(flow_edit.seeds(faces))

    def errors(around):
        velocity, count = unet.velocity_of(network, params, around), flow_edit.ESTIMATE_NOISES
        found = 0
        for i, t in enumerate(np.float32(flow_edit.ESTIMATE_TIMES)):
            noises = flow_edit.noise(0, numbers, i, count, floats.shape[1:])
            found += flow_edit.errors(velocity, floats, t, noises, 7)
        return found

    assert np.abs(errors(known) - errors(None)).min() > 1e-6
    np.testing.assert_array_equal(model.source(faces), np.argmin(errors(known), axis=1))


def test_a_network_that_is_told_nothing_edits(faces):
    config = tiny_config()
    config.unet.surroundings, config.unet.deeper = False, 0
    first = unet.initialise(unet.make(config.unet, 7, "float32"), jax.random.key(0), dataset.FER2013)
    assert "surroundings" not in first
    random = np.random.default_rng(1)
    noisy = jax.tree.map(lambda leaf: leaf + random.normal(0, 0.1, leaf.shape).astype(np.float32), first)
    edits = tiny_models.make(config, emogan.EMOTIONS, {"params": noisy}, {}).faces(faces, "happy", labels=[0, 1, 2])
    assert np.abs(edits.astype(float) - faces).mean() > 1


def test_strength_has_no_jump(model, faces):
    way = [model.faces(faces, "happy", 0, strength=s).astype(int) for s in np.linspace(0, 1, 9)]
    whole = np.abs(way[-1] - way[0]).mean()
    assert max(np.abs(a - b).mean() for a, b in zip(way[1:], way[:-1], strict=True)) < 0.5 * whole


def test_seed_is_that_of_the_configuration(model, model_of, faces):
    np.testing.assert_array_equal(model.faces(faces, "sad", 0), model_of().faces(faces, "sad", 0))
    assert np.abs(model_of(seed=1).faces(faces, "sad", 0).astype(int) - model.faces(faces, "sad", 0)).max() > 1


def test_inverse_holds_to_40_dB_at_the_default_steps(params, faces):
    # A velocity of random weights is rough where a face is nearly flat; a learnt one is smoother.
    gentle = {**params, "velocity": jax.tree.map(lambda leaf: 0.3 * leaf, params["velocity"])}
    model = tiny_models.make(tiny_config(), emogan.EMOTIONS, {"params": gentle}, {})
    noise = model.encode(faces)
    assert noise.shape == (3, 48, 48, 1)
    assert np.abs(noise - np.asarray(images.to_float(faces))).mean() > 0.05
    back = model.decode(noise, None)
    assert (images.psnr(back, images.to_float(faces)) >= 40).all()
    assert model.decode(noise, "all").shape == (7, 3, 48, 48, 1)


def test_source_is_the_label_of_least_error(model, faces):
    found = model.source(faces)
    assert found.dtype == np.int32
    assert found.shape == (3,)
    np.testing.assert_array_equal(model.source(faces[1:2]), found[1:2])
    np.testing.assert_array_equal(model.faces(faces, "sad"), model.faces(faces, "sad", found))


def test_samples_are_faces_by_label_and_seed(model):
    drawn = model.sample([0, 3], seed=1)
    assert drawn.dtype == np.uint8
    assert drawn.shape == (2, 48, 48)
    np.testing.assert_array_equal(model.sample([0, 3], seed=1), drawn)
    assert np.abs(model.sample([0, 3], seed=2).astype(int) - drawn).mean() > 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"emotion": "joyful"}, "expected an emotion out of"),
        ({"emotion": np.float32([0.5, 0.5])}, r"expected a distribution \[7\] or \[3, 7\], found floats \[2\]"),
        ({"emotion": np.float32([0.5, 0.4, 0, 0, 0, 0, 0])}, "whose sum is 1, found 0 and more, with a sum of 0.9"),
        ({"emotion": np.float32([1.5, -0.5, 0, 0, 0, 0, 0])}, "from 0 on whose sum is 1, found -0.5"),
        ({"emotion": 3, "strength": -0.1}, r"expected a strength in 0\.\.10, found -0\.1"),
        ({"emotion": 3, "strength": float("nan")}, r"expected a strength in 0\.\.10, found nan"),
        ({"emotion": 3, "labels": 7}, r"expected labels in 0\.\.6, found 7"),
    ],
    ids=str,
)
def test_what_is_given_wrong_is_refused_in_one_line(model, faces, given, message):
    with pytest.raises(ValueError, match=message) as caught:
        model.faces(faces, **given)
    assert "\n" not in str(caught.value)


def test_export_is_refused_in_one_line(model):
    with pytest.raises(ValueError, match=r"found a flow .* only --format=web exports; use emogan edit ") as caught:
        model.edit(model.variables, np.zeros((1, 48, 48), np.uint8), np.zeros(1, np.int32))
    assert "\n" not in str(caught.value)


def test_file_of_a_model_gives_it_back(model, faces, tmp_path):
    variables = [weights.in_halves(part) for part in model.variables]
    model_file.write(tmp_path / "flow.npz", model.networks, model.class_names, variables, {})
    again = loading.load(tmp_path / "flow.npz")
    assert isinstance(again, flow_editor.FlowEditor)
    apart = again.faces(faces, "happy", 0).astype(int) - model.faces(faces, "happy", 0)
    assert np.abs(apart).max() <= 3  # of float16


@pytest.mark.slow
def test_run_trains_goes_on_bit_for_bit_and_edits_with_the_average(tmp_path):
    config = tiny_config()
    assert plans.make(config, toyfaces.load("train", 0, 16), ("flow",)).steps == {"flow": 2}
    pipeline.run(config, tmp_path / "whole")
    run_figures.draw(tmp_path / "whole")
    half = copy.deepcopy(config)
    half.flow.epochs = 0.5
    pipeline.run(half, tmp_path / "twice")
    pipeline.run(config, tmp_path / "twice")
    one, other = (loading.load(tmp_path / name) for name in ("whole", "twice"))
    jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)
    assert isinstance(one, flow_editor.FlowEditor)
    assert (tmp_path / "whole" / "figures" / "samples" / "flow_000002.png").exists()
    assert (tmp_path / "whole" / "figures" / "fig7_emotions.png").exists()
    faces = jnp.asarray(toyfaces.load("valid", 0, 2).images)
    assert one.faces(faces, "happy").shape == (2, 48, 48)


def test_the_faces_of_a_sequence_have_one_noise_and_one_source_emotion(model, faces):
    frames = np.stack([faces[0], faces[0], faces[0]])
    frames[1, 5, 5] ^= 1  # a face of another number
    together, apart = model.sequence(frames, "happy").astype(int), model.faces(frames, "happy").astype(int)
    assert np.abs(together[1] - together[0]).max() <= 2
    assert np.abs(apart[1] - apart[0]).max() > 2
    np.testing.assert_array_equal(together[0], together[2])
    assert np.abs(model.sequence(frames, "happy", strength=0.0).astype(int) - frames).max() <= 1
    assert model.sequence(frames[:0], "happy").shape == (0, 48, 48)


def test_a_long_sequence_says_how_far_it_is(model, faces, monkeypatch):
    monkeypatch.setattr(flow_editor, "LARGEST_BATCH", 2)
    told = []
    model.sequence(np.repeat(faces[:1], 5, axis=0), "happy", progress=told.append)
    assert told == [2, 4, 5]
