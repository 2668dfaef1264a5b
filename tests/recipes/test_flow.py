"""Phase `flow` against its loss written out plainly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import emogan
from emogan import config as config_lib
from emogan.data import augment, dataset, toyfaces
from emogan.models import surroundings, unet
from emogan.recipes import flow
from emogan.train import checkpoint, layout, parallel, pipeline
from emogan.util import images, weights

KEY = jax.random.key(5)
NOBODY = dataset.Dataset(np.zeros((0, 48, 48), np.uint8), np.zeros(0, np.int32))


def config_of(parallel=None, **options):
    settings = {"batch_size": 8, "warm_up": 0, "learning_rate": 0.01, "clip": 1e6, **options}
    return config_lib.Config(
        phases="flow",
        unet=config_lib.UNetConfig(widths="8", blocks=1, attention=False),
        flow=config_lib.FlowConfig(**settings),
        flow_edit=config_lib.FlowEditConfig(steps=2, inversion_steps=1, redraw_steps=1),
        parallel=config_lib.ParallelConfig(**(parallel or {})),
    )


def begin(config, held_out=NOBODY):
    phase = flow.make(config, 7, held_out)
    state = phase.init(jax.random.key(1))
    random = np.random.default_rng(2)  # so that everything in the network has an effect
    params = jax.tree.map(
        lambda leaf: leaf + random.normal(0, 0.1, leaf.shape).astype(np.float32), state.network.params
    )
    average = jax.tree.map(jnp.copy, params) if config.flow.ema_decay else {}
    return phase, state.replace(network=state.network.replace(params=params), average=average)


@pytest.fixture(scope="module")
def batch():
    data = toyfaces.load("train", 0, 8)
    return {"image": jnp.asarray(data.images), "label": jnp.asarray(data.labels)}


def written_out(config, batch, key=KEY):
    """The faces, noises, times, labels and surroundings of a step, by its documented draws."""
    keys = jax.random.split(key, 5)
    faces = jax.vmap(augment.flip)(images.to_float(batch["image"]), jax.random.split(keys[0], 8))
    times = flow.draw_times(keys[1], 8, config.flow)
    noises = jax.random.normal(keys[2], (8, 48, 48, 1))
    dropped = np.asarray(jax.random.uniform(keys[3], (8,)) < config.flow.label_dropout)
    labels = batch.get("distribution", np.eye(7, dtype=np.float32)[batch["label"]])
    told = jax.random.uniform(keys[4], (8,)) >= config.flow.surroundings_dropout
    assert 0 < int(told.sum()) < 8
    around = jnp.where(told[:, None, None, None], surroundings.found(faces), 0.0)
    return faces, noises, times, jnp.where(dropped[:, None], 0.0, labels), around


@pytest.fixture(scope="module")
def stepped(batch):
    config = config_of(label_dropout=0.4, surroundings_dropout=0.4)
    phase, state = begin(config)
    return config, state, *jax.jit(phase.step)(state, batch, KEY)


def test_loss_is_that_worked_out_by_hand():
    faces = jnp.full((2, 48, 48, 1), 0.5)
    noises = jnp.full((2, 48, 48, 1), -1.5)
    # x_t is 0.5 - 2 t, and n - x is -2; under its label the network answers x_t + y_0 + 10 t.
    velocity = lambda x, t, y: x + (y[:, 0] + 10 * t)[:, None, None, None]  # noqa: E731
    found = flow.losses_of(velocity, faces, noises, jnp.array([0.25, 0.5]), jnp.array([[1.0, 0.0], [0.0, 1.0]]))
    np.testing.assert_allclose(found, [(0.0 + 1.0 + 2.5 + 2.0) ** 2, (-0.5 + 0.0 + 5.0 + 2.0) ** 2], rtol=1e-5)


def test_step_follows_the_gradient_of_the_loss_and_tells_it_by_time(batch, stepped):
    config, state, new, metrics = stepped
    faces, noises, times, labels, around = written_out(config, batch)
    assert 0 < int((labels.sum(1) == 0).sum()) < 8
    module = unet.make(config.unet, 7, config.model.precision)

    def per_face(params):
        t = times[:, None, None, None]
        mixed, variance = (1 - t) * faces + t * noises, 0.25 * (1 - t) ** 2 + t**2
        v = module.apply({"params": params}, mixed / jnp.sqrt(variance), times, labels, around)
        v = 0.5 * v / jnp.sqrt(variance) + (t - 0.25 * (1 - t)) / variance * mixed  # Karras et al. 2022, table 1
        return jnp.mean((v - (noises - faces)) ** 2, (1, 2, 3))

    gradients = jax.jit(jax.grad(lambda params: per_face(params).mean()))(state.network.params)
    moments = optax.tree_utils.tree_get(new.network.opt_state, "mu")
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradients))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 0.1 * b, rtol=2e-3, atol=2e-4 * scale), moments, gradients)
    length = sum(float(np.square(leaf).sum()) for leaf in jax.tree.leaves(gradients)) ** 0.5
    assert metrics["gradient"] == pytest.approx(length, rel=1e-3)
    found = np.asarray(per_face(state.network.params))
    assert metrics["loss"] == pytest.approx(found.mean(), rel=1e-3)
    for i in range(4):
        own = (np.asarray(times) >= i / 4) & (np.asarray(times) < (i + 1) / 4)
        assert own.any()
        assert metrics[f"loss_t{i}"] == pytest.approx(found[own].mean(), rel=1e-3)


def test_average_follows_and_is_what_edits_are_made_with(stepped):
    _, state, new, _ = stepped
    # The first decay is (1 + 0) / (10 + 0).
    expected = jax.tree.map(lambda a, n: 0.1 * a + 0.9 * n, state.average, new.network.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), new.average, expected)
    assert new.best_encoder["params"] is new.average
    assert new.replace(average={}).best_encoder["params"] is new.network.params
    assert int(new.step) == 1


def test_distributions_are_learnt_from_where_the_data_have_them(batch):
    config = config_of(label_dropout=0.0)
    phase, state = begin(config)
    step = jax.jit(phase.step)
    one_hot = jax.nn.one_hot(batch["label"], 7)
    plain = step(state, batch, KEY)[1]["loss"]
    assert step(state, {**batch, "distribution": one_hot}, KEY)[1]["loss"] == pytest.approx(float(plain), rel=1e-6)
    blend = 0.5 * one_hot + 0.5 * jnp.roll(one_hot, 1, axis=1)
    assert abs(step(state, {**batch, "distribution": blend}, KEY)[1]["loss"] - plain) > 1e-5


def test_data_with_distributions_bring_them_to_the_step():
    data = toyfaces.load("train", 0, 8)
    votes = np.full((8, 7), 1 / 7, np.float32)
    placed = layout.single().place(dataclasses.replace(data, distributions=votes))
    np.testing.assert_array_equal(placed["distribution"], votes)
    assert set(layout.single().place(data)) == {"image", "label"}


def test_rate_rises_in_the_warm_up(batch):
    phase, state = begin(config_of(warm_up=4))
    step = jax.jit(phase.step)
    moved = []
    for _ in range(3):
        new, _ = step(state, batch, KEY)
        moved.append(float(jnp.abs(new.network.params["stem"]["bias"] - state.network.params["stem"]["bias"]).max()))
        state = new
    # Adam's step is the rate where the gradient stays the same.
    np.testing.assert_allclose(moved, [0.0, 0.0025, 0.005], rtol=0.3, atol=1e-7)


def test_times_have_normal_logits_spread_evenly():
    settings = config_lib.FlowConfig(time_mean=0.5, time_spread=2.0)
    logits = jax.scipy.special.logit(flow.draw_times(KEY, 4000, settings))
    assert float(logits.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(logits.std()) == pytest.approx(2.0, abs=0.02)
    few = np.sort(jax.scipy.special.ndtr(jax.scipy.special.logit(flow.draw_times(KEY, 8, config_lib.FlowConfig()))))
    np.testing.assert_allclose(np.diff(few), 1 / 8, atol=1e-4)


def test_parts_of_a_batch_and_four_devices_give_the_same_step(batch, stepped):
    config, state, new, metrics = stepped
    moments = lambda state: optax.tree_utils.tree_get(state.network.opt_state, "mu")  # noqa: E731

    def assert_same(found, found_metrics):
        for name, value in metrics.items():
            assert float(found_metrics[name]) == pytest.approx(float(value), rel=1e-3)
        scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(moments(new)))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3 * scale), moments(found), moments(new)
        )

    parts = flow.make(config_of(label_dropout=0.4, surroundings_dropout=0.4, parallel={"microbatches": 2}), 7, NOBODY)
    assert_same(*jax.jit(parts.step)(state, batch, KEY))
    phase = flow.make(config, 7, NOBODY)
    shards = {name: values.reshape(4, -1, *values.shape[1:]) for name, values in batch.items()}
    step = lambda state, batch, key: phase.step(state, batch, key, axis_name="devices")  # noqa: E731
    over = jax.pmap(step, axis_name="devices", in_axes=(None, 0, None), devices=jax.devices()[:4])
    found, found_metrics = jax.tree.map(lambda leaf: leaf[0], jax.device_get(over(state, shards, KEY)))
    assert_same(found, found_metrics)


def test_resumed_steps_are_the_uninterrupted_ones_bit_for_bit(tmp_path):
    data = layout.single().place(toyfaces.load("train", 0, 20))
    phase, first = begin(config_of())
    chunk = parallel.make_chunk(phase, 20, 8, 5)
    copy = lambda state: jax.tree.map(jnp.copy, state)  # noqa: E731
    whole, metrics = chunk(copy(first), data, KEY, 5)
    stopped, _ = chunk(copy(first), data, KEY, 2)
    with checkpoint.Checkpoints(tmp_path / "flow") as checkpoints:
        checkpoints.save(2, stopped, {})
        checkpoints.wait()
        restored = checkpoints.restore(layout.single().target(jax.eval_shape(phase.init, KEY)))
    again, later = chunk(restored, data, KEY, 3)
    assert weights.checksum(again) == weights.checksum(whole)
    for name in metrics:
        np.testing.assert_array_equal(later[name][:3], metrics[name][2:])


@pytest.mark.slow
def test_a_run_begins_with_the_weights_of_another(tmp_path):
    config = config_of(epochs=1.0)
    config.data = config_lib.DataConfig(count=8)
    pipeline.run(config, tmp_path / "first")
    config.flow.start, config.flow.learning_rate = "nowhere", 1e-8
    with pytest.raises(FileNotFoundError, match="nowhere: expected fer2013 or fer2013-flow, the folder of"):
        pipeline.run(config, tmp_path / "second")
    config.flow.start = str(tmp_path / "first")  # the folder is not lost
    pipeline.run(config, tmp_path / "second")
    first, second = (emogan.load(tmp_path / name).variables[0] for name in ("first", "second"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), second, first)
    assert np.abs(second["params"]["velocity"]["kernel"]).max() > 1e-3  # a fresh one begins at 0


def test_a_run_that_goes_on_needs_no_other_weights():
    phase = flow.make(config_of(start="gone"), 7, NOBODY, lambda: pytest.fail("loaded"))
    jax.eval_shape(phase.init, KEY)


@pytest.mark.parametrize(
    ("start", "line"),
    [
        ("fer2013-flow", "flow.start: expected a flow whose network is that of this run .*'8'.*, found"),
        ("fer2013", "flow.start: expected a flow, found fer2013, of kind translator"),
    ],
)
def test_weights_that_do_not_fit_are_refused(start, line, tmp_path):
    config = config_of(start=start)
    config.data = config_lib.DataConfig(count=8)
    with pytest.raises(ValueError, match=line):
        pipeline.run(config, tmp_path / "run")


def test_sample_shows_generated_faces_then_held_out_ones_before_their_edits(batch):
    held_out = toyfaces.load("valid", 0, 6)
    phase, state = begin(config_of(), held_out)
    shown, _ = jax.jit(phase.sample)(state, batch, KEY)
    assert shown.shape == (flow.DRAWN + flow.EDITED, 8, 48, 48)
    assert len(phase.sample_columns) == 8
    edits = np.asarray(shown[flow.DRAWN :]).astype(int)
    np.testing.assert_array_equal(edits[:, 0], held_out.images[: flow.EDITED])
    assert (np.abs(edits[:, 1:] - edits[:, :1]).mean((2, 3)) > 0.5).all()
    drawn = np.asarray(shown[: flow.DRAWN]).astype(int)
    assert np.abs(drawn[0, 1] - drawn[0, 2]).mean() > 0.1  # one noise, two labels
    assert np.abs(drawn[0, 1] - drawn[1, 1]).mean() > 5


def test_curves_name_only_metrics_that_are_recorded(batch):
    phase, state = begin(config_of())
    recorded = jax.eval_shape(phase.step, state, batch, KEY)[1]
    lines = [line.metric for panel in config_lib.RECIPES["flow"].curves for line in panel.lines]
    assert len(lines) == 5
    assert set(lines) <= set(recorded)


def test_network_is_that_of_the_configuration():
    config = config_lib.Config(unet=config_lib.UNetConfig("8,16,24", 3, False))
    config.model.precision = "bfloat16"
    made = unet.make(config.unet, 5, config.model.precision)
    assert made == unet.UNet((8, 16, 24), 3, False, 5, jnp.dtype("bfloat16"), deeper=1, surroundings=True)
