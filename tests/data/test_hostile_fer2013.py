"""FER2013 that is made to harm: each fault gives the one line that is written here, and memory stays bounded."""

import bz2
import gzip
import io
import lzma
import re
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from emogan.data import dataset, fer2013
from emogan.data.fer2013 import archives


def refused(path, **options):
    """Returns the one line in which `load` refuses, without the path at its beginning."""
    with pytest.raises(ValueError, match=r"expected .* found ") as caught:
        fer2013.load("train", path, **options)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith(str(path))
    return line.removeprefix(str(path))


@pytest.fixture
def small_bounds(monkeypatch):
    monkeypatch.setattr(archives, "_MOST_UNPACKED", 1 << 20)
    monkeypatch.setattr(archives, "_LONGEST_LIST", 1 << 10)
    monkeypatch.setattr(dataset, "MOST_FACES", 40)


LONG = "repair it, or leave such rows out with --on_bad_row=skip"
CSV = {
    "a million columns": (
        lambda text: b"emotion,pixels,Usage" + b",x" * 1_000_000 + b"\n",
        ": expected at most 65535 characters in its first row, found more",
    ),
    "a million fields": (
        lambda text: text + b"x," * 1_000_000 + b"\n",
        f" row 30: expected at most 65535 characters, found more; {LONG}",
    ),
    "a repeated column": (
        lambda text: text.replace(b"emotion,pixels", b"pixels,emotion,pixels", 1),
        ": expected one column pixels, found 2; leave out all but one",
    ),
    "NUL among the pixels": (
        lambda text: text.replace(b" ", b" \0", 1),
        re.compile(rf" row 2: expected pixels as integers in 0\.\.255, found '\\x00\d+' as pixel 1; {LONG}"),
    ),
    "NUL in the header": (
        lambda text: text.replace(b"pixels", b"pix\0els", 1),
        r": expected columns emotion, pixels and Usage in its first row, found 'emotion', 'pix\x00els', 'usage'",
    ),
    "only NUL": (
        lambda text: b"\0" * 100,
        f": expected columns emotion, pixels and Usage in its first row, found {chr(0) * 24 + '...'!r}",
    ),
    "UTF-16": (
        lambda text: text.decode().encode("utf-16"),
        ": expected text in UTF-8, found UTF-16; save it as CSV in UTF-8",
    ),
    "Latin-1": (
        lambda text: text.replace(b"Training", "Entraînement".encode("latin-1"), 1),
        f" row 2: expected Usage Training, PublicTest or PrivateTest, found 'Entra\ufffdnement'; {LONG}",
    ),
    "a terminal's colours": (
        lambda text: text.replace(b"Training", b"\x1b[31m", 1),
        rf" row 2: expected Usage Training, PublicTest or PrivateTest, found '\x1b[31m'; {LONG}",
    ),
    "too many rows": (
        lambda text: text + b"\n" * 20,
        ": expected at most 40 faces, found more; FER2013 has 35,887",
    ),
}


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("fault", CSV)
def test_hostile_csv_is_refused(faces, pack, tmp_path, fault):
    change, expected = CSV[fault]
    path = pack.write(tmp_path / "fer2013.csv", change(faces.csv()))
    line = refused(path)
    assert line == expected or (isinstance(expected, re.Pattern) and expected.fullmatch(line))


def test_row_without_an_end_takes_no_memory_and_is_one_bad_row(faces, pack, tmp_path):
    path = pack.write(tmp_path / "fer2013.csv", faces.csv() + b"7" * (1 << 26) + b"\n" + faces.csv().split(b"\n")[1])
    remarks = []
    tracemalloc.start()
    assert len(fer2013.load("train", path, on_bad_row="skip", report=remarks.append)) == 15
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()
    assert remarks[0] == f"skipped 1 bad rows: {path} row 30: expected at most 65535 characters, found more"


def tar_of(*members, **options):
    """A tar of (TarInfo, content)."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", **options) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return content.getvalue()


def member(name="fer2013.csv", **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def header(size):
    """The header of a member that claims a size, and nothing behind it."""
    return member(size=size).tobuf(tarfile.GNU_FORMAT)


DAMAGED = ": expected a whole archive, found it cut or damaged ({}); fetch it again"
UNPACKED = ": expected at most 1,048,576 bytes when unpacked, found {}; FER2013 has a third of that"
NOTHING = (
    ": expected an archive that holds fer2013.csv, icml_face_data.csv or images train/<class>/*.jpg, "
    "found nothing that can be read"
)
TARS = {
    "claims a terabyte": (lambda: header(1 << 40), ": fer2013.csv" + UNPACKED.format("1,099,511,627,776")),
    "claims less than nothing": (lambda: header(-1), ": fer2013.csv" + UNPACKED.format("-1")),
    "a long name's header": (
        lambda: member(type=tarfile.GNUTYPE_LONGNAME, size=1 << 30).tobuf(tarfile.GNU_FORMAT),
        DAMAGED.format("a header of 1,073,741,824 bytes"),
    ),
    "holes": (
        lambda: member(type=tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT) + bytes(1024),
        DAMAGED.format("a file with holes"),
    ),
    "holes by a header": (
        lambda: tar_of(
            (member(pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), b""), format=tarfile.PAX_FORMAT
        ),
        DAMAGED.format("a file with holes"),
    ),
    "headers of headers": (
        lambda: member(type=tarfile.GNUTYPE_LONGNAME, size=0).tobuf(tarfile.GNU_FORMAT) * 1000,
        DAMAGED.format("parts that are nested without an end"),
    ),
    "a hard link": (lambda: tar_of((member(type=tarfile.LNKTYPE, linkname="/etc/passwd"), b"")), NOTHING),
    "a device": (lambda: tar_of((member(type=tarfile.CHRTYPE, devmajor=1, devminor=5), b"")), NOTHING),
    "many members": (
        lambda: tar_of(*[(member(f"{i}.txt"), b"") for i in range(41)]),
        ": expected at most 40 faces, found more; FER2013 has 35,887",
    ),
}
BOMBS = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("fault", TARS)
def test_hostile_tar_is_refused(pack, tmp_path, fault):
    make, expected = TARS[fault]
    line = refused(pack.write(tmp_path / "fer2013.tar", make()))
    assert line == expected


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("suffix", BOMBS)
def test_bomb_is_refused_where_it_passes_the_bound(pack, tmp_path, suffix):
    path = pack.write(tmp_path / f"fer2013.tar{suffix}", BOMBS[suffix](bytes(1 << 26)))
    tracemalloc.start()
    assert refused(path) == UNPACKED.format("2,097,152")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def zip_of(members, method=zipfile.ZIP_DEFLATED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def claiming(content, size):
    """A .zip of one member, with another unpacked size in its list (and behind it none)."""
    place = content.index(b"PK\1\2")
    return content[: place + 24] + struct.pack("<I", size) + content[place + 28 :]


def flagged(content):
    place = content.index(b"PK\1\2") + 8
    return content[:place] + b"\1\0" + content[place + 2 :]


def nameless():
    content = zip_of({"x": b""})
    place = content.index(b"PK\1\2") + 28
    return content[:place] + struct.pack("<HH", 0, 1) + content[place + 4 :]


def link():
    info = zipfile.ZipInfo("fer2013.csv")
    info.external_attr = 0o120777 << 16
    return {info: b"/etc/passwd"}


PACKED = ": expected FER2013 in a .zip, found {}; pack it again"
ZIPS = {
    "unpacks to more": (
        lambda: zip_of({"fer2013.csv": bytes(1 << 21)}),
        PACKED.format("2,097,152 bytes when unpacked, where at most 1,048,576 were expected"),
    ),
    "claims more": (
        lambda: claiming(zip_of({"fer2013.csv": b""}), 0xFFFFFFFE),
        PACKED.format("4,294,967,294 bytes when unpacked, where at most 1,048,576 were expected"),
    ),
    "unbounded packing": (
        lambda: zip_of({"fer2013.csv": bytes(99)}, zipfile.ZIP_LZMA),
        PACKED.format("members packed by lzma, where deflated or stored ones were expected"),
    ),
    "a long list": (
        lambda: zip_of({f"{i}.txt": b"" for i in range(100)}),
        DAMAGED.format("a list of members of 5,190 bytes"),
    ),
    "a link": (lambda: zip_of(link()), NOTHING),
    "a password": (lambda: flagged(zip_of({"fer2013.csv": b""})), NOTHING),
    "no name": (nameless, NOTHING),
    "names that break the line": (
        lambda: zip_of({"a\n\x1b[31m": b"", "b" * 300: b""}),
        NOTHING.replace("nothing that can be read", r"a\n\x1b[31m, " + "b" * 120 + "..."),
    ),
}


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("fault", ZIPS)
def test_hostile_zip_is_refused(pack, tmp_path, fault):
    make, expected = ZIPS[fault]
    assert refused(pack.write(tmp_path / "fer2013.zip", make())) == expected


def test_zipped_image_that_unpacks_to_more_than_it_claims_takes_no_memory(faces, pack, tmp_path):
    members = pack.tree(faces.write_folders(tmp_path / "unpacked"))
    first = min(members)
    bomb = {first: bytes(1 << 28)} | {name: content for name, content in members.items() if name != first}
    path = pack.write(tmp_path / "fer2013.zip", claiming(zip_of(bomb), 100))
    tracemalloc.start()
    assert refused(path) == DAMAGED.format(f"Bad CRC-32 for file '{first}'")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_paths_that_leave_the_folder_are_only_read(faces, pack, tmp_path):
    path = pack.write(tmp_path / "in" / "up.zip", zip_of({"../../up/fer2013.csv": faces.csv()}))
    before = sorted(tmp_path.rglob("*"))
    assert len(fer2013.load("train", path)) == 14
    assert sorted(tmp_path.rglob("*")) == before


def png(width, height):
    """A PNG that claims a size and has no pixels."""
    parts = {b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"IDAT": zlib.compress(b""), b"IEND": b""}
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def encoded(image, kind="PNG"):
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


GRAY = Image.new("L", (48, 48))
IMAGES = {
    "gigantic": (
        lambda: png(60_000, 60_000),
        "a 48x48 image, found Image size (3600000000 pixels) exceeds limit of "
        "178956970 pixels, could be decompression bomb DOS attack.",
    ),
    "large": (lambda: png(9000, 9000), "a 48x48 image, found 9000x9000"),
    "zero-sized": (lambda: png(0, 48), "a 48x48 image, found a file that is no image"),
    "CMYK": (
        lambda: encoded(GRAY.convert("CMYK"), "JPEG"),
        "a 48x48 image, found Pillow mode CMYK, which is neither 8-bit gray nor RGB",
    ),
    "16 bits": (
        lambda: encoded(Image.fromarray(np.zeros((48, 48), np.uint16))),
        "a 48x48 image, found Pillow mode I;16, which is neither 8-bit gray nor RGB",
    ),
    "postscript": (lambda: encoded(GRAY, "EPS"), "a 48x48 image, found a file that is no image"),
    "too many bytes": (
        lambda: encoded(GRAY) + bytes(1 << 20),
        f"an image of at most 1 MiB, found {len(encoded(GRAY)) + (1 << 20):,} bytes",
    ),
}


@pytest.mark.parametrize("fault", IMAGES)
def test_hostile_image_is_refused(faces, tmp_path, fault):
    make, expected = IMAGES[fault]
    faces.write_folders(tmp_path)
    first = min((tmp_path / "train").glob("*/*"))
    first.write_bytes(make())
    assert refused(tmp_path) == f"/{first.relative_to(tmp_path)}: expected {expected}; {LONG}"


def test_palette_is_read_by_its_colours_and_an_animation_by_its_first_frame(faces, tmp_path):
    faces.write_folders(tmp_path)
    palette, animated, *_ = sorted((tmp_path / "train").glob("*/*"))
    expected = fer2013.load("train", tmp_path)
    for path, options in ((palette, {}), (animated, {"save_all": True, "append_images": [GRAY]})):
        image = Image.open(path)
        image.load()
        (image.convert("P") if path == palette else image).save(path, **options)
    np.testing.assert_array_equal(fer2013.load("train", tmp_path).images, expected.images)


def test_thousands_of_class_folders_are_refused(faces, pack, tmp_path):
    members = {f"train/{i}/a.png": b"" for i in range(2000)}
    path = pack.write(tmp_path / "fer2013.zip", pack.zipped(members))
    assert refused(path, on_bad_row="skip") == (
        ": : expected train and test with seven class folders each, found 2,000"
    )
