"""Fixtures: both phases with tiny networks, for the tests of recipes and of what runs them."""

import functools
import socket

import jax
import jax.numpy as jnp
import pytest

from emogan import config as config_lib
from emogan.data import dataset, toyfaces
from emogan.recipes import encoder, gan

# What the conftest files of tests/recipes and tests/train take from here.
__all__ = [
    "batch",
    "config",
    "coordinator",
    "encoder_phase",
    "encoder_state",
    "encoder_step",
    "gan_phase",
    "gan_state",
    "gan_step",
    "generator_variables",
]


@pytest.fixture
def coordinator():
    """() -> host:port, which nobody listens on yet."""

    def free() -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{probe.getsockname()[1]}"

    return free


class Tiny:
    """Both phases with networks of width 2, each part made once, on first use, for all files."""

    @functools.cached_property
    def config(self) -> config_lib.Config:
        """A learning rate so large that one step can be seen in the next loss."""
        return config_lib.Config(
            model=config_lib.ModelConfig(width=2, latent_size=6),
            gan=config_lib.GanConfig(batch_size=8, learning_rate=0.01),
            encoder=config_lib.EncoderConfig(batch_size=8, learning_rate=0.01),
        )

    @functools.cached_property
    def batch(self):
        data = toyfaces.load("train", 0, 8)
        return {"image": jnp.asarray(data.images), "label": jnp.asarray(data.labels)}

    @functools.cached_property
    def gan_phase(self):
        return gan.make(self.config, 7, dataset.FER2013)

    @functools.cached_property
    def gan_step(self):
        return jax.jit(self.gan_phase.step)

    @functools.cached_property
    def gan_state(self):
        """A first state, both networks with weights that do something."""
        state = self.gan_phase.init(jax.random.key(0))
        G, D = (network.replace(params=_spread(network.params)) for network in (state.generator, state.discriminator))
        return state.replace(generator=G, discriminator=D, average=jax.tree.map(jnp.copy, dict(G.variables)))

    @functools.cached_property
    def generator_variables(self):
        """A G whose running statistics are not those it began with."""
        variables = self.gan_state.generator.variables
        return {**variables, "batch_stats": jax.tree.map(lambda leaf: leaf + 0.3, variables["batch_stats"])}

    @functools.cached_property
    def encoder_phase(self):
        return encoder.make(self.config, 7, self.generator_variables, dataset.FER2013)

    @functools.cached_property
    def encoder_step(self):
        return jax.jit(self.encoder_phase.step)

    @functools.cached_property
    def encoder_state(self):
        state = self.encoder_phase.init(jax.random.key(1))
        E = state.encoder.replace(params=_spread(state.encoder.params))
        return state.replace(encoder=E, average=jax.tree.map(jnp.copy, dict(E.variables)))


def _spread(params, factor=8.0):
    """Larger weights: those drawn for the paper's width hardly let a signal through a width of 2."""
    return jax.tree.map(lambda leaf: factor * leaf if leaf.ndim > 1 else leaf, params)


_TINY = Tiny()


def _fixture(name):
    @pytest.fixture(scope="session", name=name)
    def get():
        return getattr(_TINY, name)

    return get


config = _fixture("config")
batch = _fixture("batch")
gan_phase = _fixture("gan_phase")
gan_step = _fixture("gan_step")
gan_state = _fixture("gan_state")
generator_variables = _fixture("generator_variables")
encoder_phase = _fixture("encoder_phase")
encoder_step = _fixture("encoder_step")
encoder_state = _fixture("encoder_state")
