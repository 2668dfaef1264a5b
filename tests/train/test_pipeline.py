"""Whole runs: what a folder refuses, and what it continues."""

import copy
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from emogan import config as config_lib
from emogan import data as data_lib
from emogan import presets
from emogan.data import dataset
from emogan.models import precision
from emogan.recipes import encoder, gan
from emogan.train import checkpoint, pipeline, plans, run_folder
from emogan.util import weights


@pytest.fixture
def config(tiny_config):
    return copy.deepcopy(tiny_config)


@pytest.fixture
def workdir(trained_workdir, tmp_path):
    """A finished run that may be changed."""
    return shutil.copytree(trained_workdir, tmp_path / "run")


def saved_checksum(workdir, phase):
    with checkpoint.Checkpoints(workdir / "checkpoints" / phase) as checkpoints:
        return checkpoints.latest_step, checkpoints.about()["checksum"]


def contents(workdir):
    return {path.relative_to(workdir): path.read_bytes() for path in workdir.rglob("*") if path.is_file()}


def steps(workdir, phase):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [row["step"] for row in rows if row["phase"] == phase and "step" in row]


def test_plan_counts_parameters_and_steps_of_the_paper():
    data = data_lib.dataset.Dataset(np.zeros((28709, 48, 48), np.uint8), np.zeros(28709, np.int32))
    sizes = plans.make(presets.paper(), data)
    assert sizes.parameters == {"generator": 4_889_200, "discriminator": 4_477_768, "encoder": 4_766_052}
    assert sizes.steps == {"gan": 50 * 448, "encoder": 50 * 448}


def test_plan_of_a_preset_without_guidance_counts_no_features_of_it(config):
    data = data_lib.dataset.Dataset(np.zeros((16, 48, 48), np.uint8), np.zeros(16, np.int32))
    before = plans.make(config, data)
    config.translator.guidance_features = True
    config.check()
    assert plans.make(config, data) == before


def test_plan_refuses_less_data_than_a_batch(config):
    data = data_lib.dataset.Dataset(np.zeros((15, 48, 48), np.uint8), np.zeros(15, np.int32))
    with pytest.raises(ValueError, match="expected at least one batch of 16 examples, found 15"):
        plans.make(config, data)


@pytest.mark.parametrize(("strength", "count"), [("1,1", 2), ("1,1,1,1,1,1,1,1", 8)])
def test_plan_refuses_a_number_of_strengths_that_is_not_that_of_the_emotions(config, strength, count):
    data = data_lib.dataset.Dataset(np.zeros((16, 48, 48), np.uint8), np.zeros(16, np.int32))
    config.translator.strength = strength
    config.check()
    with pytest.raises(ValueError, match=rf"translator.strength: expected 1 number or 7, .+, found {count}; --config"):
        plans.make(config, data, ("joint",))


def test_run_leaves_its_configuration_data_lines_checkpoints_and_samples(trained_workdir, config):
    assert config_lib.from_json((trained_workdir / "config.json").read_text()) == config
    # tests/conftest.py asks for four devices.
    assert json.loads((trained_workdir / "config.json").read_text())["computed_on"] == "4 devices: cpu"
    about = json.loads((trained_workdir / "data.json").read_text())
    data = data_lib.load(config.data, "train", config.seed)
    assert (about["name"], about["examples"], about["fingerprint"]) == ("toyfaces", 128, data.fingerprint())
    for phase in ("gan", "encoder"):
        assert steps(trained_workdir, phase) == list(range(1, 9))
        assert saved_checksum(trained_workdir, phase)[0] == 8
        samples = sorted(path.name for path in (trained_workdir / "figures" / "samples").glob(f"{phase}_*.png"))
        assert samples == [f"{phase}_000000.png", f"{phase}_000008.png"]
    assert not list(trained_workdir.rglob("*.tmp"))


def test_encoder_learned_on_the_averaged_generator_of_the_finished_phase(trained_workdir, config):
    phase = gan.make(config, 7, dataset.FER2013)
    blank = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(phase.init, jax.random.key(0)))
    with checkpoint.Checkpoints(trained_workdir / "checkpoints" / "gan") as checkpoints:
        state = checkpoints.restore(blank)
    shapes = jax.eval_shape(encoder.make(config, 7, state.best_generator, dataset.FER2013).init, jax.random.key(0))
    with checkpoint.Checkpoints(trained_workdir / "checkpoints" / "encoder") as checkpoints:
        learned = checkpoints.restore(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))
    assert weights.checksum(learned.generator) == weights.checksum(state.average)
    assert weights.checksum(learned.generator) != weights.checksum(dict(state.generator.variables))


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("model", "width", 5, "model.width: 4 -> 5"),
        ("model", "encoder_labels", True, "model.encoder_labels: False -> True"),
        ("data", "count", 64, "data.count: 128 -> 64"),
        ("gan", "b1", 0.25, "gan.b1: 0.5 -> 0.25"),
        (None, "seed", 1, "seed: 0 -> 1"),
    ],
)
def test_folder_refuses_another_run_and_names_the_field(workdir, config, part, field, value, message):
    setattr(getattr(config, part) if part else config, field, value)
    before = contents(workdir)
    with pytest.raises(ValueError, match="expected the configuration that it was begun with") as caught:
        pipeline.run(config, workdir)
    assert message in str(caught.value)
    assert contents(workdir) == before


def test_folder_refuses_other_data_under_the_same_configuration(workdir, config):
    path = workdir / "data.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "other"}))
    with pytest.raises(ValueError, match="expected the data that it was begun with, found fingerprint: other -> "):
        pipeline.run(config, workdir)


def test_unknown_phase_and_bad_value_are_refused_before_anything_is_written(tmp_path, config):
    known = f"all, {' or '.join(config_lib.PHASES)}"
    with pytest.raises(ValueError, match=f"--phase: expected {known}, found 'gna'"):
        pipeline.run(config, tmp_path / "run", "gna")
    with pytest.raises(ValueError, match=r"--phase=joint: expected joint in --config\.phases, found gan,encoder"):
        pipeline.run(config, tmp_path / "run", "joint")
    config.model.width = 0
    with pytest.raises(ValueError, match=r"model\.width"):
        pipeline.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("epochs", [1, 2], ids=["none", "unfinished"])
def test_encoder_phase_needs_a_finished_gan_phase(workdir, config, epochs):
    if epochs == 1:
        shutil.rmtree(workdir / "checkpoints" / "gan")
    shutil.rmtree(workdir / "checkpoints" / "encoder")
    config.gan.epochs = epochs
    done = {1: 0, 2: 8}[epochs]
    with pytest.raises(
        ValueError, match=rf"expected a finished phase gan .*\({8 * epochs} steps\), found {done} steps"
    ):
        pipeline.run(config, workdir, "encoder")
    assert not checkpoint.newest_step(workdir / "checkpoints" / "encoder")


@pytest.mark.parametrize("phase", ["gan", "all"])
def test_encoder_of_an_earlier_generator_is_refused_before_training(workdir, config, phase):
    config.gan.epochs = 2
    before = (workdir / "config.json").read_text()
    with pytest.raises(ValueError, match="encoder was trained on phase gan at step 8, but gan is at step 16; delete "):
        pipeline.run(config, workdir, phase)
    assert saved_checksum(workdir, "gan")[0] == 8
    assert (workdir / "config.json").read_text() == before


def test_an_encoder_tells_the_step_that_its_generator_has(workdir, config):
    shutil.rmtree(workdir / "checkpoints" / "encoder")
    config.gan.epochs = 0.5  # G has been trained longer than is asked for now
    pipeline.run(config, workdir, "encoder")
    with checkpoint.Checkpoints(workdir / "checkpoints" / "encoder") as checkpoints:
        assert checkpoints.about()["gan_step"] == 8
    config.gan.epochs = 1
    pipeline.run(config, workdir)
    assert saved_checksum(workdir, "gan")[0] == 8


def test_finished_run_is_left_as_it_is(workdir, config, capsys):
    before = {phase: saved_checksum(workdir, phase) for phase in ("gan", "encoder")}
    lines = (workdir / "metrics.jsonl").read_text()
    pipeline.run(config, workdir)
    shown = capsys.readouterr().out
    assert all(f"{phase:8s} finished already at step 8" in shown for phase in ("gan", "encoder"))
    assert {phase: saved_checksum(workdir, phase) for phase in ("gan", "encoder")} == before
    assert (workdir / "metrics.jsonl").read_text() == lines


def test_more_epochs_continue_a_finished_run(workdir, config):
    before = (workdir / "metrics.jsonl").read_text()
    config.encoder.epochs = 2
    pipeline.run(config, workdir, "encoder")
    assert saved_checksum(workdir, "encoder")[0] == 16
    assert steps(workdir, "gan") == list(range(1, 9))
    assert steps(workdir, "encoder") == list(range(1, 17))
    assert (workdir / "metrics.jsonl").read_text().startswith(before)
    assert config_lib.from_json((workdir / "config.json").read_text()).encoder.epochs == 2


def test_auto_is_the_fastest_precision_where_a_run_begins(config, tmp_path, monkeypatch, capsys):
    config.model.precision, config.encoder.epochs, config.parallel.devices = "auto", 0.5, 1
    monkeypatch.setattr(precision, "of_machine", lambda devices: {1: "bfloat16"}[devices])
    pipeline.run(config, tmp_path, "gan")
    assert "computing on 1 device: cpu, in bfloat16\n" in capsys.readouterr().out
    assert run_folder.read_config(tmp_path).model.precision == "bfloat16"
    assert config.model.precision == "auto"  # the caller's is left alone
    monkeypatch.setattr(precision, "of_machine", lambda devices: "float32")  # it goes on where float32 is faster
    pipeline.run(config, tmp_path)
    assert "computing on 1 device: cpu, in bfloat16\n" in capsys.readouterr().out
    assert run_folder.read_config(tmp_path).model.precision == "bfloat16"
    config.model.precision = "float32"
    with pytest.raises(ValueError, match=r"found model\.precision: 'bfloat16' -> 'float32'; choose another --workdir"):
        pipeline.run(config, tmp_path)


def test_auto_is_float32_in_phases_that_know_no_other(config, tmp_path, monkeypatch, capsys):
    config.model.precision, config.phases, config.parallel.devices = "auto", "classifier", 1
    config.classifier.width, config.classifier.epochs, config.classifier.batch_size = 2, 0.25, 16
    monkeypatch.setattr(precision, "of_machine", lambda devices: "bfloat16")
    pipeline.run(config, tmp_path)
    assert run_folder.read_config(tmp_path).model.precision == "float32"
    assert "computing on 1 device: cpu\n" in capsys.readouterr().out


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(config, tmp_path):
    for name in ("fer2013.csv", "notes.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(
        ValueError, match=r"expected a run's folder, an empty or a new one, found fer2013.csv and 1 more in it; choose"
    ):
        pipeline.run(config, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fer2013.csv", "notes.txt"]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        *((name, False) for name in (".lock", "run.log", "data.json", "checkpoints", "data.json.12.tmp", "lost+found")),
        *((name, True) for name in ("photo.jpg", "src", "evaluation", "config.yaml")),
    ],
)
def test_what_counts_as_something_else(tmp_path, name, counts):
    (tmp_path / name).write_text("")
    assert run_folder.foreign(tmp_path) == ([name] if counts else [])
    (tmp_path / "config.json").write_text("{}")
    assert run_folder.foreign(tmp_path) == []
