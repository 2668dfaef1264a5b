"""One device, four by jit, four by pmap and two processes of two: the same training."""

import importlib.util
import pathlib
import re
import subprocess
import sys

import jax
import jax.flatten_util
import numpy as np
import pytest

from emogan import config as config_lib
from emogan.data import dataset
from emogan.recipes import gan
from emogan.recipes import state as state_lib
from emogan.train import layout, parallel

pytestmark = pytest.mark.slow

HERE = pathlib.Path(__file__).parent
_SPEC = importlib.util.spec_from_file_location("twenty_steps", HERE / "twenty_steps.py")
twenty_steps = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(twenty_steps)
PHASES = ("gan", "encoder", "classifier")
SAME = 1e-3  # of an update


@pytest.fixture(scope="module")
def on_one():
    made = {}

    def on_one(name, **options):
        key = (name, *options.items())
        if key not in made:
            made[key] = twenty_steps.updates(name, twenty_steps.config_of(devices=1, **options))
        return made[key]

    return on_one


WAYS = {
    "jit": {"mode": "jit"},
    "pmap": {"mode": "pmap"},
    "jit, data sharded": {"mode": "jit", "data": "sharded"},
    "pmap, data sharded": {"mode": "pmap", "data": "sharded"},
}


# Only under pmap does a phase name the axis that it averages over, so each phase is run that way. Both ways of jit are
# the same for all phases.
@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("gan", "jit"),
        ("gan", "pmap, data sharded"),
        ("encoder", "pmap"),
        ("encoder", "jit, data sharded"),
        ("classifier", "pmap"),
    ],
)
def test_four_devices_train_as_one(name, way, on_one):
    expected, metrics = on_one(name)
    found, found_metrics = twenty_steps.updates(name, twenty_steps.config_of(devices=4, **WAYS[way]))
    assert twenty_steps.distance(found, expected) < SAME
    for metric, values in metrics.items():
        np.testing.assert_allclose(found_metrics[metric], values, rtol=1e-2, atol=1e-3, err_msg=metric)


# Batch norm takes a bias before it out again: its gradient is rounding, of which Adam makes whole steps, either way.
UNFELT = re.compile(r"trunk'\]\['conv[123]'\]\['bias|generator.*(project|conv[012])'\]\['bias|norm\d?'\]\['mean")


def test_with_adam_all_agrees_but_what_batch_norm_takes_out():
    expected, _ = twenty_steps.updates("gan", twenty_steps.config_of(devices=1), with_adam=True)
    found, _ = twenty_steps.updates("gan", twenty_steps.config_of(devices=4), with_adam=True)
    assert len([key for key in expected if UNFELT.search(key)]) == 14
    for key, distance in twenty_steps.distances(found, expected).items():
        if UNFELT.search(key):  # a mean follows its bias; both go at most a learning rate a step, and apart
            assert np.abs(found[key] - expected[key]).max() <= 2 * 2e-4 * twenty_steps.STEPS, key
        else:
            assert distance < SAME, key


@pytest.mark.parametrize("name", PHASES)
def test_the_steps_move_the_networks(name, on_one):
    expected, metrics = on_one(name)
    assert max(float(np.abs(v).max()) for v in expected.values()) > 0.01
    first, last = (np.array([values[i] for values in metrics.values()]) for i in (0, -1))
    assert np.abs(first - last).max() > 0.01


@pytest.mark.parametrize("what", ["gradients", "statistics"])
@pytest.mark.parametrize("name", ["gan", "encoder"])
def test_without_the_averaging_it_is_another_training(name, what, on_one, monkeypatch):
    whole = state_lib.mean_over

    def mean_over(tree, axis_name):
        paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
        statistics = any("'mean'" in path and "'var'" in "".join(paths) for path in paths)
        left_out = statistics if what == "statistics" else any("kernel" in path for path in paths)
        return tree if left_out else whole(tree, axis_name)

    monkeypatch.setattr(state_lib, "mean_over", mean_over)
    if what == "statistics":  # of the batch, within batch norm
        monkeypatch.setattr(state_lib, "norm_axis", lambda parallel, axis_name: None)
    found, _ = twenty_steps.updates(name, twenty_steps.config_of(devices=4, mode="pmap"))
    assert twenty_steps.distance(found, on_one(name)[0]) > 10 * SAME


@pytest.mark.parametrize("name", ["gan", "encoder"])
def test_batch_norm_of_each_device_is_the_same_both_ways_and_another_than_global(name):
    # Two steps: statistics of four examples amplify rounding, from 8e-6 of an update to 3e-3 after five steps.
    updates = lambda **options: twenty_steps.updates(name, twenty_steps.config_of(**options), steps=2)[0]  # noqa: E731
    jit, pmap = (updates(devices=4, mode=mode, batch_norm="device") for mode in ("jit", "pmap"))
    assert twenty_steps.distance(jit, pmap) < SAME
    assert twenty_steps.distance(jit, updates(devices=1)) > 10 * SAME


@pytest.mark.parametrize(("name", "devices"), [("gan", 4), ("encoder", 1)])
def test_microbatches_add_up_to_the_batch(name, devices, on_one):
    expected, _ = twenty_steps.updates(name, without_batch_norm(devices=1))
    found, _ = twenty_steps.updates(name, twenty_steps.config_of(devices=devices, microbatches=4))
    assert twenty_steps.distance(found, expected) < SAME


def without_batch_norm(**options):
    config = twenty_steps.config_of(**options)
    config.model.batch_norm = False
    return config


# Processes are the same for all phases.
@pytest.mark.parametrize("name", ["gan"])
def test_two_processes_of_two_devices_train_as_one(name, on_one, tmp_path, quick_environment, coordinator):
    environment = {**quick_environment, "JAX_NUM_CPU_DEVICES": "2"}
    command = [sys.executable, str(HERE / "twenty_steps.py"), name, coordinator()]
    started = [
        subprocess.Popen(
            [*command, str(process), str(tmp_path / "found.npz")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for process in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    with np.load(tmp_path / "found.npz") as found:
        expected, metrics = on_one(name)
        assert twenty_steps.distance(found, expected) < SAME
        for metric, values in metrics.items():
            np.testing.assert_allclose(found[f"metric {metric}"], values, rtol=1e-2, atol=1e-3, err_msg=metric)


def test_optimiser_state_is_cut_and_stays_cut_and_trains_as_a_whole_one():
    config = config_lib.Config(model=config_lib.ModelConfig(width=4), gan=config_lib.GanConfig(batch_size=8))
    phase = gan.make(config, 7, dataset.FER2013)
    sizes, moments = {}, {}
    for optimizer in ("replicated", "sharded"):
        placing = layout.make(config_lib.ParallelConfig(devices=4, optimizer=optimizer))
        data = twenty_steps.toyfaces.load("train", 0, 16)
        chunk = parallel.make_chunk(phase, 16, 8, 2, placing)
        state = placing.place_state(phase.init(jax.random.key(0)))
        before = layout.optimizer_bytes(state)
        state, _ = chunk(state, placing.place(data), jax.random.key(1), 2)
        assert layout.optimizer_bytes(state) == before
        sizes[optimizer] = before
        both = (state.generator.opt_state[0].mu, state.discriminator.opt_state[0].mu)
        moments[optimizer], _ = jax.flatten_util.ravel_pytree(jax.device_get(both))
    assert sizes["sharded"] < 0.3 * sizes["replicated"]
    apart, whole = (np.linalg.norm(x) for x in (moments["sharded"] - moments["replicated"], moments["replicated"]))
    assert apart < SAME * whole


def test_chunks_on_four_devices_compile_once_and_cutting_changes_no_bit(caplog):
    config = twenty_steps.config_of(devices=4)
    placing = layout.make(config.parallel)
    phase, data = twenty_steps.phase_of("gan", config), twenty_steps.toyfaces.load("train", 0, 70)
    chunk = parallel.make_chunk(phase, 70, 16, 4, placing, one_dispatch=True)
    found = []
    with jax.log_compiles():
        for lengths in ([4], [1, 3]):
            state = placing.place_state(phase.init(jax.random.key(3)))
            for length in lengths:
                state, metrics = chunk(state, placing.place(data), jax.random.key(4), length)
                # Virtual CPU devices share their threads: nothing may be dispatched beside a collective.
                assert all(leaf.is_ready() for leaf in jax.tree.leaves((state, metrics)))
            found.append(jax.device_get(state))
    assert sum(message.startswith("Compiling jit(loop) ") for message in caplog.messages) == 1
    jax.tree.map(np.testing.assert_array_equal, *found)


REFUSED = {
    "devices": ({"devices": 9}, "--devices: expected at most the 4 devices that JAX sees, found 9"),
    "pmap and cut optimiser": ({"mode": "pmap", "optimizer": "sharded"}, "expected replicated with --parallel=pmap"),
    "own batch norm and cut optimiser": (
        {"batch_norm": "device", "optimizer": "sharded"},
        "expected replicated with parallel.batch_norm=device",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case):
    options, expected = REFUSED[case]
    with pytest.raises(ValueError, match=expected):
        layout.make(config_lib.ParallelConfig(**options))


@pytest.mark.parametrize(
    ("size", "parts", "fits"),
    [(50, (4, 1), "48 or 52"), (3, (4, 1), "4 would"), (60, (4, 2), "56 or 64"), (320, (1, 10, 5), "300 or 350")],
)
def test_uneven_batches_are_refused_with_what_would_fit(size, parts, fits):
    with pytest.raises(ValueError, match=rf"gan\.batch_size: expected a multiple of .*, found {size}; {fits}"):
        layout.check_batch("gan", size, *parts)
    layout.check_batch("gan", 64, 4, 2)
