"""Models that ship, as files and by name."""

import dataclasses
import json
from importlib import resources

import jax
import numpy as np
import pytest
import skimage.color
import skimage.data
import skimage.transform
from scipy import ndimage
from support import tiny_models

import emogan
from emogan import config as config_lib
from emogan import presets
from emogan.data import dataset, toyfaces
from emogan.edit import loading, model_file
from emogan.export import card
from emogan.recipes import joint
from emogan.util import weights


@pytest.fixture(scope="module")
def model():
    """A tiny E and G, as phase `joint` begins with."""
    config = dataclasses.replace(
        presets.preset("emogan"),
        translator=config_lib.TranslatorConfig(width=2, blocks=1, critic_width=2),
        joint=config_lib.JointConfig(guidance=0.0),
    )
    state = joint.make(config, 7, 1, np.ones(7), {}, dataset.FER2013).init(jax.random.key(0))
    return tiny_models.make(config, emogan.EMOTIONS, state.best_encoder, state.generator)


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("shipped") / "tiny.npz"
    about = {**model.card, "license": "of the test"}
    variables = [weights.in_halves(part) for part in model.variables]
    card = model_file.write(path, model.networks, model.class_names, variables, about)
    assert card["license"] == "of the test"
    return path


def test_a_model_comes_back_from_its_file_in_half_precision(model, path):
    found = model_file.read(path)
    assert found.networks == model.networks
    assert config_lib.of(found.card) == config_lib.of(model.card)
    assert found.class_names == model.class_names
    again = loading.of(found)
    assert again.card["license"] == "of the test"
    faces = np.random.default_rng(0).integers(0, 256, (2, 48, 48), dtype=np.uint8)
    apart = again.faces(faces, "happy").astype(int) - model.faces(faces, "happy")
    assert np.abs(apart).max() <= 1


def test_a_flow_of_before_is_one_that_is_told_nothing(tmp_path):
    config = presets.flow()
    parts = dataclasses.asdict(model_file.Networks("flow", unet=config.unet, image=dataset.FER2013))
    assert parts["unet"].pop("surroundings")
    assert parts["unet"].pop("deeper")
    kind = parts.pop("kind")
    weights.save(tmp_path / "old.npz", {}, {"kind": kind, "networks": parts, "class_names": list(emogan.EMOTIONS)})
    found = model_file.read(tmp_path / "old.npz").networks.unet
    assert (found.deeper, found.surroundings) == (0, False)


def test_damage_ends_in_one_line(path, tmp_path):
    whole = path.read_bytes()
    for content in (whole[:-100], b"no model"):
        damaged = tmp_path / "damaged.npz"
        damaged.write_bytes(content)
        with pytest.raises(ValueError, match=r"damaged.npz: expected a model, found .*; copy it again"):
            model_file.read(damaged)
    with np.load(path) as file:
        arrays = dict(file)
    name = next(name for name in arrays if name.endswith("conv0/kernel"))
    np.savez(tmp_path / "changed.npz", **{**arrays, name: arrays[name] + np.float16(1)})
    with pytest.raises(ValueError, match=r"expected weights with checksum .* found others"):
        model_file.read(tmp_path / "changed.npz")
    card = json.loads(arrays["card"].tobytes()) | {"class_names": 7}
    np.savez(tmp_path / "card.npz", **{**arrays, "card": np.frombuffer(json.dumps(card).encode(), np.uint8)})
    with pytest.raises(ValueError, match=r"expected a model, found TypeError"):
        model_file.read(tmp_path / "card.npz")
    with pytest.raises(FileNotFoundError, match=r"absent.npz: expected a model's .npz, found none"):
        model_file.read(tmp_path / "absent.npz")


@pytest.mark.parametrize("name", list(model_file.SHIPPED))
def test_a_model_that_ships_says_what_it_is(name):
    model = model_file.shipped(name)
    assert model.class_names == emogan.EMOTIONS
    for field in ("command", "scores", "known failures", "intended use", "not for", "bias", "training data", "licence"):
        assert model.card[field], field
    assert "valid" in model.card["scores"]
    assert "synthetic" in model.card["Source"]
    assert model.card["data"]["name"] == "fer2013"


@pytest.fixture(scope="module")
def face():
    """uint8 [48, 48]: Eileen Collins, who smiles."""
    portrait = skimage.color.rgb2gray(skimage.data.astronaut()[50:190, 155:295])
    return np.round(255 * skimage.transform.resize(portrait, (48, 48), anti_aliasing=True)).astype(np.uint8)


def test_the_default_model_edits_a_portrait(face):
    model = emogan.load()
    edits = {name: model.faces(face[None], name, labels=[3])[0].astype(float) for name in ("happy", "sad", "surprised")}
    changes = {name: np.abs(edit - face).mean() for name, edit in edits.items()}
    assert changes["happy"] < min(changes["sad"], changes["surprised"])  # as she does already
    assert all(2 < changes[name] < 40 for name in ("sad", "surprised"))  # a face of another person is about 60 away
    again = emogan.load("fer2013-flow").faces(face[None], "sad", labels=[3])[0]
    np.testing.assert_array_equal(again, edits["sad"])


def test_the_feed_forward_model_edits_a_portrait(face):
    model = emogan.load(model_file.FEED_FORWARD)
    edits = model.faces(face[None], "all")[:, 0].astype(float)
    assert edits.shape == (7, 48, 48)
    changes = np.abs(edits - face).mean((1, 2))
    smiling = emogan.EMOTIONS.index("happy")  # as she does already
    assert changes.argmin() == smiling
    assert changes.max() < 40  # gray levels; a face of another person is about 60 away
    assert np.delete(changes, smiling).min() > 2


@pytest.mark.parametrize(("name", "most"), [(model_file.FEED_FORWARD, 8e6), (model_file.DEFAULT, 15e6)])
def test_models_that_ship_are_small(name, most):
    with resources.as_file(resources.files("emogan") / "assets" / model_file.SHIPPED[name]) as path:
        assert path.stat().st_size <= most


def test_an_export_of_it_says_what_it_learned_from():
    assert card.describe(emogan.load(model_file.FEED_FORWARD), {})["card"]["data"]["name"] == "fer2013"


def test_flow_and_paint_make_the_edit():
    model = emogan.load(model_file.FEED_FORWARD)
    faces = toyfaces.load("valid", count=3).images
    flow = model.displacement(faces, "all")
    assert flow.shape == (7, 3, 48, 48, 2)
    assert 0.5 < np.abs(flow).max() <= 4
    np.testing.assert_allclose(model.displacement(faces, "happy"), flow[emogan.EMOTIONS.index("happy")], atol=1e-4)
    painted = model.faces(faces, "all") - np.stack(
        [
            [
                ndimage.map_coordinates(face.astype(float), np.indices((48, 48)) + way.transpose(2, 0, 1), order=1)
                for face, way in zip(faces, ways, strict=True)
            ]
            for ways in flow
        ]
    )
    bent = np.abs(painted)[..., 4:-4, 4:-4]
    apart = np.abs(model.faces(faces, "all").astype(float) - faces)[..., 4:-4, 4:-4]
    assert bent.mean() < 0.8 * apart.mean()  # what is left to paint once the face is bent
    # One with a latent vector warps nothing, whatever its weights.
    assert tiny_models.make(config_lib.Config(), emogan.EMOTIONS, {}, {}).displacement(faces, "happy") is None
