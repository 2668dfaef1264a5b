"""The library of convolutions: built once, found again, and done without wherever something is missing."""

import os
import pathlib
import subprocess
import sys

import pytest

from emogan.models import onednn
from emogan.util import files

pytestmark = pytest.mark.skipif(not onednn.load().available, reason="there is no oneDNN, or no compiler")

ALONE = """
import numpy as np
from emogan.models import conv, onednn
lines = []
onednn.announce(lines.append)
y = conv.conv(np.ones((1, 4, 4, 1), np.float32), np.ones((3, 3, 1, 1), np.float32), (2, 2))
assert y[0, :, :, 0].tolist() == [[9, 6], [6, 4]], y
print(onednn.load().available, len(lines), *lines)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A cache folder with the library, and the library's path."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "cache_dir", lambda: folder)
        _, path, message = onednn.find_or_build()
    assert str(path) in message
    return folder, path


@pytest.fixture
def cache(built, monkeypatch):
    folder, path = built
    monkeypatch.setattr(files, "cache_dir", lambda: folder)
    return path


def test_the_library_is_built_once(cache):
    before = cache.stat().st_mtime_ns
    _, path, message = onednn.find_or_build()
    assert (path, message) == (cache, "")
    assert cache.stat().st_mtime_ns == before
    assert [file.name for file in cache.parent.iterdir()] == [cache.name]


@pytest.mark.parametrize("damage", ["cut", "changed", "writable by others", "a link"])
def test_a_library_that_is_cut_or_not_this_users_own_is_not_loaded(damage, cache, tmp_path):
    whole, key = cache.read_bytes(), cache.name.split("-")[0]
    assert onednn._find(key) == cache
    elsewhere = tmp_path / "elsewhere.so"
    if damage == "cut":
        cache.write_bytes(whole[: len(whole) // 2])
    elif damage == "changed":
        cache.write_bytes(whole[:-1] + b"x")
    elif damage == "writable by others":
        cache.chmod(0o777)
    else:
        cache.rename(elsewhere)
        cache.symlink_to(elsewhere)
    assert onednn._find(key) is None
    cache.unlink()
    cache.write_bytes(whole)
    cache.chmod(0o700)


def test_a_folder_that_others_can_write_is_refused(cache):
    cache.parent.chmod(0o777)
    with pytest.raises(onednn.Missing, match="can be written by others"):
        onednn.find_or_build()
    cache.parent.chmod(0o700)


def test_another_source_is_another_library(cache, monkeypatch, tmp_path):
    source = tmp_path / "onednn.cc"
    source.write_text("this is no C++")
    monkeypatch.setattr(onednn, "SOURCE", source)
    with pytest.raises(onednn.Missing, match=r"failed: .*error"):
        onednn.find_or_build()
    assert [file.name for file in cache.parent.iterdir()] == [cache.name]


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(onednn, "LIBRARY", "onednn-of-nobody")
    with pytest.raises(onednn.Missing, match=r'onednn-of-nobody is not installed; pip install "emogan\[cpu\]"'):
        onednn.find_or_build()


def alone(**environment):
    result = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=pathlib.Path(onednn.__file__).parents[2],
        env={**os.environ, "JAX_PLATFORMS": "cpu", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


def test_without_a_compiler_xla_computes_and_one_line_says_so(tmp_path):
    found = alone(PATH=str(tmp_path), HOME=str(tmp_path))
    assert found.startswith("False 1 convolutions run on XLA")
    assert "there is no C++ compiler; install g++" in found


def test_without_a_folder_to_write_to_xla_computes_and_one_line_says_so(tmp_path):
    (tmp_path / ".cache").write_text("a file where the folder should be")
    assert alone(HOME=str(tmp_path)).startswith("False 1 convolutions run on XLA")


@pytest.mark.slow
def test_two_processes_that_build_at_once_do_no_harm(tmp_path):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", ALONE]
    place = pathlib.Path(onednn.__file__).parents[2]
    both = [subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].startswith("True") for process in both] == [True, True]
