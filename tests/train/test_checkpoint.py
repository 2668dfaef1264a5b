"""Checkpoints come back bit for bit, and damaged ones are told from whole ones."""

import contextlib
import gc
import pathlib
import pickle
import resource
import shutil
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from emogan.recipes import encoder
from emogan.recipes import state as state_lib
from emogan.train import checkpoint
from emogan.util import weights

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


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
        assert weights.checksum(checkpoints.restore(blank(make_state()))) == weights.checksum(make_state(9))


def test_what_is_told_about_a_state_comes_back(tmp_path):
    with checkpoint.Checkpoints(saved(tmp_path / "c", 4, gan_step=12)) as checkpoints:
        about = checkpoints.about()
    assert (about["step"], about["gan_step"]) == (4, 12)


def test_arrays_may_be_donated_as_soon_as_save_returns(tmp_path):
    state, double = make_state(), jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * 2, tree), donate_argnums=0)
    expected = weights.checksum(state)
    with checkpoint.Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, state, {})
        jax.block_until_ready(double(state))
        checkpoints.wait()
        assert weights.checksum(checkpoints.restore(blank(make_state()))) == expected


def flip(folder, where=0.5):
    path = largest_file(folder)
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 0x10
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = {
    "flipped byte": flip,
    "another flipped byte": lambda folder: flip(folder, 0.8),
    "cut": lambda folder: cut(largest_file(folder)),
    "metadata cut": lambda folder: cut(folder / "_CHECKPOINT_METADATA"),
    "what is told changed": lambda folder: (folder / "_CHECKPOINT_METADATA").write_text(
        (folder / "_CHECKPOINT_METADATA").read_text().replace('"gan_step":12', '"gan_step":13').replace(": 12", ": 13")
    ),
    "half deleted": lambda folder: shutil.rmtree(folder / "state"),
    "emptied": lambda folder: [shutil.rmtree(folder), folder.mkdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint_is_named_and_passed_over_for_the_one_before(tmp_path, capfd, damage):
    folder = saved(tmp_path / "c", 4, 8, gan_step=12)
    DAMAGES[damage](folder / "8")
    before = contents(folder)
    assert checkpoint.read(folder, blank(make_state())).step == 4
    assert contents(folder) == before  # who only reads changes nothing
    with checkpoint.Checkpoints(folder) as checkpoints:
        assert weights.checksum(checkpoints.restore(blank(make_state()))) == weights.checksum(make_state(4))
        assert checkpoints.latest_step == 4
        assert checkpoints.about()["step"] == 4
        said = capfd.readouterr().err.splitlines()
        assert len(said) == 2, said
        assert all(line.startswith(f"warning: {folder / '8'}: damaged, passed over for step 4; ") for line in said)
        checkpoints.save(8, make_state(8), {})
    assert sorted(path.name for path in folder.iterdir()) == ["4", "8"]
    assert weights.checksum(checkpoint.read(folder, blank(make_state())).state) == weights.checksum(make_state(8))


def test_without_a_whole_checkpoint_each_is_named_and_none_deleted(tmp_path):
    folder = saved(tmp_path / "c", 4, 8)
    flip(folder / "4")
    cut(largest_file(folder / "8"))
    with checkpoint.Checkpoints(folder) as checkpoints, pytest.raises(checkpoint.CheckpointError) as caught:
        checkpoints.restore(blank(make_state()))
    text = str(caught.value)
    assert all(str(folder / step) in text for step in ("4", "8"))
    assert "delete this folder to train the phase from its beginning" in text
    assert "\n" not in text
    assert sorted(path.name for path in folder.iterdir()) == ["4", "8"]


def test_what_is_told_in_no_readable_checkpoint_is_refused_with_each_named(tmp_path):
    folder = saved(tmp_path / "c", 4, 8)
    for step in ("4", "8"):
        cut(folder / step / "_CHECKPOINT_METADATA")
    with checkpoint.Checkpoints(folder) as checkpoints, pytest.raises(checkpoint.CheckpointError) as caught:
        checkpoints.about()
    assert str(caught.value).startswith(
        f"{folder}: expected a whole checkpoint of this model, found in {folder / '8'} "
    )


@contextlib.contextmanager
def no_file_beyond(size):
    """The system refuses what a full disk would, but with File too large."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_save_that_cannot_be_written_raises_and_those_before_are_whole(tmp_path):
    folder = saved(tmp_path / "c", 4)
    with no_file_beyond(20_000), pytest.raises(OSError, match="expected to write a checkpoint") as caught:
        saved(folder, 8)
    assert str(caught.value).startswith(f"{folder}: expected to write a checkpoint, found: File too large; ")
    with checkpoint.Checkpoints(folder) as checkpoints:
        assert checkpoints.latest_step == 4
        assert weights.checksum(checkpoints.restore(blank(make_state()))) == weights.checksum(make_state(4))
        checkpoints.save(8, make_state(8), {})
    assert sorted(path.name for path in folder.iterdir()) == ["4", "8"]


def test_saves_leave_no_threads_and_no_open_files_behind(tmp_path):
    held = lambda: (threading.active_count(), len(list(pathlib.Path("/proc/self/fd").iterdir())))  # noqa: E731
    with checkpoint.Checkpoints(tmp_path / "c") as checkpoints:
        found = []
        for step in range(1, 9):
            checkpoints.save(step, make_state(step), {})
            if step in (2, 8):
                checkpoints.wait()
                gc.collect()
                found.append(held())
    assert found[0] == found[1]


def test_a_reader_begins_anew_where_the_training_has_gone_on(tmp_path, monkeypatch):
    folder = saved(tmp_path / "c", 4, keep=1)
    load = checkpoint._load

    def slow(where, target):
        if where.name == "4":
            saved(folder, 8, keep=1)
        return load(where, target)

    monkeypatch.setattr(checkpoint, "_load", slow)
    assert checkpoint.read(folder, blank(make_state())).step == 8


def test_what_a_killed_save_left_is_deleted_though_nothing_is_saved(tmp_path):
    folder = saved(tmp_path / "c", 4)
    shutil.copytree(folder / "4", folder / "8.orbax-checkpoint-tmp")
    with checkpoint.Checkpoints(folder) as checkpoints:
        checkpoints.restore(blank(make_state()))
    assert [path.name for path in folder.iterdir()] == ["4"]


def test_restoring_loads_no_pickle(tmp_path, monkeypatch):
    folder = saved(tmp_path / "c", 4)

    def refuse(*arguments, **options):
        raise AssertionError("a pickle was loaded")

    for name in ("Unpickler", "_Unpickler", "load", "loads"):
        monkeypatch.setattr(pickle, name, refuse)
    assert checkpoint.read(folder, blank(make_state())).step == 4
    assert not [path for path in folder.rglob("*") if path.is_file() and b"\x80\x04\x95" in path.read_bytes()]


def test_checkpoint_whose_checksum_is_of_the_state_alone_is_still_read(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_sealed", lambda state, about: state)
        folder = saved(tmp_path / "c", 4, gan_step=12)
    assert checkpoint.read(folder, blank(make_state())).about == {"step": 4, "gan_step": 12}


def test_bytes_that_were_not_saved_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "c"
    with checkpoint.Checkpoints(folder) as checkpoints:
        with monkeypatch.context() as patch:
            patch.setattr(weights, "checksum", lambda state: "0" * 64)
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
    assert len({weights.checksum(state) for state in states}) == 5
    assert weights.checksum(states[0]) == weights.checksum({"a": jnp.zeros(4)})
