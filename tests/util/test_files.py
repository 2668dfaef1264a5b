"""Files that are seen whole or not at all, on a disk that is full."""

import os
import pathlib

import matplotlib.figure
import numpy as np
import pytest

from emogan.figures import run_figures
from emogan.util import files

WRITE = {
    "bytes": lambda path: files.write_bytes(path, b"new" * 9999),
    "array": lambda path: files.write_array(path, np.zeros(9999)),
    "figure": lambda path: run_figures._save(matplotlib.figure.Figure(), path),
}


@pytest.mark.parametrize("kind", WRITE)
def test_a_full_disk_keeps_the_old_file_and_no_part_of_the_new_one(kind, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.with_name(f"a.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device|requested and \d+ written"):
        WRITE[kind](path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_write_one_file_do_not_meet(tmp_path, monkeypatch):
    with files.replacing(tmp_path / "a") as temporary:
        temporary.write_bytes(b"first, to its end")
        monkeypatch.setattr(os, "getpid", lambda: -1)
        files.write_bytes(tmp_path / "a", b"second")
        assert (tmp_path / "a").read_bytes() == b"second"
    assert (tmp_path / "a").read_bytes() == b"first, to its end"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("kind", WRITE)
def test_what_cannot_take_its_place_leaves_no_part(kind, tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        WRITE[kind](tmp_path / "a")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_an_array_is_written_as_numpy_reads_it(tmp_path):
    assert files.write_array(tmp_path / "a.npy", np.arange(6).reshape(2, 3)) == tmp_path / "a.npy"
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_folder_that_can_be_written_to_is_left_as_it_was(name, tmp_path):
    before = tmp_path.stat().st_mtime_ns
    files.check_folder(tmp_path / name)
    assert tmp_path.stat().st_mtime_ns == before
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not pathlib.Path("/proc/self").exists(), reason="there is no folder that nobody can write to")
@pytest.mark.parametrize("folder", ["/proc", "/proc/a/b"])
def test_a_folder_that_cannot_be_written_to_is_refused(folder):
    with pytest.raises(ValueError, match=r"--workdir: expected a folder to write to, found /proc: .+; choose another"):
        files.check_folder(pathlib.Path(folder), "--workdir")
