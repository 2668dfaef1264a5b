"""Twenty steps of a phase with SGD over given devices; also a program, for processes that do so together.

SGD unless Adam is asked for, which magnifies rounding where gradients are near 0. At these learning rates rounding
stays what it is; at 0.05 in phase `gan`, 4e-6 after a step grew to 0.14 of an update in 20 with jax 0.12
(an Intel Xeon, 2026-11-26).
"""

import pathlib
import sys

import jax
import numpy as np
import optax

from emogan import config as config_lib
from emogan.data import dataset, toyfaces
from emogan.recipes import classifier, encoder, gan
from emogan.train import hosts, layout, parallel

STEPS, BATCH = 20, 16
KEY = jax.random.key
FACTOR = {"gan": 8.0, "encoder": 3.0}  # with more, E amplifies rounding threefold a step
RATES = {"gan": 0.01, "encoder": 1e-4, "classifier": 0.01}


def config_of(**parallel_options):
    """A tiny network; without batch norm where microbatches are asked for, which it would tell apart."""
    options = config_lib.ParallelConfig(**parallel_options)
    return config_lib.Config(
        model=config_lib.ModelConfig(width=2, latent_size=6, batch_norm=options.microbatches == 1),
        encoder=config_lib.EncoderConfig(latent_loss=1.0),
        classifier=config_lib.ClassifierConfig(width=2, learning_rate=RATES["classifier"], ema_decay=0.9),
        parallel=options,
    )


def phase_of(name, config, with_adam=False):
    """The phase with SGD in the place of Adam, or with its own Adam; the classifier has SGD anyway."""
    adam = optax.adam
    if not with_adam:
        optax.adam = lambda rate, **_: optax.sgd(RATES[name])
    try:
        if name == "classifier":
            return classifier.make(config, 7, STEPS, toyfaces.load("valid", 0, 8))
        first = gan.make(config, 7, dataset.FER2013)
        if name == "gan":
            return first
        generator = jax.device_get(spread(first.init(KEY(0)), FACTOR[name]).best_generator)
        return encoder.make(config, 7, generator, dataset.FER2013)
    finally:
        optax.adam = adam


def spread(state, factor):
    """A state with larger weights: those drawn for the paper's width hardly let a signal through a width of 2."""

    def grow(path, leaf):
        parts = [getattr(part, "name", getattr(part, "key", "")) for part in path]
        kernels = "kernel" in parts and "opt_state" not in parts
        return factor * leaf if kernels else leaf

    return jax.tree_util.tree_map_with_path(grow, state)


def updates(name, config, steps=STEPS, with_adam=False):
    """What the steps add to each array of parameters and running statistics, by its path, and the metrics."""
    placing = layout.make(config.parallel)
    phase, data = phase_of(name, config, with_adam), toyfaces.load("train", 0, 70)
    begin = phase.init(KEY(1))
    begin = spread(begin, FACTOR[name]) if name in FACTOR else begin
    first = jax.device_get(begin)
    chunk = parallel.make_chunk(phase, len(data), BATCH, steps, placing)
    state, metrics = chunk(placing.place_state(begin), placing.place(data), KEY(2), steps)
    moved = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), placing.whole(state), first)
    leaves = jax.tree_util.tree_leaves_with_path(moved)
    found = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    kept = {k: v for k, v in found.items() if ("params" in k or "batch_stats" in k) and "average" not in k}
    if name == "encoder":
        kept = {k: v for k, v in kept.items() if ".encoder" in k}
    return kept, {k: np.asarray(v) for k, v in metrics.items()}


def distance(found, expected):
    """The largest relative error of an update, in the norm of each array; arrays that nothing moves are left out."""
    return max(distances(found, expected).values())


def distances(found, expected):
    """The relative error of each array's update that is not as good as nothing, by the array's name."""
    whole = np.sqrt(sum(float(np.sum(v**2)) for v in expected.values()))
    sizes = {name: float(np.linalg.norm(value)) for name, value in expected.items()}
    moved = {name: size for name, size in sizes.items() if size > 1e-4 * whole}
    return {name: float(np.linalg.norm(found[name] - expected[name])) / size for name, size in moved.items()}


def main(name, address, process, output):
    """One of two processes."""
    hosts.join(address, 2, int(process))
    found, metrics = updates(name, config_of())
    if hosts.is_first():
        np.savez(pathlib.Path(output), **found, **{f"metric {k}": v for k, v in metrics.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
