"""A run that is killed with SIGKILL, again and again, and started again ends as one that was never stopped."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import pytest

from emogan import config as config_lib
from emogan.data import dataset
from emogan.recipes import encoder, gan
from emogan.train import checkpoint
from emogan.util import weights

pytestmark = pytest.mark.slow

REPOSITORY = pathlib.Path(__file__).parents[2]
DEADLINE = 900.0  # seconds, for a machine that does much else
STEPS = 24
CONFIG = config_lib.Config(
    data=config_lib.DataConfig(count=64),
    model=config_lib.ModelConfig(width=2, latent_size=6),
    gan=config_lib.GanConfig(epochs=6, batch_size=16),
    encoder=config_lib.EncoderConfig(epochs=6, batch_size=16),
    run=config_lib.RunConfig(sample_every=3, checkpoint_every=3, tensorboard=False),
)


# Arguments: the configuration as JSON, and the folder.
SCRIPT = """
import pathlib, sys
from emogan import config
from emogan.train import pipeline
pipeline.run(config.from_json(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


@pytest.fixture
def start(tmp_path, quick_environment):
    """Starts a run of `CONFIG` in a folder, in a process of its own; what it says goes to a file."""
    # The steps are compiled once for all processes.
    environment = {
        **quick_environment,
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    started = []

    def start(workdir):
        log = tmp_path / f"log{len(started)}"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, config_lib.to_json(CONFIG), str(workdir)],
                cwd=tmp_path,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        return process, log

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(event, process, log):
    end = time.monotonic() + DEADLINE
    while not event():
        assert process.poll() is None, f"ended before it could be killed:\n{log.read_text()}"
        assert time.monotonic() < end, f"nothing happened:\n{log.read_text()}"
        time.sleep(0.001)


def kill_when_said(text, process, log):
    wait_for(lambda: text in log.read_text(), process, log)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def saves_in_progress(folder):
    names = os.listdir(folder) if folder.is_dir() else []
    return [name for name in names if not name.isdigit()]


def kill_while_saving(folder, process, log):
    """Kills a process while a folder holds a whole checkpoint and an unfinished one.

    Stops the process first, to look without a race.
    """
    while True:
        wait_for(lambda: checkpoint.newest_step(folder) and saves_in_progress(folder), process, log)
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        if saves_in_progress(folder):
            break
        process.send_signal(signal.SIGCONT)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert saves_in_progress(folder)


def final_checksums(workdir):
    gan_phase = gan.make(CONFIG, 7, dataset.FER2013)
    found = {}
    for name, phase in (("gan", gan_phase), ("encoder", None)):
        if phase is None:
            variables = jax.eval_shape(lambda key: gan_phase.init(key).best_generator, jax.random.key(0))
            shapes = jax.eval_shape(
                lambda key, variables: encoder.make(CONFIG, 7, variables, dataset.FER2013).init(key),
                jax.random.key(0),
                variables,
            )
        else:
            shapes = jax.eval_shape(phase.init, jax.random.key(0))
        with checkpoint.Checkpoints(workdir / "checkpoints" / name) as checkpoints:
            state = checkpoints.restore(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))
            assert checkpoints.latest_step == int(state.step) == STEPS
        found[name] = weights.checksum(state)
    return found


def rows(workdir, phase):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["phase"] == phase]


def finish(start, workdir):
    process, log = start(workdir)
    assert process.wait(DEADLINE) == 0, log.read_text()
    return log.read_text()


def test_killed_run_ends_with_the_bytes_of_an_undisturbed_one(start, tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    finish(start, undisturbed)

    kill_when_said(f"gan           1/{STEPS}", *start(killed))  # how far later chunks reach depends on the machine
    kill_while_saving(killed / "checkpoints" / "gan", *start(killed))
    process, log = start(killed)
    kill_when_said(f"encoder       1/{STEPS}", process, log)
    assert f"gan           1/{STEPS}" not in log.read_text()  # it did go on, not begin anew
    kill_while_saving(killed / "checkpoints" / "encoder", *start(killed))
    assert f"encoder       1/{STEPS}" not in finish(start, killed)

    assert final_checksums(killed) == final_checksums(undisturbed)
    for phase in ("gan", "encoder"):
        assert [row["step"] for row in rows(killed, phase) if "step" in row] == list(range(1, STEPS + 1))
        assert rows(killed, phase) == rows(undisturbed, phase)
        folder = killed / "checkpoints" / phase
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            path.name for path in (undisturbed / "checkpoints" / phase).iterdir()
        )
        for picture in sorted((undisturbed / "figures" / "samples").glob(f"{phase}_*.png")):
            assert (killed / "figures" / "samples" / picture.name).read_bytes() == picture.read_bytes()
