"""Phase `student` against its losses written out plainly, and a run of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import emogan
from emogan import config as config_lib
from emogan.data import dataset, toyfaces
from emogan.models import direct, unet
from emogan.recipes import student
from emogan.train import pipeline
from emogan.util import images

pytestmark = pytest.mark.slow

KEY = jax.random.key(5)
UNET = unet.UNetConfig(widths="8,16", blocks=1, attention=False)


def config_of(**options):
    return config_lib.Config(
        phases="student",
        unet=UNET,
        student=student.StudentConfig(
            **{"batch_size": 8, "augment": False, "imitation": 3.0, "adversarial": 0.7, **options}
        ),
    )


@pytest.fixture(scope="module")
def batch():
    data = toyfaces.load("train", 0, 8)
    edits = np.clip(data.images.astype(int) + np.linspace(-60, 60, 48).astype(int)[:, None], 0, 255).astype(np.uint8)
    targets = student.draw_targets(data.labels, 7, 0)
    return {
        "image": jnp.asarray(data.images),
        "label": jnp.asarray(data.labels),
        "target": jnp.asarray(targets),
        "edit": jnp.asarray(edits),
        "reference": jnp.asarray(data.images[student.draw_references(data.labels, targets, 0)]),
    }


def everywhere(params, scale=0.2):
    """Parameters of which none is 0, as they are after some steps."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    noisy = [leaf + scale * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, noisy)


@pytest.fixture(scope="module")
def learned():
    return everywhere(unet.initialise(unet.make(UNET, 7, "float32"), jax.random.key(3), dataset.FER2013), 0.1)


@pytest.fixture(scope="module")
def stepped(batch, learned):
    config = config_of(own_share=0.4)
    phase = student.make(config, 7, 100, lambda: learned, dataset.FER2013)
    state = phase.init(jax.random.key(1))
    state = state.replace(network=state.network.replace(params=everywhere(state.network.params, 0.02)))
    return config, phase, state, *jax.jit(phase.step)(state, batch, KEY)


def drawn(config, batch):
    """What a step draws, as documented: faces, answers, real faces, targets, times and noises."""
    keys = jax.random.split(KEY, 5)
    turns = np.asarray([jax.random.bernoulli(key) for key in jax.random.split(keys[0], 8)])
    own = np.asarray(jax.random.uniform(keys[1], (8,)) < config.student.own_share)
    assert 0 < turns.sum() < 8
    assert 0 < own.sum() < 8

    def turned(name):
        every = np.asarray(images.to_float(batch[name]))
        return np.stack([face[:, ::-1] if turn else face for face, turn in zip(every, turns, strict=True)])

    faces, labels = turned("image"), np.asarray(batch["label"])
    answers, reals = (np.where(own[:, None, None, None], faces, turned(name)) for name in ("edit", "reference"))
    times = config.student.noise * jax.random.uniform(keys[3], (8,))
    noises = jax.random.normal(keys[4], (8, 2, 48, 48, 1))
    return faces, answers, reals, np.where(own, labels, batch["target"]), times, noises


def logits(heads, learned, faces, times, noises, targets):
    """D's logits of faces, by the definition: the flow's features of the face under noise."""
    t = times[:, None, None, None]
    x = (1 - t) * faces + t * noises
    deviation = jnp.sqrt(((1 - t) * 0.5) ** 2 + t**2)
    module = unet.make_features(UNET, 7, "float32")
    features = module.apply({"params": learned}, x / deviation, times, jax.nn.one_hot(targets, 7))
    return direct.Heads().apply({"params": heads}, features)


def draw(params, faces, targets):
    return direct.Generator(unet.make(UNET, 7, "float32")).apply({"params": params}, faces, targets)


def assert_close(found, expected, rtol=2e-3):
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    assert scale > 1e-4
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale), found, expected)


def first_gradients(network):
    """The gradients that Adam's first moment holds after one step."""
    return jax.tree.map(lambda mu: mu / 0.5, network.opt_state[0].mu)


def test_the_critic_learns_real_faces_of_the_targets_from_edits(batch, stepped, learned):
    config, _, state, new, metrics = stepped
    faces, _, reals, targets, times, noises = drawn(config, batch)
    edits = draw(state.network.params, faces, targets)

    def loss(heads):
        real = logits(heads, learned, reals, times, noises[:, 0], targets)
        fake = logits(heads, learned, edits, times, noises[:, 1], targets)
        return jnp.mean(jax.nn.softplus(fake - real))

    value, gradients = jax.jit(jax.value_and_grad(loss))(state.discriminator.params)
    assert_close(first_gradients(new.discriminator), gradients)
    assert metrics["discriminator_loss"] == pytest.approx(float(value), rel=1e-4)


def test_edits_learn_the_teachers_and_to_look_real(batch, stepped, learned):
    config, _, state, new, metrics = stepped
    faces, answers, reals, targets, times, noises = drawn(config, batch)
    heads = state.discriminator.params

    def loss(params):
        edits = draw(params, faces, targets)
        real = logits(heads, learned, reals, times, noises[:, 0], targets)
        fake = logits(heads, learned, edits, times, noises[:, 1], targets)
        return 3.0 * 4.0 * jnp.square(edits - answers).mean() + 0.7 * jnp.mean(jax.nn.softplus(real - fake))

    assert_close(first_gradients(new.network), jax.jit(jax.grad(loss))(state.network.params))
    apart = np.square(np.asarray(draw(state.network.params, faces, targets)) - answers).mean()
    assert metrics["imitation"] == pytest.approx(127.5 * apart**0.5, rel=1e-3)
    assert metrics["to_explain"] == pytest.approx(127.5 * np.square(answers - faces).mean() ** 0.5, rel=1e-3)


def test_it_begins_as_the_teacher_whose_first_edit_is_the_face(batch, stepped, learned):
    _, phase, _, new, _ = stepped
    first = phase.init(jax.random.key(1))
    begun = first.network.params["network"]
    same = jax.tree.map(lambda a, b: bool((a == b).all()), begun, learned)
    assert not any(jax.tree.leaves(same.pop("velocity")))
    assert all(jax.tree.leaves(same))
    faces = images.to_float(batch["image"])
    np.testing.assert_allclose(draw(first.network.params, faces, batch["target"]), faces, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, new.teacher, learned)  # a step changes the student alone
    phase = student.make(config_of(), 7, 100, pytest.fail, dataset.FER2013)
    shapes = jax.eval_shape(phase.init, KEY)  # needs no teacher
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, first)


def test_targets_are_any_but_the_own_label_and_alike_frequent():
    labels = np.arange(70_000, dtype=np.int32) % 7
    targets = student.draw_targets(labels, 7, 3)
    assert (targets != labels).all()
    counts = np.bincount(7 * labels + targets, minlength=49).reshape(7, 7)
    assert (np.diag(counts) == 0).all()
    assert counts[~np.eye(7, dtype=bool)].min() > 1500
    np.testing.assert_array_equal(targets, student.draw_targets(labels, 7, 3))
    assert (targets != student.draw_targets(labels, 7, 4)).any()


def test_references_are_faces_of_the_targets():
    labels = np.random.default_rng(1).integers(0, 6, 500)
    targets = np.random.default_rng(2).integers(0, 7, 5_000)
    chosen = student.draw_references(labels, targets, 3)
    np.testing.assert_array_equal(labels[chosen[targets < 6]], targets[targets < 6])
    assert len(set(chosen[targets == 6])) > 100  # a label of no face has any
    assert len(set(chosen[targets < 6])) > 490
    np.testing.assert_array_equal(chosen, student.draw_references(labels, targets, 3))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """The folder of a flow that has been trained for two steps."""
    workdir = tmp_path_factory.mktemp("teacher")
    config = emogan.preset("flow")
    config.data = config_lib.DataConfig(count=16)
    config.unet = UNET
    config.flow.epochs, config.flow.batch_size, config.flow.learning_rate, config.flow.warm_up = 2, 8, 0.05, 0
    config.flow_edit = config_lib.FlowEditConfig(steps=2, inversion_steps=1, redraw_steps=1)
    config.run = config_lib.RunConfig(sample_every=100, checkpoint_every=100, tensorboard=False)
    pipeline.run(config, workdir)
    return workdir


def test_a_run_learns_its_teachers_edits_and_ends_with_a_model(teacher, tmp_path, capsys):
    config = config_of(teacher=str(teacher), epochs=3.0, learning_rate=3e-3)
    config.data = config_lib.DataConfig(count=24)
    config.run = config_lib.RunConfig(sample_every=100, checkpoint_every=4, tensorboard=False)
    pipeline.run(config, tmp_path / "run")
    assert len(list((tmp_path / "run" / "pairs").iterdir())) == 1
    model = emogan.load(tmp_path / "run")
    assert model.networks.kind == "direct"
    assert model.faces(toyfaces.load("valid", 0, 2).images, "all").shape == (7, 2, 48, 48)
    faces = toyfaces.load("valid", 0, 2).images
    np.testing.assert_array_equal(model.faces(faces, "sad", strength=0.0), faces)
    assert np.abs(model.faces(faces, "sad").astype(int) - faces).max() > 0
    # Finished, it asks for its teacher no more.
    config.student.teacher = "a folder that has gone"
    pipeline.run(config, tmp_path / "run")
    assert "wrote" in capsys.readouterr().out


def test_a_teacher_edits_as_many_faces_as_it_shall_under_the_guidance_that_is_given(teacher, tmp_path):
    config = config_of(teacher=str(teacher), faces=10, guidance="1,2,3,4,5,6,7", epochs=0.7)
    config.data = config_lib.DataConfig(count=24)
    config.run = config_lib.RunConfig(sample_every=100, checkpoint_every=4, tensorboard=False)
    pipeline.run(config, tmp_path / "run")
    (kept,) = (tmp_path / "run" / "pairs").iterdir()
    flow, data = emogan.load(teacher), toyfaces.load("train", 0, 24)
    settings = dataclasses.replace(flow.networks.flow_edit, guidance="1,2,3,4,5,6,7")
    guided = type(flow)(dataclasses.replace(flow.networks, flow_edit=settings), flow.class_names, *flow.variables)
    targets = student.draw_targets(data.labels, 7, 0)[:10]
    expected = guided.faces(data.images[:10], targets, labels=data.labels[:10])
    np.testing.assert_array_equal(np.load(kept), expected)
    assert (expected != flow.faces(data.images[:10], targets, labels=data.labels[:10])).any()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("fer2013", "a flow, found fer2013, of kind"),
        ("fer2013-flow", "a flow whose network is that .*fer2013-flow with"),
    ],
)
def test_a_teacher_is_a_flow_of_the_same_network(name, line, tmp_path):
    config = config_of(teacher=name)
    config.data = config_lib.DataConfig(count=24)
    with pytest.raises(ValueError, match=f"student.teacher: expected {line}"):
        pipeline.run(config, tmp_path / "run")


def test_a_teacher_of_other_faces_is_refused(teacher, tmp_path):
    config = config_of(teacher=str(teacher))
    config.data = config_lib.DataConfig(count=24, size=32)
    with pytest.raises(
        ValueError, match=r"student.teacher: expected a model of 32x32 gray faces .*, found .*48x48 gray"
    ):
        pipeline.run(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda c: setattr(c.student, "teacher", " "), "student.teacher: expected a model's name"),
        (lambda c: setattr(c.student, "imitation", -1.0), "student.imitation: expected"),
        (lambda c: setattr(c.student, "faces", -1), "student.faces: expected"),
        (lambda c: setattr(c.student, "guidance", "3,-1"), "student.guidance: expected"),
        (lambda c: setattr(c.parallel, "microbatches", 2), "parallel.microbatches: expected 1 with phase student"),
    ],
)
def test_wrong_settings_are_named(change, line):
    config = config_of()
    change(config)
    with pytest.raises(ValueError, match=line):
        config.check()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"targets": None}, r"targets int32 .4. with the faces, found none"),
        ({"targets": np.zeros(4, np.int64)}, r"targets int32 .4. with the faces, found int64 .4."),
        ({"edits": np.zeros((3, 48, 48), np.uint8)}, r"edits uint8 .4, 48, 48. with .*, found uint8 .3, 48, 48."),
        ({"edits": np.zeros((4, 48, 48), np.float32)}, r"edits uint8 .4, 48, 48. with .*, found float32"),
        ({"edits": None}, r"edits uint8 .4, 48, 48. with the faces, found none"),
        ({"references": None}, r"references uint8 .4, 48, 48. with the faces, found none"),
    ],
)
def test_edits_that_are_not_those_of_the_faces_are_refused(change, line):
    faces = toyfaces.load("valid", 0, 4)
    whole = {"targets": np.zeros(4, np.int32), "edits": faces.images, "references": faces.images[::-1]}
    with pytest.raises(ValueError, match="expected " + line):
        dataclasses.replace(faces, **{**whole, **change})
    few = dataclasses.replace(faces, **whole).take(np.array([2, 0]))
    np.testing.assert_array_equal(few.edits, faces.images[[2, 0]])
    np.testing.assert_array_equal(few.references, faces.images[[1, 3]])
    assert few.targets.shape == (2,)
