"""The judge: its card, its file, and where it comes from."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from emogan import config as config_lib
from emogan import presets
from emogan.data import toyfaces
from emogan.evaluation import judge
from emogan.figures import run_figures
from emogan.train import pipeline


def test_accuracy_is_worked_out_by_hand():
    found = judge.accuracy(np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1]), 3)
    assert found["accuracy"] == 3 / 5
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)  # no face is of class 2
    assert found["confusion"] == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("name", ["toyfaces", "fer2013"])
def test_shipped_judge_is_whole_and_says_how_good_it_is(name):
    found = judge.packaged(name)
    assert found.card["data"] == name
    assert found.card["split"] == "train"
    assert "experiments/train.py --config=judge" in found.card["command"]
    confusion = np.array(found.card["scored"]["valid"]["confusion"])
    assert found.card["scored"]["valid"]["accuracy"] == np.trace(confusion) / confusion.sum()
    assert found.card["scored"]["valid"]["accuracy"] > {"toyfaces": 0.9, "fer2013": 0.66}[name]
    assert all(leaf.dtype == np.float16 for leaf in jax.tree.leaves(found.variables))


def test_shipped_toy_judge_is_as_good_as_its_card_says(toy_judge):
    data = toyfaces.load("valid", 0, 700)
    found = (toy_judge.look(data.images).verdicts == data.labels).mean()
    assert found == pytest.approx(toy_judge.card["scored"]["valid"]["accuracy"], abs=0.03)


def test_judge_is_the_same_after_its_file(toy_judge, tmp_path):
    card = judge.save(toy_judge, tmp_path / "judge.npz", {"name": "copy"})
    again = judge.from_file(tmp_path / "judge.npz")
    assert again.checksum == toy_judge.checksum == card["checksum"]
    assert again.card["name"] == "copy"
    faces = toyfaces.load("valid", 0, 5).images
    np.testing.assert_array_equal(again.look(faces).features, toy_judge.look(faces).features)


def test_changed_or_foreign_files_are_refused(toy_judge, tmp_path):
    path = tmp_path / "judge.npz"
    judge.save(toy_judge, path, {})
    with np.load(path) as file:
        arrays = dict(file.items())
    arrays["params/logits/bias"] = arrays["params/logits/bias"] + np.float16(1)
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"expected weights with checksum .* found others; copy it again"):
        judge.from_file(path)
    path.write_bytes(b"no judge")
    with pytest.raises(ValueError, match=r"expected a judge, found"):
        judge.from_file(path)
    with pytest.raises(FileNotFoundError, match=r"expected a judge's .npz, found none"):
        judge.from_file(tmp_path / "absent.npz")
    with pytest.raises(ValueError, match=r"data with a judge of their own .* found tfds:mine"):
        judge.packaged("tfds:mine")


def test_faces_of_another_kind_are_refused(toy_judge):
    with pytest.raises(ValueError, match=r"expected faces uint8 \[N, 48, 48\] with N > 0, found float32 \[2, 48, 48\]"):
        toy_judge.look(np.zeros((2, 48, 48), np.float32))


@pytest.fixture(scope="module")
def judge_run(tmp_path_factory):
    """A folder in which phase `classifier` was trained for 8 steps."""
    workdir = tmp_path_factory.mktemp("runs") / "judge"
    config = presets.judge()
    config.data = config_lib.DataConfig(name="toyfaces", count=128)
    config.classifier = dataclasses.replace(config.classifier, width=2, epochs=1, batch_size=16)
    config.run.tensorboard = False
    pipeline.run(config, workdir)
    run_figures.draw(workdir)
    return workdir


def test_judge_of_a_run_is_its_averaged_network_in_halves(judge_run):
    found = judge.from_run(judge_run)
    assert found.card["faces"] == 128
    assert all(leaf.dtype == np.float16 for leaf in jax.tree.leaves(found.variables))
    opinion = found.look(toyfaces.load("valid", 0, 30).images)
    assert opinion.probabilities.shape == (30, 7)
    np.testing.assert_allclose(opinion.probabilities.sum(axis=1), 1, rtol=1e-5)
    rows = [json.loads(line) for line in (judge_run / "metrics.jsonl").read_text().splitlines()]
    assert [row["sampled_at"] for row in rows if "sampled_at" in row] == [0, 8]
    assert (judge_run / "figures" / "losses.png").exists()
    for panel in config_lib.RECIPES["classifier"].curves:
        for line in panel.lines:
            assert any(line.metric in row for row in rows), line


def test_judge_of_an_unfinished_step_is_refused_where_the_last_is_damaged(judge_run, tmp_path):
    workdir = shutil.copytree(judge_run, tmp_path / "run")
    folder = workdir / "checkpoints" / "classifier"
    (folder / "8").rename(folder / "7")
    (folder / "8" / "state").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"expected a finished phase classifier \(8 steps\), found 7 steps"):
        judge.from_run(workdir)


def test_unfinished_run_has_no_judge(judge_run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a run's folder, found no config.json"):
        judge.from_run(tmp_path)
    for name in ("config.json", "data.json"):
        (tmp_path / name).write_text((judge_run / name).read_text())
    with pytest.raises(ValueError, match=r"expected a finished phase classifier \(8 steps\), found no steps"):
        judge.from_run(tmp_path)
