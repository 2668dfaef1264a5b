"""Strictness for all tests, and what several of them share."""

import atexit
import fcntl
import gc
import importlib.metadata
import os
import pathlib
import shutil
import signal
import tempfile

# Programs here are compiled more often than they are run: with few optimisations, in processes that a test starts, too.
# jaxlib 0.10 compiles in half the time without its fusion emitters; 0.12 has no such flag, and ends a process that sets
# it. JAX reads both variables when it is imported.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
if importlib.metadata.version("jaxlib").startswith("0.10."):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"

import hypothesis
import jax
import pytest

# What runs in the background of a shell ignores SIGINT, and so would what the tests of signals start.
signal.signal(signal.SIGINT, signal.default_int_handler)
jax.config.update("jax_num_cpu_devices", 4)  # before the first use of a device
jax.config.update("jax_numpy_rank_promotion", "raise")
# Tests compile the same steps again and again. A folder for this process alone: JAX does not write an entry as a whole,
# and what another process reads too soon would be a warning, which is an error here.
_COMPILED = tempfile.mkdtemp(prefix="emogan-tests-")
atexit.register(shutil.rmtree, _COMPILED, ignore_errors=True)
jax.config.update("jax_compilation_cache_dir", _COMPILED)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

# The same examples everywhere; a slow machine is no fault.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("same")

from emogan import config as config_lib  # noqa: E402
from emogan import presets  # noqa: E402
from emogan.figures import run_figures  # noqa: E402
from emogan.models import onednn  # noqa: E402
from emogan.train import pipeline  # noqa: E402
from emogan.util import process  # noqa: E402

onednn.load()  # here, so that no process of a test compiles it and says so

_MUCH_MEMORY = 2500.0  # MiB

# The files that take longest. They start first, so that no worker runs alone at the end.
_FIRST = ("test_devices.py", "test_web.py", "test_evaluate_script.py", "test_notebooks.py", "test_readme.py")


def pytest_configure(config: pytest.Config) -> None:
    """Leaves what is marked slow to `-m slow`, unless files, a marker, words (-k) or failures (--lf) are chosen."""
    config.addinivalue_line("markers", "slow: takes long; runs with -m slow, and where files, -k or --lf choose it")
    option = config.option
    chosen = option.markexpr or option.keyword or getattr(option, "lf", False)
    if not chosen and config.args_source != pytest.Config.ArgsSource.ARGS:
        config.option.markexpr = "not slow"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first; the workers take files in this order."""
    items.sort(key=lambda item: _FIRST.index(item.path.name) if item.path.name in _FIRST else len(_FIRST))


@pytest.fixture(autouse=True, scope="module")
def nothing_stays_behind():
    """Frees programs after a file's tests where they take much memory, and spares the collector what outlives them.

    Else a worker grows to 6 GB, and each collection that emogan asks for takes seconds.
    """
    yield
    if process.memory().get("resident_mib", _MUCH_MEMORY) >= _MUCH_MEMORY:
        jax.clear_caches()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def quick_environment() -> dict[str, str]:
    """The environment of a process that trains: this clone's emogan, on the CPU, compiled as here."""
    return {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[1]), "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="session")
def tiny_config() -> config_lib.Config:
    """A run of seconds: 128 drawn faces, an epoch of 8 steps for each phase. Copy it before changing it."""
    config = presets.quick()
    config.data.count = 128
    config.model.width = 4
    config.model.precision = "float32"  # the same on every machine
    config.gan.epochs = config.encoder.epochs = 1
    config.gan.batch_size = config.encoder.batch_size = 16
    config.run.tensorboard = False
    return config


@pytest.fixture(scope="session")
def trained_workdir(tmp_path_factory: pytest.TempPathFactory, tiny_config: config_lib.Config) -> pathlib.Path:
    """The folder of a finished run of `tiny_config`; only to be read."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers: one trains it, the others wait
    workdir, finished = folder / "runs" / "tiny", folder / "finished"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            pipeline.run(tiny_config, workdir)
            run_figures.draw(workdir)
            finished.touch()
    return workdir
