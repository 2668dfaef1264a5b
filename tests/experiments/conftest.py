"""Scripts called as a user calls them: each in a process of its own."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import matplotlib
import pytest

from emogan.util import files

REPOSITORY = pathlib.Path(__file__).parents[2]
SERVER = pathlib.Path(__file__).with_name("script_server.py")


@pytest.fixture(scope="session")
def call_script(tmp_path_factory):
    """(name in experiments/ or its lab/, *arguments, cwd, timeout, environment) -> the finished process and its output.

    It is forked from one that has imported JAX already: what JAX or Python reads at its start cannot be changed.
    """
    home = tmp_path_factory.mktemp("home")  # where caches go
    built = files.cache_dir() / "onednn"
    if built.is_dir():  # else the first script would compile it, and say so
        shutil.copytree(built, home / ".cache" / "emogan" / "onednn")
    usual = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(home),
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # its list of fonts takes seconds
        "JAX_PLATFORMS": "cpu",
        # For this process's scripts alone: what another one reads too soon would be a warning.
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    }
    output = [tmp_path_factory.mktemp("output") / name for name in ("stdout", "stderr")]
    with subprocess.Popen(
        [sys.executable, str(SERVER)], env=usual, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:

        def call(script, *arguments, cwd=None, timeout=300, **environment):
            assert not [name for name in environment if name.startswith(("JAX_", "PYTHON"))]
            folder = REPOSITORY / "experiments"
            path = folder / script if (folder / script).exists() else folder / "lab" / script
            words = [str(path), *map(str, arguments)]
            asked = {
                "words": words,
                "cwd": str(cwd or pathlib.Path.cwd()),
                "seconds": timeout,
                "environment": environment,
                "output": list(map(str, output)),
            }
            print(json.dumps(asked), file=server.stdin, flush=True)
            answer = server.stdout.readline()
            assert answer, "script_server.py ended"
            said = [path.read_text() for path in output]
            command = [sys.executable, *words]
            if json.loads(answer) is None:
                raise subprocess.TimeoutExpired(command, timeout, *said)
            return subprocess.CompletedProcess(command, json.loads(answer), *said)

        yield call
