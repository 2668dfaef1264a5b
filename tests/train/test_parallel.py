"""Steps in chunks, and on several devices, against the same steps made one by one on one."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from emogan.data import toyfaces
from emogan.recipes import state as state_lib
from emogan.train import layout as layout_lib
from emogan.train import parallel
from emogan.util import weights

KEY = jax.random.key(9)


@struct.dataclass
class Diary:
    """A state that tells what its steps saw."""

    step: jax.Array
    seen: jax.Array  # int32 [steps, batch]
    noise: jax.Array


def diary_phase(steps, batch_size):
    def init(key):
        return Diary(jnp.zeros((), jnp.int32), jnp.full((steps, batch_size), -1), jax.random.normal(key))

    def step(state, batch, key, *, axis_name=None):
        noise = jax.random.normal(key)
        seen = state.seen.at[state.step].set(batch["label"])
        return Diary(state.step + 1, seen, 0.5 * state.noise + noise), {"noise": noise}

    return state_lib.Phase("diary", init, step, None, (), lambda metrics: None)


def numbered(count):
    return {"image": jnp.zeros((count, 48, 48), jnp.uint8), "label": jnp.arange(count, dtype=jnp.int32)}


def run(chunk, state, data, lengths):
    """The state after chunks of the given lengths, and the metrics of all steps."""
    rows = []
    for length in lengths:
        state, metrics = chunk(state, data, KEY, length)
        rows.append(jax.tree.map(lambda values, length=length: np.asarray(values)[:length], metrics))
    return state, {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def test_place_keeps_bytes_and_labels():
    data = toyfaces.load("train", 0, 10)
    placed = layout_lib.single().place(data)
    assert {name: values.dtype for name, values in placed.items()} == {"image": jnp.uint8, "label": jnp.int32}
    np.testing.assert_array_equal(placed["image"], data.images)
    np.testing.assert_array_equal(placed["label"], data.labels)


def counted(phase):
    """The phase, and a list that has an entry for each time its step is traced, as a compilation must."""
    traced = []

    def step(*args, **kwargs):
        traced.append(1)
        return phase.step(*args, **kwargs)

    return dataclasses.replace(phase, step=step), traced


@pytest.mark.parametrize("one_dispatch", [True, False])
@pytest.mark.parametrize("lengths", [[1] * 11, [5, 6], [3, 1, 7], [2, 4, 4, 1]], ids=str)
def test_cutting_into_chunks_changes_no_bit_and_compiles_nothing_twice(lengths, one_dispatch):
    (phase, traced), data = counted(diary_phase(11, 3)), numbered(10)
    chunk = parallel.make_chunk(phase, 10, 3, 11, one_dispatch=one_dispatch)
    whole, metrics = run(chunk, phase.init(KEY), data, [11])
    before = len(traced)
    found, found_metrics = run(chunk, phase.init(KEY), data, lengths)
    assert weights.checksum(found) == weights.checksum(whole)
    np.testing.assert_array_equal(found_metrics["noise"], metrics["noise"])
    assert len(set(metrics["noise"].tolist())) == 11
    assert len(traced) == before > 0


def test_one_dispatch_and_one_a_step_give_the_same():
    phase, data = diary_phase(11, 3), numbered(10)
    one, other = (
        run(parallel.make_chunk(phase, 10, 3, 11, one_dispatch=way), phase.init(KEY), data, [7, 4])
        for way in (True, False)
    )
    assert weights.checksum(one) == weights.checksum(other)


def test_metrics_beyond_the_count_are_zero():
    phase = diary_phase(4, 3)
    _, metrics = parallel.make_chunk(phase, 10, 3, 4)(phase.init(KEY), numbered(10), KEY, 2)
    assert metrics["noise"].shape == (4,)
    np.testing.assert_array_equal(np.asarray(metrics["noise"]) != 0, [True, True, False, False])


def test_each_epoch_sees_every_example_at_most_once_in_an_order_of_its_own():
    phase = diary_phase(12, 3)  # 10 examples: 3 batches an epoch, 1 left out
    state, _ = run(parallel.make_chunk(phase, 10, 3, 5), phase.init(KEY), numbered(10), [5, 5, 2])
    epochs = np.asarray(state.seen).reshape(4, 9)
    assert all(len(set(epoch)) == 9 and set(epoch) <= set(range(10)) for epoch in epochs.tolist())
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 4
    assert len({frozenset(epoch) for epoch in epochs.tolist()}) > 1  # not always the same one is left out


def test_images_travel_with_their_labels():
    def step(state, batch, key, *, axis_name=None):
        return state.replace(step=state.step + 1), {"pairs": batch["image"][:, 0, 0].astype(jnp.int32) - batch["label"]}

    phase = diary_phase(1, 4)
    phase = state_lib.Phase("pairs", phase.init, step, None, (), None)
    data = numbered(20)
    data["image"] += data["label"][:, None, None].astype(jnp.uint8)
    _, metrics = parallel.make_chunk(phase, 20, 4, 10)(phase.init(KEY), data, KEY, 10)
    np.testing.assert_array_equal(metrics["pairs"], 0)


def test_another_key_gives_another_order():
    phase = diary_phase(3, 3)
    chunk = parallel.make_chunk(phase, 10, 3, 3)
    states = [chunk(phase.init(KEY), numbered(10), key, 3)[0] for key in (KEY, jax.random.key(10))]
    assert np.asarray(states[0].seen).tolist() != np.asarray(states[1].seen).tolist()


def test_more_steps_in_a_batch_than_examples_is_refused():
    with pytest.raises(ValueError, match="expected at least one batch of 11 examples, found 10"):
        parallel.make_chunk(diary_phase(1, 11), 10, 11, 1)


def test_chunks_of_phase_gan_are_bit_identical_and_compiled_once(gan_phase, gan_state):
    data = layout_lib.single().place(toyfaces.load("train", 0, 20))
    phase, traced = counted(gan_phase)
    chunk = parallel.make_chunk(phase, 20, 8, 5)
    copies = [jax.tree.map(jnp.copy, gan_state) for _ in range(3)]
    whole, metrics = run(chunk, copies[0], data, [5])
    before = len(traced)
    for state, lengths in zip(copies[1:], ([1] * 5, [2, 3]), strict=True):
        found, found_metrics = run(chunk, state, data, lengths)
        assert weights.checksum(found) == weights.checksum(whole)
        for name in metrics:
            np.testing.assert_array_equal(found_metrics[name], metrics[name])
    assert int(whole.step) == 5
    assert len(traced) == before > 0


def on_four_devices(phase, state, batch, key):
    """One step with a quarter of the batch on each device: the states of all four, and their metrics."""
    assert len(jax.devices()) >= 4
    shards = {name: values.reshape(4, -1, *values.shape[1:]) for name, values in batch.items()}
    step = functools.partial(phase.step, axis_name="devices")
    return jax.pmap(step, axis_name="devices", in_axes=(None, 0, None), devices=jax.devices()[:4])(state, shards, key)


def assert_one_and_the_same(stacked):
    def check(leaf):
        for other in leaf[1:]:
            np.testing.assert_array_equal(other, leaf[0])

    jax.tree.map(check, jax.device_get(stacked))
    return jax.tree.map(lambda leaf: leaf[0], jax.device_get(stacked))


def assert_close(found, expected, rtol):
    scale = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale / 10), found, expected)


def test_encoder_step_on_four_devices_is_that_on_one(encoder_phase, encoder_step, encoder_state, batch):
    expected, expected_metrics = encoder_step(encoder_state, batch, KEY)
    found, metrics = map(assert_one_and_the_same, on_four_devices(encoder_phase, encoder_state, batch, KEY))
    for name, value in expected_metrics.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)
    assert_close(found.encoder.opt_state[0].mu, expected.encoder.opt_state[0].mu, 2e-3)
    assert_close(found.encoder.batch_stats, expected.encoder.batch_stats, 1e-4)


def test_each_device_takes_its_own_rows_of_what_is_drawn_for_all():
    def draw(count):
        return jax.random.uniform(KEY, (count, 3))

    share = functools.partial(state_lib.own_share, draw, 2)
    shares = jax.pmap(lambda _: share("devices"), axis_name="devices", devices=jax.devices()[:4])(jnp.zeros(4))
    np.testing.assert_array_equal(shares.reshape(8, 3), state_lib.own_share(draw, 8, None))


def test_a_chunk_in_one_dispatch_moves_nothing_between_host_and_device():
    phase = diary_phase(4, 3)
    chunk = parallel.make_chunk(phase, 12, 3, 4, one_dispatch=True)
    state, data, count = phase.init(KEY), numbered(12), jax.device_put(2)
    with jax.transfer_guard("disallow"):
        state, _ = chunk(state, data, KEY, count)
        with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
            chunk(state, data, KEY, 2)  # the guard is awake
    assert int(state.step) == 2
