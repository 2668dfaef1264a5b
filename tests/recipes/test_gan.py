"""Phase `gan` against a plain re-implementation with jax.grad, and what it says of a collapse."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan import config as config_lib
from emogan.data import dataset
from emogan.models import dcgan
from emogan.recipes import gan
from emogan.recipes import state as state_lib
from emogan.util import images

KEY = jax.random.key(5)


def assert_close(found, expected, rtol=2e-3):
    """Near within rounding, measured by the largest number of the tree: gradients of biases under batch norm are 0."""
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale / 10), found, expected)


def train_mode(module, params, stats, *inputs):
    answer, updates = module.apply(
        {"params": params, "batch_stats": stats}, *inputs, train=True, mutable=["batch_stats"]
    )
    return answer, updates["batch_stats"]


@pytest.fixture(scope="module")
def reference(config, batch):
    """Losses of D and of G as functions of their parameters, each with gradients, statistics and logits."""
    G, D = dcgan.make_generator(config.model, 7, dataset.FER2013), dcgan.make_discriminator(config.model, 7)
    real, labels = images.to_float(batch["image"]), batch["label"]
    latents = dcgan.sample_latents(KEY, len(labels), config.model.latent_size, "uniform")

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def discriminator_loss(params, stats, generator_params, generator_stats):
        fake, _ = train_mode(G, generator_params, generator_stats, latents, labels)
        real_logits, stats = train_mode(D, params, stats, real, labels)
        fake_logits, stats = train_mode(D, params, stats, fake, labels)
        loss = jnp.mean(jax.nn.softplus(-real_logits)) + jnp.mean(jax.nn.softplus(fake_logits))
        return loss, (stats, real_logits, fake_logits)

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def generator_loss(params, stats, discriminator_params, discriminator_stats):
        fake, stats = train_mode(G, params, stats, latents, labels)
        logits, _ = train_mode(D, discriminator_params, discriminator_stats, fake, labels)
        return jnp.mean(jax.nn.softplus(-logits)), stats

    return discriminator_loss, generator_loss


def first_adam_step(params, gradients, learning_rate=0.01):
    """Adam's first step divides each gradient by its own size."""
    return jax.tree.map(lambda p, g: p - learning_rate * g / (jnp.abs(g) + 1e-8), params, gradients)


def first_gradients(network, b1=0.5):
    """The gradients that Adam's first moment holds after one step."""
    return jax.tree.map(lambda mu: mu / (1 - b1), network.opt_state[0].mu)


def test_discriminator_moves_first_and_on_both_kinds_of_faces(reference, gan_state, gan_step, batch):
    D, G = gan_state.discriminator, gan_state.generator
    (loss, (stats, real, fake)), gradients = reference[0](D.params, D.batch_stats, G.params, G.batch_stats)
    new, metrics = gan_step(gan_state, batch, KEY)
    assert_close(first_gradients(new.discriminator), gradients)
    assert_close(new.discriminator.params, first_adam_step(D.params, first_gradients(new.discriminator)))
    assert_close(new.discriminator.batch_stats, stats)
    found = [metrics[name] for name in ("discriminator_loss", "real_logit", "fake_logit", "logit_spread")]
    np.testing.assert_allclose(found, [loss, real.mean(), fake.mean(), jnp.concatenate([real, fake]).std()], rtol=1e-3)


def test_discriminator_step_leaves_generator_untouched_which_then_moves_against_the_new_one(
    reference, gan_state, gan_step, batch
):
    G = gan_state.generator
    new, metrics = gan_step(gan_state, batch, KEY)
    D = new.discriminator
    (loss, stats), gradients = reference[1](G.params, G.batch_stats, D.params, D.batch_stats)
    assert_close(first_gradients(new.generator), gradients)
    assert_close(new.generator.params, first_adam_step(G.params, first_gradients(new.generator)))
    assert_close(new.generator.batch_stats, stats)
    np.testing.assert_allclose(metrics["generator_loss"], loss, rtol=1e-3)
    # The same against the D of before is another loss, so the above tells the two apart.
    (stale, _), _ = reference[1](G.params, G.batch_stats, gan_state.discriminator.params, D.batch_stats)
    assert abs(float(stale) - float(loss)) > 0.01


def test_two_generator_steps_are_two_updates_on_the_same_latents(config, reference, gan_state, gan_step, batch):
    settings = config_lib.GanConfig(**{**vars(config.gan), "generator_steps": 2})
    step = jax.jit(gan.make(config_lib.Config(model=config.model, gan=settings), 7, dataset.FER2013).step)
    once, (twice, metrics) = gan_step(gan_state, batch, KEY)[0], step(gan_state, batch, KEY)
    assert_close(first_gradients(twice.discriminator), first_gradients(once.discriminator))
    D, G = once.discriminator, once.generator
    (loss, stats), gradients = reference[1](G.params, G.batch_stats, D.params, D.batch_stats)
    moments = jax.tree.map(lambda mu, g: 0.5 * mu + 0.5 * g, G.opt_state[0].mu, gradients)
    assert_close(twice.generator.opt_state[0].mu, moments, rtol=1e-2)
    assert_close(twice.generator.batch_stats, stats, rtol=1e-2)
    np.testing.assert_allclose(metrics["generator_loss"], loss, rtol=1e-2)
    assert int(twice.generator.opt_state[0].count) == 2
    assert int(twice.step) == 1


def test_average_begins_as_the_generator_and_follows_it(gan_phase, gan_state, gan_step, batch):
    fresh = gan_phase.init(jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, fresh.average, dict(fresh.generator.variables))
    one, _ = gan_step(gan_state, batch, KEY)
    two, _ = gan_step(one, batch, KEY)
    for before, after, decay in ((gan_state, one, 1 / 10), (one, two, 2 / 11)):
        expected = jax.tree.map(
            lambda a, n, decay=decay: decay * a + (1 - decay) * n, before.average, dict(after.generator.variables)
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), after.average, expected)
    assert one.best_generator is one.average


def test_average_ends_at_its_decay():
    found = state_lib.moving_average({"w": jnp.array(1.0)}, {"w": jnp.array(0.0)}, 0.99, jnp.array(1e6))
    assert float(found["w"]) == pytest.approx(0.99)


def test_without_average_the_generator_itself_is_the_best(config):
    settings = config_lib.GanConfig(**{**vars(config.gan), "ema_decay": 0.0})
    state = gan.make(config_lib.Config(model=config.model, gan=settings), 7, dataset.FER2013).init(jax.random.key(0))
    assert state.average == {}
    assert state.best_generator["params"] is state.generator.params


def test_generator_statistics_are_a_tenth_of_the_batch(config, gan_state, gan_step, batch):
    new, _ = gan_step(gan_state, batch, KEY)
    latents = dcgan.sample_latents(KEY, 8, config.model.latent_size, "uniform")
    dense = gan_state.generator.params["project"]
    inputs = jnp.concatenate([latents, jax.nn.one_hot(batch["label"], 7)], axis=1)
    features = inputs @ dense["kernel"] + dense["bias"][None]
    stats = new.generator.batch_stats["project_norm"]
    np.testing.assert_allclose(stats["mean"], 0.1 * features.mean(axis=0), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * features.var(axis=0), rtol=1e-4)


def test_step_depends_on_its_key_alone_for_its_randomness(gan_state, gan_step, batch):
    one, again, other = (gan_step(gan_state, batch, key)[1]["generator_loss"] for key in (KEY, KEY, jax.random.key(6)))
    assert float(one) == float(again) != float(other)


def test_sample_is_64_faces_of_the_average_under_the_first_labels(config, gan_phase, gan_state, batch):
    sample = jax.jit(gan_phase.sample)
    faces, metrics = sample(gan_state, batch, KEY)
    assert (faces.shape, faces.dtype, dict(metrics)) == ((8, 8, 48, 48), jnp.uint8, {})
    G = dcgan.make_generator(config.model, 7, dataset.FER2013)
    latents = dcgan.sample_latents(KEY, 64, config.model.latent_size, "uniform")
    expected = G.apply(gan_state.average, latents, jnp.tile(batch["label"], 8), train=False)
    np.testing.assert_allclose(faces.reshape(64, 48, 48).astype(int), images.to_bytes(expected).astype(int), atol=1)
    gray = gan_state.replace(average=jax.tree.map(jnp.zeros_like, gan_state.average))
    np.testing.assert_array_equal(sample(gray, batch, KEY)[0], 128)


def test_steps_on_end_in_which_nothing_is_told_apart_are_counted(gan_state, gan_step, batch):
    flat = jax.tree.map(jnp.zeros_like, gan_state.discriminator.params["logit"])
    params = {**gan_state.discriminator.params, "logit": flat}
    blind = gan_state.replace(discriminator=gan_state.discriminator.replace(params=params))
    for before, state, expected in ((0, blind, 1), (41, blind, 42), (41, gan_state, 0)):
        new, metrics = gan_step(state.replace(collapsed_for=jnp.array(before)), batch, KEY)
        assert int(new.collapsed_for) == int(metrics["collapsed_for"]) == expected
    # A D that answers all alike, but is sure of it, has not collapsed: its loss is far from 2 ln 2.
    sure = {**params, "logit": {**flat, "bias": flat["bias"] + 2.0}}
    state = gan_state.replace(discriminator=gan_state.discriminator.replace(params=sure), collapsed_for=jnp.array(41))
    metrics = gan_step(state, batch, KEY)[1]
    assert float(metrics["logit_spread"]) < 1e-3
    assert float(metrics["discriminator_loss"]) == pytest.approx(2 * math.log(1 + math.e**2) - 2, rel=1e-4)
    assert int(metrics["collapsed_for"]) == 0


def diagnoses(collapse_steps, on_collapse="stop"):
    settings = config_lib.GanConfig(collapse_steps=collapse_steps, on_collapse=on_collapse)
    phase = gan.make(config_lib.Config(gan=settings), 7, dataset.FER2013)
    found = {n: phase.diagnose({"collapsed_for": float(n), "logit_spread": 0.01}) for n in range(25)}
    return {n: diagnosis.stop for n, diagnosis in found.items() if diagnosis}, found


def test_collapse_is_warned_of_at_half_and_stops_from_the_limit_on():
    stops, found = diagnoses(20)
    assert stops == {10: False} | dict.fromkeys(range(20, 25), True)
    assert "on_collapse=warn" in found[20].message
    assert "for 20 steps" in found[20].message


def test_collapse_only_warns_where_told_to():
    assert diagnoses(20, "warn")[0] == {10: False, 20: False}


def test_a_step_that_is_no_collapse_is_never_warned_of():
    assert 0 not in diagnoses(1)[0]
    assert diagnoses(1, "warn")[0] == {1: False}


def test_collapse_is_never_looked_for_with_a_limit_of_zero():
    assert diagnoses(0)[0] == {}
