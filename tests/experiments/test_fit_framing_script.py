"""experiments/lab/fit_framing.py on drawn faces."""

import json

import pytest

pytestmark = pytest.mark.slow


def test_detectors_are_compared_and_the_framing_is_measured(call_script, tmp_path):
    output = tmp_path / "fit.json"
    done = call_script("fit_framing.py", "--dataset=toyfaces", "--count=4", f"--output={output}")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(output.read_text())
    ours = found["detectors"]["YuNet"]
    assert ours["portraits"] == 2
    assert ours["false"] == 0
    assert 1 <= found["faces"] == ours["found"] <= 4
    low, median, high = found["quartiles"]["box_size"]
    assert 0.5 < low <= median <= high < 1.5
    assert f"detection.BOX_SIZE = {median:.3f}" in done.stdout
    assert set(found["portraits"]) == {"astronaut.png", "grace_hopper.jpg"}
