"""Whatever a file holds, it is read or refused in one line: property tests, and each known trap once with its line."""

import ast
import gzip
import io
import pathlib
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emogan
from emogan import face_files, hostile, untrusted
from emogan.data import dataset, fer2013

BY_NAME = {parser.name: parser for parser in hostile.PARSERS}
EDITS = st.lists(
    st.builds(
        hostile.Edit,
        st.sampled_from(hostile.KINDS),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.sampled_from(hostile.WORDS), st.binary(max_size=8)),
    ),
    min_size=1,
    max_size=4,
)
# The folder is written over by each example.
QUIET = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", BY_NAME)
def test_whole_files_are_read(name, tmp_path):
    for content in BY_NAME[name].whole():
        assert BY_NAME[name].meets(content, tmp_path)


@pytest.mark.parametrize("name", BY_NAME)
@QUIET
@given(edits=EDITS, chosen=st.integers(0, 100))
def test_damaged_files_are_read_or_refused_in_one_line(name, tmp_path, edits, chosen):
    whole = BY_NAME[name].whole()
    BY_NAME[name].meets(hostile.damaged(whole[chosen % len(whole)], edits), tmp_path)


@pytest.mark.parametrize("name", BY_NAME)
@QUIET
@given(content=st.binary(max_size=300))
def test_noise_is_refused_in_one_line(name, tmp_path, content):
    BY_NAME[name].meets(content, tmp_path)


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("two\nlines"), ValueError("")])
def test_what_is_neither_is_found(error, tmp_path):
    def read(path):
        raise error

    with pytest.raises(hostile.Unguarded):
        hostile.Parser("a parser", "file", lambda: [b""], read).meets(b"", tmp_path)


def test_edits_do_what_they_say():
    edit = lambda kind: hostile.damaged(b"abcdef", [hostile.Edit(kind, 0.5, b"XY")])  # noqa: E731
    found = {kind: edit(kind) for kind in hostile.KINDS}
    assert found == {
        "flip": b"abc`ef",  # the third bit of "d"
        "insert": b"abcXYdef",
        "delete": b"abcf",
        "cut": b"abc",
        "repeat": b"abc" + b"def" * 4,
        "overwrite": b"abcXYf",
    }


def pixels(value="7", count=2304):
    return " ".join([value] * count)


HEADER = "emotion,pixels,Usage\n"
CSV = {
    "a million columns": (HEADER.strip() + ",x" * 10**6 + "\n", "expected at most 65535 characters, found more"),
    "a line without end": (HEADER + "3," + "7 " * 10**6, "expected at most 65535 characters, found more"),
    "NUL bytes": (f"{HEADER}3,{pixels()}\0,Training\n", r"expected pixels as integers in 0\.\.255, found '7.x00'"),
    "UTF-16": (f"{HEADER}3,{pixels()},Training\n", "expected text in UTF-8, found UTF-16"),
    "floats": (f"{HEADER}3,{pixels('7.5')},Training\n", r"expected pixels as integers in 0\.\.255, found '7\.5'"),
    "negative numbers": (f"{HEADER}3,{pixels('-7')},Training\n", r"integers in 0\.\.255, found '-7'"),
    "numbers above 255": (f"{HEADER}3,{pixels('256')},Training\n", r"integers in 0\.\.255, found '256'"),
    "an eighth emotion": (f"{HEADER}7,{pixels()},Training\n", r"expected a label in 0\.\.6, found '7'"),
}


@pytest.mark.parametrize("case", CSV)
def test_hostile_csv_is_refused(case, tmp_path):
    content, found = CSV[case]
    (tmp_path / "fer2013.csv").write_text(content, encoding="utf-16" if case == "UTF-16" else "utf-8")
    with pytest.raises(ValueError, match=rf"fer2013\.csv.*{found}"):
        fer2013.load("train", tmp_path)


def packed(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content) if content else None)
    return stream.getvalue()


def member(name, size=0, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def bomb_zip():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fer2013.csv", b"x")
    content = bytearray(stream.getvalue())
    # The size that the directory claims, and with it the local header's.
    for signature, offset in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        at = content.index(signature) + offset
        content[at : at + 4] = struct.pack("<I", (1 << 32) - 2)
    return bytes(content)


ARCHIVES = {
    "a way out of the folder": ("fer.tar", packed([(member("../../fer2013.txt", 3), b"abc")]), "found .*fer2013.txt"),
    "a symbolic link": ("fer.tar", packed([(member("fer2013.csv", 0, tarfile.SYMTYPE, "/etc/passwd"), b"")]), "found"),
    "a size that explodes": ("fer.zip", bomb_zip(), "at most 1 GiB when unpacked"),
    "a tar of a size that it has not": ("fer.tar", member("fer2013.csv", 1 << 40).tobuf(), "at most 1 GiB"),
    "zeros without end": ("fer.tar.gz", gzip.compress(bytes(1 << 20)), "expected"),
    "half an archive": ("fer.tar.gz", gzip.compress(bytes(4096))[:-12], "cut or damaged"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_hostile_archives_are_refused_and_nothing_is_written(case, tmp_path):
    name, content, found = ARCHIVES[case]
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / name
    path.write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=found):
        fer2013.load("train", path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_an_archive_of_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "MOST_FACES", 5)
    (tmp_path / "fer.tar").write_bytes(packed([(member(f"train/happy/{i}.png"), b"") for i in range(9)]))
    with pytest.raises(ValueError, match="expected at most 5 faces, found more"):
        fer2013.load("train", tmp_path / "fer.tar", on_bad_row="skip")


def png(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


IMAGES = {
    "a decompression bomb": (png(50_000, 50_000), "exceeds limit of 178956970 pixels, could be decompression bomb"),
    "more than a face needs": (png(9000, 9000), "9000x9000, where 1 to 33,554,432 pixels were expected"),
    "no pixels": (png(0, 7), "expected an image, found"),
    "a cut image": (png(48, 48), "expected an image, found"),
    "no image": (b"<svg/>", "expected an image, found cannot identify"),
    "an empty file": (b"", "expected an image, found cannot identify"),
}


@pytest.mark.parametrize("case", IMAGES)
def test_hostile_images_are_refused(case, tmp_path):
    content, found = IMAGES[case]
    (tmp_path / "face.png").write_bytes(content)
    with pytest.raises(ValueError, match=rf"face\.png: .*{found}"):
        face_files.read(tmp_path / "face.png")


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    frames = [PIL.Image.new("L", (48, 48), gray) for gray in (40, 200)]
    frames[0].save(tmp_path / "face.gif", save_all=True, append_images=frames[1:])
    assert face_files.read(tmp_path / "face.gif").images.max() == 40


def test_an_array_larger_than_its_file_is_refused_without_its_memory(tmp_path):
    np.save(tmp_path / "faces.npy", np.zeros((1, 48, 48), np.uint8))
    content = (tmp_path / "faces.npy").read_bytes().replace(b"(1, 48, 48)", b"(9999999, 48, 48)"[:17])
    (tmp_path / "faces.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"faces\.npy: expected an array that numpy\.save wrote, found"):
        untrusted.read_array(tmp_path / "faces.npy")


def test_an_array_of_objects_is_refused_without_running_what_it_holds(tmp_path):
    np.save(tmp_path / "faces.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"faces\.npy: expected an array that numpy\.save wrote"):
        face_files.read(tmp_path / "faces.npy")


def test_a_text_of_more_than_the_bound_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted, "MOST_TEXT", 1 << 20)
    (tmp_path / "text").write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(ValueError, match="expected at most 1 MiB of text, found more"):
        untrusted.read_text(tmp_path / "text")


ROOT = pathlib.Path(emogan.__file__).parents[1]


@pytest.mark.parametrize("path", sorted([*ROOT.glob("emogan/**/*.py"), *ROOT.glob("experiments/*.py")]), ids=str)
def test_no_file_can_load_a_pickle(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"} & set(names)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            told = [keyword for keyword in node.keywords if keyword.arg == "allow_pickle"]
            assert not told or told[0].value.value is False  # False is NumPy's default since 1.16.3
