"""Phase `joint`: E, G and D learn together to set the emotion on real faces."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from flax import struct

from emogan import losses
from emogan.data import augment, dataset
from emogan.models import critic as critic_lib
from emogan.models import emotion_cnn, precision, translator
from emogan.recipes import edits as edits_lib
from emogan.recipes import state as state_lib
from emogan.util import images, ranges, types

if TYPE_CHECKING:
    from emogan import config as config_lib


CLASSIFIERS = ("classifier", "robust")  # the phases of the guidance classifiers
_WEIGHTS = (
    *("adversarial", "gradient_penalty", "r1_r2", "classification", "guidance"),
    *("reconstruction", "keep", "cycle", "residual", "roughness"),
)


@dataclasses.dataclass
class JointConfig:
    """Phase `joint`: E, G and D together. Weights of 0 leave a term out of the step."""

    recipe: ClassVar[state_lib.Recipe]
    RENAMED: ClassVar[Mapping[str, str]] = {
        "slope_penalty": "r1_r2",
        "guide": "guidance",
        "paint": "residual",
        "bend_first": "warp_first",
    }
    epochs: float = 20.0
    batch_size: int = 64
    learning_rate: float = 1e-3  # falls to a twentieth, as half a cosine
    critic_rate: float = 1.0  # D's learning rate in that of E and G
    b1: float = 0.5
    b2: float = 0.99
    ema_decay: float = 0.998  # of the averaged E and G that edits are made with; 0 switches it off
    loss: str = "relativistic"  # or another of `losses.ADVERSARIAL`
    critic_steps: int = 1  # updates of D, each on its own part of the batch, before that of E and G
    adversarial: float = 1.0  # weight of E's and G's adversarial loss
    gradient_penalty: float = 0.0  # weight of WGAN-GP's, between real and edited faces
    r1_r2: float = 1.0  # weight of R1 and R2: at real and at edited faces, on a quarter of them
    classification: float = 1.0  # weight of the emotion that D predicts: on real faces for D, on edits for E and G
    guidance: float = 2.0  # weight of the emotion that the guidance classifiers, taken together, predict on the edits
    confidence: float = 1.0  # of D and of the classifiers in the target emotion, beyond which an edit gains nothing
    reconstruction: float = 10.0  # weight of |x - x'| per pixel where the target emotion is the face's own
    keep: float = 1.0  # weight of the same where it is not
    residual: float = 40.0  # weight of what G adds to the warped face, squared, so that shades cost less than spots
    warp_first: float = 0.0  # share of the steps without a residual: spots satisfy a classifier sooner than motion
    roughness: float = 0.3  # weight of how much neighbouring points of the warp differ, in square pixels
    cycle: float = 0.0  # weight of |x - G(E(x') | y)| per pixel
    own_share: float = 0.25  # of the batch whose target emotion is the face's own
    balanced: bool = True  # whether the other target emotions are uniform, or as frequent as in the data
    augment: bool = True  # whether D and the classifiers see faces changed at random

    def check(self) -> None:
        state_lib.check_optimisation("joint", self)
        ranges.between("joint.critic_rate", self.critic_rate, 0.01, 100.0)
        ranges.between("joint.b2", self.b2, 0.0, 0.999999)
        ranges.between("joint.ema_decay", self.ema_decay, 0.0, 0.999999)
        ranges.one_of("joint.loss", self.loss, tuple(losses.ADVERSARIAL))
        state_lib.check_parts("joint", self)
        ranges.between("joint.own_share", self.own_share, 0.0, 1.0)
        ranges.between("joint.warp_first", self.warp_first, 0.0, 1.0)
        ranges.between("joint.confidence", self.confidence, 0.01, 1.0)
        for name in _WEIGHTS:
            ranges.between(f"joint.{name}", getattr(self, name), 0.0, 1000.0)


def guidance_phases(config: "config_lib.Config") -> tuple[str, ...]:
    """Returns the phases of the guidance classifiers of phase `joint`: all of the configuration's, under a guidance."""
    return tuple(name for name in config.phases.split(",") if name in CLASSIFIERS and config.joint.guidance)


def features_size(config: "config_lib.Config") -> int:
    """Returns how many features of a face D gets from the first guidance classifier, 0 if none."""
    names = guidance_phases(config)
    if not (config.translator.guidance_features and names):  # a configuration without phase `joint` may have none
        return 0
    return emotion_cnn.STAGES[-1] * getattr(config, names[0]).width


_PENALISED = 4  # one face in four has its gradients penalised, at the cost of two more steps of D
_NEGATIVE, _NEGATIVE_STEPS = -0.3, 50  # edits less like their faces, for 50 steps, are reported as negatives


@struct.dataclass
class JointState:
    """E and G as one network, D, the moving average of E and G, and the guidance classifiers, by phase."""

    step: jax.Array
    translator: state_lib.NetworkState
    discriminator: state_lib.NetworkState
    average: types.Params
    classifiers: Mapping[str, state_lib.Variables]
    negative_for: jax.Array  # steps in a row whose edits looked like negatives of their faces

    @property
    def best_params(self) -> types.Params:
        """The parameters of E and G: averaged, where there is an average."""
        return self.average if self.average else self.translator.params

    @property
    def best_encoder(self) -> state_lib.Variables:
        """The variables of E."""
        return {"params": self.best_params["encoder"]}

    @property
    def generator(self) -> state_lib.Variables:
        """The variables of G."""
        return {"params": self.best_params["generator"]}


def examples(
    settings: JointConfig, batch: state_lib.Batch, key: jax.Array, frequency: jax.Array, axis_name: str | None = None
) -> tuple[types.Images, types.Labels, types.Labels, jax.Array, jax.Array]:
    """Returns what a step needs of a batch.

    That is: the faces, half of them mirrored; their labels; the labels that they are to get; where between a real and
    an edited face a gradient penalty is taken, [B] in 0..1; and keys [B, 3] of random changes.

    Args:
      settings, batch, key: of the step.
      frequency: of the labels in the data, [C].
      axis_name: the device axis, if any.
    """
    keys = jax.random.split(key, 5)
    share = functools.partial(state_lib.own_share, count=len(batch["label"]), axis_name=axis_name)
    faces, labels = images.to_float(batch["image"]), batch["label"]
    # E and G see a face or its mirror image: what is so from one side is so from the other.
    faces = jax.vmap(augment.flip)(faces, share(lambda count: jax.random.split(keys[4], count)))
    wanted = share(lambda count: draw_wanted(keys[0], count, len(frequency), settings.balanced, frequency))
    own = share(lambda count: jax.random.uniform(keys[1], (count,)) < settings.own_share)
    mix = share(lambda count: jax.random.uniform(keys[2], (count,)))
    looks = share(lambda count: jax.random.split(keys[3], (count, 3)))
    return faces, labels, jnp.where(own, labels, wanted), mix, looks


def draw_guidance(
    config: "config_lib.Config", num_classes: int, key: jax.Array, spec: dataset.ImageSpec
) -> dict[str, state_lib.Variables]:
    """Returns the first variables of the guidance classifiers of a configuration."""
    begin = lambda module, key: module.init(key, jnp.zeros((1, *spec.shape)), train=False)  # noqa: E731
    modules = _modules(config, num_classes)
    keys = jax.random.split(key, max(len(modules), 1))
    return {name: begin(module, own) for (name, module), own in zip(modules.items(), keys, strict=False)}


def _modules(config: "config_lib.Config", num_classes: int) -> dict[str, emotion_cnn.Classifier]:
    names = guidance_phases(config)
    dtype = precision.dtype(config.model.precision)
    return {name: emotion_cnn.Classifier(getattr(config, name).width, num_classes, dtype=dtype) for name in names}


def make(
    config: "config_lib.Config",
    num_classes: int,
    total_steps: int,
    class_counts: Any,
    classifiers: Mapping[str, state_lib.Variables],
    spec: dataset.ImageSpec,
) -> state_lib.Phase:
    """Returns phase `joint` of a configuration.

    Args:
      config: see `config.JointConfig`.
      num_classes: how many labels there are.
      total_steps: the length of the schedule.
      class_counts: how many training faces each label has, [C].
      classifiers: the variables of the guidance classifiers, by their phases.
      spec: what the faces are.
    """
    settings, sizes, computed_in = config.joint, config.translator, config.model.precision
    E = translator.make_encoder(sizes, num_classes, computed_in)
    G = translator.make_generator(sizes, num_classes, spec, computed_in)
    D = critic_lib.make_discriminator(sizes, num_classes, computed_in)
    modules = _modules(config, num_classes)
    adversarial = losses.ADVERSARIAL[settings.loss]
    schedule = optax.cosine_decay_schedule(settings.learning_rate, total_steps, edits_lib.LAST_RATE)
    optimizer = optax.adam(schedule, b1=settings.b1, b2=settings.b2)
    # Optax counts updates, of which D has several in a step.
    faster = lambda update: settings.critic_rate * schedule(update // settings.critic_steps)  # noqa: E731
    critic_optimizer = optax.adam(faster, b1=settings.b1, b2=settings.b2)
    frequency = jnp.asarray(class_counts, jnp.float32) / sum(class_counts)
    # Added to D's answers in training, so that a rare emotion is not held to be rare in edits (Ren et al. 2020).
    prior = jnp.log(jnp.maximum(frequency, 1e-6)) if settings.balanced else jnp.zeros(num_classes)

    def look(classifiers: Mapping[str, state_lib.Variables], faces: types.Images) -> list[tuple[jax.Array, jax.Array]]:
        return [module.apply(classifiers[name], faces, train=False) for name, module in modules.items()]

    def features_for_critic(answers: list[tuple[jax.Array, jax.Array]]) -> jax.Array | None:
        return answers[0][1] if sizes.guidance_features else None

    def init(key: jax.Array) -> JointState:
        keys = jax.random.split(key, 3)
        face, label = jnp.zeros((1, *spec.shape)), jnp.zeros((1,), jnp.int32)
        params = _initialise(E, G, keys[:2], spec)
        both = state_lib.NetworkState(params, {}, jax.jit(optimizer.init)(params))
        features = [jnp.zeros((1, size))] if (size := features_size(config)) else []
        critic = jax.jit(D.init)(keys[2], face, label, *features)["params"]
        average = jax.tree.map(jnp.copy, params) if settings.ema_decay else {}
        return JointState(
            jnp.zeros((), jnp.int32),
            both,
            state_lib.NetworkState(critic, {}, jax.jit(critic_optimizer.init)(critic)),
            average,
            jax.tree.map(jnp.asarray, dict(classifiers)),
            jnp.zeros((), jnp.int32),
        )

    def draw(
        params: types.Params, faces: types.Images, labels: types.Labels, opening: jax.Array | float = 1.0
    ) -> translator.Drawing:
        codes = E.apply({"params": params["encoder"]}, faces, labels)
        return G.apply({"params": params["generator"]}, codes, labels, opening, method="draw")

    def classification_loss(emotions: types.Logits, wanted: types.Labels) -> jax.Array:
        # Without an end, the emotion would be overdrawn until no person looked so.
        least = -math.log(settings.confidence)
        return jnp.maximum(optax.softmax_cross_entropy_with_integer_labels(emotions, wanted), least)

    def per_face(metrics: types.Metrics) -> types.Metrics:
        # Of means over all devices: one of them may have no face whose target is its own label.
        other = jnp.maximum(metrics["other"], 1e-6)
        own = jnp.maximum(1 - metrics["other"], 1e-6)
        found = {
            "reconstruction": edits_lib.GRAY * metrics["reconstruction"] / own,
            "change": edits_lib.GRAY * metrics["change"] / other,
            "residual": edits_lib.GRAY * jnp.sqrt(metrics["residual"]),
            "edit_accuracy": metrics["edit_accuracy"] / other,
        }
        return {name: value for name, value in metrics.items() if name != "other"} | found

    def changed(faces: types.Images, keys: jax.Array) -> types.Images:
        return augment.all_of(faces, keys) if settings.augment else faces

    def step(
        state: JointState, batch: state_lib.Batch, key: jax.Array, *, axis_name: str | None = None
    ) -> tuple[JointState, types.Metrics]:
        whole = examples(settings, batch, key, frequency, axis_name)
        opening = (state.step >= settings.warp_first * total_steps).astype(jnp.float32)

        def critic_loss(params, edits, faces, labels, wanted, mix, looks):
            real, fake = changed(faces, looks[:, 0]), changed(edits, looks[:, 1])
            both, shown = jnp.concatenate([labels, wanted]), jnp.concatenate([real, fake])
            seen = features_for_critic(look(state.classifiers, shown))
            logits, emotions = D.apply({"params": params}, shown, both, seen)
            real_logits, fake_logits = jnp.split(logits, 2)
            wrong = optax.softmax_cross_entropy_with_integer_labels(emotions[: len(labels)] + prior[None], labels)
            loss = jnp.mean(adversarial.discriminator(real_logits, fake_logits))
            total = loss + (jnp.mean(wrong) if settings.classification else 0.0)
            if settings.r1_r2:
                few = _few_of(len(labels))
                critic = lambda x: D.apply({"params": params}, x[0], few(both), x[1])[0]  # noqa: E731
                squares = losses.squared_gradient(critic, jax.tree.map(few, (shown, seen)))
                total += settings.r1_r2 * jnp.mean(squares)  # the mean over both is the sum of half of each
            if settings.gradient_penalty:
                critic = lambda faces: D.apply({"params": params}, faces, wanted)[0]  # noqa: E731
                penalty = losses.gradient_penalty(critic, real, fake, mix)
                total += settings.gradient_penalty * jnp.mean(penalty)
            right = jnp.mean(jnp.argmax(emotions[: len(labels)], axis=1) == labels)
            metrics = {
                "discriminator_loss": loss,
                "real_logit": jnp.mean(real_logits),
                "fake_logit": jnp.mean(fake_logits),
                "discriminator_accuracy": right,
            }
            return total, (metrics, jax.tree.map(lambda both: both[: len(labels)], (shown, seen)))

        def edit_loss(drawing, params, discriminator, faces, labels, wanted, looks, real):
            edits = drawing.faces
            shown, other = changed(edits, looks[:, 2]), (wanted != labels).astype(jnp.float32)
            answers = look(state.classifiers, shown)
            seen = features_for_critic(answers)
            fake_logits, emotions = D.apply({"params": discriminator}, shown, wanted, seen)
            real_logits = 0.0
            if adversarial.relativistic:
                real_logits = D.apply({"params": discriminator}, real[0], labels, real[1])[0]
            apart = jnp.mean(jnp.abs(edits - faces), axis=(1, 2, 3))
            terms = {
                "adversarial": jnp.mean(adversarial.generator(real_logits, fake_logits)),
                "reconstruction": jnp.mean(apart * (1 - other)),
                "keep": jnp.mean(apart * other),
                "residual": jnp.mean(drawing.residual),
                "roughness": jnp.mean(drawing.roughness),
            }
            if settings.classification:
                terms["classification"] = jnp.mean(classification_loss(emotions, wanted) * other)
            if modules:
                # They learned how frequent each emotion is, and would overdraw the rare ones.
                emotions = sum(logits for logits, _ in answers) / len(answers) - prior[None]
                terms["guidance"] = jnp.mean(classification_loss(emotions, wanted) * other)
            if settings.cycle:
                back = draw(params, edits, labels, opening).faces
                terms["cycle"] = jnp.mean(jnp.abs(back - faces))
            total = sum(getattr(settings, name) * term for name, term in terms.items())
            right = (jnp.argmax(emotions, axis=1) == wanted) * other
            return total, {
                "generator_loss": terms["adversarial"],
                "reconstruction": terms["reconstruction"],
                "change": terms["keep"],
                "residual": terms["residual"],
                "edit_accuracy": jnp.mean(right),
                "likeness": jnp.mean(losses.likeness(edits, faces)),
                "other": jnp.mean(other),
            }

        discriminator = state.discriminator
        for i in range(settings.critic_steps):
            part = [x.reshape(-1, settings.critic_steps, *x.shape[1:])[:, i] for x in whole]
            # D's update does not move E and G, so the edits it sees, and the way back through them, serve theirs too.
            draw_part = functools.partial(draw, faces=part[0], labels=part[2], opening=opening)
            drawing, pullback = jax.vjp(draw_part, state.translator.params)
            learn = jax.grad(critic_loss, has_aux=True)
            gradients, (critic_metrics, real) = learn(discriminator.params, drawing.faces, *part)
            gradients = state_lib.mean_over(gradients, axis_name)
            discriminator = state_lib.update(discriminator, critic_optimizer, gradients, {})
        to_parts, metrics = jax.grad(edit_loss, argnums=(0, 1), has_aux=True)(
            drawing, state.translator.params, discriminator.params, *part[:3], part[4], real
        )
        # Of the cycle, the way back depends on the parameters by itself.
        gradients = jax.tree.map(jnp.add, pullback(to_parts[0])[0], to_parts[1])
        both = state_lib.update(state.translator, optimizer, state_lib.mean_over(gradients, axis_name), {})
        average = state.average
        if settings.ema_decay:
            average = state_lib.moving_average(average, both.params, settings.ema_decay, state.step.astype(jnp.float32))
        metrics = per_face(state_lib.mean_over({**critic_metrics, **metrics}, axis_name))
        negative_for = jnp.where(metrics["likeness"] < _NEGATIVE, state.negative_for + 1, 0)
        metrics["negative_for"] = negative_for.astype(jnp.float32)
        return JointState(state.step + 1, both, discriminator, average, state.classifiers, negative_for), metrics

    def diagnose(metrics: Mapping[str, float]) -> state_lib.Diagnosis | None:
        if metrics["negative_for"] != _NEGATIVE_STEPS:
            return None
        # Back and forth through negatives is a closed cycle, too, and D is slow to mind.
        return state_lib.Diagnosis(
            f"for {_NEGATIVE_STEPS} steps the edits have been negatives of their faces (likeness "
            f"{metrics['likeness']:.2f}); try another --config.seed, or more --config.joint.reconstruction",
            stop=False,
        )

    def sample(state: JointState, batch: state_lib.Batch, key: jax.Array) -> tuple[jax.Array, types.Metrics]:
        del key
        return edits_lib.every_edit(lambda *face: draw(state.best_params, *face).faces, batch, num_classes), {}

    return state_lib.Phase("joint", init, step, sample, ("original",), diagnose)


def _initialise(
    E: translator.Encoder, G: translator.Generator, keys: jax.Array, spec: dataset.ImageSpec
) -> types.Params:
    """Returns the first parameters of E and G, from a key each."""
    face, label = jnp.zeros((1, *spec.shape)), jnp.zeros((1,), jnp.int32)

    def begin():
        codes, encoder = E.init_with_output(keys[0], face, label)
        return {"encoder": encoder["params"], "generator": G.init(keys[1], codes, label)["params"]}

    return jax.jit(begin)()


def _few_of(count: int) -> Callable[[jax.Array], jax.Array]:
    """Returns what takes, of two batches of `count` one behind the other, the faces whose gradients are penalised."""
    # The same faces however the batch is shared, if each device has a multiple of them.
    some = slice(min(_PENALISED, count) - 1, None, _PENALISED)
    return lambda x: jnp.concatenate([half[some] for half in jnp.split(x, 2)])


def draw_wanted(key: jax.Array, count: int, num_classes: int, balanced: bool, frequency: jax.Array) -> types.Labels:
    """Returns labels [count], uniform where `balanced`, else as frequent as `frequency` [C] says."""
    if balanced:
        return jax.random.randint(key, (count,), 0, num_classes)
    return jax.random.categorical(key, jnp.log(jnp.maximum(frequency, 1e-6)), shape=(count,)).astype(jnp.int32)


def _build(run: state_lib.Run, name: str) -> tuple[state_lib.Phase, dict[str, int]]:
    classifiers = {one: run.finished(one, lambda state: state.average)[1] for one in guidance_phases(run.config)}
    return make(run.config, run.num_classes, run.steps[name], run.class_counts, classifiers, run.spec), {}


def _begin(
    config: "config_lib.Config", num_classes: int, name: str, key: jax.Array, spec: dataset.ImageSpec
) -> JointState:
    classifiers = draw_guidance(config, num_classes, key, spec)
    return make(config, num_classes, 1, [1] * num_classes, classifiers, spec).init(key)


def _networks(
    config: "config_lib.Config", name: str, num_classes: int, spec: dataset.ImageSpec
) -> dict[str, types.Params]:
    sizes, dtypes, features = config.translator, (jnp.float32, jnp.int32), features_size(config)
    guidance = [(1, features)] if features else []
    # E and G as edits are made with them have the same parameters; G refuses a wrong number of strengths in time.
    E = translator.make_finished_encoder(sizes, num_classes)
    G = translator.make_finished_generator(sizes, num_classes, spec)
    D = critic_lib.make_discriminator(sizes, num_classes)
    code = (1, *translator.code_shape(sizes, spec))
    return {
        f"{name} encoder": state_lib.shapes(E, (1, *spec.shape), (1,), dtypes=dtypes, train=False),
        f"{name} generator": state_lib.shapes(G, code, (1,), dtypes=dtypes, train=False),
        f"{name} discriminator": state_lib.shapes(D, (1, *spec.shape), (1,), *guidance, dtypes=dtypes, train=False),
    }


def _check(config: "config_lib.Config") -> None:
    settings = config.joint
    if settings.guidance and not guidance_phases(config):
        raise ValueError(
            f"joint.guidance: expected 0, or one of the phases {' and '.join(CLASSIFIERS)} in phases, found "
            f"{settings.guidance} and {config.phases}"
        )
    if config.translator.guidance_features and (settings.gradient_penalty or not guidance_phases(config)):
        raise ValueError(
            "translator.guidance_features: expected false, or a guidance and joint.gradient_penalty=0, found true with "
            f"joint.guidance={settings.guidance}, phases {config.phases} and "
            f"joint.gradient_penalty={settings.gradient_penalty}"
        )
    edits_lib.refuse_microbatches(config, "joint")


JointConfig.recipe = state_lib.Recipe(
    build=_build,
    begin=_begin,
    networks=_networks,
    curves=(
        state_lib.Panel(
            "losses",
            "loss",
            (state_lib.Line("discriminator_loss", "D, real + edited"), state_lib.Line("generator_loss", "E and G")),
        ),
        state_lib.Panel(
            "emotions predicted",
            "share",
            (
                state_lib.Line("edit_accuracy", "the target, on edits"),
                state_lib.Line("discriminator_accuracy", "by D, on real faces"),
            ),
        ),
        state_lib.Panel(
            "distance to the source",
            "gray levels a pixel",
            (state_lib.Line("reconstruction", "under the own label"), state_lib.Line("change", "under another")),
        ),
    ),
    built_on=guidance_phases,
    check=_check,
    editor="translator",
    whole=True,
    bfloat16=True,
)
