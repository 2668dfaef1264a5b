"""Texts, arrays and images that anyone may have written: each fault gives one line, and no memory is spent on it."""

import io
import os
import re
import struct
import zipfile
import zlib

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

from emogan.data import dataset
from emogan.edit import face_files
from emogan.util import untrusted


@pytest.fixture
def face():
    return (np.arange(48 * 48).reshape(48, 48) % 256).astype(np.uint8)


def refusal(read, path):
    with pytest.raises(ValueError, match="expected") as caught:
        read(path)
    return str(caught.value)


def read_faces(path):
    return face_files.read(path, dataset.FER2013)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height):
    """A PNG that claims a size and has no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def whole_jpeg():
    return encoded(PIL.Image.new("L", (48, 48), 7), "JPEG", progressive=True)


def two_jpegs():
    image = PIL.Image.new("L", (48, 48), 7)
    return encoded(image, "MPO", save_all=True, append_images=[image])


IMAGES = {
    "truncated": (lambda: encoded(PIL.Image.effect_noise((48, 48), 50), "PNG")[:400], "image file is truncated"),
    "gigantic": (lambda: png(9000, 9000), "9000x9000, where 1 to 67,108,864 pixels were expected"),
    "bomb": (
        lambda: png(60_000, 60_000),
        "Image size (3600000000 pixels) exceeds limit of 178956970 pixels, could be decompression bomb DOS attack.",
    ),
    "zero-sized": (lambda: png(0, 48), "a file that is no image"),
    "empty": (lambda: b"", "a file that is no image"),
    "no image": (lambda: b"none", "a file that is no image"),
    "postscript": (lambda: encoded(PIL.Image.new("L", (48, 48)), "EPS"), "a file that is no image"),
    "scans": (lambda: whole_jpeg() + b"\xff\xda" * 101, "a JPEG of more than 100 scans"),
    "scans beside a second picture": (lambda: two_jpegs() + b"\xff\xda" * 101, "a JPEG of more than 100 scans"),
    "negative": (
        lambda: encoded(PIL.Image.fromarray(np.full((48, 48), -1.0, np.float32)), "TIFF"),
        "gray values of -1..-1, where 0..1 was expected",
    ),
}


@pytest.mark.parametrize("fault", IMAGES)
def test_image_is_refused_with_what_was_found(fault, tmp_path):
    make, found = IMAGES[fault]
    path = tmp_path / "a.png"
    path.write_bytes(make())
    line = refusal(read_faces, path)
    assert line.startswith(f"{path}: expected an image, found {found}")
    do = "make it smaller" if fault in ("gigantic", "bomb") else "save it as 8-bit PNG or JPEG"
    assert line.endswith(f"; {do}, or leave it out")
    assert refusal(untrusted.read_colour, path) == line


def test_size_is_told_by_the_header_alone(tmp_path):
    for size in ((4000, 3000), (8064, 6048), (9504, 6336)):  # the last are a phone of 48 and a camera of 61 megapixels
        (tmp_path / "a.png").write_bytes(png(*size))
        assert untrusted.read_size(tmp_path / "a.png") == size
    (tmp_path / "a.png").write_bytes(png(9000, 9000))
    assert "found 9000x9000, where 1 to" in refusal(untrusted.read_size, tmp_path / "a.png")


@pytest.mark.parametrize(
    ("mode", "read"),
    [("1", "L"), ("L", "L"), ("LA", "RGBA"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("P", "RGB"), ("CMYK", "RGB")],
)
def test_colours_of_every_mode_are_read_upright_with_their_profile(mode, read, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise
    image = PIL.Image.new(mode, (60, 40), "white")
    profile = b"0" * 16 + (b"GRAY" if mode == "L" else b"RGB ")
    image.save(tmp_path / "a.tif", exif=exif, icc_profile=profile)
    colour = untrusted.read_colour(tmp_path / "a.tif")
    assert (colour.mode, colour.size) == (read, (40, 60))
    # CMYK's is none of RGB.
    assert colour.info == ({} if mode in ("1", "CMYK") else {"icc_profile": profile})


@pytest.mark.parametrize(
    ("mode", "options", "read"), [("L", {}, "L"), ("L", {"transparency": 7}, "RGBA"), ("LA", {}, "RGBA")]
)
def test_a_profile_of_gray_is_none_of_the_colours_that_transparency_makes(mode, options, read, tmp_path):
    profile = b"0" * 16 + b"GRAY"
    PIL.Image.new(mode, (6, 4)).save(tmp_path / "a.png", icc_profile=profile, **options)
    colour = untrusted.read_colour(tmp_path / "a.png")
    assert (colour.mode, colour.info) == (read, {"icc_profile": profile} if read == "L" else {})


def test_deep_gray_is_read_as_bytes(tmp_path):
    PIL.Image.fromarray(np.full((4, 4), 257 * 100, np.uint16)).save(tmp_path / "a.png")
    assert np.asarray(untrusted.read_colour(tmp_path / "a.png")).tolist() == [[100] * 4] * 4


def test_image_file_beyond_the_bound_is_refused(tmp_path):
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(untrusted.MOST_IMAGE + 1)
    assert "found a file of more than 256 MiB; make it smaller" in refusal(read_faces, path)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_an_animation_is_read(face, tmp_path, kind):
    frames = [PIL.Image.fromarray(face), PIL.Image.fromarray(255 - face)]
    options = {"lossless": True} if kind == "WEBP" else {}
    (tmp_path / "a.gif").write_bytes(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert np.abs(read_faces(tmp_path / "a.gif").images[0].astype(int) - face).max() <= 1


def test_name_that_would_break_the_line_is_escaped(tmp_path):
    (tmp_path / "a\n\x1b[31m.png").write_bytes(b"none")
    assert refusal(read_faces, tmp_path).startswith(f"{tmp_path}/a\\n\\x1b[31m.png: expected an image, found ")


def npy(header):
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode()


ARRAYS = {
    "objects": (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n"), "Object arrays cannot be loaded"),
    "more than there is": (
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000, 48, 48)}\n"),
        "Failed to read all data for array. Expected (1000, 48, 48) = 2304000 elements, could only read 0 elements.",
    ),
    "more than any memory": (
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4611686018427387904,)}\n"),
        "Unable to allocate 4.00 EiB",
    ),
    "negative": (npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 48, 48)}\n"), ""),
    "no header": (npy("import os\n"), "Cannot parse header: 'import os\\n'"),
    "another file": (b"PK\3\4" + b"0" * 100, "the magic string is not correct"),
    "empty": (b"", "EOF: reading magic string, expected 8 bytes got 0"),
}


@pytest.mark.parametrize("fault", ARRAYS)
def test_array_is_refused_with_what_was_found(fault, tmp_path):
    content, found = ARRAYS[fault]
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    line = refusal(read_faces, path)
    assert line.startswith(f"{path}: expected an array that numpy.save wrote, found {found}")
    assert line.endswith("; write it again with numpy.save")


def test_array_file_beyond_the_bound_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        file.truncate(untrusted.MOST_ARRAY * 2)
    assert "found a file of more than 1024 MiB;" in refusal(untrusted.read_array, path)


@pytest.mark.parametrize("claimed", [1 << 30, 1 << 31])
def test_arrays_that_unpack_to_more_than_the_bound_are_refused(tmp_path, monkeypatch, claimed):
    monkeypatch.setattr(untrusted, "MOST_ARRAY", 1 << 20)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(1 << 21, np.uint8))
    assert "bytes when unpacked, where at most 1,048,576 were expected" in refusal(
        untrusted.read_arrays, tmp_path / "a.npz"
    )


def test_arrays_packed_without_a_bound_on_memory_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", b"")
    assert "found members packed by lzma, where deflated or stored ones were expected" in refusal(
        untrusted.read_arrays, tmp_path / "a.npz"
    )


TEXTS = {
    "too long": (b" " * (untrusted.MOST_TEXT + 1), "expected at most 4 MiB of text, found more"),
    "UTF-16": ("{}".encode("utf-16"), "expected text in UTF-8, found 'utf-8' codec can't decode byte 0xff"),
}


@pytest.mark.parametrize("fault", TEXTS)
def test_text_is_refused_with_what_was_found(fault, tmp_path):
    content, line = TEXTS[fault]
    (tmp_path / "a.json").write_bytes(content)
    assert refusal(untrusted.read_text, tmp_path / "a.json").startswith(line)


@pytest.mark.parametrize("depth", [untrusted.MOST_DEPTH + 1, 1_000_000])
def test_deep_json_is_refused(depth):
    with pytest.raises(ValueError, match=r"^JSON that is nested more than 30 deep$"):
        untrusted.from_json("[" * depth + "]" * depth)
    assert untrusted.from_json("[" * 30 + "]" * 30)


@pytest.mark.parametrize("read", [untrusted.read_text, untrusted.read_array, untrusted.read_gray])
def test_pipe_is_refused_and_not_waited_for(read, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert re.search("found a folder, a device or a pipe", refusal(read, tmp_path / "pipe"))


def box(brand, *compatible):
    kinds = brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(kinds)) + b"ftyp" + kinds + bytes(100)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (box(b"heic", b"mif1", b"heic"), 'a HEIC, which needs pillow-heif; pip install "emogan[heic]", or save it as'),
        (box(b"mif1", b"mif1", b"avif"), "an AVIF, which this Pillow does not read; pip install -U pillow, or save it"),
        (box(b"isom", b"mp42"), "a file that is no image; save it as 8-bit PNG or JPEG, or leave it out"),
    ],
)
def test_an_image_of_a_kind_that_is_not_read_is_named(content, found, tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted, "readable", lambda: ("JPEG", "PNG"))  # as where neither library is installed
    (tmp_path / "a.jpg").write_bytes(content)
    assert f"expected an image, found {found}" in refusal(untrusted.read_colour, tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "HEIF"])
def test_photographs_of_phones_are_read_upright_with_their_profile(kind, tmp_path):
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if kind not in untrusted.readable():
        pytest.skip(f"this Pillow does not read {kind}")
    image = PIL.Image.new("RGB", (96, 64), (200, 40, 40))
    image.paste((40, 40, 200), (0, 0, 48, 64))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "a", kind, quality=95, exif=exif.tobytes(), icc_profile=profile)
    colour = untrusted.read_colour(tmp_path / "a")
    assert (colour.mode, colour.size) == ("RGB", (64, 96))
    upper, lower = (np.asarray(colour)[y, 32].astype(int) for y in (16, 80))
    assert np.abs(upper - [40, 40, 200]).max() < 12
    assert np.abs(lower - [200, 40, 40]).max() < 12
    assert colour.info == {"icc_profile": profile}
    assert untrusted.read_gray(tmp_path / "a").size == (64, 96)
