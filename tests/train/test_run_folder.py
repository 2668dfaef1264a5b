"""A run's folder: what damage to its files is refused with."""

import json
import shutil

import pytest

from emogan.train import run_folder


@pytest.fixture
def workdir(trained_workdir, tmp_path):
    """A copy of the trained run, to be damaged."""
    return shutil.copytree(trained_workdir, tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", "{", "config.json: expected a configuration as JSON"),
        ("config.json", '{"seed": -1}', "config.json: seed: expected 0 to"),
        ("data.json", "[]", "data.json: expected class_names and examples as JSON"),
        ("data.json", json.dumps({"class_names": ["a"]}), "data.json: expected class_names and examples as JSON"),
        (
            "data.json",
            json.dumps({"class_names": ["a"], "examples": 8, "name": "toyfaces", "split": "train"}),
            "data.json: expected a text fingerprint in JSON, found None; train the run again",
        ),
    ],
)
def test_damaged_descriptions_are_refused(workdir, name, content, message):
    (workdir / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        run_folder.read(workdir)
