"""Implementation `stock Flax`: the same steps as one writes them from the paper, a jit and a dispatch a step."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from benchmarking import ours, stock_networks
from benchmarking import settings as settings_lib
from flax import struct

from emogan import losses
from emogan.recipes import state as state_lib
from emogan.util import images as images_lib


@struct.dataclass
class GanState:
    """Both networks."""

    generator: state_lib.NetworkState
    discriminator: state_lib.NetworkState


@struct.dataclass
class EncoderState:
    """E, and the finished G."""

    encoder: state_lib.NetworkState
    generator: Any


def gan_step(G: Any, D: Any, optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    """Returns a textbook (state, faces, labels, latents) -> (state, losses)."""
    adversarial = losses.ADVERSARIAL["cross_entropy"]

    def step(state: GanState, faces: jax.Array, labels: jax.Array, latents: jax.Array):
        generator, discriminator = state.generator, state.discriminator

        def discriminator_loss(params):
            fake, _ = state_lib.forward(G, generator.params, generator.batch_stats, latents, labels)
            fake = jax.lax.stop_gradient(fake)
            real_logits, stats = state_lib.forward(D, params, discriminator.batch_stats, faces, labels)
            fake_logits, stats = state_lib.forward(D, params, stats, fake, labels)
            return jnp.mean(adversarial.discriminator(real_logits, fake_logits)), stats

        (d_loss, stats), gradients = jax.value_and_grad(discriminator_loss, has_aux=True)(discriminator.params)
        discriminator = state_lib.update(discriminator, optimizer, gradients, stats)

        def generator_loss(params):
            fake, stats = state_lib.forward(G, params, generator.batch_stats, latents, labels)
            logits, _ = state_lib.forward(D, discriminator.params, discriminator.batch_stats, fake, labels)
            return jnp.mean(adversarial.generator(0.0, logits)), stats

        (g_loss, stats), gradients = jax.value_and_grad(generator_loss, has_aux=True)(generator.params)
        generator = state_lib.update(generator, optimizer, gradients, stats)
        return GanState(generator, discriminator), {"discriminator_loss": d_loss, "generator_loss": g_loss}

    return step


def encoder_step(E: Any, G: Any, optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    """Returns a textbook (state, faces, labels, latents) -> (state, losses); E has no use for the latents."""

    def step(state: EncoderState, faces: jax.Array, labels: jax.Array, latents: jax.Array):
        del latents

        def loss(params):
            codes, stats = state_lib.forward(E, params, state.encoder.batch_stats, faces, labels)
            again = G.apply(state.generator, codes, labels, train=False)
            return jnp.mean(losses.reconstruction(faces, again)), stats

        (value, stats), gradients = jax.value_and_grad(loss, has_aux=True)(state.encoder.params)
        return EncoderState(state_lib.update(state.encoder, optimizer, gradients, stats), state.generator), {
            "loss": value
        }

    return step


class Steps:
    """Stock steps; the batches come from the host, as a loader hands them over."""

    def __init__(self, settings: settings_lib.Settings):
        ours.set_precision(settings)
        self._settings = settings
        config = settings.config()
        self._latent_size = config.model.latent_size
        self._optimizer = optax.adam(config.gan.learning_rate, b1=config.gan.b1)
        self._G = stock_networks.Generator(settings.width)
        if settings.phase == "encoder":
            self._other = stock_networks.Encoder(settings.width, self._latent_size)
            self._step = encoder_step(self._other, self._G, self._optimizer)
        else:
            self._other = stock_networks.Discriminator(settings.width)
            self._step = gan_step(self._G, self._other, self._optimizer)

    def build(self) -> None:
        """Draws weights and faces; nothing of a step is compiled."""
        self._data = self._settings.dataset()
        self._state = self._initial()
        size = self._latent_size

        def step(state, images, labels, key, count):
            shape = (len(labels), size)
            latents = jax.random.uniform(jax.random.fold_in(key, count), shape, minval=-1.0, maxval=1.0)
            return self._step(state, images_lib.to_float(images), labels, latents)

        self._compiled = jax.jit(step, donate_argnums=0)
        self._key = jax.random.key(ours.SEED)
        self._batches = self._endless_batches()
        jax.block_until_ready(self._state)

    def run(self, steps: int) -> float:
        """Returns the seconds of `steps` steps."""
        began = time.perf_counter()
        for count, batch in itertools.islice(self._batches, steps):
            self._state, _ = self._compiled(self._state, *batch, self._key, count)
        jax.block_until_ready(self._state)
        return time.perf_counter() - began

    def device_memory(self) -> dict[str, float]:
        """See `ours.device_memory`."""
        return ours.device_memory()

    def follow(self, task: dict[str, Any]) -> dict[str, Any]:
        """Returns what stock Flax makes of `ours.Steps.reference`'s task."""
        state = self._state_of(task["weights"])
        step = jax.jit(self._step)
        states, metrics = [state], []
        for images, labels, latents in task["batches"]:
            state, found = step(state, images_lib.to_float(jnp.asarray(images)), jnp.asarray(labels), latents)
            states.append(state)
            metrics.append(found)
        return ours.results(self._settings, states, metrics)

    def _initial(self) -> Any:
        labels, face, latent = jnp.zeros(1, jnp.int32), jnp.zeros((1, 48, 48, 1)), jnp.zeros((1, self._latent_size))
        keys = jax.random.split(jax.random.key(ours.SEED))
        weights = {
            "generator": jax.jit(lambda key: self._G.init(key, latent, labels, train=False))(keys[0]),
            "other": jax.jit(lambda key: self._other.init(key, face, labels, train=False))(keys[1]),
        }
        name = "encoder" if self._settings.phase == "encoder" else "discriminator"
        return self._state_of({"generator": weights["generator"], name: weights["other"]})

    def _state_of(self, weights: dict[str, Any]) -> Any:
        def network(name: str) -> state_lib.NetworkState:
            params = jax.tree.map(jnp.asarray, weights[name]["params"])
            stats = jax.tree.map(jnp.asarray, weights[name]["batch_stats"])
            return state_lib.NetworkState(params, stats, self._optimizer.init(params))

        if self._settings.phase == "encoder":
            return EncoderState(network("encoder"), jax.tree.map(jnp.asarray, weights["generator"]))
        return GanState(network("generator"), network("discriminator"))

    def _endless_batches(self):
        rng, size, count = np.random.default_rng(ours.SEED), self._settings.batch_size, itertools.count()
        while True:
            order = rng.permutation(len(self._data))
            for start in range(0, len(order) - size + 1, size):
                chosen = order[start : start + size]
                yield next(count), (self._data.images[chosen], self._data.labels[chosen])
