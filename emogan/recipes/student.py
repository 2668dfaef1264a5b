"""Phase `student`: E, G and D learn a teacher's edits, which one call of E and G then makes."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from emogan import losses
from emogan.data import augment, dataset
from emogan.edit import editor, loading, model_file, pairs
from emogan.models import translator
from emogan.recipes import state as state_lib
from emogan.recipes import translators
from emogan.util import images, ranges, types

if TYPE_CHECKING:
    from emogan import config as config_lib

_WEIGHTS = ("imitation", "edges", "adversarial", "r1_r2", "roughness")


@dataclasses.dataclass
class StudentConfig:
    """Phase `student`: E and G learn the edits of a teacher; D judges them beside real faces of their targets."""

    recipe: ClassVar[state_lib.Recipe]
    teacher: str = model_file.DEFAULT  # a model that ships, a run's folder, or a model's file
    guidance: str = ""  # of a flow as teacher, in place of its own `flow_edit.guidance`: one number or one per emotion
    faces: int = 0  # training faces that the teacher edits, the first so many; 0 for all
    epochs: float = 40.0  # passes over the training faces, whether all are edited or not
    batch_size: int = 32
    learning_rate: float = 1e-3  # falls to a twentieth, as half a cosine
    critic_rate: float = 1.0  # D's learning rate in that of E and G
    b1: float = 0.5
    b2: float = 0.99
    ema_decay: float = 0.998  # of the averaged E and G that edits are made with; 0 switches it off
    imitation: float = 10.0  # weight of |x' - x_teacher| per pixel
    edges: float = 10.0  # weight of the same of neighbouring pixels' differences
    adversarial: float = 0.5  # weight of E's and G's adversarial loss (relativistic, Jolicoeur-Martineau 2019)
    r1_r2: float = 1.0  # of D's gradients at real faces and at edits (Huang et al. 2024), on a quarter of them
    roughness: float = 0.05  # weight of how far neighbouring points of the warp part, in square pixels
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
        ranges.between("student.own_share", self.own_share, 0.0, 1.0)
        for name in _WEIGHTS:
            ranges.between(f"student.{name}", getattr(self, name), 0.0, 1000.0)


@struct.dataclass
class StudentState(translators.EditorState):
    """E and G as one network, D, and the moving average of E and G."""

    step: jax.Array
    translator: state_lib.NetworkState
    discriminator: state_lib.NetworkState
    average: types.Params


def make(
    config: "config_lib.Config", num_classes: int, total_steps: int, spec: dataset.ImageSpec = dataset.FER2013
) -> state_lib.Phase:
    """Returns phase `student` of a configuration.

    Args:
      config: see `config.StudentConfig`.
      num_classes: how many labels there are.
      total_steps: the length of the schedule.
      spec: what the faces are.
    """
    settings, sizes = config.student, config.translator
    E, G = translator.make_encoder(sizes, num_classes), translator.make_generator(sizes, num_classes, spec)
    D = translator.make_discriminator(sizes, num_classes)
    adversarial = losses.ADVERSARIAL["relativistic"]
    schedule = optax.cosine_decay_schedule(settings.learning_rate, total_steps, translators.LAST_RATE)
    optimizer = optax.adam(schedule, b1=settings.b1, b2=settings.b2)
    critic_optimizer = optax.adam(lambda step: settings.critic_rate * schedule(step), b1=settings.b1, b2=settings.b2)

    def init(key: jax.Array) -> StudentState:
        keys = jax.random.split(key, 3)
        face, label = jnp.zeros((1, *spec.shape)), jnp.zeros((1,), jnp.int32)
        params = translators.initialise(E, G, keys[:2], spec)
        critic = jax.jit(D.init)(keys[2], face, label)["params"]
        return StudentState(
            jnp.zeros((), jnp.int32),
            state_lib.NetworkState(params, {}, jax.jit(optimizer.init)(params)),
            state_lib.NetworkState(critic, {}, jax.jit(critic_optimizer.init)(critic)),
            jax.tree.map(jnp.copy, params) if settings.ema_decay else {},
        )

    def draw(params: types.Params, faces: types.Images, targets: types.Labels) -> translator.Drawing:
        codes = E.apply({"params": params["encoder"]}, faces, targets)
        return G.apply({"params": params["generator"]}, codes, targets, method="draw")

    def changed(faces: types.Images, keys: jax.Array) -> types.Images:
        return augment.all_of(faces, keys) if settings.augment else faces

    def step(
        state: StudentState, batch: state_lib.Batch, key: jax.Array, *, axis_name: str | None = None
    ) -> tuple[StudentState, types.Metrics]:
        count, labels = len(batch["label"]), batch["label"]
        keys = jax.random.split(key, 3)
        share = functools.partial(state_lib.own_share, count=count, axis_name=axis_name)
        # A face and its edit are mirrored together. The real faces are those of the target labels, so that the
        # frequency of a label says nothing to D.
        flips = share(lambda count: jax.random.split(keys[0], count))
        flipped = lambda name: jax.vmap(augment.flip)(images.to_float(batch[name]), flips)  # noqa: E731
        faces, answers, reals = flipped("image"), flipped("edit"), flipped("reference")
        own = share(lambda count: jax.random.uniform(keys[1], (count,)) < settings.own_share)
        looks = share(lambda count: jax.random.split(keys[2], (count, 3)))
        targets = jnp.where(own, labels, batch["target"])
        answers, reals = (jnp.where(own[:, None, None, None], faces, other) for other in (answers, reals))

        def critic_loss(params, edits):
            real, fake = changed(reals, looks[:, 0]), changed(edits, looks[:, 1])
            both, shown = jnp.concatenate([targets, targets]), jnp.concatenate([real, fake])
            real_logits, fake_logits = jnp.split(D.apply({"params": params}, shown, both)[0], 2)
            loss = jnp.mean(adversarial.discriminator(real_logits, fake_logits))
            total = loss
            if settings.r1_r2:
                few = translators.few_of(count)
                critic = lambda x: D.apply({"params": params}, x, few(both))[0]  # noqa: E731
                total += settings.r1_r2 * jnp.mean(losses.squared_gradient(critic, few(shown)))
            metrics = {
                "discriminator_loss": loss,
                "real_logit": jnp.mean(real_logits),
                "fake_logit": jnp.mean(fake_logits),
            }
            return total, (metrics, real)

        def edit_loss(drawing, discriminator, real):
            edits = drawing.faces
            fake_logits = D.apply({"params": discriminator}, changed(edits, looks[:, 2]), targets)[0]
            real_logits = D.apply({"params": discriminator}, real, targets)[0]
            apart = jnp.mean(jnp.abs(edits - answers), axis=(1, 2, 3))
            terms = {
                "imitation": jnp.mean(apart),
                "edges": jnp.mean(_edges_apart(edits, answers)),
                "adversarial": jnp.mean(adversarial.generator(real_logits, fake_logits)),
                "roughness": jnp.mean(drawing.roughness),
            }
            total = sum(getattr(settings, name) * term for name, term in terms.items())
            moved = jnp.mean(jnp.abs(answers - faces), axis=(1, 2, 3))
            return total, {
                "generator_loss": terms["adversarial"],
                "imitation": terms["imitation"],
                "edges": terms["edges"],
                "to_explain": jnp.mean(moved),
            }

        drawing, pullback = jax.vjp(lambda params: draw(params, faces, targets), state.translator.params)
        gradients, (critic_metrics, real) = jax.grad(critic_loss, has_aux=True)(
            state.discriminator.params, drawing.faces
        )
        discriminator = state_lib.update(
            state.discriminator, critic_optimizer, state_lib.mean_over(gradients, axis_name), {}
        )
        to_drawing, metrics = jax.grad(edit_loss, has_aux=True)(drawing, discriminator.params, real)
        gradients = state_lib.mean_over(pullback(to_drawing)[0], axis_name)
        both = state_lib.update(state.translator, optimizer, gradients, {})
        average = state.average
        if settings.ema_decay:
            average = state_lib.moving_average(average, both.params, settings.ema_decay, state.step.astype(jnp.float32))
        metrics = state_lib.mean_over({**critic_metrics, **metrics}, axis_name)
        metrics |= {name: translators.GRAY * metrics[name] for name in ("imitation", "to_explain")}
        return StudentState(state.step + 1, both, discriminator, average), metrics

    def diagnose(metrics: Mapping[str, float]) -> None:
        del metrics

    return state_lib.Phase("student", init, step, translators.sample_of(draw, num_classes), ("original",), diagnose)


def _edges_apart(one: types.Images, other: types.Images) -> jax.Array:
    """Returns how far the differences of neighbouring pixels of two batches lie apart, [B] (Mathieu et al. 2016)."""
    difference = one - other
    down, right = difference[:, 1:] - difference[:, :-1], difference[:, :, 1:] - difference[:, :, :-1]
    return jnp.mean(jnp.abs(down), axis=(1, 2, 3)) + jnp.mean(jnp.abs(right), axis=(1, 2, 3))


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


def _prepare(run: state_lib.Run, data: dataset.Dataset) -> dataset.Dataset:
    """Returns the data with a target label, the teacher's edit and a real face of the target for each face."""
    settings, name = run.config.student, run.config.student.teacher
    teacher = loading.load(name)
    if settings.guidance:
        teacher = _guided(teacher, settings)
    if teacher.spec != data.spec or teacher.class_names != data.class_names:
        raise ValueError(
            f"student.teacher: expected a model of {data.spec} faces with the classes {', '.join(data.class_names)}, "
            f"found {name}, of {teacher.spec} faces with {', '.join(teacher.class_names)}"
        )
    count, seed = settings.faces or len(data), run.config.seed
    targets = draw_targets(data.labels, len(data.class_names), seed)[:count]
    references = data.images[draw_references(data.labels, targets, seed)]
    faces = data.take(np.arange(len(targets)))
    edits = pairs.load(teacher, faces.images, faces.labels, targets, run.folder("pairs"), run.progress("teacher"))
    return dataclasses.replace(faces, targets=targets, edits=edits, references=references)


def _guided(teacher: editor.Editor, settings: StudentConfig) -> editor.Editor:
    """Returns the teacher with the guidance of the settings."""
    if teacher.networks.kind != "flow":
        raise ValueError(
            f"student.guidance: expected '' with a teacher that is no flow, found {settings.guidance} with "
            f"{settings.teacher}, of the kind {teacher.networks.kind}"
        )
    edits = dataclasses.replace(teacher.networks.flow_edit, guidance=settings.guidance)
    networks = dataclasses.replace(teacher.networks, flow_edit=edits)
    return loading.of(model_file.Model(networks, teacher.class_names, *teacher.variables, teacher.card))


def _build(run: state_lib.Run, name: str) -> tuple[state_lib.Phase, dict[str, int]]:
    return make(run.config, run.num_classes, run.steps[name], run.spec), {}


def _begin(
    config: "config_lib.Config", num_classes: int, name: str, key: jax.Array, spec: dataset.ImageSpec
) -> StudentState:
    return make(config, num_classes, 1, spec).init(key)


def _check(config: "config_lib.Config") -> None:
    if config.translator.guidance_features:
        raise ValueError("translator.guidance_features: expected false with phase student, found true")
    translators.refuse_microbatches(config, "student")


StudentConfig.recipe = state_lib.Recipe(
    build=_build,
    begin=_begin,
    networks=translators.networks,
    curves=(
        translators.LOSSES,
        state_lib.Panel(
            "distance to the teacher",
            "gray levels a pixel",
            (state_lib.Line("imitation", "of the student"), state_lib.Line("to_explain", "of the unedited face")),
        ),
    ),
    prepare=_prepare,
    check=_check,
    editor="translator",
    whole=True,
)
