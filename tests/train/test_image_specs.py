"""Whole runs on faces of other sizes and in colour: trained, saved, loaded, edited with, drawn and exported."""

import dataclasses

import numpy as np
import pytest

from emogan import presets
from emogan.data import dataset, toyfaces
from emogan.edit import loading, photo_files, previews
from emogan.export import card, jax_file, onnx_file, web
from emogan.figures import run_figures
from emogan.train import pipeline
from emogan.util import images

LARGE = dataset.ImageSpec(128, 3)
COUNT = 8


@pytest.fixture(scope="module", autouse=True)
def in_a_hurry(quick_compilation):
    """What is compiled here is run once or twice."""


def tiny(spec):
    config = presets.emogan()
    config.data = dataclasses.replace(config.data, name="toyfaces", count=COUNT, size=spec.size, channels=spec.channels)
    config.phases, config.joint.guide, config.translator.informed = "joint", 0.0, False  # guides take a minute more
    config.translator.width = config.translator.critic_width = 2
    config.translator.blocks = 1
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


def test_the_page_says_which_faces_it_shows(large_model, tmp_path):
    with pytest.raises(ValueError, match="expected a model of 48x48 gray faces for the page, found one of 128x128 col"):
        web.write(b"", large_model, {}, tmp_path, tmp_path / "page")


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


@pytest.mark.parametrize("kind", ["dcgan", "flow"])
def test_the_other_recipes_train_and_edit_small_faces_in_colour(kind, tmp_path):
    spec = dataset.ImageSpec(32, 3)
    config = presets.quick() if kind == "dcgan" else presets.flow()
    config.data = dataclasses.replace(config.data, name="toyfaces", count=COUNT, size=32, channels=3)
    config.model.width, config.unet.widths, config.unet.blocks, config.flow_edit.steps = 2, "8,16", 1, 2
    config.phases = "gan,encoder" if kind == "dcgan" else "flow"
    for phase in (config.gan, config.encoder, config.flow):
        phase.epochs, phase.batch_size = 1, COUNT
    config.gan.critic_steps = 1
    config.run.tensorboard = True
    pipeline.run(config, tmp_path / "run")
    model = loading.load(tmp_path / "run")
    faces = toyfaces.load("valid", 0, 2, spec=spec).images
    assert model.faces(faces, "sad").shape == faces.shape
    assert model.sample([0, 1, 2]).shape == (3, *spec.byte_shape)
    latents = model.encode(faces)
    assert latents.shape == ((2, config.model.latent_size) if kind == "dcgan" else (2, *spec.shape))
    if kind == "dcgan":
        run_figures.draw(tmp_path / "run")
