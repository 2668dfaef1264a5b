"""experiments/train.py as two processes that train together: a signal, the same command again, one phase on another."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from emogan.train import checkpoint, interrupt

pytestmark = pytest.mark.slow

REPOSITORY = pathlib.Path(__file__).parents[2]
TINY = (
    *("--config.data.count=64", "--config.model.width=2", "--config.model.latent_size=8"),
    "--config.model.precision=float32",
    *("--config.gan.batch_size=16", "--config.gan.on_collapse=warn", "--config.encoder.batch_size=16"),
    *("--config.encoder.epochs=1", "--config.run.tensorboard=False", "--config.run.checkpoint_every=50"),
    *("--config.parallel.optimizer=sharded", "--num_processes=2", "--workdir=run"),
)


@pytest.fixture
def start(tmp_path, quick_environment, coordinator):
    """(flags) -> two processes of two devices each, and their logs."""
    started = []

    def start(*flags):
        address = f"--coordinator_address={coordinator()}"
        environment = {**quick_environment, "JAX_NUM_CPU_DEVICES": "2"}
        script = str(REPOSITORY / "experiments" / "train.py")
        logs = [tmp_path / f"{len(started) + number}.log" for number in range(2)]
        for number, log in enumerate(logs):
            command = [sys.executable, script, *TINY, *flags, address, f"--process_id={number}"]
            with log.open("w") as file:
                options = {"cwd": tmp_path, "env": environment, "stdout": file, "stderr": subprocess.STDOUT}
                started.append(subprocess.Popen(command, **options))
        return started[-2:], logs

    yield start
    for process in started:
        process.kill()
        process.wait()


LATE = "Gloo context initialization failed: DEADLINE_EXCEEDED"  # on a busy machine 30 s are too short for two to meet
TRIES = 4


def begin(start, *flags):
    """Starts two processes, and again where they came too late to each other, until the first tells its pace."""
    for _ in range(TRIES):
        processes, logs = start(*flags)
        end = time.monotonic() + 200
        while "images/s" not in logs[0].read_text():
            if late(logs):
                break
            assert time.monotonic() < end, logs[0].read_text()
            assert all(process.poll() is None for process in processes), logs[0].read_text()
            time.sleep(0.1)
        else:
            return processes, logs
        for process in processes:
            process.kill()
            process.wait()
    raise AssertionError(f"the processes did not meet in {TRIES} tries")


def late(logs):
    return any(LATE in log.read_text() for log in logs)


def run(start, *flags):
    """Runs two processes to their end, and again where they came too late to each other."""
    for _ in range(TRIES):
        processes, logs = start(*flags)
        ends = [process.wait(200) for process in processes]
        if not late(logs):
            break
    return ends, logs


def test_a_signal_ends_all_after_one_step_and_the_same_command_goes_on(start, tmp_path):
    processes, logs = begin(start, "--config.gan.epochs=5000", "--phase=gan")
    processes[1].send_signal(signal.SIGTERM)  # to the one that writes nothing
    ends = [process.wait(100) for process in processes]
    assert ends == [interrupt.EXIT_STATUS] * 2, [log.read_text() for log in logs]
    step = checkpoint.newest_step(tmp_path / "run" / "checkpoints" / "gan")
    assert f"SIGTERM: stopping at step {step}, with a checkpoint" in logs[0].read_text()

    epochs = (step + 2) // 4 + 1  # of 4 steps: a few more
    ends, logs = run(start, f"--config.gan.epochs={epochs}")
    assert ends == [0, 0], [log.read_text() for log in logs]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    for phase, last in (("gan", 4 * epochs), ("encoder", 4)):
        found = [line["step"] for line in lines if line["phase"] == phase and "step" in line]
        assert found == list(range(1, last + 1))
        assert checkpoint.newest_step(tmp_path / "run" / "checkpoints" / phase) == last
    assert "images/s" not in logs[1].read_text()  # one speaks for all
