"""script_server.py: a forked script ends as the same one does in a process of its own."""

import fcntl
import json
import os
import subprocess
import sys
import time

import pytest

SCRIPTS = {
    "what it was given": (
        "import os, pathlib, sys; print(__file__, sys.argv, sys.stdin.read(), pathlib.Path.cwd(), os.environ['SAID'])"
    ),
    "end": "import sys; print('out'); print('err', file=sys.stderr)",
    "status": "import sys; sys.exit(3)",
    "message": "import sys; sys.exit('why')",
    "error": "print('out'); raise ValueError('why')",
    "error in a thread that is waited for": (
        "import threading, time\ndef late():\n time.sleep(0.1); print('late')\nthreading.Thread(target=late).start()\n"
        "raise SystemExit(4)"
    ),
    "handlers": "import atexit; atexit.register(print, 'handler'); print('script')",
    "signal": "import os, signal; print('out', flush=True); os.kill(os.getpid(), signal.SIGTERM)",
    "interrupt": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "main of its own children": (
        "import multiprocessing\ndef say():\n print('child', flush=True)\nif __name__ == '__main__':\n"
        " process = multiprocessing.get_context('spawn').Process(target=say)\n"
        " process.start(); process.join(); print(process.exitcode)"
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_ends_as_in_a_process_of_its_own(call_script, tmp_path, name):
    script = tmp_path / "script.py"
    script.write_text(SCRIPTS[name])
    alone = subprocess.run(
        [sys.executable, str(script), "a b", "ä"],
        cwd=tmp_path,
        env={**os.environ, "SAID": "so"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    done = call_script(script, "a b", "ä", cwd=tmp_path, SAID="so")
    assert (done.args, done.returncode, done.stdout) == (alone.args, alone.returncode, alone.stdout)
    # Of a traceback, where the script was called from is not the same.
    assert done.stderr.splitlines()[-1:] == alone.stderr.splitlines()[-1:]


def test_a_call_leaves_nothing_to_the_next(call_script, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import json, os, sys; print(json.dumps([os.getcwd(), sys.argv[1:], os.environ.get('SAID'), len(sys.path)])); "
        "sys.path.append('said')"
    )
    first = json.loads(call_script(script, "a", cwd=tmp_path, SAID="so").stdout)
    again = json.loads(call_script(script).stdout)
    assert first == [str(tmp_path), ["a"], "so", first[-1]]
    assert again == [os.getcwd(), [], None, first[-1]]


def test_a_script_that_takes_too_long_is_killed_with_what_it_started(call_script, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import fcntl, subprocess\nlock = open('lock', 'w')\nfcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('waits', flush=True)\nsubprocess.run(['sleep', '60'], pass_fds=[lock.fileno()])"
    )
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        call_script(script, cwd=tmp_path, timeout=1)
    assert caught.value.stdout == "waits\n"
    began = time.monotonic()
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # whoever of them lives holds it
    assert time.monotonic() - began < 30
