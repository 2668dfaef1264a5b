"""Faces and noise as the two ends of an ordinary differential equation, dx/dt = v(x, t, y).

Rectified flow (Liu et al. 2023; Lipman et al. 2023): a face is x at t = 0, noise is x at t = 1, and a network learns
the velocity v. A label y is a distribution over the classes [C], or the null label, C zeros.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from emogan.util import types

SOLVERS = ("euler", "heun")

# (x [B, S, S, C], t [B], y [B, C]) -> v [B, S, S, C]
Velocity = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Condition:
    """What a velocity is asked under.

    Attributes:
      labels: [B, C], distributions; rows of 0 are the null label.
      guidance: [B], the weights of classifier-free guidance (Ho and Salimans 2022); None is a weight of 1, which
        needs one evaluation where others need two.
    """

    labels: jax.Array
    guidance: jax.Array | None = None


jax.tree_util.register_dataclass(Condition, ["labels", "guidance"], [])


def condition(labels: jax.Array, guidance: float) -> Condition:
    """Returns the condition of labels [B, C] with one guidance for all; a weight of 1 needs no second evaluation."""
    return Condition(jnp.asarray(labels), None if guidance == 1.0 else jnp.full(len(labels), guidance, jnp.float32))


def null(count: int, num_classes: int) -> Condition:
    """Returns the condition without a label, for `count` faces."""
    return Condition(jnp.zeros((count, num_classes)))


def velocities(velocity: Velocity, t: jax.Array, asked: Sequence[tuple[jax.Array, Condition]]) -> list[jax.Array]:
    """Returns the velocity [B, S, S, C] of each pair of x [B, S, S, C] and its condition, at time t.

    With guidance w it is v(x, 0) + w (v(x, y) - v(x, 0)). The network is asked once, for all of them together.
    """
    x, labels = [], []
    for one, condition in asked:
        x.append(one)
        labels.append(condition.labels)
        if condition.guidance is not None:
            x.append(one)
            labels.append(jnp.zeros_like(condition.labels))
    sizes = np.cumsum([len(one) for one in x])[:-1]
    x, labels = jnp.concatenate(x), jnp.concatenate(labels)
    answers = iter(jnp.split(velocity(x, jnp.full(len(x), t), labels), sizes))
    found = []
    for _, condition in asked:
        v = next(answers)
        if condition.guidance is not None:
            without = next(answers)
            v = without + condition.guidance[:, None, None, None] * (v - without)
        found.append(v)
    return found


def times(begin: float, end: float, steps: int) -> np.ndarray:
    """Returns the times of `steps` equal steps, float32 [steps + 1], `begin` and `end` included."""
    return np.linspace(begin, end, steps + 1, dtype=np.float32)


def step(
    velocity: Velocity, x: jax.Array, t: jax.Array, after: jax.Array, condition: Condition, solver: str
) -> types.Images:
    """Returns x [B, S, S, C] at the time `after`, for x at the time t.

    Args:
      velocity: the network.
      x: [B, S, S, C].
      t, after: times in [0, 1]; `after` may be earlier.
      condition: of the faces.
      solver: `euler`, or `heun`, which is of second order and asks twice.
    """
    first = velocities(velocity, t, [(x, condition)])[0]
    moved = x + (after - t) * first
    if solver == "euler":
        return moved
    second = velocities(velocity, after, [(moved, condition)])[0]
    return x + (after - t) * 0.5 * (first + second)


def solve(velocity: Velocity, x: jax.Array, path: np.ndarray, condition: Condition, solver: str) -> types.Images:
    """Returns x [B, S, S, C] at the end of a path of times [S + 1], for x at its beginning; see `step`."""
    path = jnp.asarray(path)
    return jax.lax.fori_loop(
        0, len(path) - 1, lambda i, x: step(velocity, x, path[i], path[i + 1], condition, solver), x
    )
