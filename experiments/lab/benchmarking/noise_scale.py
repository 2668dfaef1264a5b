"""The simple noise scale of a gradient: about how large a batch is worth its faces.

McCandlish, Kaplan, Amodei et al. (2018), "An Empirical Model of Large-Batch Training", eq. (2.9) and appendix A.1.
"""

import statistics
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from benchmarking import ours
from benchmarking import settings as settings_lib

from emogan.recipes import gan
from emogan.train import layout as layout_lib
from emogan.train import parallel


def simple(small: float, small_batch: int, large: float, large_batch: int) -> dict[str, float]:
    """Returns `signal`, |G|^2, `noise`, tr(Sigma), and their ratio `b_simple`, by the unbiased estimates of both.

    Args:
      small: the mean of the squared norm of gradients of `small_batch` examples, |G|^2 + tr(Sigma) / small_batch.
      small_batch: how many.
      large: the same of `large_batch` examples.
      large_batch: how many, more than `small_batch`.
    """
    signal = (large_batch * large - small_batch * small) / (large_batch - small_batch)
    noise = (small - large) / (1 / small_batch - 1 / large_batch)
    return {"signal": signal, "noise": noise, "b_simple": noise / signal if signal > 0 else float("inf")}


def measure(width: int, after: tuple[int, ...], batches: tuple[int, int], draws: int) -> list[dict[str, Any]]:
    """Returns the noise scale of D's gradient, by the step of training after which it was measured.

    Under batch norm a face's gradient depends on its batch, so the estimate is that of the step as it is, in which
    small batches are noisier than independent examples would be.

    Args:
      width: of the networks.
      after: after how many steps of 64 drawn faces, in ascending order.
      batches: faces of the small and the large batch.
      draws: how many large batches; of the small ones there are as many as the same faces make.
    """
    settings = settings_lib.Settings(width=width, batch_size=64, faces=4096)
    config, data = settings.config(), settings.dataset()
    phase = gan.make(config, len(data.class_names), data.spec)
    chunk = parallel.make_chunk(phase, len(data), settings.batch_size, ours.LONGEST)
    placed, state = layout_lib.single().place(data), phase.init(jax.random.key(ours.SEED))
    rng = np.random.default_rng(ours.SEED)
    squares = jax.jit(lambda state, batch, key: _square(phase, state, batch, key, config.gan.b1))
    found, done = [], 0
    for step in after:
        while done < step:
            count = min(ours.LONGEST, step - done)
            state, _ = chunk(state, placed, jax.random.key(ours.SEED + 1), count)
            done += count
        means = []
        for size in batches:
            values = []
            for i in range(draws * batches[1] // size):
                chosen = rng.choice(len(data), size, replace=False)
                batch = {"image": data.images[chosen], "label": data.labels[chosen]}
                values.append(float(squares(state, batch, jax.random.key(1000 * size + i))))
            means.append(statistics.fmean(values))
        found.append({"step": step, **simple(means[0], batches[0], means[1], batches[1])})
    return found


def _square(phase: Any, state: Any, batch: Any, key: jax.Array, b1: float) -> jax.Array:
    """Returns the squared norm of D's gradient, which a fresh Adam tells by its first moment."""
    before = jax.tree.map(jnp.zeros_like, state.discriminator.opt_state)
    fresh = state.replace(discriminator=state.discriminator.replace(opt_state=before))
    moment = phase.step(fresh, batch, key)[0].discriminator.opt_state[0].mu
    return sum(jnp.sum(jnp.square(leaf / (1 - b1))) for leaf in jax.tree.leaves(moment))
