"""Phase `flow`: a network learns the velocity between faces and noise, under a label or none."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from flax import struct

from emogan.data import augment, dataset
from emogan.edit import flow_models
from emogan.models import flow_edit, ode, unet
from emogan.recipes import state as state_lib
from emogan.util import images, ranges, types

if TYPE_CHECKING:
    from emogan import config as config_lib


@dataclasses.dataclass
class FlowConfig:
    """Phase `flow`: a class-conditional rectified flow (Liu et al. 2023; Lipman et al. 2023)."""

    recipe: ClassVar[state_lib.Recipe]
    # The learning rate does not depend on the epochs, and `start` is read before the first step only.
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("epochs", "start")
    start: str = ""  # a flow whose weights it begins with: one that ships, a run's folder, or a model's file
    epochs: float = 100.0
    batch_size: int = 32
    learning_rate: float = 1e-3  # constant after the warm-up, so that a run can be prolonged
    b1: float = 0.9
    b2: float = 0.99
    warm_up: int = 100  # steps in which the learning rate rises from 0
    clip: float = 1.0  # the largest norm of all gradients together
    ema_decay: float = 0.9995  # of the averaged network that samples and edits are made with; 0 switches it off
    label_dropout: float = 0.15  # share of the faces that are shown without their label, as guidance needs
    surroundings_dropout: float = 0.12  # share of those whose surroundings are not told, as drawing from noise needs
    time_mean: float = 0.0  # of the normal distribution of log(t / (1 - t)) (Esser et al. 2024)
    time_spread: float = 1.0  # its standard deviation

    def check(self) -> None:
        state_lib.check_optimisation("flow", self)
        ranges.between("flow.b2", self.b2, 0.0, 0.999999)
        ranges.between("flow.warm_up", self.warm_up, 0, 10**6)
        ranges.between("flow.clip", self.clip, 1e-6, 1e6)
        ranges.between("flow.ema_decay", self.ema_decay, 0.0, 0.999999)
        ranges.between("flow.label_dropout", self.label_dropout, 0.0, 1.0)
        ranges.between("flow.surroundings_dropout", self.surroundings_dropout, 0.0, 1.0)
        ranges.between("flow.time_mean", self.time_mean, -5.0, 5.0)
        ranges.between("flow.time_spread", self.time_spread, 0.01, 5.0)


BANDS = 4  # of time, each with its own loss
DRAWN, EDITED = 2, 4  # rows of a sample
_SAMPLE_STEPS, _SAMPLE_GUIDANCE = 8, 2.0  # of generated faces
_EDGE = 1e-6  # of the unit interval, beyond which its normal quantiles are not finite


@struct.dataclass
class FlowState:
    """The network in training, and the moving average of its parameters (empty if switched off)."""

    step: jax.Array
    network: state_lib.NetworkState
    average: types.Params

    @property
    def best_params(self) -> types.Params:
        """The averaged parameters where there is an average, else those in training."""
        return self.average if self.average else self.network.params

    @property
    def best_encoder(self) -> state_lib.Variables:
        """The variables of E and G, which are one network."""
        return {"params": self.best_params}

    @property
    def generator(self) -> state_lib.Variables:
        """Nothing: see `best_encoder`."""
        return {}


def draw_times(key: jax.Array, count: int, settings: FlowConfig) -> jax.Array:
    """Returns times [count] in (0, 1) whose logits are normal (Esser et al. 2024, section 3.1).

    They are spread evenly over the distribution's quantiles, from one random offset (Kingma et al. 2021, appendix I.1):
    each by itself has that distribution, and the losses of batches differ less.
    """
    quantiles = (jnp.arange(count) / count + jax.random.uniform(key)) % 1.0
    normal = jax.scipy.special.ndtri(jnp.clip(quantiles, _EDGE, 1.0 - _EDGE))
    return jax.nn.sigmoid(settings.time_mean + settings.time_spread * normal)


def losses_of(
    velocity: ode.Velocity, faces: types.Images, noises: jax.Array, times: jax.Array, labels: jax.Array
) -> jax.Array:
    """Returns |v(x_t, t, y) - (n - x)|^2 a pixel, [B], where x_t = (1 - t) x + t n (Liu et al. 2023, eq. 1).

    Args:
      velocity: the network.
      faces: x, [B, S, S, C] in [-1, 1].
      noises: n, [B, S, S, C].
      times: t, [B] in [0, 1].
      labels: y, [B, C], distributions; rows of 0 are the null label.
    """
    t = times[:, None, None, None]
    answers = velocity((1.0 - t) * faces + t * noises, times, labels)
    return jnp.mean(jnp.square(answers - (noises - faces)), axis=(1, 2, 3))


def examples(
    settings: FlowConfig,
    batch: state_lib.Batch,
    key: jax.Array,
    spec: dataset.ImageSpec,
    num_classes: int,
    axis_name: str | None = None,
) -> tuple[types.Images, jax.Array, jax.Array, jax.Array, jax.Array]:
    """Returns what `losses_of` takes for a batch: faces, half of them mirrored, noises, times, and labels or null.

    And for each face, bool [B], whether its surroundings are told.
    """
    count = len(batch["label"])
    keys = jax.random.split(key, 5)

    def share(draw: Callable[[int], jax.Array]) -> jax.Array:
        return state_lib.own_share(draw, count, axis_name)

    faces = images.to_float(batch["image"])
    faces = jax.vmap(augment.flip)(faces, share(lambda count: jax.random.split(keys[0], count)))
    times = share(lambda count: draw_times(keys[1], count, settings))
    noises = share(lambda count: jax.random.normal(keys[2], (count, *spec.shape)))
    dropped = share(lambda count: jax.random.uniform(keys[3], (count,)) < settings.label_dropout)
    labels = batch["distribution"] if "distribution" in batch else jax.nn.one_hot(batch["label"], num_classes)
    told = share(lambda count: jax.random.uniform(keys[4], (count,)) >= settings.surroundings_dropout)
    return faces, noises, times, jnp.where(dropped[:, None], 0.0, labels), told


def make(
    config: "config_lib.Config",
    num_classes: int,
    held_out: dataset.Dataset,
    start: Callable[[], types.Params] | None = None,
) -> state_lib.Phase:
    """Returns phase `flow` of a configuration.

    Adam without weight decay: in a training of this length the decay would hardly shrink a weight, most are followed by
    a norm that undoes their scale, and the moving average does the smoothing.

    Args:
      config: see `config.FlowConfig`.
      num_classes: how many labels there are.
      held_out: faces that every sample edits; they take no part in training, and have the same format.
      start: returns the parameters that the network begins with, in place of random ones.
    """
    settings, edits, spec = config.flow, config.flow_edit, held_out.spec
    module = unet.make(config.unet, num_classes, config.model.precision)
    rate = (
        optax.linear_schedule(0.0, settings.learning_rate, settings.warm_up)
        if settings.warm_up
        else (settings.learning_rate)
    )
    optimizer = optax.chain(optax.clip_by_global_norm(settings.clip), optax.adam(rate, settings.b1, settings.b2))
    shown = held_out.images[:EDITED], held_out.labels[:EDITED]  # NumPy arrays: making a phase computes nothing
    seeds, guidances = flow_edit.seeds(shown[0]), edits.guidances(num_classes)

    def init(key: jax.Array) -> FlowState:
        fresh = jax.jit(lambda key: unet.initialise(module, key, spec))
        params = state_lib.loaded(start, key, fresh) if start else fresh(key)
        network = state_lib.NetworkState(params, {}, jax.jit(optimizer.init)(params))
        average = jax.tree.map(jnp.copy, params) if settings.ema_decay else {}
        return FlowState(jnp.zeros((), jnp.int32), network, average)

    def step(
        state: FlowState, batch: state_lib.Batch, key: jax.Array, *, axis_name: str | None = None
    ) -> tuple[FlowState, types.Metrics]:
        faces, noises, times, labels, told = examples(settings, batch, key, spec, num_classes, axis_name)

        def gradients_of(faces, noises, times, labels, told):
            around = unet.around(module, faces)
            around = None if around is None else around * told[:, None, None, None]

            def loss(params):
                found = losses_of(unet.velocity_of(module, params, around), faces, noises, times, labels)
                band = jax.nn.one_hot((BANDS * times).astype(jnp.int32), BANDS)
                return jnp.mean(found), (jnp.mean(found), found @ band / len(found), jnp.mean(band, axis=0))

            return jax.grad(loss, has_aux=True)(state.network.params)

        every = (faces, noises, times, labels, told)
        found = state_lib.mean_of_parts(gradients_of, config.parallel.microbatches, *every)
        gradients, (loss, of_bands, shares) = state_lib.mean_over(found, axis_name)
        network = state_lib.update(state.network, optimizer, gradients, {})
        average = state.average
        if settings.ema_decay:
            average = state_lib.moving_average(
                average, network.params, settings.ema_decay, state.step.astype(jnp.float32)
            )
        # 0 where no face of the batch has a time of the band, as in very small batches.
        bands = of_bands / jnp.maximum(shares, 1e-6)
        metrics = {"loss": loss, **{f"loss_t{i}": bands[i] for i in range(BANDS)}}
        return FlowState(state.step + 1, network, average), {**metrics, "gradient": _norm(gradients)}

    def sample(state: FlowState, batch: state_lib.Batch, key: jax.Array) -> tuple[jax.Array, types.Metrics]:
        """Rows of generated faces, then of edits; the first column is without a label, and the unedited face."""
        del batch
        velocity = unet.velocity_of(module, state.best_params)
        every = jnp.concatenate([jnp.zeros((1, num_classes)), jnp.eye(num_classes)])
        noises = jnp.repeat(jax.random.normal(key, (DRAWN, *spec.shape)), len(every), axis=0)
        wanted = ode.Condition(jnp.tile(every, (DRAWN, 1)), jnp.full(len(noises), _SAMPLE_GUIDANCE))
        drawn = ode.solve(velocity, noises, ode.times(1.0, 0.0, _SAMPLE_STEPS), wanted, "euler")

        faces, labels = images.to_float(jnp.asarray(shown[0])), jnp.asarray(shown[1])
        rows = jnp.repeat(faces, num_classes, axis=0)
        guidance = jnp.tile(jnp.asarray(guidances), len(faces))
        target = ode.Condition(jnp.tile(jnp.eye(num_classes), (len(faces), 1)), guidance)
        own = jnp.repeat(jax.nn.one_hot(labels, num_classes), num_classes, axis=0)
        source = ode.condition(own, edits.guidance_source)
        numbers = jnp.repeat(jnp.asarray(seeds), num_classes)
        velocity = unet.velocity_of(module, state.best_params, unet.around(module, rows))
        edited = flow_edit.edit(velocity, rows, edits, target, source, numbers)
        edited = jnp.concatenate([faces[:, None], edited.reshape(len(faces), num_classes, *spec.shape)], axis=1)
        whole = jnp.concatenate([drawn.reshape(DRAWN, -1, *spec.shape), edited])
        return images.to_bytes(whole), {}

    def diagnose(metrics: Mapping[str, float]) -> None:
        del metrics

    columns = ("no label; face", *held_out.class_names)
    return state_lib.Phase("flow", init, step, sample, columns, diagnose)


def _norm(tree: Any) -> jax.Array:
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))


def _build(run: state_lib.Run, name: str) -> tuple[state_lib.Phase, dict[str, int]]:
    config, held_out = run.config, run.held_out()

    def weights() -> types.Params:
        return flow_models.load(config.flow.start, config.unet, held_out, "flow.start").variables[0]["params"]

    return make(config, run.num_classes, held_out, weights if config.flow.start.strip() else None), {}


def _begin(
    config: "config_lib.Config", num_classes: int, name: str, key: jax.Array, spec: dataset.ImageSpec
) -> FlowState:
    return make(config, num_classes, dataset.no_faces(spec)).init(key)


def _networks(
    config: "config_lib.Config", name: str, num_classes: int, spec: dataset.ImageSpec
) -> dict[str, types.Params]:
    module = unet.make(config.unet, num_classes, config.model.precision)
    return {"flow": state_lib.shapes(module, (1, *spec.shape), (1,), (1, num_classes))}


FlowConfig.recipe = state_lib.Recipe(
    build=_build,
    begin=_begin,
    networks=_networks,
    curves=(
        state_lib.Panel("loss", "squared error a pixel", (state_lib.Line("loss", "velocity"),)),
        state_lib.Panel(
            "loss by time",
            "squared error a pixel",
            (
                state_lib.Line("loss_t0", "t below 1/4, near faces"),
                state_lib.Line("loss_t3", "t above 3/4, near noise"),
            ),
        ),
        state_lib.Panel(
            "loss at intermediate times",
            "squared error a pixel",
            (state_lib.Line("loss_t1", "t from 1/4 to 1/2"), state_lib.Line("loss_t2", "t from 1/2 to 3/4")),
        ),
    ),
    editor="flow",
    whole=True,
    bfloat16=True,
)
