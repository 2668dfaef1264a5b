"""Scripts called as a user calls them: each in a process of its own."""

import os
import pathlib
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def call_script():
    """(name in experiments/, *arguments, cwd, environment) -> the finished process, with its output as text."""

    def call(script, *arguments, cwd=None, **environment):
        return subprocess.run(
            [sys.executable, str(REPOSITORY / "experiments" / script), *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "JAX_PLATFORMS": "cpu", **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return call
