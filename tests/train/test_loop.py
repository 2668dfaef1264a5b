"""The loop with phases made by hand: when it samples, saves, stops, and continues."""

import functools
import json
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from emogan import config as config_lib
from emogan.data import dataset
from emogan.recipes import joint
from emogan.recipes import state as state_lib
from emogan.train import checkpoint, interrupt, loop, writers
from emogan.train import layout as layout_lib
from emogan.util import weights

DATA = dataset.Dataset(np.zeros((10, 48, 48), np.uint8), np.arange(10, dtype=np.int32) % 7)


@struct.dataclass
class Walk:
    step: jax.Array
    place: jax.Array


def walk_phase(nan_after=-1, diagnose=lambda metrics: None, lost_after=-1):
    """A random walk that hears of its batches.

    Its loss is no number once, after step `nan_after`; its place is none after step `lost_after`, of which that step's
    loss knows nothing.
    """

    def init(key):
        return Walk(jnp.zeros((), jnp.int32), jax.random.normal(key, (3,)))

    def step(state, batch, key, *, axis_name=None):
        labels = batch["label"].sum()
        labels = jax.lax.psum(labels, axis_name) if axis_name else labels
        push = jax.random.normal(key, (3,)) + labels * jnp.arange(1, 4)
        count = state.step + 1
        loss = jnp.where(count == nan_after, jnp.nan, push.sum())
        place = jnp.where(count == lost_after, jnp.nan, 0.9 * state.place + push)
        return Walk(count, place), {"loss": loss, "count": count}

    def sample(state, batch, key):
        return jnp.full((1, 2, 48, 48), state.step.astype(jnp.uint8)), {"place": state.place.sum()}

    return state_lib.Phase("walk", init, step, sample, (), diagnose)


def train(workdir, phase, total_steps, key=0, about=None, layout=None, signals=None, batch_size=3, **run_options):
    run = config_lib.RunConfig(**{"sample_every": 4, "checkpoint_every": 3, **run_options})
    with checkpoint.Checkpoints(workdir / "checkpoints", run.keep_checkpoints) as checkpoints:
        return loop.train(
            phase,
            DATA,
            key=jax.random.key(key),
            total_steps=total_steps,
            batch_size=batch_size,
            run=run,
            checkpoints=checkpoints,
            writer_of=lambda step: writers.Writer(workdir, "walk", step, total_steps, batch_size, False),
            about=about or {},
            layout=layout,
            signals=signals,
        )


def rows(workdir, field="step"):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if field in line]


def steps(workdir, field="step"):
    return [row[field] for row in rows(workdir, field)]


def kept(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def restored(workdir, phase):
    with checkpoint.Checkpoints(workdir / "checkpoints") as checkpoints:
        return checkpoints.latest_step, checkpoints.restore(phase.init(jax.random.key(0)))


def test_steps_samples_and_checkpoints_come_at_their_times(tmp_path):
    state = train(tmp_path, walk_phase(), 11, keep_checkpoints=3)
    assert int(state.step) == 11
    assert steps(tmp_path) == list(range(1, 12))
    assert [row["count"] for row in rows(tmp_path)] == list(range(1, 12))
    assert steps(tmp_path, "sampled_at") == [0, 4, 8, 11]
    pictures = sorted(path.name for path in (tmp_path / "figures" / "samples").iterdir())
    assert pictures == [f"walk_{step:06d}.png" for step in (0, 4, 8, 11)]
    assert kept(tmp_path) == [6, 9, 11]


def test_how_often_a_run_samples_and_saves_never_changes_its_result(tmp_path):
    one = train(tmp_path / "one", walk_phase(), 13)
    other = train(tmp_path / "other", walk_phase(), 13, sample_every=5, checkpoint_every=13)
    assert weights.checksum(one) == weights.checksum(other)
    assert rows(tmp_path / "one") == rows(tmp_path / "other")


@pytest.mark.parametrize("stops", [[3], [1, 2, 9], [12]], ids=str)
def test_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, stops):
    whole = train(tmp_path / "whole", walk_phase(), 13)
    for stop in (*stops, 13):
        resumed = train(tmp_path / "resumed", walk_phase(), stop)
    assert weights.checksum(resumed) == weights.checksum(whole)
    assert rows(tmp_path / "resumed") == rows(tmp_path / "whole")
    # A run that ended early sampled there too; all other samples are the same.
    samples = [row for row in rows(tmp_path / "resumed", "sampled_at") if row["sampled_at"] not in stops]
    assert samples == [row for row in rows(tmp_path / "whole", "sampled_at") if row["sampled_at"] not in stops]


@pytest.mark.slow
def test_phase_joint_in_bfloat16_goes_on_bit_for_bit(tmp_path):
    config = config_lib.Config(
        phases="joint",
        model=config_lib.ModelConfig(precision="bfloat16"),
        translator=config_lib.TranslatorConfig(width=2, blocks=1, critic_width=2, reach=1),
    )
    phase = joint.make(config, 7, 3, np.ones(7), {}, DATA.spec)
    whole = train(tmp_path / "whole", phase, 3, batch_size=4)
    for stop in (1, 3):
        resumed = train(tmp_path / "resumed", phase, stop, batch_size=4)
    assert weights.checksum(resumed) == weights.checksum(whole)
    assert {leaf.dtype.kind for leaf in jax.tree.leaves(resumed.translator)} == {"f", "i"}
    assert {leaf.dtype.itemsize for leaf in jax.tree.leaves(resumed)} == {4}


def test_lines_beyond_the_checkpoint_are_written_anew(tmp_path):
    whole = train(tmp_path / "whole", walk_phase(), 8)
    with pytest.raises(loop.TrainingError):
        train(tmp_path / "stopped", walk_phase(nan_after=8), 8)
    assert kept(tmp_path / "stopped")[-1] == 6
    assert steps(tmp_path / "stopped")[-1] == 8
    again = train(tmp_path / "stopped", walk_phase(), 8)
    assert weights.checksum(again) == weights.checksum(whole)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")


def test_finished_run_trains_no_more(tmp_path):
    first = train(tmp_path, walk_phase(), 5)
    before = (tmp_path / "metrics.jsonl").read_text()
    again = train(tmp_path, walk_phase(nan_after=5), 5)
    assert weights.checksum(again) == weights.checksum(first)
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_damaged_checkpoint_is_passed_over_and_its_steps_are_made_again(tmp_path, capsys):
    whole = train(tmp_path / "whole", walk_phase(), 11)
    train(tmp_path / "damaged", walk_phase(), 8)
    (tmp_path / "damaged" / "checkpoints" / "8" / "_CHECKPOINT_METADATA").write_text("{")
    again = train(tmp_path / "damaged", walk_phase(), 11)
    damaged = tmp_path / "damaged" / "checkpoints" / "8"
    assert f"warning: {damaged}: damaged, passed over for step 6; " in capsys.readouterr().err
    assert weights.checksum(again) == weights.checksum(whole)
    assert rows(tmp_path / "damaged") == rows(tmp_path / "whole")
    assert kept(tmp_path / "damaged") == [9, 11]


def test_damaged_checkpoint_of_a_finished_run_is_made_again(tmp_path):
    whole = train(tmp_path, walk_phase(), 8)
    (tmp_path / "checkpoints" / "8" / "_CHECKPOINT_METADATA").write_text("{")
    assert weights.checksum(train(tmp_path, walk_phase(), 8)) == weights.checksum(whole)
    assert kept(tmp_path) == [6, 8]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_after_the_chunk_with_a_checkpoint(tmp_path, capsys, number):
    whole = train(tmp_path / "whole", walk_phase(), 13)
    raised = diagnose_at_with(5, lambda: signal.raise_signal(number))

    def stopped():
        with interrupt.Signals() as signals:
            train(tmp_path / "stopped", walk_phase(diagnose=raised), 13, signals=signals)

    with pytest.raises(interrupt.Interrupted, match=f"stopped by {number.name}; the same command continues"):
        stopped()
    step = kept(tmp_path / "stopped")[-1]
    assert step == steps(tmp_path / "stopped")[-1]
    assert 5 <= step <= 6
    assert f"walk     {number.name}: stopping at step {step}, with a checkpoint" in capsys.readouterr().out
    again = train(tmp_path / "stopped", walk_phase(), 13)
    assert weights.checksum(again) == weights.checksum(whole)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")


def diagnose_at_with(step, act):
    """A diagnosis that does something after a step, and finds nothing."""
    return lambda metrics: act() if metrics["count"] == step else None


def test_run_goes_on_with_another_number_of_devices(tmp_path):
    options = {"batch_size": 4, "sample_every": 3}
    whole = train(tmp_path / "whole", walk_phase(), 12, **options)
    ways = [("jit", 1), ("jit", 4), ("pmap", 4), ("jit", 1)]
    for stop, (mode, devices) in zip((3, 6, 9, 12), ways, strict=True):
        layout = layout_lib.make(config_lib.ParallelConfig(mode=mode, devices=devices))
        moved = train(tmp_path / "moved", walk_phase(), stop, layout=layout, **options)
    np.testing.assert_allclose(moved.place, whole.place, rtol=1e-6)
    assert int(moved.step) == 12
    for found, expected in zip(rows(tmp_path / "moved"), rows(tmp_path / "whole"), strict=True):
        assert (found["step"], found["count"]) == (expected["step"], expected["count"])
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)


def test_another_key_is_another_run(tmp_path):
    places = [train(tmp_path / str(key), walk_phase(), 2, key=key).place for key in (0, 1)]
    assert np.abs(places[0] - places[1]).min() > 1e-3


@pytest.mark.parametrize(("nan_after", "last_good"), [(8, 6), (9, 6), (10, 9)])
def test_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(tmp_path, nan_after, last_good):
    phase = walk_phase(nan_after=nan_after)
    with pytest.raises(loop.TrainingError) as caught:
        train(tmp_path, phase, 40)
    assert f"walk: loss is nan after step {nan_after};" in str(caught.value)
    assert "--config.walk.learning_rate" in str(caught.value)
    step, state = restored(tmp_path, phase)
    assert step == int(state.step) == last_good
    assert np.isfinite(state.place).all()


def test_a_state_that_is_no_number_is_not_saved(tmp_path):
    phase = walk_phase(lost_after=9)
    with pytest.raises(loop.TrainingError, match="walk: the state is not finite after step 9; the last checkpoint"):
        train(tmp_path, phase, 9)
    assert restored(tmp_path, phase)[0] == 6


def test_loss_that_is_no_number_in_the_first_steps_leaves_no_checkpoint(tmp_path):
    with pytest.raises(loop.TrainingError, match="after step 1;"):
        train(tmp_path, walk_phase(nan_after=1), 40)
    assert kept(tmp_path) == []


def diagnose_at(step, stop, metrics):
    return state_lib.Diagnosis(f"ill at {step}", stop) if metrics["count"] == step else None


def test_diagnosis_to_stop_stops_before_the_next_save(tmp_path):
    phase = walk_phase(diagnose=functools.partial(diagnose_at, 9, True))
    with pytest.raises(loop.TrainingError, match="walk: step 9: ill at 9"):
        train(tmp_path, phase, 40)
    assert restored(tmp_path, phase)[0] == 6


def test_diagnosis_not_to_stop_warns_and_goes_on(tmp_path, capsys):
    state = train(tmp_path, walk_phase(diagnose=functools.partial(diagnose_at, 5, False)), 10)
    assert int(state.step) == 10
    assert capsys.readouterr().err.splitlines() == ["warning: walk: step 5: ill at 5"]


def test_what_is_told_is_saved_beside_every_checkpoint(tmp_path):
    train(tmp_path, walk_phase(), 3, about={"gan_step": 12})
    with checkpoint.Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.about()["gan_step"] == 12


def test_lines_are_on_disk_before_the_checkpoint_that_follows_them(tmp_path, monkeypatch):
    order = []
    sync, save = writers.Writer.sync, checkpoint.Checkpoints.save
    monkeypatch.setattr(writers.Writer, "sync", lambda self: (sync(self), order.append("sync")))

    def told(self, step, *rest):
        order.append(steps(tmp_path)[-1] - step)
        save(self, step, *rest)

    monkeypatch.setattr(checkpoint.Checkpoints, "save", told)
    train(tmp_path, walk_phase(), 7)
    assert order == ["sync", 0] * 3
