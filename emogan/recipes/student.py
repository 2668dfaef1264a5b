"""Phase `student`: a U-Net learns to make a flow's edits in one evaluation."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from emogan import losses
from emogan.data import augment, dataset
from emogan.edit import flow_editor, flow_models, loading, pairs
from emogan.models import direct, unet
from emogan.recipes import edits as edits_lib
from emogan.recipes import state as state_lib
from emogan.util import images, ranges, types

if TYPE_CHECKING:
    from emogan import config as config_lib

_WEIGHTS = ("imitation", "adversarial")


@dataclasses.dataclass
class StudentConfig:
    """Phase `student`: G begins as the teacher's network; D compares its edits with real faces of their targets."""

    recipe: ClassVar[state_lib.Recipe]
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("teacher",)  # its edits are stored under a digest of its weights
    RENAMED: ClassVar[Mapping[str, str]] = dict.fromkeys(("edges", "r1_r2", "roughness"), "")
    teacher: str = "fer2013-flow"  # a flow: one that ships, a run's folder, or a model's file
    guidance: str = ""  # of the teacher, in place of its own `flow_edit.guidance`: one number, or one per emotion
    faces: int = 0  # training faces that the teacher edits, the first N; 0 for all
    epochs: float = 20.0  # passes over the training faces, whether all are edited or not
    batch_size: int = 32
    learning_rate: float = 4e-4  # falls to a twentieth, as half a cosine
    critic_rate: float = 1.0  # D's learning rate in that of G
    b1: float = 0.5
    b2: float = 0.99
    ema_decay: float = 0.998  # of the averaged G that edits are made with; 0 switches it off
    imitation: float = 1.0  # weight of the squared difference to the teacher's edit, in units of that of the face
    adversarial: float = 0.1  # weight of G's adversarial loss (relativistic, Jolicoeur-Martineau 2019)
    noise: float = 0.6  # the largest share of noise at which D sees faces
    own_share: float = 0.15  # of the batch whose target is the face's own label, and whose edit is the face
    augment: bool = True  # whether D sees faces changed at random

    def check(self) -> None:
        state_lib.check_optimisation("student", self)
        if not self.teacher.strip():
            raise ValueError("student.teacher: expected a model's name, a run's folder or a file, found ''")
        if self.guidance:
            for guidance in ranges.numbers("student.guidance", self.guidance):
                ranges.between("student.guidance", guidance, 0.0, 100.0)
        ranges.between("student.faces", self.faces, 0, 10**8)
        ranges.between("student.critic_rate", self.critic_rate, 0.01, 100.0)
        ranges.between("student.b2", self.b2, 0.0, 0.999999)
        ranges.between("student.ema_decay", self.ema_decay, 0.0, 0.999999)
        ranges.between("student.noise", self.noise, 0.0, 1.0)
        ranges.between("student.own_share", self.own_share, 0.0, 1.0)
        for name in _WEIGHTS:
            ranges.between(f"student.{name}", getattr(self, name), 0.0, 1000.0)


@struct.dataclass
class StudentState:
    """G, the heads of D, the moving average of G, and the teacher's network, whose features D sees."""

    step: jax.Array
    network: state_lib.NetworkState
    discriminator: state_lib.NetworkState
    average: types.Params
    teacher: types.Params

    @property
    def generator(self) -> state_lib.Variables:
        """The variables of G, averaged where there is an average."""
        return {"params": self.average if self.average else self.network.params}

    @property
    def best_encoder(self) -> state_lib.Variables:
        """Nothing: E has no parameters."""
        return {}


def make(
    config: "config_lib.Config",
    num_classes: int,
    total_steps: int,
    teacher: Callable[[], types.Params],
    spec: dataset.ImageSpec,
) -> state_lib.Phase:
    """Returns phase `student` of a configuration.

    Args:
      config: see `config.StudentConfig`.
      num_classes: how many labels there are.
      total_steps: the length of the schedule.
      teacher: returns the parameters of the teacher's network, a U-Net as `config.unet`; called before the first step.
      spec: what the faces are.
    """
    settings = config.student
    network = unet.make(config.unet, num_classes, config.model.precision)
    trunk = unet.make_features(config.unet, num_classes, config.model.precision)
    G, D = direct.Generator(network), direct.Heads()
    adversarial = losses.ADVERSARIAL["relativistic"]
    schedule = optax.cosine_decay_schedule(settings.learning_rate, total_steps, edits_lib.LAST_RATE)
    optimizer = optax.adam(schedule, b1=settings.b1, b2=settings.b2)
    critic_optimizer = optax.adam(lambda step: settings.critic_rate * schedule(step), b1=settings.b1, b2=settings.b2)

    def init(key: jax.Array) -> StudentState:
        learned = state_lib.loaded(teacher, key, lambda key: unet.initialise(network, key, spec))
        # The first edit is the face.
        first = {**learned, "velocity": jax.tree.map(jnp.zeros_like, learned["velocity"])}
        params = {"network": first}
        one = jnp.zeros((1, *spec.shape)), jnp.zeros(1), jnp.zeros(1, jnp.int32)
        features = jax.tree.map(jnp.zeros_like, jax.eval_shape(look, learned, *one))
        critic = jax.jit(D.init)(key, features)["params"]
        return StudentState(
            jnp.zeros((), jnp.int32),
            state_lib.NetworkState(params, {}, jax.jit(optimizer.init)(params)),
            state_lib.NetworkState(critic, {}, jax.jit(critic_optimizer.init)(critic)),
            jax.tree.map(jnp.copy, params) if settings.ema_decay else {},
            jax.tree.map(jnp.copy, learned),  # a step may not be given one array twice
        )

    def look(learned: types.Params, faces: types.Images, times: jax.Array, labels: types.Labels) -> list[jax.Array]:
        # D is told no surroundings: it has them in the picture that it judges.
        return unet.answer_to(trunk, learned, faces, times, jax.nn.one_hot(labels, num_classes))

    def draw(params: types.Params, faces: types.Images, targets: types.Labels) -> types.Images:
        return G.apply({"params": params}, faces, targets)

    def seen(faces: types.Images, keys: jax.Array, noises: jax.Array, times: jax.Array) -> types.Images:
        """Returns faces as D sees them: changed at random, under noise."""
        changed = augment.all_of(faces, keys) if settings.augment else faces
        t = times[:, None, None, None]
        return (1.0 - t) * changed + t * noises

    def step(
        state: StudentState, batch: state_lib.Batch, key: jax.Array, *, axis_name: str | None = None
    ) -> tuple[StudentState, types.Metrics]:
        count, labels = len(batch["label"]), batch["label"]
        keys = jax.random.split(key, 5)
        share = functools.partial(state_lib.own_share, count=count, axis_name=axis_name)
        # A face and its edit are mirrored together. The real faces are those of the target labels, so that the
        # frequency of a label says nothing to D.
        flips = share(lambda count: jax.random.split(keys[0], count))
        flipped = lambda name: jax.vmap(augment.flip)(images.to_float(batch[name]), flips)  # noqa: E731
        faces, answers, reals = flipped("image"), flipped("edit"), flipped("reference")
        own = share(lambda count: jax.random.uniform(keys[1], (count,)) < settings.own_share)
        looks = share(lambda count: jax.random.split(keys[2], (count, 2)))
        # The two faces that D compares have the same time, and noise of their own.
        times = settings.noise * share(lambda count: jax.random.uniform(keys[3], (count,)))
        noises = share(lambda count: jax.random.normal(keys[4], (count, 2, *spec.shape)))
        targets = jnp.where(own, labels, batch["target"])
        answers, reals = (jnp.where(own[:, None, None, None], faces, other) for other in (answers, reals))
        of_real = look(state.teacher, seen(reals, looks[:, 0], noises[:, 0], times), times, targets)

        def edit_loss(params):
            edits = draw(params, faces, targets)
            of_edit = look(state.teacher, seen(edits, looks[:, 1], noises[:, 1], times), times, targets)
            critic = {"params": state.discriminator.params}
            generator_loss = jnp.mean(adversarial.generator(D.apply(critic, of_real), D.apply(critic, of_edit)))
            apart = jnp.mean(jnp.square(edits - answers))
            total = settings.imitation * apart / unet.DEVIATION**2 + settings.adversarial * generator_loss
            return total, (of_edit, {"generator_loss": generator_loss, "apart": apart})

        def critic_loss(params, of_edit):
            real_logits, fake_logits = (D.apply({"params": params}, one) for one in (of_real, of_edit))
            loss = jnp.mean(adversarial.discriminator(real_logits, fake_logits))
            return loss, {
                "discriminator_loss": loss,
                "real_logit": jnp.mean(real_logits),
                "fake_logit": jnp.mean(fake_logits),
            }

        gradients, (of_edit, metrics) = jax.grad(edit_loss, has_aux=True)(state.network.params)
        network = state_lib.update(state.network, optimizer, state_lib.mean_over(gradients, axis_name), {})
        gradients, critic_metrics = jax.grad(critic_loss, has_aux=True)(state.discriminator.params, of_edit)
        discriminator = state_lib.update(
            state.discriminator, critic_optimizer, state_lib.mean_over(gradients, axis_name), {}
        )
        average = state.average
        if settings.ema_decay:
            done = state.step.astype(jnp.float32)
            average = state_lib.moving_average(average, network.params, settings.ema_decay, done)
        metrics |= critic_metrics | {"moved": jnp.mean(jnp.square(answers - faces))}
        metrics = state_lib.mean_over(metrics, axis_name)
        in_gray_levels = lambda name: edits_lib.GRAY * jnp.sqrt(metrics.pop(name))  # noqa: E731
        metrics |= {"imitation": in_gray_levels("apart"), "to_explain": in_gray_levels("moved")}
        return StudentState(state.step + 1, network, discriminator, average, state.teacher), metrics

    def sample(state: StudentState, batch: state_lib.Batch, key: jax.Array) -> tuple[jax.Array, types.Metrics]:
        del key
        return edits_lib.every_edit(functools.partial(draw, state.generator["params"]), batch, num_classes), {}

    return state_lib.Phase("student", init, step, sample, ("original",), lambda metrics: None)


def draw_targets(labels: np.ndarray, num_classes: int, seed: int) -> np.ndarray:
    """Returns target labels int32 [N], each any but the face's own with the same probability."""
    steps = np.random.default_rng(seed).integers(1, max(num_classes, 2), len(labels))
    return ((labels + steps) % num_classes).astype(np.int32)


def draw_references(labels: np.ndarray, targets: np.ndarray, seed: int) -> np.ndarray:
    """Returns for each target the index int [M] of a random face of that label, or of any if none has it."""
    random, chosen = np.random.default_rng(seed), np.empty(len(targets), int)
    for target in np.unique(targets):
        of_target, alike = np.flatnonzero(targets == target), np.flatnonzero(labels == target)
        chosen[of_target] = random.choice(alike if len(alike) else len(labels), len(of_target))
    return chosen


def _teacher(config: "config_lib.Config", data: dataset.Dataset) -> flow_editor.FlowEditor:
    """Returns the teacher, with the guidance of the settings.

    Raises:
      FileNotFoundError, ValueError: if there is none, or it is not a flow with the student's network.
    """
    settings = config.student
    teacher = flow_models.load(settings.teacher, config.unet, data, "student.teacher")
    if not settings.guidance:
        return teacher
    edits = dataclasses.replace(teacher.networks.flow_edit, guidance=settings.guidance)
    networks = dataclasses.replace(teacher.networks, flow_edit=edits)
    return flow_editor.FlowEditor(networks, teacher.class_names, *teacher.variables, teacher.card)


def _prepare(run: state_lib.Run, data: dataset.Dataset) -> dataset.Dataset:
    """Returns the data with a target label, the teacher's edit and a real face of the target for each face."""
    teacher = _teacher(run.config, data)
    count, seed = run.config.student.faces or len(data), run.config.seed
    targets = draw_targets(data.labels, len(data.class_names), seed)[:count]
    references = data.images[draw_references(data.labels, targets, seed)]
    faces = data.take(np.arange(len(targets)))
    edits = pairs.load(teacher, faces.images, faces.labels, targets, run.folder("pairs"), run.progress("teacher"))
    return dataclasses.replace(faces, targets=targets, edits=edits, references=references)


def _build(run: state_lib.Run, name: str) -> tuple[state_lib.Phase, dict[str, int]]:
    # Checked by `_prepare`, which comes before the first step.
    teacher = lambda: loading.load(run.config.student.teacher).variables[0]["params"]  # noqa: E731
    return make(run.config, run.num_classes, run.steps[name], teacher, run.spec), {}


def _begin(
    config: "config_lib.Config", num_classes: int, name: str, key: jax.Array, spec: dataset.ImageSpec
) -> StudentState:
    module = unet.make(config.unet, num_classes, config.model.precision)
    return make(config, num_classes, 1, lambda: unet.initialise(module, key, spec), spec).init(key)


def _networks(
    config: "config_lib.Config", name: str, num_classes: int, spec: dataset.ImageSpec
) -> dict[str, types.Params]:
    state = jax.eval_shape(lambda key: _begin(config, num_classes, name, key, spec), jax.random.key(0))
    return {f"{name} generator": state.network.params, f"{name} discriminator": state.discriminator.params}


StudentConfig.recipe = state_lib.Recipe(
    build=_build,
    begin=_begin,
    networks=_networks,
    curves=(
        state_lib.Panel(
            "losses",
            "loss",
            (state_lib.Line("discriminator_loss", "D, real + edited"), state_lib.Line("generator_loss", "G")),
        ),
        state_lib.Panel(
            "distance to the teacher",
            "gray levels, root mean square",
            (state_lib.Line("imitation", "of the student"), state_lib.Line("to_explain", "of the unedited face")),
        ),
    ),
    prepare=_prepare,
    check=functools.partial(edits_lib.refuse_microbatches, name="student"),
    editor="direct",
    whole=True,
    bfloat16=True,
)
