"""experiments/sigint.py: SIGINT ends every script in one line, whatever it is at."""

import pathlib
import signal
import subprocess
import sys

import pytest

EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
SCRIPTS = sorted(path.name for path in EXPERIMENTS.glob("*.py") if "\nif __name__" in path.read_text())

# A main that clears up, and one beside it that is waited for.
PROGRAM = """
import contextlib, sys, time
sys.path.insert(0, sys.argv[1])
import script

@contextlib.contextmanager
def clearing_up():
    try:
        yield
    finally:
        print("cleared up", flush=True)

def main(_):
    with clearing_up():
        print("started", flush=True)
        time.sleep(100)

sys.argv[1:] = []
script.run(main)
"""


def interrupted(command, sign):
    """The status of a command that gets SIGINT once a line of what it says has a sign, and all that it said."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        said = ""
        while sign not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        said += process.stdout.read()
    return process.returncode, said


def test_what_a_script_is_at_is_cleared_up():
    status, said = interrupted([sys.executable, "-c", PROGRAM, EXPERIMENTS], "started")
    assert said.splitlines() == ["started", "cleared up", "stopped by SIGINT"]
    assert status == -signal.SIGINT


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_that_still_imports_ends_in_a_line(script):
    # The interpreter says what it has imported, with times; sigint.py is of the first.
    status, said = interrupted([sys.executable, "-X", "importtime", EXPERIMENTS / script], " sigint")
    own = [line for line in said.splitlines() if not line.startswith("import time:")]
    assert own == ["stopped by SIGINT"]
    assert status == -signal.SIGINT
    assert " jax" not in said.partition(" sigint")[0]
