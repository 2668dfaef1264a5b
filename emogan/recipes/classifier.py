"""Phases `classifier` and `robust`: a judge learns to predict emotions of real faces, randomly changed in each step."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import optax
from flax import struct

from emogan.data import augment, dataset
from emogan.models import emotion_cnn
from emogan.recipes import state as state_lib
from emogan.util import images, ranges, types

if TYPE_CHECKING:
    from emogan import config as config_lib


@dataclasses.dataclass
class ClassifierConfig:
    """Phase `classifier`: the judge, which predicts the emotion on a face. Phase `robust`: another, under attack."""

    recipe: ClassVar[state_lib.Recipe]
    width: int = 32  # channels at 24 pixels; 1.7 million parameters
    epochs: float = 40.0  # the learning rate falls to 0 over them
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    ema_decay: float = 0.999  # of the averaged network, which is the judge
    attack: float = 0.0  # length of the change against it that every face is given, over all pixels; see `attack`

    def check(self, name: str = "classifier") -> None:
        ranges.between(f"{name}.attack", self.attack, 0.0, 100.0)
        ranges.between(f"{name}.width", self.width, 1, 1024)
        ranges.between(f"{name}.epochs", self.epochs, 1e-6, 1e5)
        ranges.between(f"{name}.batch_size", self.batch_size, 2, 2**16)
        ranges.between(f"{name}.learning_rate", self.learning_rate, 1e-8, 10.0)
        ranges.between(f"{name}.momentum", self.momentum, 0.0, 0.9999)
        ranges.between(f"{name}.weight_decay", self.weight_decay, 0.0, 1.0)
        ranges.between(f"{name}.label_smoothing", self.label_smoothing, 0.0, 0.99)
        ranges.between(f"{name}.ema_decay", self.ema_decay, 0.0, 0.999999)


_SURE = 8  # faces shown of each class
_WARM_UP = 0.1  # share of the steps in which the learning rate rises
_RISE = 0.7  # share of the steps in which the attack's length rises


@struct.dataclass
class ClassifierState:
    """The network in training, and its moving average, which is the judge."""

    step: jax.Array
    network: state_lib.NetworkState
    average: state_lib.Variables


def make_classifier(
    settings: ClassifierConfig, num_classes: int, axis_name: str | None = None
) -> emotion_cnn.Classifier:
    """Returns the module of a configuration."""
    return emotion_cnn.Classifier(settings.width, num_classes, axis_name)


def look(
    module: emotion_cnn.Classifier, variables: state_lib.Variables, faces: types.ByteImages
) -> tuple[jax.Array, jax.Array]:
    """Returns logits [B, C] and features [B, F] of faces uint8 [B, S, S(, 3)]."""
    return module.apply(variables, images.to_float(faces), train=False)


def accuracies(logits: jax.Array, labels: types.Labels) -> tuple[jax.Array, jax.Array]:
    """Returns the accuracy and the balanced accuracy, over the classes that occur, of logits [N, C]."""
    right = jnp.argmax(logits, axis=1) == labels
    classes = jax.nn.one_hot(labels, logits.shape[1])
    counts = classes.sum(axis=0)
    recalls = (right[:, None] * classes).sum(axis=0) / jnp.maximum(counts, 1)
    return jnp.mean(right), recalls.sum() / (counts > 0).sum()


def attack(gradients: jax.Array, length: float) -> jax.Array:
    """Returns the changes [B, S, S, C] of a Euclidean length that raise a loss most, to first order.

    A classifier trained on faces so changed has gradients that look like faces (Santurkar et al. 2019, who take more
    steps), so that E and G, which follow them, must draw what people would see too.

    Args:
      gradients: of the loss at each face, [B, S, S, C].
      length: of each change, in units of [-1, 1] images, over all pixels.
    """
    norms = jnp.sqrt(jnp.sum(jnp.square(gradients), axis=(1, 2, 3), keepdims=True))
    return length * gradients / jnp.maximum(norms, 1e-12)


def make(
    config: "config_lib.Config",
    num_classes: int,
    total_steps: int,
    valid: dataset.Dataset,
    name: str = "classifier",
    change: Callable[[types.Images, jax.Array], types.Images] = augment.all_of,
) -> state_lib.Phase:
    """Returns phase `classifier` or `robust`: SGD with Nesterov momentum, a learning rate that rises and falls to 0.

    Args:
      config: see `config.ClassifierConfig`.
      num_classes: how many labels there are.
      total_steps: the length of the schedule.
      valid: faces that every sample judges; they take no part in training, and have the same format.
      name: of the phase.
      change: what happens to the faces of each step, given them [B, S, S, C] and a key for each [B].
    """
    settings = getattr(config, name)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, settings.learning_rate, round(_WARM_UP * total_steps), total_steps
    )
    kernels = lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)  # noqa: E731
    optimizer = optax.chain(
        optax.add_decayed_weights(settings.weight_decay, kernels),
        optax.sgd(schedule, settings.momentum, nesterov=True),
    )
    module = make_classifier(settings, num_classes)
    held_out = {"image": valid.images, "label": valid.labels}  # NumPy arrays, so that making a phase computes nothing

    def init(key: jax.Array) -> ClassifierState:
        network = state_lib.initialise(module, optimizer, key, jnp.zeros((1, *valid.spec.shape)))
        return ClassifierState(jnp.zeros((), jnp.int32), network, jax.tree.map(jnp.copy, dict(network.variables)))

    def step(
        state: ClassifierState, batch: state_lib.Batch, key: jax.Array, *, axis_name: str | None = None
    ) -> tuple[ClassifierState, types.Metrics]:
        keys = state_lib.own_share(lambda count: jax.random.split(key, count), len(batch["label"]), axis_name)
        faces = change(images.to_float(batch["image"]), keys)
        targets = optax.smooth_labels(jax.nn.one_hot(batch["label"], num_classes), settings.label_smoothing)

        network = make_classifier(settings, num_classes, state_lib.norm_axis(config.parallel, axis_name))

        def loss(params, faces, labels, targets):
            (logits, _), stats = state_lib.forward(network, params, state.network.batch_stats, faces)
            value = jnp.mean(optax.softmax_cross_entropy(logits, targets))
            return value, (stats, {"loss": value, "accuracy": accuracies(logits, labels)[0]})

        # Attacked at full length from the start, the network learns nothing but which emotion is frequent.
        length = settings.attack * jnp.minimum(1.0, state.step / max(1.0, _RISE * total_steps))

        def gradients_of(params, faces, labels, targets):
            if settings.attack:
                faces += attack(jax.grad(lambda faces: loss(params, faces, labels, targets)[0])(faces), length)
            return jax.grad(loss, has_aux=True)(params, faces, labels, targets)

        gradients, (stats, metrics) = state_lib.mean_of_parts(
            functools.partial(gradients_of, state.network.params),
            config.parallel.microbatches,
            faces,
            batch["label"],
            targets,
        )
        trained = state_lib.update(
            state.network, optimizer, state_lib.mean_over(gradients, axis_name), state_lib.mean_over(stats, axis_name)
        )
        average = state_lib.moving_average(
            state.average, dict(trained.variables), settings.ema_decay, state.step.astype(jnp.float32)
        )
        return ClassifierState(state.step + 1, trained, average), state_lib.mean_over(metrics, axis_name)

    def sample(state: ClassifierState, batch: state_lib.Batch, key: jax.Array) -> tuple[jax.Array, types.Metrics]:
        del batch, key
        faces, labels = jnp.asarray(held_out["image"]), jnp.asarray(held_out["label"])
        # All at once, because on CPU a loop over batches would run on a single core.
        logits, _ = look(module, state.average, faces)
        accuracy, balanced = accuracies(logits, labels)
        # A row a class: the faces to which this judge gives the highest probability.
        surest = jax.lax.top_k(jax.nn.softmax(logits).T, min(_SURE, len(faces)))[1]
        return faces[surest], {"valid_accuracy": accuracy, "valid_balanced": balanced}

    def diagnose(metrics: Mapping[str, float]) -> None:
        del metrics

    return state_lib.Phase(name, init, step, sample, (), diagnose, synthetic=False)


def _build(run: state_lib.Run, name: str) -> tuple[state_lib.Phase, dict[str, int]]:
    return make(run.config, run.num_classes, run.steps[name], run.held_out(), name), {}


def _begin(
    config: "config_lib.Config", num_classes: int, name: str, key: jax.Array, spec: dataset.ImageSpec
) -> ClassifierState:
    return make(config, num_classes, 1, dataset.no_faces(spec), name).init(key)


def _networks(
    config: "config_lib.Config", name: str, num_classes: int, spec: dataset.ImageSpec
) -> dict[str, types.Params]:
    module = make_classifier(getattr(config, name), num_classes)
    title = "classifier" if name == "classifier" else f"{name} classifier"
    return {title: state_lib.shapes(module, (1, *spec.shape), train=False)}


ClassifierConfig.recipe = state_lib.Recipe(
    build=_build,
    begin=_begin,
    networks=_networks,
    curves=(
        state_lib.Panel("loss", "cross-entropy", (state_lib.Line("loss", "on changed faces"),)),
        state_lib.Panel(
            "accuracy",
            "accuracy",
            (
                state_lib.Line("accuracy", "training batches, changed"),
                state_lib.Line("valid_accuracy", "valid, averaged network", sampled=True),
            ),
        ),
        state_lib.Panel(
            "balanced accuracy",
            "mean share over the classes",
            (state_lib.Line("valid_balanced", "valid, averaged network", sampled=True),),
        ),
    ),
)
