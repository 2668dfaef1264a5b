"""The page's folder, and where onnxruntime-web comes from: whole or in one line why not."""

import io
import pathlib
import tarfile

import numpy as np
import pytest

from emogan.export import runtime, web


@pytest.fixture
def given(tmp_path):
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in runtime.FILES:
        (folder / name).write_text(name)
    return folder


def npm(folder, monkeypatch, script):
    """Puts a program named npm where it is found."""
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def package(path, names=runtime.FILES, size=3):
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(f"package/dist/{name}")
            info.size = size
            archive.addfile(info, io.BytesIO(b"abc"[:size]))
    return path


def altered_in_the_middle(path):
    """The bytes of a package whose first member does not unpack any more, and is to be skipped on the way to others."""
    with tarfile.open(path, "w:gz") as archive:
        for name in ("package/README.md", *(f"package/dist/{name}" for name in runtime.FILES)):
            info = tarfile.TarInfo(name)
            info.size = 1 << 18
            archive.addfile(info, io.BytesIO(np.random.default_rng(0).integers(48, 58, info.size, np.uint8).tobytes()))
    content = bytearray(path.read_bytes())
    content[1 << 15 : (1 << 15) + 64] = b"\xff" * 64
    return bytes(content)


def test_a_folder_of_the_users_is_taken(given, tmp_path):
    assert runtime.find(given, tmp_path / "cache") == given
    assert not (tmp_path / "cache").exists()


def test_a_folder_without_a_file_is_refused(given, tmp_path):
    (given / runtime.FILES[1]).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"dist: expected ort.*, found no ort-wasm-simd-threaded\.mjs; give --ru"
    ):
        runtime.find(given, tmp_path)


def test_a_package_of_npm_is_unpacked_once(tmp_path, monkeypatch):
    made = package(tmp_path / "made.tgz")
    npm(tmp_path / "bin", monkeypatch, f'echo run >> {tmp_path}/runs; cp {made} "${{4#--pack-destination=}}/a.tgz"')
    cache = tmp_path / "cache"
    for _ in range(2):
        folder = runtime.find(None, cache)
        assert sorted(path.name for path in folder.iterdir()) == sorted(runtime.FILES)
    assert (tmp_path / "runs").read_text() == "run\n"
    assert list(cache.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'npm error network: no such host\n at line 2' >&2; exit 1", "found npm error network: no such host at"),
        ("exit 0", "found no package"),
        ('cp {cut} "${{4#--pack-destination=}}/a.tgz"', "by npm, found .*"),
        ('cp {other} "${{4#--pack-destination=}}/a.tgz"', "by npm, found .*not found"),
        ('cp {altered} "${{4#--pack-destination=}}/a.tgz"', "by npm, found .*"),
        ('cp {text} "${{4#--pack-destination=}}/a.tgz"', "by npm, found not a gzip file"),
    ],
)
def test_what_npm_does_not_give_is_told_in_one_line_and_leaves_nothing(tmp_path, monkeypatch, script, message):
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(package(tmp_path / "made.tgz").read_bytes()[:60])
    altered = tmp_path / "altered.tgz"
    altered.write_bytes(altered_in_the_middle(tmp_path / "large.tgz"))
    text = tmp_path / "text.tgz"
    text.write_text("no archive")
    other = package(tmp_path / "other.tgz", ["ort.js"])
    npm(tmp_path / "bin", monkeypatch, script.format(cut=cut, other=other, text=text, altered=altered))
    with pytest.raises(ValueError, match=rf"expected .*onnxruntime-web.* {message}.*; give --runtime=DIR") as caught:
        runtime.find(None, tmp_path / "cache")
    assert len(str(caught.value).splitlines()) == 1
    assert not list((tmp_path / "cache").iterdir())


def test_no_npm_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"expected npm to get onnxruntime-web .*, found none; install it, or give --ru"
    ):
        runtime.find(None, tmp_path / "cache")


def test_a_page_is_whole_or_not_there(given, main_model, tmp_path):
    sizes = web.write(b"model", main_model, {}, given, tmp_path / "page")
    found = {str(path.relative_to(tmp_path / "page")) for path in (tmp_path / "page").rglob("*") if path.is_file()}
    assert found == set(sizes)
    assert {
        *web.PAGE,
        web.MODEL,
        web.DETECTOR,
        web.ABOUT,
        *(f"runtime/{web.served(name)}" for name in runtime.FILES),
    } == found
    # nginx, for one, serves .mjs as what browsers do not run.
    assert {path.rpartition(".")[2] for path in found} == {"html", "css", "js", "onnx", "json", "wasm"}
    (given / runtime.FILES[2]).unlink()
    with pytest.raises(FileNotFoundError):
        web.write(b"model", main_model, {}, given, tmp_path / "other")
    assert {path.name for path in tmp_path.iterdir()} == {"dist", "page"}


def test_what_is_there_is_never_written_to(given, main_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    web.write(b"model", main_model, {}, given, tmp_path / "new" / "mine")
    pathlib.Path("empty").mkdir()
    pathlib.Path("link").symlink_to("nowhere")
    pathlib.Path("file").touch()
    for place in ("new/mine", ".", "empty", "link", "file"):
        with pytest.raises(ValueError, match=r"--output: expected a folder that is not there yet, found "):
            web.write(b"model", main_model, {}, given, pathlib.Path(place))
    with pytest.raises(ValueError, match=r"--output: expected file to be a folder, found a file"):
        web.check(pathlib.Path("file/a/page"))
