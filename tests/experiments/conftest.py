"""Scripts called as a user calls them: each in a process of its own."""

import os
import pathlib
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def call_script(tmp_path_factory):
    """(name in experiments/, *arguments, cwd, environment) -> the finished process, with its output as text."""
    usual = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # compiling takes nearly all of the time
        # For this process's scripts alone: what another one reads too soon would be a warning.
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    }

    def call(script, *arguments, cwd=None, **environment):
        return subprocess.run(
            [sys.executable, str(REPOSITORY / "experiments" / script), *map(str, arguments)],
            cwd=cwd,
            env={**usual, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return call
