"""experiments/lab/scaling.py as a user calls it, at a tiny width on virtual devices."""

import json
import pathlib

import pytest
from benchmarking import scaling_model

pytestmark = pytest.mark.slow

DOCS = pathlib.Path(__file__).parents[2] / "docs"


def test_scaling_writes_points_curves_and_a_picture(call_script, tmp_path):
    result = call_script(
        "scaling.py",
        "--width=2",
        "--devices=2",
        "--batch_sizes=4",
        "--modes=pmap",
        "--scaling=strong",
        "--rounds=2",
        "--steps=1",
        f"--output={tmp_path}",
    )
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "scaling.json").read_text())
    assert found["virtual_devices"]
    one, two = found["points"]
    assert (one["mode"], one["devices"], two["mode"], two["devices"]) == ("jit", 1, "pmap", 2)
    assert two["seconds"]["n"] == two["communication"]["n"] == 2
    assert one["traffic"]["bytes"] == 0
    assert (two["traffic"]["rounds"], two["traffic"]["batch_norm_rounds"]) == (22, 20)
    assert 0 <= two["against_one_device"]["later"] < 1e-3
    [curve] = found["curves"]
    ratio = one["seconds"]["median"] / two["seconds"]["median"]
    assert [point["efficiency"] for point in curve["points"]] == [1, pytest.approx(ratio)]
    text = (tmp_path / "scaling.md").read_text()
    assert "no speed-up is possible" in text
    assert "| pmap, 2 x 2 |" in text
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_model_needs_no_device_and_is_what_the_documentation_shows(call_script):
    result = call_script("scaling.py", "--model_only")
    assert result.returncode == 0, result.stderr
    assert result.stdout == scaling_model.to_markdown(scaling_model.Assumptions())
    assert result.stdout in (DOCS / "scaling.md").read_text()


WRONG = {
    "devices": (["--devices=two"], "--devices: expected whole numbers, found 'two'"),
    "no devices": (["--devices=0"], "--devices: expected at least 1, found 0"),
    "none": (["--batch_sizes="], "--batch_sizes: expected at least 1, found none"),
    "uneven": (["--batch_sizes=30"], "--batch_sizes: expected multiples of 4 devices, found 30"),
    "mode": (["--modes=jit,magic"], "--modes: expected some of jit, pmap, found 'magic'"),
    "kind": (["--scaling=flat"], "--scaling: expected some of strong, weak, found 'flat'"),
    "width": (["--width=0"], "model.width: expected 1 to 1024, found 0"),
    "assumption": (["--model_only", "--assume=speed=3"], "--assume: expected NAME=VALUE of width"),
    "stray": (["strong"], "expected flags only, found 'strong'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_ends_in_one_line_and_status_two(call_script, case, tmp_path):
    arguments, expected = WRONG[case]
    result = call_script("scaling.py", *arguments, f"--output={tmp_path}")
    assert result.returncode == 2
    assert expected in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
