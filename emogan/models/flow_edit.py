"""Edits by the difference of two flows (FlowEdit, Kulikov et al. 2024), without noise ever being reached.

A state z begins at the face x. At each time t, from t_max down to 0, x is mixed with fresh noise n,

    z_s = (1 - t) x + t n,    z_t = z_s + (z - x),

and z moves by v(z_t, t, y) - v(z_s, t, y_s), where y is the target label and y_s that of the face. So only what the two
labels disagree on changes.

Traces of the face remain where it changed, such as teeth under closed lips. So the parts that changed are drawn again:
z is mixed with noise up to the time `redraw_t`, and the ODE under y leads back from there, while the other parts are
held (as in inpainting; Lugmayr et al. 2022).
"""

import dataclasses
import hashlib
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from emogan.models import ode
from emogan.util import images, ranges, types


@dataclasses.dataclass
class FlowEditConfig:
    """How a trained flow edits faces. A guidance of 1 is none: v is that of the label."""

    MAY_CHANGE: ClassVar[tuple[str, ...]] = ("*",)
    method: str = "difference"  # of two flows (Kulikov et al. 2024), or inversion: to noise and back
    t_max: float = 0.85  # the share of noise at which an edit begins; less keeps more of the face
    steps: int = 14
    solver: str = "euler"  # or heun, which asks the network twice a step
    guidance: str = "5.5"  # of the target label; or one for each emotion, as 5.5,11,...
    guidance_source: float = 1.0  # of the face's own label
    guidance_t_min: float = 0.15  # guidance acts at times from this on, until details appear (Kynkäänniemi et al. 2024)
    noises: int = 1  # averaged in each step of a difference
    redraw_t: float = 0.3  # the share of noise from which the parts that changed are drawn again; 0 leaves this out
    redraw_steps: int = 5
    redraw_guidance: float = 1.0  # of the target label in these steps
    seed: int = 0  # of the noise; the same face and seed have the same noise
    inversion_steps: int = 12  # of E and of G, from a face to noise or back
    inversion_solver: str = "heun"
    inversion_guidance: float = 2.5  # of the target label, in G
    inversion_t_max: float = 0.8  # as t_max, of an edit by inversion

    def check(self) -> None:
        ranges.one_of("flow_edit.method", self.method, ("difference", "inversion"))
        for name in ("t_max", "inversion_t_max"):
            ranges.between(f"flow_edit.{name}", getattr(self, name), 0.01, 1.0)
        ranges.between("flow_edit.redraw_t", self.redraw_t, 0.0, 0.99)
        for name in ("steps", "redraw_steps", "inversion_steps"):
            ranges.between(f"flow_edit.{name}", getattr(self, name), 1, 1000)
        for name in ("solver", "inversion_solver"):
            ranges.one_of(f"flow_edit.{name}", getattr(self, name), ("euler", "heun"))
        for name in ("guidance_source", "redraw_guidance", "inversion_guidance"):
            ranges.between(f"flow_edit.{name}", getattr(self, name), 0.0, 100.0)
        for guidance in ranges.numbers("flow_edit.guidance", self.guidance):
            ranges.between("flow_edit.guidance", guidance, 0.0, 100.0)
        ranges.between("flow_edit.guidance_t_min", self.guidance_t_min, 0.0, 1.0)
        ranges.between("flow_edit.noises", self.noises, 1, 64)
        ranges.between("flow_edit.seed", self.seed, 0, 2**31 - 1)

    def guidances(self, num_classes: int) -> np.ndarray:
        """Returns `guidance` for each label, float32 [C].

        Raises:
          ValueError: if it has neither one number nor one for each label.
        """
        found = ranges.numbers("flow_edit.guidance", self.guidance)
        if len(found) not in (1, num_classes):
            raise ValueError(
                f"flow_edit.guidance: expected 1 number or {num_classes}, one for each emotion, found {len(found)}"
            )
        return np.broadcast_to(np.float32(found), (num_classes,))


# What counts as changed: the mean over the channels of the absolute change, after a Gaussian blur whose deviation is
# this share of the size. Below the first of these values a pixel is held, above the second it is drawn again.
CHANGE_BLUR = 1 / 24
CHANGES = (0.10, 0.22)

# Where the source emotion is estimated: at these times, with this number of noises each.
ESTIMATE_TIMES = (0.4, 0.6, 0.8)
ESTIMATE_NOISES = 1


def seeds(faces: np.ndarray) -> np.ndarray:
    """Returns a number of each face, uint32 [N], computed only from its pixels.

    Args:
      faces: uint8 [N, S, S(, 1 or 3)], or floats in [-1, 1], which have the number of the bytes that they round to.
    """
    faces = np.asarray(faces)
    if faces.shape[3:] == (1,):
        faces = faces[..., 0]
    if faces.dtype != np.uint8:
        faces = np.asarray(images.to_bytes(jnp.asarray(faces[..., None] if faces.ndim == 3 else faces)))
    digests = [hashlib.sha256(face.tobytes()).digest() for face in faces]
    return np.array([int.from_bytes(digest[:4], "little") for digest in digests], np.uint32)


def noise(seed: int, faces: jax.Array, step: jax.Array, count: int, shape: tuple[int, int, int]) -> jax.Array:
    """Returns the noises float32 [count, B, S, S, C] of a step, which depend on nothing but the arguments.

    Args:
      seed: of all edits.
      faces: uint32 [B], the faces' numbers; see `seeds`.
      step: the number of the step.
      count: how many noises each face has.
      shape: of a face, [S, S, C].
    """

    def of_face(face: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), face), step)
        return jax.random.normal(key, (count, *shape))

    return jax.vmap(of_face)(faces).swapaxes(0, 1)


def guided_from(t_min: float, t: jax.Array, condition: ode.Condition) -> ode.Condition:
    """Returns a condition at time t: that without guidance if t is below `t_min`."""
    if condition.guidance is None:
        return condition
    return ode.Condition(condition.labels, jnp.where(t < t_min, 1.0, condition.guidance))


def change(
    velocity: ode.Velocity,
    faces: types.Images,
    moved: jax.Array,
    t: jax.Array,
    noises: jax.Array,
    target: ode.Condition,
    source: ode.Condition,
) -> jax.Array:
    """Returns v(z_t, t, y) - v(z_s, t, y_s), the mean over noises, [B, S, S, C].

    It is exactly 0 where the two conditions are equal and z is the face.

    Args:
      velocity: the network.
      faces: x, [B, S, S, C].
      moved: z - x, [B, S, S, C].
      t: the time.
      noises: n, [K, B, S, S, C].
      target, source: the conditions of y and y_s.
    """
    count, batch = noises.shape[:2]
    of_source = ((1.0 - t) * faces[None] + t * noises).reshape(-1, *faces.shape[1:])
    of_target = of_source + jnp.tile(moved, (count, 1, 1, 1))
    conditions = [
        jax.tree.map(lambda leaf: jnp.tile(leaf, (count, *(1,) * (leaf.ndim - 1))), c) for c in (target, source)
    ]
    to, away = ode.velocities(velocity, t, list(zip((of_target, of_source), conditions, strict=True)))
    found = jnp.mean((to - away).reshape(count, batch, *faces.shape[1:]), axis=0)
    # The same face at two places of a batch may have answers that differ in the last bit.
    ones = jnp.ones(batch)
    strengths = [ones if condition.guidance is None else condition.guidance for condition in (target, source)]
    same = jnp.all(target.labels == source.labels, axis=1) & (strengths[0] == strengths[1])
    same &= jnp.all(moved == 0, axis=(1, 2, 3))
    return jnp.where(same[:, None, None, None], 0.0, found)


def step(
    velocity: ode.Velocity,
    faces: types.Images,
    moved: jax.Array,
    t: jax.Array,
    after: jax.Array,
    noises: jax.Array,
    target: ode.Condition,
    source: ode.Condition,
    solver: str,
) -> jax.Array:
    """Returns z - x [B, S, S, C] at the time `after`, for z - x at the time t; else as `change` and `ode.step`."""
    first = change(velocity, faces, moved, t, noises, target, source)
    further = moved + (after - t) * first
    if solver == "euler":
        return further
    second = change(velocity, faces, further, after, noises, target, source)
    return moved + (after - t) * 0.5 * (first + second)


def changed(moved: jax.Array) -> jax.Array:
    """Returns how far each pixel is to be drawn again, 0 to 1, [B, S, S, 1], for z - x [B, S, S, C]."""
    size = moved.shape[1]
    weights = images.gaussian(size, CHANGE_BLUR * size)
    change = jnp.einsum("hi,biw,vw->bhv", weights, jnp.mean(jnp.abs(moved), axis=-1), weights)
    least, most = CHANGES
    return jnp.clip((change - least) / (most - least), 0.0, 1.0)[..., None]


def begin_redraw(
    faces: types.Images, edited: types.Images, t: jax.Array, numbers: jax.Array, seed: int, steps: int
) -> tuple[jax.Array, jax.Array, types.Images]:
    """Returns the noise [B, S, S, C], how far each pixel is drawn again, and x_t at the first time; see `redraw_step`.

    Args:
      faces, edited: x and z, [B, S, S, C].
      t: the time.
      numbers, seed: of `noise`.
      steps: how many steps the difference had, each with a noise of its own.
    """
    (own,) = noise(seed, numbers, steps, 1, faces.shape[1:])
    return own, changed(edited - faces), (1.0 - t) * edited + t * own


def redraw_step(
    velocity: ode.Velocity,
    x: types.Images,
    edited: types.Images,
    again: jax.Array,
    noise: jax.Array,
    t: jax.Array,
    after: jax.Array,
    target: ode.Condition,
) -> types.Images:
    """Returns x_t at the time `after`, [B, S, S, C], for x_t at the time t.

    Args:
      velocity: the network.
      x: x_t; at the first time, `edited` mixed with the noise.
      edited: z at the time 0, [B, S, S, C].
      again: of `changed`, [B, S, S, 1]; where it is 0, x_t stays `edited` mixed with the noise.
      noise: [B, S, S, C].
      t, after: times, of which `after` is the earlier.
      target: the condition of y.
    """
    drawn = x + (after - t) * ode.velocities(velocity, t, [(x, target)])[0]
    return again * drawn + (1.0 - again) * ((1.0 - after) * edited + after * noise)


def edit(
    velocity: ode.Velocity,
    faces: types.Images,
    settings: FlowEditConfig,
    target: ode.Condition,
    source: ode.Condition,
    numbers: jax.Array,
) -> types.Images:
    """Returns edits [B, S, S, C] of faces, in [-1, 1].

    Args:
      velocity: the network.
      faces: [B, S, S, C] in [-1, 1].
      settings: how; the guidances of the difference are those of `target` and `source`.
      target, source: the target conditions, and those of the unedited faces.
      numbers: uint32 [B], the faces' own; see `seeds`.
    """
    moved = difference(velocity, faces, settings, target, source, numbers)
    edited = jnp.clip(faces + moved, -1.0, 1.0)
    if not settings.redraw_t:
        return edited
    again = ode.condition(target.labels, settings.redraw_guidance)
    return redraw(velocity, faces, edited, settings, again, numbers)


def difference(
    velocity: ode.Velocity,
    faces: types.Images,
    settings: FlowEditConfig,
    target: ode.Condition,
    source: ode.Condition,
    numbers: jax.Array,
) -> jax.Array:
    """Returns z - x at the time 0, [B, S, S, C], before anything is drawn again; as `edit`."""
    path, t_min = jnp.asarray(ode.times(settings.t_max, 0.0, settings.steps)), settings.guidance_t_min

    def move(i: jax.Array, moved: jax.Array) -> jax.Array:
        noises = noise(settings.seed, numbers, i, settings.noises, faces.shape[1:])
        conditions = [guided_from(t_min, path[i], condition) for condition in (target, source)]
        return step(velocity, faces, moved, path[i], path[i + 1], noises, *conditions, settings.solver)

    return jax.lax.fori_loop(0, settings.steps, move, jnp.zeros_like(faces))


def redraw(
    velocity: ode.Velocity,
    faces: types.Images,
    edited: types.Images,
    settings: FlowEditConfig,
    target: ode.Condition,
    numbers: jax.Array,
) -> types.Images:
    """Returns edits [B, S, S, C] in [-1, 1] whose parts that changed are drawn again, as of `edit`."""
    path = jnp.asarray(ode.times(settings.redraw_t, 0.0, settings.redraw_steps))
    own, again, first = begin_redraw(faces, edited, path[0], numbers, settings.seed, settings.steps)

    def move(i: jax.Array, x: jax.Array) -> jax.Array:
        condition = guided_from(settings.guidance_t_min, path[i], target)
        return redraw_step(velocity, x, edited, again, own, path[i], path[i + 1], condition)

    return jnp.clip(jax.lax.fori_loop(0, settings.redraw_steps, move, first), -1.0, 1.0)


def errors(velocity: ode.Velocity, faces: types.Images, t: jax.Array, noises: jax.Array, num_classes: int) -> jax.Array:
    """Returns the mean squared errors of the velocity under each label, [B, C]: the least is at the likeliest label.

    The errors under a label bound the likelihood of a face from below (Li et al. 2023, "Your diffusion model is
    secretly a zero-shot classifier").

    Args:
      velocity: the network.
      faces: [B, S, S, C] in [-1, 1].
      t: the time.
      noises: [K, B, S, S, C].
      num_classes: C.
    """
    count, batch = noises.shape[:2]
    x = ((1.0 - t) * faces[None] + t * noises).reshape(-1, *faces.shape[1:])
    wanted = (noises - faces[None]).reshape(x.shape)
    labels = jnp.repeat(jnp.eye(num_classes), len(x), axis=0)
    every = jnp.tile(x, (num_classes, 1, 1, 1))
    answers = velocity(every, jnp.full(len(every), t), labels)
    wrong = jnp.mean(jnp.square(answers - jnp.tile(wanted, (num_classes, 1, 1, 1))), axis=(1, 2, 3))
    return jnp.mean(wrong.reshape(num_classes, count, batch), axis=1).T
