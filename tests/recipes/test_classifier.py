"""Phase `classifier`: it learns, its judge is the average, and devices change nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan import config as config_lib
from emogan.data import augment, toyfaces
from emogan.recipes import classifier
from emogan.train import layout as layout_lib
from emogan.train import parallel
from emogan.util import images

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def valid():
    return toyfaces.load("valid", 0, 30)


@pytest.fixture(scope="module")
def phase(valid):
    settings = config_lib.ClassifierConfig(width=2, learning_rate=0.05, ema_decay=0.9)
    return classifier.make(dataclasses.replace(config_lib.Config(), classifier=settings), 7, 60, valid)


def test_loss_falls_on_a_few_faces(phase):
    data = layout_lib.single().place(toyfaces.load("train", 0, 16))
    chunk = parallel.make_chunk(phase, 16, 16, 60)
    state, metrics = chunk(phase.init(KEY), data, KEY, 60)
    assert metrics["loss"][-10:].mean() < metrics["loss"][:10].mean() - 0.2
    assert int(state.step) == 60


def test_loss_is_of_changed_faces_and_smooth_targets_and_kernels_alone_decay(batch, valid):
    settings = config_lib.ClassifierConfig(width=2, weight_decay=0.1, label_smoothing=0.2)
    phase = classifier.make(dataclasses.replace(config_lib.Config(), classifier=settings), 7, 60, valid)
    state = phase.init(KEY)
    new, _ = jax.jit(phase.step)(state, batch, KEY)
    faces = augment.all_of(images.to_float(batch["image"]), jax.random.split(KEY, 8))
    targets = 0.8 * jax.nn.one_hot(batch["label"], 7) + 0.2 / 7
    network = classifier.make_classifier(settings, 7)

    def loss(params):
        variables = {**state.network.variables, "params": params}
        (logits, _), _ = network.apply(variables, faces, train=True, mutable=["batch_stats"])
        return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(logits), axis=1))

    params = state.network.params
    gradients = jax.jit(jax.grad(loss))(params)
    expected = jax.tree.map(lambda g, p: g + 0.1 * p if p.ndim > 1 else g, gradients, params)
    found = new.network.opt_state[1][0].trace  # of the momentum, which after one step is the gradient
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * scale), found, expected)


def test_learning_rate_rises_and_falls_to_zero(phase, batch):
    state = phase.init(KEY)
    step = jax.jit(phase.step)
    moved = {}
    for at in (0, 6, 60):
        counted = jax.tree.map(lambda leaf, at=at: jnp.asarray(at, leaf.dtype) if leaf.ndim == 0 else leaf, state)
        after, _ = step(counted, batch, KEY)
        moved[at] = max(
            float(jnp.abs(a - b).max())
            for a, b in zip(*map(jax.tree.leaves, (after.network.params, state.network.params)), strict=True)
        )
    assert moved[0] == 0.0
    assert moved[60] < 1e-6
    assert moved[6] > 1e-4


def test_attacked_faces_are_changed_by_so_much_against_the_network(phase, batch, valid):
    settings = config_lib.ClassifierConfig(width=2, learning_rate=0.05, ema_decay=0.9, attack=3.0)
    attacked = classifier.make(dataclasses.replace(config_lib.Config(), classifier=settings), 7, 60, valid)
    state = phase.init(KEY)
    risen = state.replace(step=jnp.asarray(60))  # the length rises from 0
    plain, harder = (jax.jit(phase.step)(risen, batch, KEY)[1]["loss"] for phase in (phase, attacked))
    first = jax.jit(attacked.step)(state, batch, KEY)[1]["loss"]
    np.testing.assert_allclose(first, plain, rtol=1e-5)
    assert harder > plain + 0.05

    slopes = jax.random.normal(KEY, (2, 48, 48, 1)) * jnp.asarray([5.0, 0.0])[:, None, None, None]
    changes = classifier.attack(slopes, 3.0)
    np.testing.assert_allclose(jnp.sqrt(jnp.sum(changes**2, (1, 2, 3))), [3.0, 0.0], rtol=1e-5)
    np.testing.assert_allclose(changes[0] * jnp.linalg.norm(slopes[0]), 3 * slopes[0], rtol=1e-5)


def test_average_follows_the_network(phase, batch):
    state = phase.init(KEY)
    step = jax.jit(phase.step)
    for _ in range(4):
        state, _ = step(state, batch, KEY)
    kernel = lambda variables: np.asarray(variables["params"]["stem"]["kernel"])  # noqa: E731
    first = kernel(phase.init(KEY).network.variables)
    now, average = kernel(state.network.variables), kernel(state.average)
    assert 0 < np.abs(average - first).max() < np.abs(now - first).max()


def test_sample_judges_the_valid_faces_with_the_average(phase, valid):
    state = phase.init(KEY)
    # A judge that always answers 3.
    silenced = jax.tree.map(jnp.zeros_like, state.average["params"]["logits"])
    silenced["bias"] = silenced["bias"].at[3].set(1.0)
    average = {**state.average, "params": {**state.average["params"], "logits": silenced}}
    faces, metrics = phase.sample(state.replace(average=average), {}, KEY)
    assert faces.shape == (7, 8, 48, 48)
    assert float(metrics["valid_accuracy"]) == pytest.approx((valid.labels == 3).mean())
    assert float(metrics["valid_balanced"]) == pytest.approx(1 / len(np.unique(valid.labels)))
    assert not phase.synthetic
