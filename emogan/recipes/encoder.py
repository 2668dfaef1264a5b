"""Phase `encoder`: E learns to invert the finished G (section 2.2.2 of the paper)."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import optax
from flax import struct

from emogan import emotions, losses
from emogan.data import dataset
from emogan.models import dcgan
from emogan.recipes import gan
from emogan.recipes import state as state_lib
from emogan.util import images, ranges, types

if TYPE_CHECKING:
    from emogan import config as config_lib


@dataclasses.dataclass
class EncoderConfig:
    """Phase `encoder`: E learns to invert the finished G. Section 2.2.2 of the paper."""

    recipe: ClassVar[state_lib.Recipe]
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("epochs",)
    epochs: float = 50.0
    batch_size: int = 64
    learning_rate: float = 2e-4
    b1: float = 0.5
    ema_decay: float = 0.999  # of the averaged E that edits are made with; 0 switches it off
    image_loss: float = 1.0  # weight of eq. (14), |x - G(E(x) given y)|^2
    latent_loss: float = 0.0  # weight of eq. (13), |z - E(G(z given y))|^2

    def check(self) -> None:
        state_lib.check_optimisation("encoder", self)
        ranges.between("encoder.ema_decay", self.ema_decay, 0.0, 0.999999)
        ranges.between("encoder.image_loss", self.image_loss, 0.0, 1e6)
        ranges.between("encoder.latent_loss", self.latent_loss, 0.0, 1e6)
        if self.image_loss == self.latent_loss == 0:
            raise ValueError("encoder.image_loss and encoder.latent_loss: expected one above 0, found both 0")


SAMPLES = 16
EDGE = 0.95  # a uniform prior has a twentieth of its mass beyond it
PRIOR_EDGE = {"uniform": 1.0, "normal": 3.0}  # hardly anything of the prior lies beyond


@struct.dataclass
class EncoderState:
    """E in training, its moving average (empty if switched off), and the frozen G that it inverts."""

    step: jax.Array
    encoder: state_lib.NetworkState
    average: state_lib.Variables
    generator: state_lib.Variables

    @property
    def best_encoder(self) -> state_lib.Variables:
        """The averaged E where there is one, else E."""
        return self.average if self.average else self.encoder.variables


def edits(
    model: dcgan.ModelConfig,
    num_classes: int,
    generator: state_lib.Variables,
    latents: types.Latents,
    spec: dataset.ImageSpec,
) -> jax.Array:
    """Returns the faces of latents [B, Z] under every label, [num_classes, B, S, S, C] in [-1, 1]."""
    count = len(latents)
    faces = dcgan.make_generator(model, num_classes, spec).apply(
        generator, jnp.tile(latents, (num_classes, 1)), jnp.repeat(jnp.arange(num_classes), count), train=False
    )
    return faces.reshape(num_classes, count, *spec.shape)


def make(
    config: "config_lib.Config",
    num_classes: int,
    generator: state_lib.Variables,
    spec: dataset.ImageSpec,
) -> state_lib.Phase:
    """Returns phase `encoder` of a configuration, for the variables of a finished G."""
    model, settings = config.model, config.encoder
    optimizer = optax.adam(settings.learning_rate, b1=settings.b1)
    G = dcgan.make_generator(model, num_classes, spec)  # in inference mode it needs no axis

    def init(key: jax.Array) -> EncoderState:
        network = state_lib.initialise(
            dcgan.make_encoder(model, num_classes),
            optimizer,
            key,
            jnp.zeros((1, *spec.shape)),
            jnp.zeros((1,), jnp.int32),
        )
        average = jax.tree.map(jnp.copy, dict(network.variables)) if settings.ema_decay else {}
        # A copy, because the training donates its state and the caller may still want its G.
        return EncoderState(jnp.zeros((), jnp.int32), network, average, jax.tree.map(jnp.copy, dict(generator)))

    def step(
        state: EncoderState, batch: state_lib.Batch, key: jax.Array, *, axis_name: str | None = None
    ) -> tuple[EncoderState, types.Metrics]:
        faces, labels = images.to_float(batch["image"]), batch["label"]
        E = dcgan.make_encoder(model, num_classes, state_lib.norm_axis(config.parallel, axis_name))
        latents = state_lib.own_share(
            lambda count: dcgan.sample_latents(key, count, model.latent_size, model.latent_distribution),
            len(labels),
            axis_name,
        )

        def loss(params, faces, labels, drawn):
            latents, stats = state_lib.forward(E, params, state.encoder.batch_stats, faces, labels)
            reconstructions = G.apply(state.generator, latents, labels, train=False)
            image_loss = jnp.mean(losses.reconstruction(faces, reconstructions))
            metrics = {
                "image_loss": image_loss,
                "psnr": jnp.mean(images.psnr(faces, reconstructions)),
                "edge": jnp.mean(jnp.abs(latents) > EDGE * PRIOR_EDGE[model.latent_distribution]),
            }
            total = settings.image_loss * image_loss
            if settings.latent_loss:
                generated = G.apply(state.generator, drawn, labels, train=False)
                # The running statistics stay those of real faces, which are what E will meet.
                estimates, _ = state_lib.forward(E, params, state.encoder.batch_stats, generated, labels)
                metrics["latent_loss"] = jnp.mean(losses.latent(drawn, estimates))
                total += settings.latent_loss * metrics["latent_loss"]
            return total, (stats, {"loss": total, **metrics})

        gradients, (stats, metrics) = state_lib.mean_of_parts(
            functools.partial(jax.grad(loss, has_aux=True), state.encoder.params),
            config.parallel.microbatches,
            faces,
            labels,
            latents,
        )
        network = state_lib.update(
            state.encoder, optimizer, state_lib.mean_over(gradients, axis_name), state_lib.mean_over(stats, axis_name)
        )
        average = state.average
        if settings.ema_decay:
            average = state_lib.moving_average(
                average, dict(network.variables), settings.ema_decay, state.step.astype(jnp.float32)
            )
        return (
            EncoderState(state.step + 1, network, average, state.generator),
            state_lib.mean_over(metrics, axis_name),
        )

    def sample(state: EncoderState, batch: state_lib.Batch, key: jax.Array) -> tuple[jax.Array, types.Metrics]:
        del key
        faces = images.to_float(batch["image"][:SAMPLES])
        labels = batch["label"][:SAMPLES]
        latents = dcgan.make_encoder(model, num_classes).apply(state.best_encoder, faces, labels, train=False)
        edited = edits(model, num_classes, state.generator, latents, spec)
        own = edited[labels, jnp.arange(len(labels))]
        metrics = {
            "sample_psnr": jnp.mean(images.psnr(faces, own)),
            # An encoder can buy reconstruction by leaving the prior; then the label does nothing, and this goes to 0.
            "edit_spread": jnp.mean(jnp.std(edited, axis=0)),
            "sample_edge": jnp.mean(jnp.abs(latents) > EDGE * PRIOR_EDGE[model.latent_distribution]),
        }
        rows = jnp.concatenate([faces[None], own[None], edited]).swapaxes(0, 1)
        return images.to_bytes(rows), metrics

    def diagnose(metrics: Mapping[str, float]) -> None:
        del metrics

    names = emotions.EMOTIONS if num_classes == len(emotions.EMOTIONS) else tuple(map(str, range(num_classes)))
    return state_lib.Phase("encoder", init, step, sample, ("face", "own label", *names), diagnose)


def _build(run: state_lib.Run, name: str) -> tuple[state_lib.Phase, dict[str, int]]:
    step, generator = run.finished("gan", lambda state: state.best_generator)
    return make(run.config, run.num_classes, generator, run.spec), {"gan" + state_lib.STEP: step}


def _begin(
    config: "config_lib.Config", num_classes: int, name: str, key: jax.Array, spec: dataset.ImageSpec
) -> EncoderState:
    generator = gan.make_by_loss(config, num_classes, spec).init(key).best_generator
    return make(config, num_classes, generator, spec).init(key)


def _networks(
    config: "config_lib.Config", name: str, num_classes: int, spec: dataset.ImageSpec
) -> dict[str, types.Params]:
    model = config.model
    E, G = dcgan.make_encoder(model, num_classes), dcgan.make_generator(model, num_classes, spec)
    dtypes = (jnp.float32, jnp.int32)
    return {
        "generator": state_lib.shapes(G, (1, model.latent_size), (1,), dtypes=dtypes, train=False),
        "encoder": state_lib.shapes(E, (1, *spec.shape), (1,), dtypes=dtypes, train=False),
    }


EncoderConfig.recipe = state_lib.Recipe(
    build=_build,
    begin=_begin,
    networks=_networks,
    curves=(
        state_lib.Panel("loss", "squared error a face", (state_lib.Line("loss", "E"),)),
        state_lib.Panel(
            "reconstruction under the own label",
            "PSNR, dB",
            (
                state_lib.Line("psnr", "training batches"),
                state_lib.Line("sample_psnr", "the 16 sampled faces", sampled=True),
            ),
        ),
        state_lib.Panel(
            "effect of the label",
            "share, or spread of [-1, 1]",
            (
                state_lib.Line("edge", "share of z at the prior's edge"),
                state_lib.Line("edit_spread", "spread of a face's seven edits", sampled=True),
            ),
        ),
    ),
    built_on=lambda config: ("gan",),
    editor="dcgan",
    bfloat16=True,
)
