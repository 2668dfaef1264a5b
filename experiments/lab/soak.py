"""Kills a small training again and again, and checks that nothing is lost: it must end as one that was left alone.

python experiments/lab/soak.py --kills=50 --seed=0

Status 1 and a line for each difference, if there is one.
"""

# isort: off
import beside  # noqa: F401

# isort: on
import collections
import dataclasses
import os
import pathlib
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import flag_config
import jax
import script
from absl import flags

from emogan.recipes import encoder, gan
from emogan.train import checkpoint, interrupt, run_folder
from emogan.util import files, weights

KILLS = flags.DEFINE_integer("kills", 50, "how often the training is killed", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "decides when, and by which signal")
EPOCHS = flags.DEFINE_integer("epochs", 60, "of each phase, 4 steps each; the more kills, the more it takes")
OUTPUT = script.define_path("output", "", "a JSON file for the result")

DEADLINE = 600.0  # seconds for anything to happen
MOMENTS = ("start", "training", "saving")
SMALL = (
    *("--config.data.count=64", "--config.model.width=2", "--config.model.latent_size=6"),
    *("--config.gan.batch_size=16", "--config.encoder.batch_size=16", "--config.gan.on_collapse=warn"),
    *("--config.run.sample_every=40", "--config.run.checkpoint_every=8", "--config.run.tensorboard=False"),
)


class SoakError(RuntimeError):
    """A training that did what it must not."""


@dataclasses.dataclass
class Life:
    """A process of the training, from its start to its end."""

    process: subprocess.Popen
    log: pathlib.Path
    workdir: pathlib.Path

    def wait_for(self, event: Callable[[], object]) -> bool:
        """Returns whether an event came before the process ended."""
        end = time.monotonic() + DEADLINE
        while not event():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > end:
                raise SoakError(f"nothing happened for {DEADLINE:.0f} s: {self.said()[-1000:]}")
            time.sleep(0.001)
        return True

    def wait_until(self, moment: str, rng: random.Random) -> bool:
        """Returns whether the process lives to see a moment: in it, and for saving stopped by SIGSTOP."""
        if moment == "saving":
            return self._stop_in_a_save()
        sign = {"start": "", "training": "images/s", "figures": "encoder  finished already"}[moment]
        longest = {"start": 6.0, "training": 1.0, "figures": 3.0}[moment]
        if not self.wait_for(lambda: sign in self.said()):
            return False
        end = time.monotonic() + rng.uniform(0, longest)
        return self.wait_for(lambda: time.monotonic() > end)

    def _stop_in_a_save(self) -> bool:
        saves = lambda: [path for path in self.workdir.glob("checkpoints/*/*") if not path.name.isdigit()]  # noqa: E731
        # What the process before left half-written is no save of this one, which deletes it before its first step.
        while self.wait_for(lambda: "images/s" in self.said() and saves()):
            self.process.send_signal(signal.SIGSTOP)
            os.waitpid(self.process.pid, os.WUNTRACED)  # to look without a race
            if saves():
                return True
            self.process.send_signal(signal.SIGCONT)
        return False

    def kill(self, number: signal.Signals) -> int:
        """Sends a signal and returns the status that the process ends with."""
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)
        return self.end()

    def end(self) -> int:
        """Returns the status that the process ends with."""
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            raise SoakError(f"did not end within {DEADLINE:.0f} s: {self.said()[-1000:]}") from error

    def said(self) -> str:
        """Returns what the process has printed."""
        return self.log.read_text(errors="replace")


def start(folder: pathlib.Path, name: str, epochs: int) -> Life:
    """Starts or continues the training FOLDER/NAME."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
    }
    long = [f"--config.gan.epochs={epochs}", f"--config.encoder.epochs={epochs}", f"--workdir={folder / name}"]
    command = [sys.executable, str(pathlib.Path(__file__).parents[1] / "train.py"), *SMALL, *long]
    log = folder / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    return Life(process, log, folder / name)


def finish(folder: pathlib.Path, name: str, epochs: int) -> None:
    """Lets a training end by itself.

    Raises:
      SoakError: if it ends with another status than 0.
    """
    life = start(folder, name, epochs)
    if life.end():
        raise SoakError(f"{name}: expected status 0, found {life.process.returncode}: {life.said()[-1000:]}")


def soak(folder: pathlib.Path, kills: int, seed: int, epochs: int) -> list[dict]:
    """Returns what came of each kill of the training FOLDER/killed, which is at its end then.

    Raises:
      SoakError: if a process ends with a status that its signal does not explain.
    """
    rng, done = random.Random(seed), []
    drawing = max(1, kills // 10)  # the last ones find the training finished
    for i in range(kills):
        if i == kills - drawing:
            finish(folder, "killed", epochs)
        moment = "figures" if i >= kills - drawing else rng.choice(MOMENTS)
        number = rng.choice((signal.SIGKILL, signal.SIGTERM))
        life = start(folder, "killed", epochs)
        began = time.monotonic()
        try:
            lives = life.wait_until(moment, rng)
            status = life.kill(number) if lives else life.end()
        except BaseException:
            life.process.kill()
            raise
        expected = [-signal.SIGKILL] if number == signal.SIGKILL else [interrupt.EXIT_STATUS]
        if number == signal.SIGTERM and moment == "start":
            expected.append(-signal.SIGTERM)  # the program had not asked for signals yet
        if moment != "saving" or not lives:
            expected.append(0)  # it had ended already
        if status not in expected:
            raise SoakError(f"{number.name} at {moment}: found status {status}: {life.said()[-1000:]}")
        done.append({"moment": moment if lives else "ended", "signal": number.name, "status": status})
        steps = ", ".join(f"{phase} {checkpoint.newest_step(life.workdir / 'checkpoints' / phase)}" for phase in PHASES)
        took = time.monotonic() - began
        print(
            f"{i + 1:3d}/{kills}  {number.name} at {moment:8s}  status {status:3d}  {took:5.1f} s  at {steps}",
            flush=True,
        )
    finish(folder, "killed", epochs)
    return done


PHASES = ("gan", "encoder")


def differences(alone: pathlib.Path, killed: pathlib.Path) -> list[str]:
    """Returns a line for each way in which two finished trainings' folders are not the same."""
    found = []
    one, other = states(alone), states(killed)
    found += [f"phase {phase}: the last states differ" for phase in PHASES if one[phase] != other[phase]]
    for name in sorted(pictures(alone) | pictures(killed)):
        paths = alone / name, killed / name
        if not all(path.exists() for path in paths) or paths[0].read_bytes() != paths[1].read_bytes():
            found.append(f"{name}: differs")
    if (alone / "metrics.jsonl").read_bytes() != (killed / "metrics.jsonl").read_bytes():
        found.append("metrics.jsonl: differs")
    left = [names(folder) for folder in (alone, killed)]
    found += [f"{name}: only in one of them" for name in sorted(left[0] ^ left[1])]
    for phase in PHASES:
        kept = [sorted(path.name for path in (run / "checkpoints" / phase).iterdir()) for run in (alone, killed)]
        if len(kept[0]) != len(kept[1]) or not all(name.isdigit() for name in kept[1]):
            found.append(f"checkpoints of {phase}: {kept[0]} and {kept[1]}")
    return found


def states(workdir: pathlib.Path) -> dict[str, tuple[int, str]]:
    """Returns each phase's last step, and a digest of the state that was read back."""
    run = run_folder.read(workdir)
    classes, spec = len(run.class_names), run.config.data.spec
    first, here = gan.make(run.config, classes, spec), jax.sharding.SingleDeviceSharding(jax.devices()[0])
    generator = jax.eval_shape(lambda key: first.init(key).best_generator, jax.random.key(0))
    inits = {
        "gan": first.init,
        "encoder": lambda key: encoder.make(
            run.config, classes, jax.tree.map(lambda s: jax.numpy.zeros(s.shape, s.dtype), generator), spec
        ).init(key),
    }
    found = {}
    for phase, init in inits.items():
        shapes = jax.eval_shape(init, jax.random.key(0))
        target = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=here), shapes)
        saved = checkpoint.read(workdir / "checkpoints" / phase, target)
        found[phase] = saved.step, weights.checksum(saved.state)
    return found


def pictures(workdir: pathlib.Path) -> set[pathlib.Path]:
    """Returns the names of all pictures in a run's folder."""
    return {path.relative_to(workdir) for path in (workdir / "figures").rglob("*.png")}


def names(workdir: pathlib.Path) -> set[str]:
    """Returns the names of all files in a run's folder but those within checkpoints, which Orbax chooses."""
    found = {path.relative_to(workdir) for path in workdir.rglob("*") if path.is_file()}
    return {str(name) for name in found if name.parts[0] != "checkpoints"}


def main(_) -> None:
    output = OUTPUT.value and script.output(OUTPUT.value)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="emogan_soak") as name:
        folder = pathlib.Path(name)
        try:
            finish(folder, "alone", EPOCHS.value)
            alone = time.monotonic() - began
            print(f"left alone: {alone:.0f} s", flush=True)
            done = soak(folder, KILLS.value, SEED.value, EPOCHS.value)
            found = differences(folder / "alone", folder / "killed")
        except SoakError as error:
            done, found, alone = [], [str(error)], 0.0
        sizes = {
            run: sum(path.stat().st_size for path in (folder / run).rglob("*") if path.is_file())
            for run in ("alone", "killed")
        }
    seconds = time.monotonic() - began
    counts = collections.Counter((kill["signal"], kill["moment"], kill["status"]) for kill in done)
    print("\nsignal   moment    status  kills")
    for (number, moment, status), count in sorted(counts.items()):
        print(f"{number:8s} {moment:8s}  {status:6d}  {count:5d}")
    print(f"{len(done)} kills and restarts in {seconds:.0f} s; left alone {alone:.0f} s; bytes on disk {sizes}")
    for line in found:
        print(f"different: {line}", file=sys.stderr)
    print("not the same" if found else "the same as the one left alone: states, metrics, pictures, names of files")
    if output:
        versions = {"python": platform.python_version(), "jax": jax.__version__}
        result = {"kills": done, "differences": found, "seconds": seconds, "seconds_alone": alone, "bytes": sizes}
        about = {"seed": SEED.value, "epochs": EPOCHS.value, "commit": script.commit(), "versions": versions}
        files.write_json(output, {**about, "cores": os.cpu_count(), **result})
    if found:
        sys.exit(1)


if __name__ == "__main__":
    flag_config.run(main)
