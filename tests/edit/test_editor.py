"""Transfer: faces in and out in every form, batches of every size, and the folder of a run."""

import functools
import io
import shutil
import time

import IPython.core.formatters
import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from support import tiny_models

import emogan
from emogan import config as config_lib
from emogan.data import dataset, toyfaces
from emogan.edit import compiled, previews
from emogan.models import dcgan
from emogan.util import grids, images


def make_model(class_names=emogan.EMOTIONS, **model) -> emogan.Editor:
    """Untrained networks with weights so large that faces and labels make a great difference."""
    config = config_lib.Config(model=config_lib.ModelConfig(width=2, latent_size=8, **model))
    labels = jnp.zeros((1,), jnp.int32)
    generator = np.random.default_rng(1)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("mean", "var", "scale"):
            return np.full(leaf.shape, 0.0 if name == "mean" else 1.0, np.float32)
        return generator.normal(0.0, 0.2, leaf.shape).astype(np.float32)

    variables, classes = [], len(class_names)
    E, G = dcgan.make_encoder(config.model, classes), dcgan.make_generator(config.model, classes, dataset.FER2013)
    for module, x in ((E, jnp.zeros((1, 48, 48, 1))), (G, jnp.zeros((1, 8)))):
        shapes = jax.eval_shape(functools.partial(module.init, train=False), jax.random.key(0), x, labels)
        variables.append(jax.tree_util.tree_map_with_path(draw, shapes))
    return tiny_models.make(config, class_names, *variables)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def faces():
    """uint8 [257, 48, 48]: smooth, each another."""
    coarse = np.random.default_rng(0).uniform(0, 255, (257, 6, 6))
    return coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def floats(faces):
    return faces[:3, :, :, None].astype(np.float32) / 127.5 - 1.0


def test_faces_and_labels_make_a_difference(model, faces):
    edited = model.faces(faces[:3], "all").astype(float)
    assert np.abs(edited[:, 0] - edited[:, 1]).mean() > 1
    assert np.abs(edited[0] - edited[1]).mean() > 1


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
@pytest.mark.parametrize("last", [(), (1,)], ids=["without_channel", "with_channel"])
def test_bytes_give_bytes_of_the_same_shape(model, faces, make, last):
    edited = model.faces(make(faces[:3].reshape(3, 48, 48, *last)), "happy")
    assert edited.dtype == np.uint8
    assert edited.shape == (3, 48, 48, *last)
    np.testing.assert_array_equal(edited.reshape(3, 48, 48), model.faces(faces[:3], "happy"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, jnp.bfloat16])
@pytest.mark.parametrize("last", [(), (1,)], ids=["without_channel", "with_channel"])
def test_floats_give_float32_of_the_same_shape(model, floats, dtype, last):
    edited = model.faces(floats.reshape(3, 48, 48, *last).astype(dtype), "happy")
    assert edited.dtype == np.float32
    assert edited.shape == (3, 48, 48, *last)
    assert np.abs(edited).max() <= 1.0
    coarse = {np.float16: 0.05, jnp.bfloat16: 0.3}.get(dtype, 1e-5)
    np.testing.assert_allclose(edited.reshape(floats.shape), model.faces(floats, "happy"), atol=coarse)


def test_bytes_and_floats_agree(model, faces, floats):
    np.testing.assert_allclose(model.encode(faces[:3]), model.encode(floats), rtol=1e-5, atol=1e-6)
    expected = np.asarray(images.to_bytes(model.faces(floats, "sad"))).astype(int)
    assert np.abs(model.faces(faces[:3], "sad").astype(int) - expected).max() <= 1  # ties round either way


def test_transfer_decodes_what_was_encoded(model, floats):
    latents = model.encode(floats)
    assert latents.shape == (3, 8)
    assert latents.dtype == np.float32
    np.testing.assert_array_equal(model.faces(floats, "happy"), model.decode(latents, 3))
    np.testing.assert_array_equal(model.faces(floats, 3), model.decode(latents, np.array([3, 3, 3])))


def test_edit_is_a_pure_function_of_variables_faces_and_labels(model, faces):
    labels = jnp.array([6, 0, 2], jnp.int32)
    edits = jax.jit(model.edit)(model.variables, faces[:3], labels)
    np.testing.assert_allclose(edits, model.decode(model.encode(faces[:3]), labels), atol=1e-5)
    with pytest.raises(ValueError, match=r"expected a model that edits a face .*, found an encoder E\(x, y\)"):
        make_model(encoder_labels=True).edit(model.variables, faces[:3], labels)


def test_networks_get_the_faces_latents_and_labels(model, floats):
    labels = jnp.array([6, 0, 2])
    E, G = dcgan.make_encoder(model.networks.model, 7), dcgan.make_generator(model.networks.model, 7, dataset.FER2013)
    latents = jax.jit(functools.partial(E.apply, train=False))(*variables_of(model._encode), floats, labels)
    expected = jax.jit(functools.partial(G.apply, train=False))(*variables_of(model._decode), latents, labels)
    np.testing.assert_allclose(model.faces(floats, labels), expected, atol=1e-5)


def variables_of(function):
    return function.args[1:]


def test_all_has_every_label_in_its_order(model, faces):
    edited = model.faces(faces[:3], "all")
    assert edited.shape == (7, 3, 48, 48)
    for label, name in enumerate(emogan.EMOTIONS):
        np.testing.assert_array_equal(edited[label], model.faces(faces[:3], name))


@pytest.mark.parametrize("count", [3, 5])
def test_faces_do_not_depend_on_their_batch(model, faces, count):
    whole = images_of(model, faces)  # a slice of 256 and one of 1
    assert len(whole) == 257
    np.testing.assert_allclose(images_of(model, faces[:count]), whole[:count], atol=1e-5)


def images_of(model, faces):
    return model.decode(model.encode(faces), np.arange(len(faces)) % 7)


def test_no_faces_give_no_faces(model):
    assert model.encode(np.zeros((0, 48, 48), np.uint8)).shape == (0, 8)
    assert model.decode(np.zeros((0, 8), np.float32), "all").shape == (7, 0, 48, 48, 1)
    assert model.faces(np.zeros((0, 48, 48, 1), np.float32), []).shape == (0, 48, 48, 1)


def test_batches_up_to_a_power_of_two_share_a_compilation(model, faces):
    images_of(model, faces[:5])
    before = compiled.encode._cache_size(), compiled.decode._cache_size()
    for count in (6, 7, 8, 5):
        images_of(model, faces[:count])
    assert before == (compiled.encode._cache_size(), compiled.decode._cache_size())


def test_names_are_those_of_the_data_in_any_case():
    model = make_model(("Cat", "dog", "anger"))
    assert [model.label(name) for name in ("cat", " DOG ", "anger")] == [0, 1, 2]
    with pytest.raises(ValueError, match="expected an emotion out of Cat, dog, anger, found 'happy'"):
        model.label("happy")


def test_either_naming_of_the_seven_is_known(model):
    assert model.label("Happiness") == model.label("happy") == 3


@pytest.mark.parametrize(
    ("emotion", "message"),
    [
        ("cheerful", "expected an emotion out of angry, .*, found 'cheerful'"),
        (7, r"expected labels in 0\.\.6, found 7"),
        (-1, r"expected labels in 0\.\.6, found -1"),
        (np.array([0, 9, 1]), r"expected labels in 0\.\.6, found 9"),
        (np.array([0, 1]), r"expected one label or labels \[3\], found \[2\]"),
        (np.array([0.0, 1.0, 2.0]), "integer labels .*, found float64"),
        (True, "integer labels .*, found bool"),
    ],
)
def test_wrong_emotions_are_refused(model, faces, emotion, message):
    with pytest.raises(ValueError, match=message):
        model.faces(faces[:3], emotion)
    with pytest.raises(ValueError, match=message):
        model.decode(np.zeros((3, 8), np.float32), emotion)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.full((1, 48, 48), 200.0), r"float faces in \[-1, 1\], found 200\.\.200; give values of 0\.\.255 as uint8"),
        (np.full((1, 48, 48), np.nan), r"float faces in \[-1, 1\], found nan"),
        (np.zeros((1, 48, 48), np.int32), "type uint8 or float, found int32"),
        (np.zeros((1, 64, 64), np.uint8), r"found \[1, 64, 64\]"),
        (np.zeros((1, 48, 48, 3), np.uint8), r"found \[1, 48, 48, 3\]"),
        (np.zeros((48, 48), np.uint8), r"found \[48, 48\]; give a single face as faces\[None\]"),
    ],
)
def test_wrong_faces_are_refused(model, wrong, message):
    with pytest.raises(ValueError, match=message):
        model.faces(wrong, "happy")


@pytest.mark.parametrize("wrong", [np.zeros((2, 9), np.float32), np.zeros(8, np.float32), np.zeros((2, 8), np.int32)])
def test_wrong_latents_are_refused(model, wrong):
    with pytest.raises(ValueError, match=r"expected float latents \[N, 8\], found"):
        model.decode(wrong, 0)


def test_an_encoder_of_labels_needs_them(faces):
    model = make_model(encoder_labels=True)
    with pytest.raises(ValueError, match=r"expected labels=\.\.\., the source labels of the faces"):
        model.faces(faces[:3], "happy")
    angry, sad = model.encode(faces[:3], "angry"), model.encode(faces[:3], [4, 4, 4])
    assert np.abs(angry - sad).max() > 0.01


# The folder of a run.


def shown(model):
    """What Jupyter shows of a model: the picture with its metadata."""
    formatter = IPython.core.formatters.PNGFormatter()
    return PIL.Image.open(io.BytesIO(formatter(model)))


def test_jupyter_shows_drawn_faces_under_all_emotions_and_says_that_they_are_synthetic(model):
    picture = shown(model)
    assert picture.info == images.SYNTHETIC
    faces = toyfaces.load("valid", count=previews.FACES).images
    edits = model.faces(faces, "all")
    rows = np.concatenate([faces[None], edits]).swapaxes(0, 1)
    expected = grids.labelled_grid(rows, columns=("face", *emogan.EMOTIONS), scale=2)
    assert np.abs(np.asarray(picture).astype(int) - expected).max() <= 1  # another batch rounds otherwise
    began = time.perf_counter()
    shown(model)
    assert time.perf_counter() - began < 2


def test_jupyter_shows_a_model_of_many_classes_whose_encoder_asks_for_labels():
    names = [f"class {i}" for i in range(200)]
    assert shown(make_model(names, encoder_labels=True)).width < 1200  # the first of them


@pytest.fixture
def workdir(trained_workdir, tmp_path):
    """A copy of the trained run, to be damaged."""
    return shutil.copytree(trained_workdir, tmp_path / "run")


def test_a_loaded_run_edits_as_it_did_in_training(trained_workdir, tiny_config):
    model = emogan.load(str(trained_workdir))
    assert config_lib.of(model.card) == tiny_config
    assert model.class_names == emogan.EMOTIONS
    drawn = images.untile(images.load_png(trained_workdir / "figures" / "samples" / "encoder_000008.png"), 48)
    originals, edits = drawn[:, 0], drawn[:, 2:].swapaxes(0, 1)  # the second column has the faces' own labels
    edited = model.faces(originals, "all")
    assert np.abs(edited.astype(int) - edits).max() <= 1
    assert (edited[:-1] != edited[1:]).mean() > 0.1


def test_loading_leaves_the_folder_as_it_is(workdir):
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    emogan.load(workdir)
    assert before == {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match=r"expected fer2013 or fer2013-flow, the folder of a finished"):
            emogan.load(folder)


def test_a_run_without_a_finished_model_says_how_to_get_one(workdir):
    (workdir / "model.npz").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"expected model.npz of a finished run, found none; run emogan train with "
    ):
        emogan.load(workdir)


def test_a_model_needs_nothing_of_its_run_but_the_file(workdir, tmp_path):
    shutil.copy(workdir / "model.npz", tmp_path / "mine.npz")
    faces = toyfaces.load("valid", 0, 2).images
    expected = emogan.load(workdir).faces(faces, "all")
    shutil.rmtree(workdir / "checkpoints")
    for source in (workdir, tmp_path / "mine.npz"):
        np.testing.assert_array_equal(emogan.load(source).faces(faces, "all"), expected)


def test_a_damaged_model_is_refused(workdir):
    content = (workdir / "model.npz").read_bytes()
    (workdir / "model.npz").write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"model.npz: expected a model, found .*; copy it again"):
        emogan.load(workdir)


@pytest.mark.parametrize("last", [(), (1,)], ids=["without_channel", "with_channel"])
def test_strength_goes_from_the_face_to_its_edit_and_beyond(model, faces, floats, last):
    for given in (faces[:3].reshape(3, 48, 48, *last), floats.reshape(3, 48, 48, *last)):
        whole = model.faces(given, "happy").astype(float)
        np.testing.assert_array_equal(model.faces(given, "happy", strength=0.0), given)
        half = model.faces(given, "happy", strength=0.5)
        assert half.dtype == (np.uint8 if given.dtype == np.uint8 else np.float32)
        np.testing.assert_allclose(half, (given + whole) / 2, atol=0.5 if given.dtype == np.uint8 else 1e-6)
    with pytest.raises(ValueError, match=r"expected a strength in 0..10, found -1"):
        model.faces(faces[:3], "happy", strength=-1)
