"""Phase `student` against its losses written out plainly, and a run of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import translator_states

import emogan
from emogan import config as config_lib
from emogan import losses
from emogan.data import toyfaces
from emogan.models import translator
from emogan.recipes import student
from emogan.train import pipeline
from emogan.util import images

KEY = jax.random.key(5)
WEIGHTS = {"imitation": 3.0, "edges": 2.0, "adversarial": 0.7, "r1_r2": 0.3, "roughness": 0.4}


def config_of(**options):
    return config_lib.Config(
        phases="student",
        translator=config_lib.TranslatorConfig(width=2, blocks=1, critic_width=2, reach=1),
        student=student.StudentConfig(**{"batch_size": 8, "augment": False, **WEIGHTS, **options}),
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


def begin(config):
    phase = student.make(config, 7, 100)
    state = phase.init(jax.random.key(1))
    return phase, translator_states.visible(state)


@pytest.fixture(scope="module")
def stepped(batch):
    config = config_of(own_share=0.4)
    phase, state = begin(config)
    return config, state, *jax.jit(phase.step)(state, batch, KEY)


def drawn(config, batch):
    """The faces, the answers, the real faces and the targets of a step, by its documented draws."""
    keys = jax.random.split(KEY, 3)
    turns = np.asarray([jax.random.bernoulli(key) for key in jax.random.split(keys[0], 8)])
    own = np.asarray(jax.random.uniform(keys[1], (8,)) < config.student.own_share)
    assert 0 < turns.sum() < 8
    assert 0 < own.sum() < 8

    def turned(name):
        every = np.asarray(images.to_float(batch[name]))
        return np.stack([face[:, ::-1] if turn else face for face, turn in zip(every, turns, strict=True)])

    faces, labels = turned("image"), np.asarray(batch["label"])
    answers, reals = (np.where(own[:, None, None, None], faces, turned(name)) for name in ("edit", "reference"))
    return faces, answers, reals, np.where(own, labels, batch["target"])


def draw(config, params, faces, targets):
    E, G = translator.make_encoder(config.translator, 7), translator.make_generator(config.translator, 7)
    codes = E.apply({"params": params["encoder"]}, faces, targets)
    return G.apply({"params": params["generator"]}, codes, targets, method="draw")


def assert_close(found, expected, rtol=2e-3):
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    assert scale > 1e-4
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale), found, expected)


def first_gradients(network):
    """The gradients that Adam's first moment holds after one step."""
    return jax.tree.map(lambda mu: mu / 0.5, network.opt_state[0].mu)


def test_the_critic_learns_real_faces_of_the_targets_from_edits(batch, stepped):
    config, state, new, metrics = stepped
    faces, _, reals, targets = drawn(config, batch)
    D = translator.make_discriminator(config.translator, 7)
    edits = draw(config, state.translator.params, faces, targets).faces

    def loss(params):
        real, fake = (D.apply({"params": params}, *x)[0] for x in ((reals, targets), (edits, targets)))
        gradients = []
        for x, y in ((reals, targets), (edits, targets)):
            few, own = x[3::4], y[3::4]
            slope = jax.grad(lambda x, own=own: D.apply({"params": params}, x, own)[0].sum())(jnp.asarray(few))
            gradients.append(jnp.mean(jnp.sum(slope**2, (1, 2, 3))))
        return jnp.mean(jax.nn.softplus(fake - real)) + 0.3 * sum(gradients) / 2

    assert_close(first_gradients(new.discriminator), jax.jit(jax.grad(loss))(state.discriminator.params))
    assert metrics["discriminator_loss"] > 0


def test_edits_learn_the_teachers_pixels_and_edges_and_to_look_real(batch, stepped):
    config, state, new, metrics = stepped
    faces, answers, reals, targets = drawn(config, batch)
    D = translator.make_discriminator(config.translator, 7)
    critic = {"params": new.discriminator.params}

    def loss(params):
        drawing = draw(config, params, faces, targets)
        real, fake = D.apply(critic, reals, targets)[0], D.apply(critic, drawing.faces, targets)[0]
        apart = drawing.faces - answers
        edges = jnp.abs(jnp.diff(apart, axis=1)).mean() + jnp.abs(jnp.diff(apart, axis=2)).mean()
        return (
            3.0 * jnp.abs(apart).mean()
            + 2.0 * edges
            + 0.7 * jnp.mean(jax.nn.softplus(real - fake))
            + 0.4 * jnp.mean(drawing.roughness)
        )

    assert_close(first_gradients(new.translator), jax.jit(jax.grad(loss))(state.translator.params))
    apart = np.abs(np.asarray(draw(config, state.translator.params, faces, targets).faces) - answers).mean()
    assert metrics["imitation"] == pytest.approx(127.5 * apart, rel=1e-3)
    assert metrics["to_explain"] == pytest.approx(127.5 * np.abs(answers - faces).mean(), rel=1e-3)


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
def teacher(tmp_path_factory, quick_compilation):
    """The folder of a flow that has been trained for two steps."""
    workdir = tmp_path_factory.mktemp("teacher")
    config = emogan.preset("flow")
    config.data = config_lib.DataConfig(count=16)
    config.unet = config_lib.UNetConfig(widths="8", blocks=1, attention=False)
    config.flow.epochs, config.flow.batch_size, config.flow.learning_rate, config.flow.warm_up = 2, 8, 0.05, 0
    config.flow_edit = config_lib.FlowEditConfig(steps=2)
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
    assert model.networks.kind == "translator"
    assert model.faces(toyfaces.load("valid", 0, 2).images, "all").shape == (7, 2, 48, 48)
    # Finished, it asks for its teacher no more.
    config.student.epochs = 3.0
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


def test_a_guidance_is_refused_with_a_teacher_that_has_none(teacher, tmp_path):
    config = config_of(teacher="fer2013", guidance="3")
    config.data = config_lib.DataConfig(count=24)
    with pytest.raises(ValueError, match=r"student.guidance: expected '' with a teacher that is no flow, found 3"):
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
        (
            lambda c: setattr(c.translator, "guidance_features", True),
            "translator.guidance_features: expected false with phase student",
        ),
        (lambda c: setattr(c.parallel, "microbatches", 2), "parallel.microbatches: expected 1 with phase student"),
    ],
)
def test_wrong_settings_are_named(change, line):
    config = config_of()
    change(config)
    with pytest.raises(ValueError, match=line):
        config.check()
    assert losses.ADVERSARIAL["relativistic"].relativistic


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"targets": None}, r"targets int32 .4. beside the faces, found none"),
        ({"targets": np.zeros(4, np.int64)}, r"targets int32 .4. beside the faces, found int64 .4."),
        ({"edits": np.zeros((3, 48, 48), np.uint8)}, r"edits uint8 .4, 48, 48. beside .*, found uint8 .3, 48, 48."),
        ({"edits": np.zeros((4, 48, 48), np.float32)}, r"edits uint8 .4, 48, 48. beside .*, found float32"),
        ({"edits": None}, r"edits uint8 .4, 48, 48. beside the faces, found none"),
        ({"references": None}, r"references uint8 .4, 48, 48. beside the faces, found none"),
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
