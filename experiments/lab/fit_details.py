"""Trains the network that draws the details of an edited face: emogan/assets/details.npz.

It needs a folder of portraits, .jpg files with one face of at least 120 pixels each. Those of the model that ships are
official portraits of members of the United States Congress, works of the government and in the public domain.

pip install -e ".[train,photos,cpu]" && python experiments/lab/fit_details.py --data_dir=PATH --output=details.npz
"""

# isort: off
import beside  # noqa: F401

# isort: on
import concurrent.futures
import functools
import multiprocessing
import os
import pathlib
import time

import expressions
import flag_config
import jax
import jax.numpy as jnp
import numpy as np
import optax
import script
from absl import flags
from jax import lax

from emogan.models import details, precision
from emogan.util import images, types, weights

DATA_DIR = script.define_path("data_dir", "", "folder of portraits")
PAIRS = flags.DEFINE_integer("pairs", 14000, "faces with a made expression", 1)
STEPS = flags.DEFINE_integer("steps", 7000, "batches", 1)
OUTPUT = script.define_path("output", "details.npz", "the file to write")

_BATCH, _RATE, _LAST_RATE, _WARM_UP, _SEED = 16, 6e-4, 2e-5, 200, 0
_AVERAGE = 0.998  # of the averaged weights
_HELD_OUT = 17  # every so many portraits are not trained on
_CHUNK = 100  # pairs that a process makes at once
# Where photograph and edit differ counts most; the rest is copied. In [-1, 1], over 5x5 pixels of the small face.
_APART, _NEAR, _WEIGHT, _LEAST_WEIGHT = 0.08, 5, 5.0, 0.5


def main(_) -> None:
    output = script.output(OUTPUT.value)
    if not DATA_DIR.value:
        raise ValueError("--data_dir: expected a folder of portraits, found none given")
    portraits = expressions.read(pathlib.Path(DATA_DIR.value))
    held_out = np.arange(len(portraits.crops)) % _HELD_OUT == 0
    print(f"{len(held_out)} portraits, {held_out.sum()} of them held out", flush=True)
    pairs = made(portraits.of(~held_out), PAIRS.value, _SEED + 1)
    params = fitted(pairs, STEPS.value)
    halves = weights.in_halves(params)
    tested = expressions.made(portraits.of(held_out), 200, _SEED)
    scores = {name: round(value, 2) for name, value in psnr(weights.in_floats(halves), tested).items()}
    card = {"portraits": int((~held_out).sum()), "pairs": PAIRS.value, "steps": STEPS.value, "psnr": scores}
    weights.save(output, halves, card)
    print(f"PSNR on 200 pairs of held-out portraits, in dB: {scores}")
    print(f"wrote {output}")


def made(portraits: expressions.Portraits, count: int, seed: int) -> expressions.Pairs:
    """Returns pairs, made by as many processes as there are cores; the same for the same seed on every machine."""
    sizes = [min(_CHUNK, count - start) for start in range(0, count, _CHUNK)]
    spawned = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=spawned) as pool:
        seeds = range(seed * len(sizes), (seed + 1) * len(sizes))
        parts = list(pool.map(functools.partial(expressions.made, portraits), sizes, seeds))
    print(f"made {count} pairs", flush=True)
    names = ("guides", "afters", "answers")
    return expressions.Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def fitted(pairs: expressions.Pairs, steps: int) -> types.Params:
    """Returns the averaged parameters after a number of batches."""
    network = details.Details(precision.dtype(precision.of_machine(1)))
    first = jnp.zeros((1, expressions.SIDE, expressions.SIDE, 3)), jnp.zeros((1, details.SIZE, details.SIZE, 1))
    params = network.init(jax.random.key(_SEED), *first)["params"]
    schedule = optax.warmup_cosine_decay_schedule(0.0, _RATE, min(_WARM_UP, steps // 2), steps, _LAST_RATE)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b2=0.99))
    state, average, random = optimizer.init(params), params, np.random.default_rng(_SEED)

    @jax.jit
    def step(params, state, average, guides, afters, answers):
        value, gradients = jax.value_and_grad(functools.partial(loss, network))(params, guides, afters, answers)
        updates, state = optimizer.update(gradients, state)
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda old, new: _AVERAGE * old + (1 - _AVERAGE) * new, average, params)
        return params, state, average, value

    begin = time.perf_counter()
    for i in range(steps):
        chosen = random.integers(len(pairs.afters), size=_BATCH)
        batch = [part[chosen] for part in (pairs.guides, pairs.afters, pairs.answers)]
        if random.random() < 0.5:
            batch = [part[:, :, ::-1] for part in batch]
        params, state, average, value = step(params, state, average, *batch)
        if (i + 1) % 100 == 0:
            speed = (i + 1) * _BATCH / (time.perf_counter() - begin)
            print(f"step {i + 1} of {steps}: loss {value:.3f}, {speed:.0f} faces a second", flush=True)
    return average


def loss(
    network: details.Details, params: types.Params, guides: jax.Array, afters: jax.Array, answers: jax.Array
) -> jax.Array:
    """Returns the mean absolute error of levels and of their differences between neighbours, for bytes."""
    guides, afters, answers = images.to_float(guides), images.to_float(afters[..., None]), images.to_float(answers)
    wrong = network.apply({"params": params}, guides, afters) - answers
    apart = jnp.abs(afters - details.small_gray(guides))
    window = (1, _NEAR, _NEAR, 1)
    apart = lax.reduce_window(apart, 0.0, lax.add, window, (1, 1, 1, 1), "SAME") / _NEAR**2
    weight = _WEIGHT * details.enlarged(jnp.minimum(apart / _APART, 1.0)) + _LEAST_WEIGHT
    down, right = jnp.diff(wrong, axis=1), jnp.diff(wrong, axis=2)
    parts = (weight * jnp.abs(wrong), weight[:, 1:] * jnp.abs(down), weight[:, :, 1:] * jnp.abs(right))
    return sum(jnp.mean(part) for part in parts)


def psnr(params: types.Params, pairs: expressions.Pairs) -> dict[str, float]:
    """Returns the PSNR in dB of the network's answers, and of the guides."""
    network, answers = details.Details(), []
    draw = jax.jit(lambda guides, afters: network.apply({"params": params}, guides, afters))
    for start in range(0, len(pairs.afters), _BATCH):
        part = slice(start, start + _BATCH)
        answers.append(draw(images.to_float(pairs.guides[part]), images.to_float(pairs.afters[part][..., None])))
    levels = np.clip(127.5 * (np.concatenate(answers) + 1), 0, 255)
    found = {"network": levels, "photograph": pairs.guides.astype(np.float32)}
    errors = {name: np.mean(np.square(one - pairs.answers)) for name, one in found.items()}
    return {name: float(10 * np.log10(255**2 / error)) for name, error in errors.items()}


if __name__ == "__main__":
    flag_config.run(main)
