"""Whole runs on faces of other sizes and in colour: trained, saved, loaded, edited with, drawn and exported."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import tiny_models

from emogan import config as config_lib
from emogan import data as data_lib
from emogan import emotions, presets
from emogan.data import dataset, toyfaces
from emogan.edit import loading, photo_files, previews
from emogan.evaluation import run_scores
from emogan.export import card, jax_file, onnx_file
from emogan.figures import graphs, run_figures
from emogan.models import dcgan, unet
from emogan.recipes import classifier, encoder, flow, gan, joint, student
from emogan.train import pipeline
from emogan.util import images

pytestmark = pytest.mark.slow

LARGE, SMALL = dataset.ImageSpec(128, 3), dataset.ImageSpec(32, 3)
KEY = jax.random.key(0)
COUNT = 8


def tiny(spec):
    config = presets.emogan()
    config.data = dataclasses.replace(config.data, name="toyfaces", count=COUNT, size=spec.size, channels=spec.channels)
    config.phases, config.joint.guidance, config.translator.guidance_features = (
        "joint",
        0.0,
        False,
    )  # the classifiers take a minute more
    config.translator.width = config.translator.critic_width = 2
    config.translator.blocks = config.translator.reach = 1
    config.joint.epochs, config.joint.batch_size = 1, COUNT
    config.run.tensorboard = False
    return config


@pytest.fixture(scope="module")
def large_run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "large"
    pipeline.run(tiny(LARGE), workdir)
    return workdir


@pytest.fixture(scope="module")
def large_model(large_run):
    return loading.load(large_run)


def test_a_run_on_large_faces_in_colour_gives_a_model_that_edits_them(large_run, large_model):
    assert large_model.spec == LARGE
    faces = toyfaces.load("valid", 0, 2, spec=LARGE).images
    for given in (faces, np.asarray(images.to_float(faces))):
        edited = large_model.faces(given, "happy")
        assert (edited.shape, edited.dtype) == (given.shape, given.dtype)
    assert large_model.faces(faces, "all").shape == (7, *faces.shape)
    assert np.abs(large_model.faces(faces, "happy").astype(int) - faces).max() > 0
    sample = images.load_png(large_run / "figures" / "samples" / "joint_000001.png", 3)
    assert sample.shape == (COUNT * 128, 8 * 128, 3)


@pytest.mark.parametrize("shape", [(2, 48, 48), (2, 128, 128), (2, 128, 128, 1)], ids=str)
def test_a_model_in_colour_refuses_other_faces(large_model, shape):
    with pytest.raises(ValueError, match=r"expected faces \[N, 128, 128, 3\], found"):
        large_model.faces(np.zeros(shape, np.uint8), "happy")


def test_the_pictures_of_a_model_in_colour_are_in_colour(large_run, large_model):
    paths = {path.name: path for path in run_figures.draw(large_run)}
    shown = images.load_png(paths["fig7_emotions.png"], 3)
    assert shown.std(axis=2).max() > 20
    assert previews.draw(large_model).shape[2:] == (3,)


def test_a_run_in_colour_is_scored(large_run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    said = []
    result, _ = run_scores.score_run(large_run, "", run_scores.Options(faces=COUNT), said.append)
    assert "128x128 colour faces and edits are converted to 48x48 gray to be scored" in said
    own = result["methods"][0]["scores"]
    assert 0 < own["reconstruction_psnr"]["value"] < 60
    assert 0 <= own["edit_accuracy"]["value"] <= 1.2


def test_a_photograph_gets_the_edit_in_its_colours(large_model, tmp_path):
    face = toyfaces.load("valid", 0, 1, spec=LARGE).images[0]
    images.save_png(tmp_path / "face.png", face)
    written = photo_files.write(large_model, tmp_path / "face.png", "happy", tmp_path / "out.png", "auto")
    found = images.load_png(written.paths[0], 3)
    edit = large_model.faces(face[None], "happy")[0]
    middle = slice(44, 84)  # beyond, the mask fades
    apart = np.abs(found[middle, middle].astype(int) - edit[middle, middle])
    assert apart.mean() < np.abs(face[middle, middle].astype(int) - edit[middle, middle]).mean() / 2 + 1


def test_a_model_in_colour_is_exported(large_model):
    assert (
        card.largest_difference(onnx_file.from_bytes(onnx_file.to_bytes(large_model, {})), large_model)
        <= card.TOLERANCE
    )
    portable = jax_file.from_bytes(jax_file.to_bytes(large_model, {}))
    assert portable.spec == LARGE
    assert portable.about["inputs"]["faces"].startswith("uint8 [B, 128, 128, 3]: red, green and blue")
    assert card.largest_difference(portable, large_model) <= card.TOLERANCE
    with pytest.raises(ValueError, match=r"expected faces uint8 \[B, 128, 128, 3\] with B of 1 or more, found uint8"):
        portable(np.zeros((1, 48, 48), np.uint8), [0])


def test_a_run_on_class_folders_of_ones_own_in_colour_edits_and_draws_them(tmp_path):
    for name in ("calm", "joy", "anger"):
        for i in range(9):
            (tmp_path / "faces" / name).mkdir(parents=True, exist_ok=True)
            images.save_png(tmp_path / "faces" / name / f"{i}.png", np.full((64, 64, 3), (90, 9 * i, 30), np.uint8))
    config = tiny(dataset.ImageSpec(64, 3))
    config.data.name, config.data.dir, config.data.count = "folder", str(tmp_path / "faces"), 0
    assert len(data_lib.load(config.data, "valid", 0)) == 0  # a tenth of nine
    config.translator.strength = "1"  # the preset has one for each of the seven
    pipeline.run(config, tmp_path / "run")
    model = loading.load(tmp_path / "run")
    assert (model.class_names, model.spec) == (("angry", "calm", "joy"), config.data.spec)
    faces = np.stack([images.load_png(tmp_path / "faces" / "calm" / f"{i}.png", 3) for i in range(2)])
    for name in ("joy", "anger"):
        assert model.faces(faces, name).shape == (2, 64, 64, 3)
    assert "fig7_emotions.png" in {path.name for path in run_figures.draw(tmp_path / "run")}


def small_phase(name):
    """A phase on small faces in colour, made of networks that nothing has trained."""
    config = config_lib.Config(model=config_lib.ModelConfig(width=2, latent_size=6), phases="classifier,joint")
    config.classifier.width = config.translator.width = config.translator.critic_width = 2
    config.translator.guidance_features, config.unet.widths, config.unet.blocks = True, "8,16", 1
    config.gan.loss = "began" if name == "began" else config.gan.loss
    held_out = toyfaces.load("valid", 0, COUNT, spec=SMALL)
    if name == "student":
        return student.make(config, 7, 10, pytest.fail, SMALL)  # traced, it asks for no teacher
    zeros = lambda tree: jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), tree)  # noqa: E731
    if name == "encoder":
        G = dcgan.make_generator(config.model, 7, SMALL)
        shapes = jax.eval_shape(lambda: G.init(KEY, jnp.zeros((1, 6)), jnp.zeros(1, jnp.int32), train=False))
        return encoder.make(config, 7, zeros(shapes), SMALL)
    if name == "joint":
        classifiers = jax.eval_shape(lambda key: joint.draw_guidance(config, 7, key, SMALL), KEY)
        return joint.make(config, 7, 10, np.ones(7), zeros(classifiers), SMALL)
    if name == "classifier":
        return classifier.make(config, 7, 10, held_out)
    return flow.make(config, 7, held_out) if name == "flow" else gan.make_by_loss(config, 7, SMALL)


@pytest.mark.parametrize("name", [*(name for name in config_lib.PHASES if name != "robust"), "began"])
def test_every_phase_steps_on_small_faces_in_colour_and_shows_them(name):
    phase = small_phase(name)
    batch = {
        "image": jax.ShapeDtypeStruct((16, *SMALL.byte_shape), np.uint8),
        "label": jax.ShapeDtypeStruct((16,), np.int32),
    }
    if name == "student":
        batch |= {"edit": batch["image"], "reference": batch["image"], "target": batch["label"]}
    state = jax.eval_shape(phase.init, KEY)  # traced and not compiled, which would take a minute each
    after, _ = jax.eval_shape(phase.step, state, batch, KEY)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    assert jax.eval_shape(phase.sample, state, batch, KEY)[0].shape[2:] == SMALL.byte_shape


def drawn(module, *inputs, **options):
    return jax.jit(lambda key: module.init(key, *inputs, **options))(KEY)


def test_the_papers_model_edits_and_draws_small_faces_in_colour():
    config = config_lib.Config(model=config_lib.ModelConfig(width=2, latent_size=6))
    config.data.size, config.data.channels = SMALL.size, SMALL.channels
    label, faces = jnp.zeros(1, jnp.int32), toyfaces.load("valid", 0, 2, spec=SMALL).images
    E, G = dcgan.make_encoder(config.model, 7), dcgan.make_generator(config.model, 7, SMALL)
    variables = (
        drawn(E, jnp.zeros((1, *SMALL.shape)), label, train=False),
        drawn(G, jnp.zeros((1, 6)), label, train=False),
    )
    model = tiny_models.make(config, emotions.EMOTIONS, *variables)
    assert model.faces(faces, "sad").shape == faces.shape
    assert model.sample([0, 1]).shape == faces.shape
    assert graphs.networks(config.model, 7, SMALL)["generator"].outputs.startswith("face [32 x 32 x 3]")


def test_a_flow_edits_and_draws_small_faces_in_colour():
    config = config_lib.Config(phases="flow")
    config.data.size, config.data.channels = SMALL.size, SMALL.channels
    config.unet.widths, config.unet.blocks, config.flow_edit.steps, config.flow_edit.inversion_steps = "8,16", 1, 2, 1
    params = unet.initialise(unet.make(config.unet, 7, "float32"), KEY, SMALL)
    model = tiny_models.make(config, emotions.EMOTIONS, {"params": params}, {})
    faces = toyfaces.load("valid", 0, 2, spec=SMALL).images
    np.testing.assert_array_equal(model.faces(faces, "sad"), faces)  # the first velocity is 0
    assert model.encode(faces).shape == (2, *SMALL.shape)
    assert model.sample([0, 1]).shape == faces.shape
