"""experiments/export_model.py: what is written, and which results a model's card takes."""

import json

import jax
import numpy as np
import pytest

import emogan
from emogan.edit import model_file


def result(split, judge):
    model = {"name": "quick", "kind": "model", "about": "", "scores": {"edit_accuracy": {"value": 0.5, "error": None}}}
    return {
        "format": 2,
        "title": "quick",
        "split": split,
        "faces": 9,
        "leaked": 0,
        "data": {"name": "fer2013", "fingerprint": "abc"},
        "judge": {"name": judge, "checksum": judge, "balanced_accuracy": 0.6},
        "identity": {"descriptor": "HOG", "rank1_of_changed_copies": 0.9},
        "methods": [model],
        "classes": ["happy", "sad"],
        "verdicts": {},
        "config": None,
        "environment": {},
    }


def test_a_second_result_of_a_split_is_refused(call_script, tmp_path):
    for name, judge in (("one", "network"), ("other", "HOG")):
        (tmp_path / f"{name}.json").write_text(json.dumps(result("valid", judge)))
    done = call_script("export_model.py", "--workdir=quick", "--scores=one.json,other.json", cwd=tmp_path)
    line = "error: --scores: expected one result of each split, found two of valid\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.json", "other.json"]


def test_a_runs_networks_are_written_with_what_the_notes_say(call_script, trained_workdir, tmp_path):
    (tmp_path / "notes.json").write_text('{"limits": "many"}')
    flags = [f"--workdir={trained_workdir}", "--notes=notes.json", "--command=train", "--output=mine.npz"]
    done = call_script("export_model.py", *flags, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found, card = model_file.read(tmp_path / "mine.npz"), json.loads((tmp_path / "mine.json").read_text())
    assert found.card == card
    assert (card["name"], card["limits"], card["command"], card["scores"]) == ("mine", "many", "train", {})
    for one, other in ((found.encoder, 0), (found.generator, 1)):
        live = emogan.load(trained_workdir).variables[other]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), one, live)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--notes=list.json"], "--notes: list.json: expected an object in JSON, found [1]"),
        (["--notes=broken.json"], "--notes: broken.json: Expecting value: "),
        (["--output=mine.json"], "--output: expected a suffix other than .json, which the card uses, found "),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_written(call_script, tmp_path, flags, line):
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("")
    done = call_script("export_model.py", "--workdir=quick", *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {line}")
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.json", "list.json"]
