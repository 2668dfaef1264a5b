"""Phase `gan` by BEGAN: D is an auto-encoder that gives back real faces well and generated ones badly.

Berthelot et al. 2017 (arXiv:1703.10717), with the labels joined to both networks as in the paper.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from emogan.data import dataset
from emogan.models import dcgan, precision
from emogan.recipes import gan
from emogan.recipes import state as state_lib
from emogan.util import images, types

if TYPE_CHECKING:
    from emogan import config as config_lib

_BALANCE_RATE = 0.001  # lambda_k of section 3.4


@struct.dataclass
class BeganState:
    """Both networks, G's moving average (empty if switched off), and k, which holds the two losses in balance."""

    step: jax.Array
    generator: state_lib.NetworkState
    discriminator: state_lib.NetworkState
    average: state_lib.Variables
    balance: jax.Array

    @property
    def best_generator(self) -> state_lib.Variables:
        """The averaged G where there is one, else G."""
        return self.average if self.average else self.generator.variables


class AutoEncoder(nn.Module):
    """D: an encoder as E, and a decoder as G, conditioned on the label (section 3.5)."""

    model: dcgan.ModelConfig
    num_classes: int
    image: dataset.ImageSpec
    axis_name: str | None = None

    @nn.compact
    def __call__(self, faces: types.Images, labels: types.Labels, train: bool) -> types.Images:
        """Returns the faces given back, [B, S, S, C]."""
        model, norm = self.model, self.model.batch_norm and self.model.critic_norm
        rest, dtype = (norm, model.resampling), precision.dtype(model.precision)
        latents = dcgan.Encoder(
            model.width, model.latent_size, 0, *rest, "linear", self.axis_name, dtype, name="encoder"
        )(faces, labels, train)
        decoder = dcgan.Generator(
            self.image, model.width, self.num_classes, *rest, self.axis_name, dtype, name="decoder"
        )
        return decoder(latents, labels, train)


def make(config: "config_lib.Config", num_classes: int, spec: dataset.ImageSpec) -> state_lib.Phase:
    """Returns phase `gan` of a configuration whose `gan.loss` is began."""
    model, settings = config.model, config.gan
    optimizer = gan.make_optimizer(settings)

    def init(key: jax.Array) -> BeganState:
        first = gan.make(config, num_classes, spec).init(key)
        critic = AutoEncoder(model, num_classes, spec)
        key = jax.random.fold_in(key, 1)
        face, label = jnp.zeros((1, *spec.shape)), jnp.zeros((1,), jnp.int32)
        critic = state_lib.initialise(critic, optimizer, key, face, label)
        return BeganState(first.step, first.generator, critic, first.average, jnp.zeros(()))

    def step(
        state: BeganState, batch: state_lib.Batch, key: jax.Array, *, axis_name: str | None = None
    ) -> tuple[BeganState, types.Metrics]:
        real, labels = images.to_float(batch["image"]), batch["label"]
        norm_axis = state_lib.norm_axis(config.parallel, axis_name)
        G = dcgan.make_generator(model, num_classes, spec, norm_axis)
        D = AutoEncoder(model, num_classes, spec, norm_axis)
        latents = state_lib.own_share(
            lambda count: dcgan.sample_latents(key, count, model.latent_size, model.latent_distribution),
            len(labels),
            axis_name,
        )

        def error(params, batch_stats, faces):
            """The loss L of eq. (1) with eta = 1, its mean over pixels and faces, and the running statistics."""
            back, batch_stats = state_lib.forward(D, params, batch_stats, faces, labels)
            return jnp.mean(jnp.abs(faces - back)), batch_stats

        draw = lambda params: state_lib.forward(G, params, state.generator.batch_stats, latents, labels)  # noqa: E731
        fake, pullback, generator_stats = jax.vjp(draw, state.generator.params, has_aux=True)

        def discriminator_loss(params):
            real_error, stats = error(params, state.discriminator.batch_stats, real)
            fake_error, stats = error(params, stats, fake)
            return real_error - state.balance * fake_error, (stats, real_error)

        (d_loss, (stats, real_error)), gradients = jax.value_and_grad(discriminator_loss, has_aux=True)(
            state.discriminator.params
        )
        discriminator = state_lib.update(
            state.discriminator,
            optimizer,
            state_lib.mean_over(gradients, axis_name),
            state_lib.mean_over(stats, axis_name),
        )
        (fake_error, _), gradients = jax.value_and_grad(error, argnums=2, has_aux=True)(
            discriminator.params, discriminator.batch_stats, fake
        )
        generator = state_lib.update(
            state.generator,
            optimizer,
            state_lib.mean_over(pullback(gradients)[0], axis_name),
            state_lib.mean_over(generator_stats, axis_name),
        )
        d_loss, real_error, fake_error = state_lib.mean_over((d_loss, real_error, fake_error), axis_name)
        apart = settings.diversity * real_error - fake_error
        balance = jnp.clip(state.balance + _BALANCE_RATE * apart, 0.0, 1.0)
        average = state.average
        if settings.ema_decay:
            average = state_lib.moving_average(
                average, dict(generator.variables), settings.ema_decay, state.step.astype(jnp.float32)
            )
        metrics = {
            "discriminator_loss": d_loss,
            "generator_loss": fake_error,
            "convergence": real_error + jnp.abs(apart),  # M_global of section 3.4.1
            "balance": balance,
        }
        return BeganState(state.step + 1, generator, discriminator, average, balance), metrics

    def diagnose(metrics: Mapping[str, float]) -> None:
        del metrics

    return state_lib.Phase("gan", init, step, gan.make(config, num_classes, spec).sample, (), diagnose)
