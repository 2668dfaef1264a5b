"""experiments/script.py: what all scripts do with paths."""

import ast
import pathlib

import pytest

EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
SCRIPTS = sorted(EXPERIMENTS.glob("*.py"))
# What a flag is called that takes no path, though its value is a text.
NO_PATHS = {"assume", "command", "coordinator_address", "dataset", "emotion"}
LISTS_WITHOUT_PATHS = {
    *("sections", "width", "peers", "train", "set", "splits", "devices", "batch_sizes", "modes", "scaling", "assume")
}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_flag_that_is_a_path_is_defined_as_one(path):
    defined = [
        (node.func.attr, node.args[0].value)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
        if node.func.attr in ("DEFINE_string", "DEFINE_list")
    ]
    for kind, name in defined:
        assert name in (NO_PATHS if kind == "DEFINE_string" else LISTS_WITHOUT_PATHS), (
            f"--{name}: define it by script.define_path, or name it above"
        )


def test_a_home_is_found_after_an_equals_sign(call_script, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    result = call_script(
        "audit.py", "--dataset=toyfaces", "--data_size=32", "--output=~/audit.json", cwd=tmp_path, HOME=str(home)
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"wrote {home / 'audit.json'}"
    assert [entry.name for entry in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("train.py", ["--config=paper", "--dry_run", "--data_dir=~/faces"]),
        ("train.py", ["--config=paper", "--dry_run", "--config.data.dir=~/faces"]),
        ("compare.py", ["--train=paper", "--set=data.dir=~/faces"]),
        ("export_model.py", ["--workdir=nowhere", "--scores=~/faces,~/b.json"]),
    ],
)
def test_a_home_is_found_in_fields_and_lists_too(call_script, tmp_path, script, arguments):
    result = call_script(script, *arguments, cwd=tmp_path, HOME=str(tmp_path))
    assert result.returncode == 2
    assert f"{tmp_path}/faces" in result.stderr
