"""Runs scripts in forks of one process that has imported what takes most of a short script's time.

A program for `call_script` of conftest.py: each line of standard input is a call as JSON, which is answered by a line
with the status that the script ended with, or null where it took too long and was killed.
"""

import gc
import importlib
import json
import os
import pathlib
import runpy
import signal
import sys

# None may start a thread or the backend of JAX: a fork has no thread but its own.
IMPORTED = (
    "benchmarking.suite",
    "emogan.evaluation.run_scores",
    "emogan.export.onnx_file",
    "emogan.edit.photo_files",
    "flag_config",
    "matplotlib.figure",
)


def fork_for_each_call():
    """Answers all calls and returns None; in each fork, returns the call that is to be run there."""
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if child == 0:
            return call
        print(json.dumps(status_of(child, call["seconds"])), flush=True)
    return None


def status_of(child, seconds):
    """The status that a child ends with, or None if it did not end in time."""
    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException as error:
        os.killpg(child, signal.SIGKILL)  # with all that it started
        os.waitpid(child, 0)
        if isinstance(error, TimeoutError):
            return None
        raise
    finally:
        signal.alarm(0)


def too_late(*_):
    raise TimeoutError


def run(call):
    """Becomes the process of a script: it ends, by whatever the script does, as it would have ended alone."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # flag_config's import has set another
    os.chdir(call["cwd"])
    os.environ.update(call["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(os.open(call["output"][number - 1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.argv = call["words"]
    runpy.run_path(call["words"][0], run_name="__main__")


if __name__ == "__main__":
    experiments = pathlib.Path(__file__).parents[2] / "experiments"
    sys.path[:1] = [str(experiments), str(experiments / "lab")]  # a script finds what lies beside it
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # else each fork looks through all of this, and so copies it, as it ends
    this = fork_for_each_call()
    if this:
        run(this)
