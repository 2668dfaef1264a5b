"""experiments/train.py as a user calls it: --dry_run, and one line for each thing that may be wrong."""

import json

import pytest

from emogan import config as config_lib
from emogan import presets


def test_dry_run_prints_configuration_parameters_and_steps_and_writes_nothing(call_script, tmp_path):
    result = call_script(
        "train.py",
        "--dry_run",
        "--config=paper",
        "--dataset=toyfaces",
        "--config.data.size=130",
        "--config.gan.epochs=3",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    text, end = json.JSONDecoder().raw_decode(result.stdout)
    expected = presets.paper()
    expected.data.name, expected.data.size, expected.gan.epochs = "toyfaces", 130, 3
    assert config_lib.from_json(json.dumps(text)) == expected
    assert result.stdout[end:].split("\n") == [
        "",
        "parameters of the generator: 4,889,200",
        "parameters of the discriminator: 4,477,768",
        "parameters of the encoder: 4,766,052",
        "steps of phase gan: 6",
        "steps of phase encoder: 100",
        "",
    ]
    assert not list(tmp_path.iterdir())


WRONG = {
    "unknown preset": (["--config=peper"], "expected a preset out of quick, paper, judge, found 'peper'"),
    "unknown field": (["--config.gan.epoch=3"], "--config.gan.epoch: expected a field out of preset, phases, seed"),
    "wrong type": (["--config.gan.epochs=many"], "config.gan.epochs"),
    "out of range": (["--config.gan.b1=2"], "gan.b1: expected 0.0 to 0.9999, found 2.0"),
    "unknown data set": (["--dataset=faces"], "data.name: expected toyfaces, fer2013 or tfds:NAME, found 'faces'"),
    "no flag": (["quick"], "expected flags only, found 'quick'"),
    "missing data": (["--config=paper", "--data_dir=nowhere", "--dry_run"], "nowhere"),
    "no data given": (["--config=paper", "--dry_run"], "expected --data_dir=PATH to fer2013.csv"),
    "unknown phase": (["--phase=decoder"], "decoder"),
    "unknown flag": (["--datset=toyfaces"], "datset"),
    "data below a batch": (
        ["--config.data.size=10", "--dry_run"],
        "expected at least one batch of ",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_ends_in_one_line_and_status_2(call_script, tmp_path, arguments, message):
    result = call_script("train.py", *arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert result.stdout == ""
    assert not list(tmp_path.iterdir())
