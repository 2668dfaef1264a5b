"""Phase `joint` against its losses written out plainly."""

import dataclasses

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from support import translator_states

from emogan import config as config_lib
from emogan import losses
from emogan.data import augment, dataset, toyfaces
from emogan.models import critic as critic_lib
from emogan.models import translator
from emogan.recipes import joint
from emogan.util import images

KEY = jax.random.key(5)
COUNTS = np.array([40, 5, 40, 72, 48, 31, 49])
WEIGHTS = {"adversarial": 0.7, "classification": 0.5, "reconstruction": 3.0, "keep": 2.0, "cycle": 1.5, "guidance": 0.9}
WEIGHTS |= {"residual": 1.2, "roughness": 0.4}


def config_of(guidance_features=False, guided=True, **options):
    settings = {"batch_size": 8, "augment": False, **WEIGHTS, **options}
    return config_lib.Config(
        phases="classifier,robust,joint" if guided else "joint",
        translator=config_lib.TranslatorConfig(
            width=2, blocks=1, critic_width=2, guidance_features=guidance_features, reach=1
        ),
        classifier=config_lib.ClassifierConfig(width=2),
        robust=config_lib.ClassifierConfig(width=3),
        joint=config_lib.JointConfig(**settings),
    )


def begin(config, total_steps=100):
    classifiers = jax.jit(lambda key: joint.draw_guidance(config, 7, key, dataset.FER2013))(jax.random.key(8))
    phase = joint.make(config, 7, total_steps, COUNTS, classifiers, dataset.FER2013)
    state = phase.init(jax.random.key(1))
    return phase, translator_states.visible(state)


@pytest.fixture(scope="module")
def faces():
    data = toyfaces.load("train", 0, 8)
    return {"image": jnp.asarray(data.images), "label": jnp.asarray(data.labels)}


def draws(batch, config):
    """The wanted labels that the step draws from its key."""
    keys, settings = jax.random.split(KEY, 5), config.joint
    wanted = joint.draw_wanted(keys[0], 8, 7, settings.balanced, jnp.asarray(COUNTS / COUNTS.sum()))
    own = jax.random.uniform(keys[1], (8,)) < settings.own_share
    return jnp.where(own, batch["label"], wanted)


def turned(batch):
    """The faces, of which the step mirrors half by its key."""
    mirrored = np.asarray([jax.random.bernoulli(key) for key in jax.random.split(jax.random.split(KEY, 5)[4], 8)])
    assert 0 < mirrored.sum() < 8
    faces = images.to_float(batch["image"])
    return jnp.stack([face[:, ::-1] if turn else face for face, turn in zip(faces, mirrored, strict=True)])


def draw(config, params, faces, labels):
    sizes = config.translator
    E, G = translator.make_encoder(sizes, 7), translator.make_generator(sizes, 7, dataset.FER2013)
    codes = E.apply({"params": params["encoder"]}, faces, labels)
    return G.apply({"params": params["generator"]}, codes, labels, method="draw")


def edit(*arguments):
    return draw(*arguments).faces


def first_gradients(network, b1=0.5):
    """The gradients that Adam's first moment holds after one step."""
    return jax.tree.map(lambda mu: mu / (1 - b1), network.opt_state[0].mu)


def assert_close(found, expected, rtol=2e-3):
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    assert scale > 1e-4
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale), found, expected)


def cross_entropy(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def predicted(state, faces):
    """What the two classifiers answer, in the mean."""
    widths = {"classifier": 2, "robust": 3}
    assert set(state.classifiers) == set(widths)
    named = [
        joint.emotion_cnn.Classifier(width, 7).apply(state.classifiers[name], faces, train=False)[0]
        for name, width in widths.items()
    ]
    return (named[0] + named[1]) / 2


def seen(config, state, faces):
    """What D is told of faces: the features that the first classifier has of them, or nothing."""
    module = joint.emotion_cnn.Classifier(2, 7)
    features = module.apply(state.classifiers["classifier"], faces, train=False)[1]
    return features if config.translator.guidance_features else None


@pytest.fixture(scope="module")
def stepped(faces):
    """A step with all that the preset has, compiled once: D is told features, and has its slopes penalised."""
    # The confidence is one that some of these faces reach and others do not.
    config = config_of(guidance_features=True, r1_r2=0.3, gradient_penalty=0.0, confidence=0.15)
    phase, state = begin(config)
    return config, state, *jax.jit(phase.step)(state, faces, KEY)


@pytest.mark.slow
def test_a_step_in_bfloat16_is_near_and_keeps_all_in_float32(faces, stepped):
    config, state, exact, _ = stepped
    half = dataclasses.replace(config, model=config_lib.ModelConfig(precision="bfloat16"))
    assert config.model.precision == "auto"
    step = jax.jit(begin(half)[0].step)
    new, metrics = step(state, faces, KEY)
    assert jax.eval_shape(lambda: new) == jax.eval_shape(lambda: state)
    assert {leaf.dtype for leaf in metrics.values()} == {jnp.dtype("float32")}
    flat = lambda tree: jax.flatten_util.ravel_pytree(tree)[0]  # noqa: E731
    for name in ("translator", "discriminator"):
        found, expected = (flat(first_gradients(getattr(one, name))) for one in (new, exact))
        assert 0 < jnp.linalg.norm(found - expected) / jnp.linalg.norm(expected) < 0.3, name
    assert all(np.isfinite(float(value)) for value in step(new, faces, KEY)[1].values())


def test_critic_learns_real_from_edited_and_the_emotion_of_real_faces(faces, stepped):
    config, state, new, metrics = stepped
    D, real, labels = critic_lib.make_discriminator(config.translator, 7), turned(faces), faces["label"]
    wanted = draws(faces, config)
    fake = edit(config, state.translator.params, real, wanted)

    def loss(params):
        critic = lambda x, y: D.apply({"params": params}, x[0], y, x[1])  # noqa: E731
        both = [(x, seen(config, state, x)) for x in (real, fake)]
        logits, emotions = critic(both[0], labels)
        total = jnp.mean(jax.nn.softplus(critic(both[1], wanted)[0] - logits))
        total += jnp.mean(cross_entropy(emotions + np.log(COUNTS / COUNTS.sum())[None], labels))
        for x, y in zip(both, (labels, wanted), strict=True):
            some = jax.tree.map(lambda leaf: leaf[3::4], x)  # a quarter of each
            slopes = losses.squared_gradient(lambda x, y=y: critic(x, y[3::4])[0], some)
            total += 0.3 * jnp.mean(slopes) / 2
        return total

    assert_close(first_gradients(new.discriminator), jax.jit(jax.grad(loss))(state.discriminator.params))
    assert metrics["real_logit"] != metrics["fake_logit"]


@pytest.mark.parametrize("guidance_features", [False, True])
def test_encoder_and_generator_learn_all_terms_against_the_new_critic(faces, guidance_features, request):
    if guidance_features:
        config, state, new, metrics = request.getfixturevalue("stepped")
    else:
        config = config_of(confidence=1.0, r1_r2=0.0, gradient_penalty=0.0)
        phase, state = begin(config)
        new, metrics = jax.jit(phase.step)(state, faces, KEY)
    confidence = config.joint.confidence
    D, real, labels = critic_lib.make_discriminator(config.translator, 7), turned(faces), faces["label"]
    wanted = draws(faces, config)
    other = np.asarray(wanted != labels)
    assert 0 < other.sum() < 8
    prior = np.log(COUNTS / COUNTS.sum())[None]  # so that the classifiers do not hold a rare emotion to be rare

    def classification_loss(emotions):
        values = cross_entropy(emotions, wanted)
        return jnp.where(jnp.exp(-values) < confidence, values, 0.0)

    def loss(params):
        drawing = draw(config, params, real, wanted)
        fake = drawing.faces
        logits, emotions = D.apply({"params": new.discriminator.params}, fake, wanted, seen(config, state, fake))
        real_logits, _ = D.apply({"params": new.discriminator.params}, real, labels, seen(config, state, real))
        guided = predicted(state, fake)
        apart = jnp.mean(jnp.abs(fake - real), (1, 2, 3))
        back = jnp.mean(jnp.abs(edit(config, params, fake, labels) - real))
        return (
            0.7 * jnp.mean(jax.nn.softplus(real_logits - logits))
            + 0.5 * jnp.mean(classification_loss(emotions) * other)
            + 0.9 * jnp.mean(classification_loss(guided - prior) * other)
            + jnp.mean(apart * jnp.where(other, 2.0, 3.0))
            + 1.5 * back
            + 1.2 * jnp.mean(drawing.residual)
            + 0.4 * jnp.mean(drawing.roughness)
        )

    assert_close(first_gradients(new.translator), jax.jit(jax.grad(loss))(state.translator.params))
    fake = edit(config, state.translator.params, real, wanted)
    sure = np.exp(-cross_entropy(predicted(state, fake) - prior, wanted)) >= confidence
    assert not sure.any() if confidence == 1 else 0 < (sure & other).sum() < other.sum()
    apart = 127.5 * jnp.mean(jnp.abs(fake - real), (1, 2, 3))
    np.testing.assert_allclose(metrics["change"], apart[other].mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics["reconstruction"], apart[~other].mean(), rtol=1e-4)


@pytest.mark.slow
def test_several_critic_steps_see_a_part_each(faces):
    config = config_of(guided=False, critic_steps=2, r1_r2=0.0, gradient_penalty=0.0)
    phase, state = begin(config, total_steps=4)
    new, _ = jax.jit(phase.step)(state, faces, KEY)
    D, real, labels = critic_lib.make_discriminator(config.translator, 7), turned(faces), faces["label"]
    wanted = draws(faces, config)

    @jax.jit
    @jax.grad
    def gradients_of(params, real, labels, wanted):
        fake = edit(config, state.translator.params, real, wanted)
        logits, emotions = D.apply({"params": params}, real, labels)
        named = cross_entropy(emotions + np.log(COUNTS / COUNTS.sum())[None], labels)
        edited, _ = D.apply({"params": params}, fake, wanted)
        return jnp.mean(jax.nn.softplus(edited - logits)) + jnp.mean(named)

    # The rate is that of the step, for each of its updates.
    optimizer = optax.adam(config.joint.critic_rate * config.joint.learning_rate, b1=0.5, b2=config.joint.b2)
    params = state.discriminator.params
    moments = optimizer.init(params)
    for i in range(2):
        gradients = gradients_of(params, *(x[i::2] for x in (real, labels, wanted)))
        updates, moments = optimizer.update(gradients, moments)
        params = optax.apply_updates(params, updates)
    assert_close(new.discriminator.opt_state[0].mu, moments[0].mu, rtol=1e-2)
    flat = lambda tree: jax.flatten_util.ravel_pytree(tree)[0]  # noqa: E731
    way = lambda trained: jnp.linalg.norm(flat(trained) - flat(state.discriminator.params))  # noqa: E731
    moved, expected = way(new.discriminator.params), way(params)
    assert moved == pytest.approx(float(expected), rel=0.01)
    assert int(new.discriminator.opt_state[0].count) == 2
    assert int(new.translator.opt_state[0].count) == 1


def test_critic_sees_changed_faces_and_has_its_slopes_between_them_held_at_one(faces):
    config = config_of(guided=False, r1_r2=0.0, gradient_penalty=10.0, augment=True)
    phase, state = begin(config)
    new, _ = jax.jit(phase.step)(state, faces, KEY)
    D, real, labels = critic_lib.make_discriminator(config.translator, 7), turned(faces), faces["label"]
    wanted, keys = draws(faces, config), jax.random.split(KEY, 5)
    mix, looks = jax.random.uniform(keys[2], (8,)), jax.random.split(keys[3], (8, 3))

    def loss(params):
        fake = augment.all_of(edit(config, state.translator.params, real, wanted), looks[:, 1])
        changed = augment.all_of(real, looks[:, 0])
        logits, emotions = D.apply({"params": params}, changed, labels)
        named = cross_entropy(emotions + np.log(COUNTS / COUNTS.sum())[None], labels)
        critic = lambda faces: D.apply({"params": params}, faces, wanted)[0]  # noqa: E731
        slopes = losses.gradient_penalty(critic, changed, fake, mix)
        return jnp.mean(jax.nn.softplus(critic(fake) - logits)) + jnp.mean(named) + 10 * jnp.mean(slopes)

    assert_close(first_gradients(new.discriminator), jax.jit(jax.grad(loss))(state.discriminator.params))


def test_wanted_emotions_are_uniform_or_those_of_the_data():
    frequency = jnp.asarray(COUNTS / COUNTS.sum())
    for balanced, expected in ((True, np.full(7, 1 / 7)), (False, frequency)):
        wanted = joint.draw_wanted(KEY, 20_000, 7, balanced, frequency)
        np.testing.assert_allclose(np.bincount(wanted, minlength=7) / 20_000, expected, atol=0.01)


def test_there_is_no_residual_in_the_first_share_of_the_steps(faces):
    phase, state = begin(config_of(guided=False, warp_first=0.5, r1_r2=0.0))
    step = jax.jit(phase.step)
    for number, added in ((0, False), (49, False), (50, True)):  # of 100
        new, metrics = step(state.replace(step=jnp.asarray(number)), faces, KEY)
        slopes = first_gradients(new.translator)["generator"]["up1"]["kernel"]
        assert (metrics["residual"] > 0) == added
        assert (jnp.abs(slopes).max() > 0) == added
        assert metrics["change"] > 0


def test_average_follows_and_is_what_edits_are_made_with(faces):
    phase, state = begin(config_of(guided=False, r1_r2=0.0))
    state = state.replace(average=jax.tree.map(jnp.copy, state.translator.params))
    new, _ = jax.jit(phase.step)(state, faces, KEY)
    expected = jax.tree.map(lambda a, n: 0.1 * a + 0.9 * n, state.average, new.translator.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), new.average, expected)
    assert new.best_encoder["params"] is new.average["encoder"]
    assert new.generator["params"] is new.average["generator"]
    without = new.replace(average={})
    assert without.generator["params"] is new.translator.params["generator"]


def test_sample_shows_each_face_before_its_edits(faces):
    phase, state = begin(config_of(guided=False))
    shown, _ = jax.jit(phase.sample)(state, faces, KEY)
    assert shown.shape == (8, 8, 48, 48)
    np.testing.assert_array_equal(shown[:, 0], faces["image"])


def test_a_run_that_draws_negatives_is_told_once(faces, monkeypatch):
    # Of black faces negatives are drawn here, and of white ones copies.
    monkeypatch.setattr(losses, "likeness", lambda edits, faces: jnp.sign(faces[:, 0, 0, 0]))
    phase, state = begin(config_of(guided=False))
    step = jax.jit(phase.step)
    for image, before, after in ((0, 0, 1), (0, 49, 50), (255, 50, 0)):
        batch = {**faces, "image": jnp.full_like(faces["image"], image)}
        moved, metrics = step(state.replace(negative_for=jnp.asarray(before, jnp.int32)), batch, KEY)
        assert int(moved.negative_for) == float(metrics["negative_for"]) == after
        told = phase.diagnose({name: float(value) for name, value in metrics.items()})
        assert (told is not None) == (after == 50)
        if told:
            assert not told.stop
            assert "negatives of their faces (likeness -1.00); try another --config.seed" in told.message


def test_curves_name_only_metrics_that_are_recorded(faces):
    phase, state = begin(config_of())
    recorded = jax.eval_shape(phase.step, state, faces, KEY)[1]
    lines = [line.metric for panel in config_lib.RECIPES["joint"].curves for line in panel.lines]
    assert len(lines) == 6
    assert set(lines) <= set(recorded)
