"""Checkpoints come back bit for bit, and damaged ones are told from whole ones."""

import gc

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from emogan.train import checkpoint, encoder
from emogan.train import state as state_lib

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def abandoned_reads_are_collected():
    """Where one of its reads fails, Orbax abandons the others; no later test is to be blamed for them."""
    yield
    gc.collect()


def make_state(seed=0, width=64):
    """An encoder's state with every kind of leaf that a phase has: weights, statistics, optimiser, int32 counts."""
    keys = jax.random.split(jax.random.key(seed), 3)
    params = {"dense": {"kernel": jax.random.normal(keys[0], (200, width)), "bias": jnp.full((width,), 1e-30)}}
    optimizer = optax.adam(1e-3)
    network = state_lib.NetworkState(params, {"norm": {"mean": jnp.zeros(3)}}, optimizer.init(params))
    gradients = jax.tree.map(lambda p: p + 0.1, params)
    network = state_lib.update(network, optimizer, gradients, {"norm": {"mean": jax.random.normal(keys[1], (3,))}})
    generator = {"params": {"kernel": jax.random.normal(keys[2], (40, 50))}, "batch_stats": {}}
    average = jax.tree.map(lambda p: p / 3, dict(network.variables))
    return encoder.EncoderState(jnp.array(2**24 + 1 + seed, jnp.int32), network, average, generator)


def blank(state):
    return jax.tree.map(jnp.zeros_like, state)


def saved(folder, *steps, keep=2, **about):
    with checkpoint.Checkpoints(folder, keep) as checkpoints:
        for step in steps:
            checkpoints.save(step, make_state(step), {"step": step, **about})
    return folder


def largest_file(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def test_state_comes_back_bit_for_bit(tmp_path):
    state = make_state(3)
    with checkpoint.Checkpoints(saved(tmp_path / "c", 3)) as checkpoints:
        found = checkpoints.restore(blank(state))
    assert jax.tree.structure(found) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(state), strict=True):
        assert (a.dtype, a.shape, a.sharding) == (b.dtype, b.shape, b.sharding)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert int(found.step) == 2**24 + 4  # a float32 could not hold it
    assert int(found.encoder.opt_state[0].count) == 1


def test_newest_few_are_kept_and_the_newest_is_restored(tmp_path):
    folder = saved(tmp_path / "c", 1, 2, 5, 9, keep=2)
    assert sorted(path.name for path in folder.iterdir()) == ["5", "9"]
    with checkpoint.Checkpoints(folder) as checkpoints:
        assert checkpoints.latest_step == 9
        assert checkpoint.checksum(checkpoints.restore(blank(make_state()))) == checkpoint.checksum(make_state(9))


def test_what_is_told_about_a_state_comes_back(tmp_path):
    with checkpoint.Checkpoints(saved(tmp_path / "c", 4, gan_step=12)) as checkpoints:
        about = checkpoints.about()
    assert (about["step"], about["gan_step"]) == (4, 12)


def test_arrays_may_be_donated_as_soon_as_save_returns(tmp_path):
    state, double = make_state(), jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * 2, tree), donate_argnums=0)
    expected = checkpoint.checksum(state)
    with checkpoint.Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, state, {})
        jax.block_until_ready(double(state))
        checkpoints.wait()
        assert checkpoint.checksum(checkpoints.restore(blank(make_state()))) == expected


@pytest.mark.parametrize("where", [0.25, 0.5, 0.75])
def test_flipped_byte_is_refused_with_the_folder_named(tmp_path, where):
    folder = saved(tmp_path / "c", 7)
    path = largest_file(folder / "7")
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 0x10
    path.write_bytes(content)
    with checkpoint.Checkpoints(folder) as checkpoints, pytest.raises(checkpoint.CheckpointError) as caught:
        checkpoints.restore(blank(make_state()))
    assert str(folder / "7") in str(caught.value)
    assert "delete this folder" in str(caught.value)


def test_truncated_file_is_refused_with_the_folder_named(tmp_path):
    folder = saved(tmp_path / "c", 7)
    path = largest_file(folder / "7")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with checkpoint.Checkpoints(folder) as checkpoints, pytest.raises(checkpoint.CheckpointError) as caught:
        checkpoints.restore(blank(make_state()))
    assert str(folder / "7") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_were_not_saved_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "c"
    with checkpoint.Checkpoints(folder) as checkpoints:
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "checksum", lambda state: "0" * 64)
            checkpoints.save(1, make_state(), {})
            checkpoints.wait()
        with pytest.raises(checkpoint.CheckpointError, match="expected the bytes that were saved, found others"):
            checkpoints.restore(blank(make_state()))


@pytest.mark.parametrize(
    "target",
    [
        make_state(width=32),
        jax.tree.map(lambda leaf: leaf.astype(jnp.float16) if leaf.dtype == jnp.float32 else leaf, make_state()),
        make_state().replace(generator={}),
    ],
    ids=["width", "types", "structure"],
)
def test_checkpoint_of_another_model_is_refused(tmp_path, target):
    with (
        checkpoint.Checkpoints(saved(tmp_path / "c", 1)) as checkpoints,
        pytest.raises(checkpoint.CheckpointError, match=r"expected .+, found "),
    ):
        checkpoints.restore(blank(target))


def test_without_a_checkpoint_there_is_nothing_to_restore(tmp_path):
    with checkpoint.Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.latest_step is None
        for call in (lambda: checkpoints.restore(make_state()), checkpoints.about):
            with pytest.raises(checkpoint.CheckpointError, match="expected a checkpoint, found none; train first"):
                call()


def test_newest_step_looks_and_makes_nothing(tmp_path):
    folder = tmp_path / "c"
    assert not checkpoint.newest_step(folder)
    assert not folder.exists()
    (folder / "3.orbax-checkpoint-tmp").mkdir(parents=True)
    assert not checkpoint.newest_step(folder)
    assert (folder / "3.orbax-checkpoint-tmp").exists()
    assert checkpoint.newest_step(saved(tmp_path / "d", 1))


def test_checksum_tells_values_names_types_and_shapes_apart():
    states = [
        {"a": np.zeros(4, np.float32)},
        {"a": np.array([0, 0, 0, -0.0], np.float32)},
        {"b": np.zeros(4, np.float32)},
        {"a": np.zeros(4, np.int32)},
        {"a": np.zeros((2, 2), np.float32)},
    ]
    assert len({checkpoint.checksum(state) for state in states}) == 5
    assert checkpoint.checksum(states[0]) == checkpoint.checksum({"a": jnp.zeros(4)})
