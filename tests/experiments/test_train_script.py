"""experiments/train.py as a user calls it: --dry_run, and one line for each thing that may be wrong."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import pytest

from emogan import config as config_lib
from emogan import presets
from emogan.models import precision
from emogan.train import checkpoint, interrupt, lock

TINY = (
    *("--config.data.count=64", "--config.model.width=2", "--config.model.latent_size=6", "--phase=gan"),
    "--config.model.precision=float32",
    *("--config.gan.batch_size=16", "--config.gan.epochs=500", "--config.gan.on_collapse=warn"),
    *("--config.run.tensorboard=False", "--config.run.checkpoint_every=100", "--workdir=run"),
)


def test_dry_run_prints_configuration_parameters_and_steps_and_writes_nothing(call_script, tmp_path):
    result = call_script(
        "train.py",
        "--dry_run",
        "--config=paper",
        "--dataset=toyfaces",
        "--config.data.count=130",
        "--config.gan.epochs=3",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    text, end = json.JSONDecoder().raw_decode(result.stdout)
    expected = presets.paper()
    expected.data.name, expected.data.count, expected.gan.epochs = "toyfaces", 130, 3
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


def test_dry_run_says_what_auto_stands_for(call_script, tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")  # as for scripts

    def dry_run():
        found = call_script("train.py", "--dry_run", "--config.data.count=64", "--workdir=run", cwd=tmp_path)
        assert found.returncode == 0, found.stderr
        return config_lib.from_json(json.dumps(json.JSONDecoder().raw_decode(found.stdout)[0]))

    assert presets.quick().model.precision == "auto"
    assert dry_run().model.precision == precision.of_machine(1)
    begun = presets.quick()
    begun.model.precision, begun.data.count = "float32", 64
    (tmp_path / "run").mkdir()
    config_lib.save(begun, tmp_path / "run" / "config.json", "1 device: cpu")
    assert dry_run() == begun


WRONG = {
    "unknown preset": (["--config=peper"], ", stargan, flow, student, judge, found 'peper'"),
    "wrong type": (["--config.gan.epochs=many"], "config.gan.epochs"),
    "out of range": (["--config.gan.b1=2"], "gan.b1: expected 0.0 to 0.9999, found 2.0"),
    "unknown data set": (
        ["--dataset=faces"],
        "data.name: expected toyfaces, fer2013, folder or tfds:NAME, found 'faces'",
    ),
    "no flag": (["quick"], "expected flags only, found 'quick'"),
    "missing data": (["--config=paper", "--data_dir=nowhere", "--dry_run"], "nowhere"),
    "no data given": (["--config=paper", "--dry_run"], "expected --data_dir=PATH to fer2013.csv"),
    "unknown phase": (["--phase=decoder"], "decoder"),
    "learning rate that is no number": (
        ["--config.gan.learning_rate=nan"],
        "gan.learning_rate: expected 1e-08 to 1.0, found nan",
    ),
    "learning rate too large": (
        ["--config.encoder.learning_rate=100"],
        "encoder.learning_rate: expected 1e-08 to 1.0, found 100",
    ),
    "width too large": (["--config.model.width=100000"], "model.width: expected 1 to 1024, found 100000"),
    "folder that cannot be written to": (
        ["--workdir=/dev/null/run"],
        "/dev/null/run: expected a folder to write to, found: Not a directory; choose another --workdir",
    ),
    "backslash in the folder": (
        ["--workdir=a\\b"],
        "a\\b: expected a path without a backslash, which checkpoints cannot have, found /",
    ),
    "unknown flag": (["--datset=toyfaces"], "datset"),
    "one process of several without an address": (
        ["--num_processes=2"],
        "expected --coordinator_address, --num_processes and --process_id together, or none of them",
    ),
    "a process's number alone": (["--process_id=0"], "found no address, 0 processes, process 0"),
    "parts of parts of a batch": (
        ["--config=wgan_gp", "--dataset=toyfaces", "--config.parallel.microbatches=10"],
        "gan.batch_size: expected a multiple of 50 (1 devices x 10 microbatches x 5 critic steps), found 320; 300 or",
    ),
    "phase joint of a preset without it": (
        ["--phase=joint"],
        "--phase=joint: expected joint in --config.phases, found gan,encoder",
    ),
    "data below a batch": (
        ["--config.data.count=10", "--dry_run"],
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


def test_backslash_above_the_folder_is_refused_before_training(call_script, tmp_path):
    folder = tmp_path / "x\\y"
    folder.mkdir()
    for script, *arguments in (["train.py", *TINY], ["compare.py", "--train=quick", "--workdir=run"]):
        result = call_script(script, *arguments, cwd=folder)
        assert result.returncode == 2
        assert result.stderr == (
            f"error: run: expected a path without a backslash, which checkpoints cannot have, found {folder}/run; "
            "choose another --workdir (in WSL C:\\ is /mnt/c/)\n"
        )
        assert not list(folder.iterdir())


def test_second_process_in_a_folder_is_refused(call_script, tmp_path):
    with lock.held(tmp_path / "run"):
        result = call_script("train.py", *TINY, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.splitlines() == [
        f"error: run: expected no other process in this folder, found process {os.getpid()} on {os.uname().nodename}; "
        "let it end, or choose another --workdir"
    ]
    assert [path.name for path in (tmp_path / "run").iterdir()] == [lock.NAME]


@pytest.fixture
def start_training(tmp_path, quick_environment):
    """Starts `TINY`, and waits until it has said something; returns the process and the file of what it says."""
    started = []

    def start(sign, *before):
        script = pathlib.Path(__file__).parents[2] / "experiments" / "train.py"
        log = tmp_path / f"log{len(started)}"
        with log.open("w") as output:
            process = subprocess.Popen(
                [*before, sys.executable, str(script), *TINY],
                cwd=tmp_path,
                env=quick_environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        end = time.monotonic() + 200
        while sign not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.01)
        return process, log

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_signals_end_a_run_with_the_status_to_continue(start_training, tmp_path):
    checkpoints = tmp_path / "run" / "checkpoints" / "gan"
    process, log = start_training("writing to run")  # what follows is the compilation
    assert "computing on 1 device: cpu" in log.read_text().splitlines()[:2]
    process.send_signal(signal.SIGINT)
    assert process.wait(100) == interrupt.EXIT_STATUS, log.read_text()
    assert log.read_text().splitlines()[-1] == "stopped by SIGINT; the same command continues"
    assert not checkpoint.newest_step(checkpoints)

    process, log = start_training("images/s")
    process.send_signal(signal.SIGTERM)
    assert process.wait(100) == interrupt.EXIT_STATUS, log.read_text()
    step = checkpoint.newest_step(checkpoints)
    assert log.read_text().splitlines()[-2:] == [
        f"gan      SIGTERM: stopping at step {step}, with a checkpoint",
        "stopped by SIGTERM; the same command continues",
    ]
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().split('"step"')) == step + 1

    # A disk that has no room for the next checkpoint.
    limited = ("sh", "-c", 'ulimit -f 20; exec "$@"', "sh")
    process, log = start_training("error:", *limited)
    assert process.wait(100) == 2
    last = log.read_text().splitlines()[-1]
    assert last.startswith("error: ")
    assert "found: File too large; " in last  # in a checkpoint, or in the lines before it
    assert "the same command continues" in last
    assert checkpoint.newest_step(checkpoints) == step
