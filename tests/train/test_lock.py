"""One process at a time in a folder."""

import os
import pathlib
import subprocess
import sys

import pytest

from emogan.train import lock

OTHER = """
import pathlib, sys
from emogan.train import lock
try:
    with lock.held(pathlib.Path(sys.argv[1])):
        print("held")
except ValueError as error:
    print(error)
"""


def other_process(folder):
    result = subprocess.run([sys.executable, "-c", OTHER, str(folder)], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def test_second_process_is_refused_until_the_first_has_ended(tmp_path):
    folder = tmp_path / "run"
    with lock.held(folder):
        said = other_process(folder)
    assert said.startswith(f"{folder}: expected no other process in this folder, found process {os.getpid()} on ")
    assert said.endswith("; let it end, or choose another --workdir")
    assert other_process(folder) == "held"


def test_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "run").write_text("")
    for folder in (tmp_path / "run", tmp_path / "run" / "inner"):
        with pytest.raises(OSError, match="expected a folder to write to, found: "), lock.held(folder):
            pytest.fail("it was held")


@pytest.mark.skipif(not pathlib.Path("/proc/self").is_dir(), reason="no folder that even root cannot write to")
def test_folder_that_cannot_be_written_to_is_told():
    folder = pathlib.Path("/proc/self/run")
    with pytest.raises(OSError, match="expected a folder to write to, found: "), lock.held(folder):
        pytest.fail("it was held")
