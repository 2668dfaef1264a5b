"""Wasserstein GANs and BEGAN against their losses written out plainly, and a collapse under the hinge loss."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan import config as config_lib
from emogan.data import dataset
from emogan.models import dcgan
from emogan.recipes import began, gan
from emogan.recipes import state as state_lib
from emogan.util import images

KEY = jax.random.key(5)
MODEL = config_lib.ModelConfig(width=2, latent_size=6, batch_norm=False)


def config_of(**options):
    return config_lib.Config(model=MODEL, gan=config_lib.GanConfig(**{"batch_size": 8, "ema_decay": 0.0} | options))


def begin(config):
    phase = gan.make_by_loss(config, 7, dataset.FER2013)
    grow = lambda tree: jax.tree.map(lambda leaf: 8 * leaf if leaf.ndim > 1 else leaf, tree)  # noqa: E731
    state = phase.init(jax.random.key(0))
    networks = {name: getattr(state, name) for name in ("generator", "discriminator")}
    return phase, state.replace(**{k: v.replace(params=grow(v.params)) for k, v in networks.items()})


def fakes(state, labels):
    latents = dcgan.sample_latents(KEY, len(labels), 6, "uniform")
    G = dcgan.make_generator(MODEL, 7, dataset.FER2013)
    return lambda params: G.apply({"params": params}, latents, labels, train=True)


def first_gradients(network, b1=0.5):
    return jax.tree.map(lambda mu: mu / (1 - b1), network.opt_state[0].mu)


def assert_close(found, expected, rtol=2e-3):
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    assert scale > 1e-6
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale), found, expected)


def critic_of(params, labels):
    D = dcgan.make_discriminator(MODEL, 7)
    return lambda faces: D.apply({"params": params}, faces, labels, train=True)


@pytest.mark.parametrize("penalty", ["none", "gradient"])
def test_wasserstein_critic_and_generator(batch, penalty):
    weight = 10.0 if penalty == "gradient" else 0.0
    phase, state = begin(config_of(loss="wasserstein", penalty=penalty, penalty_weight=weight))
    new, metrics = jax.jit(phase.step)(state, batch, KEY)
    real, labels = images.to_float(batch["image"]), batch["label"]
    draw = fakes(state, labels)
    fake = draw(state.generator.params)
    mix = jax.random.uniform(jax.random.fold_in(KEY, 1), (8,))[:, None, None, None]

    def critic_loss(params):
        critic = critic_of(params, labels)
        loss = jnp.mean(critic(fake)) - jnp.mean(critic(real))
        between = mix * real + (1 - mix) * fake
        slopes = jax.grad(lambda faces: jnp.sum(critic(faces)))(between)
        lengths = jnp.sqrt(jnp.sum(slopes**2, (1, 2, 3)))
        return loss + weight * jnp.mean((lengths - 1) ** 2)

    value, gradients = jax.jit(jax.value_and_grad(critic_loss))(state.discriminator.params)
    np.testing.assert_allclose(metrics["discriminator_loss"], value, rtol=1e-3)
    assert_close(first_gradients(new.discriminator), gradients)
    generator_loss = lambda params: -jnp.mean(critic_of(new.discriminator.params, labels)(draw(params)))  # noqa: E731
    assert_close(first_gradients(new.generator), jax.jit(jax.grad(generator_loss))(state.generator.params))
    assert metrics["collapsed_for"] == 0


def test_weights_are_clipped_after_every_update_of_the_critic(batch):
    config = config_of(
        loss="wasserstein", penalty="clip", penalty_weight=0.01, critic_steps=2, optimizer="rmsprop", learning_rate=0.1
    )
    phase, state = begin(config)
    new, _ = jax.jit(phase.step)(state, batch, KEY)
    largest = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(new.discriminator.params)]
    assert max(largest) == pytest.approx(0.01)
    fields = {path[1].name for path, _ in jax.tree_util.tree_leaves_with_path(new.discriminator.opt_state)}
    assert "nu" in fields
    assert "mu" not in fields  # RMSProp has no momentum
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(new.generator.params)) > 0.02


def test_critic_steps_are_updates_on_a_part_each(batch):
    """As two calls for the halves of the batch, of which the second sees the first one's critic."""
    phase, state = begin(config_of(loss="wasserstein", critic_steps=2))
    new, _ = jax.jit(phase.step)(state, batch, KEY)
    real, labels = images.to_float(batch["image"]), batch["label"]
    fake = fakes(state, labels)(state.generator.params)
    network = state.discriminator
    for part in (slice(0, None, 2), slice(1, None, 2)):

        def loss(params, part=part):
            critic = critic_of(params, labels[part])
            return jnp.mean(critic(fake[part])) - jnp.mean(critic(real[part]))

        gradients = jax.jit(jax.grad(loss))(network.params)
        network = state_lib.update(network, gan.make_optimizer(config_of().gan), gradients, {})
    assert_close(new.discriminator.opt_state[0].mu, network.opt_state[0].mu, rtol=1e-2)
    assert int(new.discriminator.opt_state[0].count) == 2
    assert int(new.generator.opt_state[0].count) == 1


def test_critic_without_norm_has_none_and_generator_has():
    model = dataclasses.replace(MODEL, batch_norm=True, critic_norm=False)
    state = gan.make(config_lib.Config(model=model), 7, dataset.FER2013).init(KEY)
    assert state.generator.batch_stats
    assert not state.discriminator.batch_stats


def test_began_gives_real_faces_back_and_generated_ones_by_their_balance(batch):
    config = config_of(loss="began", diversity=0.4)
    phase, state = begin(config)
    state = state.replace(balance=jnp.asarray(0.3))
    new, metrics = jax.jit(phase.step)(state, batch, KEY)
    real, labels = images.to_float(batch["image"]), batch["label"]
    D, draw = began.AutoEncoder(MODEL, 7, dataset.FER2013), fakes(state, labels)
    fake = draw(state.generator.params)

    def error(params, faces):
        return jnp.mean(jnp.abs(faces - D.apply({"params": params}, faces, labels, train=True)))

    critic_loss = lambda params: error(params, real) - 0.3 * error(params, fake)  # noqa: E731
    value, gradients = jax.jit(jax.value_and_grad(critic_loss))(state.discriminator.params)
    np.testing.assert_allclose(metrics["discriminator_loss"], value, rtol=1e-3)
    assert_close(first_gradients(new.discriminator), gradients)
    generator_loss = lambda params: error(new.discriminator.params, draw(params))  # noqa: E731
    value, gradients = jax.jit(jax.value_and_grad(generator_loss))(state.generator.params)
    assert_close(first_gradients(new.generator), gradients)
    real_error = error(state.discriminator.params, real)
    np.testing.assert_allclose(metrics["balance"], 0.3 + 0.001 * (0.4 * real_error - value), rtol=1e-4)
    np.testing.assert_allclose(metrics["convergence"], real_error + abs(0.4 * real_error - value), rtol=5e-3)


@pytest.mark.parametrize(("balance", "error"), [(0.0, -1.0), (1.0, 1.0)])
def test_balance_stays_between_0_and_1(batch, balance, error):
    phase, state = begin(config_of(loss="began", diversity=0.0 if error < 0 else 1.0))
    new, _ = jax.jit(phase.step)(state.replace(balance=jnp.asarray(balance)), batch, KEY)
    assert float(new.balance) == balance


def test_a_collapse_is_counted_under_the_hinge_loss_too(batch):
    phase, state = begin(config_of(loss="hinge"))
    logit = jax.tree.map(jnp.zeros_like, state.discriminator.params["logit"])
    blind = state.discriminator.replace(params={**state.discriminator.params, "logit": logit})
    step = jax.jit(phase.step)
    assert step(state, batch, KEY)[1]["collapsed_for"] == 0
    assert step(state.replace(discriminator=blind), batch, KEY)[1]["collapsed_for"] == 1
    settings = config_lib.GanConfig(collapse_steps=2, loss="hinge")
    found = gan.make(config_lib.Config(gan=settings), 7, dataset.FER2013).diagnose(
        {"collapsed_for": 2.0, "logit_spread": 0.01}
    )
    assert found.stop
    assert "its loss stays at 2.00" in found.message
