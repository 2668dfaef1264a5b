"""Phase `gan`: the conditional DCGAN, G against D (section 2.2.1 of the paper)."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import optax
from flax import struct

from emogan import losses
from emogan.data import dataset
from emogan.models import dcgan
from emogan.recipes import state as state_lib
from emogan.util import images, ranges, types

if TYPE_CHECKING:
    from emogan import config as config_lib


@dataclasses.dataclass
class GanConfig:
    """Phase `gan`: G against D. Section 2.2.1 of the paper."""

    recipe: ClassVar[state_lib.Recipe]
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("epochs", "on_collapse")
    epochs: float = 50.0
    batch_size: int = 64
    learning_rate: float = 2e-4
    b1: float = 0.5
    b2: float = 0.999
    optimizer: str = "adam"  # or rmsprop, which has no b1 and b2
    loss: str = "cross_entropy"  # or another of `losses.ADVERSARIAL`, or began
    diversity: float = 0.5  # gamma of BEGAN: the error of generated faces in that of real ones
    penalty: str = "none"  # clip: D's weights; gradient: WGAN-GP's
    penalty_weight: float = 0.0  # of the gradient penalty, or where weights are clipped
    critic_steps: int = 1  # updates of D, each on its own part of the batch, before G's
    generator_steps: int = 1  # updates of G, all on the last of those parts
    ema_decay: float = 0.999  # of the averaged G that samples and edits are drawn with; 0 switches it off
    collapse_steps: int = 500  # steps without separation by D after which the run counts as collapsed; 0 never checks
    on_collapse: str = "stop"  # stop, or warn

    def check(self) -> None:
        state_lib.check_optimisation("gan", self)
        ranges.between("gan.b2", self.b2, 0.0, 0.999999)
        ranges.one_of("gan.optimizer", self.optimizer, ("adam", "rmsprop"))
        ranges.one_of("gan.loss", self.loss, (*losses.ADVERSARIAL, "began"))
        ranges.between("gan.diversity", self.diversity, 0.0, 1.0)
        ranges.one_of("gan.penalty", self.penalty, ("none", "clip", "gradient"))
        ranges.between("gan.penalty_weight", self.penalty_weight, 0.0, 1000.0)
        if (self.penalty != "none") != (self.penalty_weight > 0):
            raise ValueError(
                "gan.penalty_weight: expected above 0 with a penalty and 0 without, found "
                f"{self.penalty_weight} with {self.penalty}"
            )
        state_lib.check_parts("gan", self)
        ranges.between("gan.generator_steps", self.generator_steps, 1, 100)
        if self.loss == "began":
            for name, value in (("critic_steps", 1), ("generator_steps", 1), ("penalty", "none")):
                if getattr(self, name) != value:
                    raise ValueError(
                        f"gan.{name}: expected {value} with gan.loss=began, found {getattr(self, name)}; leave it out"
                    )
        ranges.between("gan.ema_decay", self.ema_decay, 0.0, 0.999999)
        ranges.between("gan.collapse_steps", self.collapse_steps, 0, 10**6)
        ranges.one_of("gan.on_collapse", self.on_collapse, ("stop", "warn"))


SAMPLES = 64
# D's loss if it tells nothing apart and gives every face the same logit: one near 0 under cross-entropy, one between -1
# and 1 under hinge. Under the other losses a collapse is not looked for.
COLLAPSED_LOSSES = {"cross_entropy": 2 * math.log(2), "hinge": 2.0}


@struct.dataclass
class GanState:
    """Both networks; `average` is G's moving average (empty if switched off)."""

    step: jax.Array
    generator: state_lib.NetworkState
    discriminator: state_lib.NetworkState
    average: state_lib.Variables
    collapsed_for: jax.Array  # successive steps in which D did not separate real from generated faces

    @property
    def best_generator(self) -> state_lib.Variables:
        """The averaged G where there is one, else G."""
        return self.average if self.average else self.generator.variables


def make_optimizer(settings: GanConfig) -> optax.GradientTransformation:
    """Returns the optimiser of a configuration."""
    if settings.optimizer == "rmsprop":
        return optax.rmsprop(settings.learning_rate, decay=0.99)
    return optax.adam(settings.learning_rate, b1=settings.b1, b2=settings.b2)


def make(config: "config_lib.Config", num_classes: int, spec: dataset.ImageSpec) -> state_lib.Phase:
    """Returns phase `gan` of a configuration, for labels in 0..num_classes - 1 and faces of a spec."""
    model, settings, parts = config.model, config.gan, config.parallel.microbatches
    optimizer, adversarial = make_optimizer(settings), losses.ADVERSARIAL.get(settings.loss)

    def init(key: jax.Array) -> GanState:
        generator_key, discriminator_key = jax.random.split(key)
        labels = jnp.zeros((1,), jnp.int32)
        generator = state_lib.initialise(
            dcgan.make_generator(model, num_classes, spec),
            optimizer,
            generator_key,
            jnp.zeros((1, model.latent_size)),
            labels,
        )
        discriminator = state_lib.initialise(
            dcgan.make_discriminator(model, num_classes),
            optimizer,
            discriminator_key,
            jnp.zeros((1, *spec.shape)),
            labels,
        )
        # The average is a copy, because donating a state with one buffer in two places is an error.
        average = jax.tree.map(jnp.copy, dict(generator.variables)) if settings.ema_decay else {}
        return GanState(jnp.zeros((), jnp.int32), generator, discriminator, average, jnp.zeros((), jnp.int32))

    def step(
        state: GanState, batch: state_lib.Batch, key: jax.Array, *, axis_name: str | None = None
    ) -> tuple[GanState, types.Metrics]:
        real, labels = images.to_float(batch["image"]), batch["label"]
        norm_axis = state_lib.norm_axis(config.parallel, axis_name)
        G = dcgan.make_generator(model, num_classes, spec, norm_axis)
        D = dcgan.make_discriminator(model, num_classes, norm_axis)
        # One batch of z, with the labels of the real batch, serves both updates, D's first.
        latents = state_lib.own_share(
            lambda count: dcgan.sample_latents(key, count, model.latent_size, model.latent_distribution),
            len(labels),
            axis_name,
        )
        mix = state_lib.own_share(
            lambda count: jax.random.uniform(jax.random.fold_in(key, 1), (count,)), len(labels), axis_name
        )

        def generate(generator: state_lib.NetworkState, labels, latents):
            def draw(params):
                return state_lib.forward(G, params, generator.batch_stats, latents, labels)

            return jax.vjp(draw, generator.params, has_aux=True)

        def discriminator_gradients(discriminator, drawn, real, labels, latents, mix):
            fake = (drawn or generate(state.generator, labels, latents))[0]
            # In one pass, but normalised each by their own statistics, as DCGAN does.
            faces, both = jnp.concatenate([real, fake]), jnp.concatenate([labels, labels])

            def loss(params):
                forward = functools.partial(state_lib.forward, D, params, discriminator.batch_stats)
                logits, stats = forward(faces, both, batches=2)
                real_logits, fake_logits = jnp.split(logits, 2)
                total = jnp.mean(adversarial.discriminator(real_logits, fake_logits))
                if settings.penalty == "gradient":
                    critic = lambda faces: forward(faces, labels)[0]  # noqa: E731
                    total += settings.penalty_weight * jnp.mean(losses.gradient_penalty(critic, real, fake, mix))
                means = jnp.mean(real_logits), jnp.mean(fake_logits), jnp.mean(logits**2)
                return total, (stats, means)

            (value, (stats, means)), gradients = jax.value_and_grad(loss, has_aux=True)(discriminator.params)
            return gradients, stats, value, means

        def generator_gradients(generator, drawn, real, labels, latents):
            fake, pullback, stats = drawn or generate(generator, labels, latents)

            def loss(faces):
                def critic(faces):
                    return state_lib.forward(D, discriminator.params, discriminator.batch_stats, faces, labels)[0]

                real_logits = critic(real) if adversarial.relativistic else 0.0
                return jnp.mean(adversarial.generator(real_logits, critic(faces)))

            value, face_gradients = jax.value_and_grad(loss)(fake)
            return pullback(face_gradients)[0], stats, value

        discriminator = state.discriminator
        for i in range(settings.critic_steps):
            # Each of D's updates sees its own part of the batch; G's sees the last.
            part = [x.reshape(-1, settings.critic_steps, *x.shape[1:])[:, i] for x in (real, labels, latents, mix)]
            # D's update does not move G, so the faces it sees, and the way back through them, serve G's first too.
            drawn = generate(state.generator, *part[1:3]) if parts == 1 else None
            gradients, stats, d_loss, (real_logit, fake_logit, square) = state_lib.mean_of_parts(
                functools.partial(discriminator_gradients, discriminator, drawn), parts, *part
            )
            discriminator = state_lib.update(
                discriminator,
                optimizer,
                state_lib.mean_over(gradients, axis_name),
                state_lib.mean_over(stats, axis_name),
            )
            if settings.penalty == "clip":
                clipped = jax.tree.map(
                    lambda leaf: jnp.clip(leaf, -settings.penalty_weight, settings.penalty_weight), discriminator.params
                )
                discriminator = discriminator.replace(params=clipped)
        generator = state.generator
        for i in range(settings.generator_steps):
            gradients_of = functools.partial(generator_gradients, generator, drawn if i == 0 else None)
            gradients, stats, g_loss = state_lib.mean_of_parts(gradients_of, parts, *part[:3])
            generator = state_lib.update(
                generator, optimizer, state_lib.mean_over(gradients, axis_name), state_lib.mean_over(stats, axis_name)
            )

        average = state.average
        if settings.ema_decay:
            average = state_lib.moving_average(
                average, dict(generator.variables), settings.ema_decay, state.step.astype(jnp.float32)
            )

        metrics = {
            "discriminator_loss": d_loss,
            "generator_loss": g_loss,
            "real_logit": real_logit,
            "fake_logit": fake_logit,
        }
        metrics, square = state_lib.mean_over((metrics, square), axis_name)
        mean = (metrics["real_logit"] + metrics["fake_logit"]) / 2
        metrics["logit_spread"] = jnp.sqrt(jnp.maximum(square - mean**2, 0.0))
        apart = jnp.abs(metrics["discriminator_loss"] - COLLAPSED_LOSSES.get(settings.loss, jnp.inf))
        collapsed = (metrics["logit_spread"] < 0.05) & (apart < 0.02)
        collapsed_for = jnp.where(collapsed, state.collapsed_for + 1, 0)
        metrics["collapsed_for"] = collapsed_for
        return GanState(state.step + 1, generator, discriminator, average, collapsed_for), metrics

    def sample(state: GanState, batch: state_lib.Batch, key: jax.Array) -> tuple[jax.Array, types.Metrics]:
        latents = dcgan.sample_latents(key, SAMPLES, model.latent_size, model.latent_distribution)
        # The labels of the first 64 faces, over again if there are fewer.
        labels = jnp.resize(batch["label"], (SAMPLES,))
        G = dcgan.make_generator(model, num_classes, spec)
        faces = G.apply(state.best_generator, latents, labels, train=False)
        return images.to_bytes(faces).reshape(8, 8, *spec.byte_shape), {}

    def diagnose(metrics: Mapping[str, float]) -> state_lib.Diagnosis | None:
        limit, steps = settings.collapse_steps, int(metrics["collapsed_for"])
        # Beyond the limit is a run that went on under on_collapse=warn.
        stop = 0 < limit <= steps and settings.on_collapse == "stop"
        if not limit or not (stop or steps in (max(1, limit // 2), limit)):
            return None
        return state_lib.Diagnosis(
            f"D has not separated real from generated faces for {steps} steps (its loss stays at "
            f"{COLLAPSED_LOSSES[settings.loss]:.2f}, its logits spread by {metrics['logit_spread']:.3f}): G has "
            "collapsed. "
            + (
                "Try fewer --config.gan.generator_steps, another --config.seed, or --config.gan.on_collapse=warn."
                if stop
                else f"The limit is {limit}; --config.gan.on_collapse={settings.on_collapse}."
            ),
            stop,
        )

    return state_lib.Phase("gan", init, step, sample, (), diagnose)


def make_by_loss(config: "config_lib.Config", num_classes: int, spec: dataset.ImageSpec) -> state_lib.Phase:
    """Returns phase `gan` of a configuration: that of this file or, with the loss `began`, BEGAN's."""
    from emogan.recipes import began  # here, since it builds on this file

    return (began.make if config.gan.loss == "began" else make)(config, num_classes, spec)


def _networks(
    config: "config_lib.Config", name: str, num_classes: int, spec: dataset.ImageSpec
) -> dict[str, types.Params]:
    model, dtypes = config.model, (jnp.float32, jnp.int32)
    generator = dcgan.make_generator(model, num_classes, spec)
    discriminator = dcgan.make_discriminator(model, num_classes)
    return {
        "generator": state_lib.shapes(generator, (1, model.latent_size), (1,), dtypes=dtypes, train=False),
        "discriminator": state_lib.shapes(discriminator, (1, *spec.shape), (1,), dtypes=dtypes, train=False),
    }


def _check(config: "config_lib.Config") -> None:
    """Raises ValueError if a batch is to be cut into parts where the state has k, which no part may change alone."""
    if config.gan.loss == "began" and config.parallel.microbatches > 1:
        raise ValueError(
            f"parallel.microbatches: expected 1 with gan.loss=began, found {config.parallel.microbatches}; "
            "give it a smaller gan.batch_size"
        )


GanConfig.recipe = state_lib.Recipe(
    build=lambda run, name: (make_by_loss(run.config, run.num_classes, run.spec), {}),
    begin=lambda config, num_classes, name, key, spec: make_by_loss(config, num_classes, spec).init(key),
    networks=_networks,
    check=_check,
    curves=(
        state_lib.Panel(
            "losses",
            "loss",
            (
                state_lib.Line("discriminator_loss", "D, real + generated"),
                state_lib.Line("generator_loss", "G"),
            ),
        ),
        state_lib.Panel(
            "D's logits",
            "mean logit",
            (state_lib.Line("real_logit", "real faces"), state_lib.Line("fake_logit", "generated faces")),
        ),
        state_lib.Panel("spread of D's logits", "standard deviation", (state_lib.Line("logit_spread", "D's logits"),)),
    ),
    bfloat16=True,
)
