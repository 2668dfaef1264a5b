"""experiments/script.py: what all scripts do with paths, and without the device that they were told to use."""

import ast
import pathlib
import subprocess
import sys

import jax
import pytest

EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
SCRIPTS = sorted(EXPERIMENTS.glob("*.py"))
# What a flag is called that takes no path, though its value is a text.
NO_PATHS = {"assume", "command", "coordinator_address", "dataset", "emotion", "faces"}
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
        "audit.py", "--dataset=toyfaces", "--data_count=32", "--output=~/audit.json", cwd=tmp_path, HOME=str(home)
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


@pytest.mark.parametrize(
    ("platform", "arguments"),
    [
        ("cuda", ["train.py", "--config.data.count=64"]),
        ("gpu", ["evaluate.py", "--references", "--dataset=toyfaces", "--data_count=64"]),
    ],
)
@pytest.mark.skipif(jax.local_devices()[0].platform == "gpu", reason="there is a GPU")
def test_a_platform_without_a_device_ends_in_one_line(quick_environment, tmp_path, platform, arguments):
    result = subprocess.run(
        [sys.executable, EXPERIMENTS / arguments[0], *arguments[1:], "--workdir=run"],
        cwd=tmp_path,
        env={**quick_environment, "JAX_PLATFORMS": platform},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: JAX_PLATFORMS={platform}: expected a device of this platform, found none")
    assert line.endswith('or for a GPU of NVIDIA pip install "emogan[gpu]"')
    assert not list(tmp_path.iterdir())


# Each would need data, a run or minutes: the place for the result is looked at before.
OUTPUTS = {
    "audit.py": ["--output=/proc/a.json", "--data_dir=nowhere"],
    "benchmark.py": ["--output=/proc/a", "--rounds=0"],
    "compare.py": ["--output=/proc/a.html", "--show=nowhere"],
    "evaluate.py": ["--workdir=/proc/a", "--model=nowhere"],
    "export.py": ["--output=/proc/a", "--format=web", "--workdir=nowhere"],
    "export_judge.py": ["--output=/proc/a.npz", "--workdir=nowhere"],
    "export_model.py": ["--output=/proc/a.npz", "--workdir=nowhere"],
    "fit_details.py": ["--output=/proc/a.npz", "--data_dir=nowhere"],
    "fit_framing.py": ["--output=/proc/a.json", "--data_dir=nowhere"],
    "fit_landmarks.py": ["--output=/proc/a.npz", "--data_dir=nowhere"],
    "fuzz.py": ["--output=/proc/a"],
    "page.py": ["--output=/proc/a"],
    "scaling.py": ["--output=/proc/a", "--devices=0"],
    "soak.py": ["--output=/proc/a.json"],
    "train.py": ["--workdir=/proc/a", "--config.data.count=64"],
    "transfer.py": ["--output=/proc/a.png", "--input=nowhere", "--emotion=sad"],
}


@pytest.mark.skipif(not pathlib.Path("/proc/self").exists(), reason="there is no folder that nobody can write to")
@pytest.mark.parametrize("script", OUTPUTS)
def test_a_place_that_cannot_be_written_to_is_found_before_the_work(call_script, tmp_path, script):
    result = call_script(script, *OUTPUTS[script], cwd=tmp_path, timeout=60)
    assert result.returncode == 2, result.stdout
    (line,) = result.stderr.splitlines()
    assert "expected a folder to write to, found" in line
    assert "; choose another --" in line
    assert result.stdout == ""
