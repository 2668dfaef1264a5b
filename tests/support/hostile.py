"""Files that are made to break a reader: valid ones with damage and lies in their headers, and random bytes."""

import bz2
import functools
import gzip
import io
import lzma
import pathlib
import random as random_lib
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import PIL.Image
from support import mutations

from emogan import emotions

Random = random_lib.Random

_SIZE = 48
_USAGES = ("Training", "PublicTest", "PrivateTest")
_CSV_NAMES = ("fer2013.csv", "icml_face_data.csv", "train.csv", "test.csv")
_VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
_PACK = {
    ".tar": bytes,
    ".tar.gz": lambda content: gzip.compress(content, 1),
    ".tgz": lambda content: gzip.compress(content, 1),
    ".tar.xz": lambda content: lzma.compress(content, preset=0),
    ".tar.bz2": lambda content: bz2.compress(content, 1),
}
_TAR_FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
_TAR_TYPES = b"0123456789ABCDKLMNSVXgx\0\xff"
_TAR_FIELDS = {"name": (0, 100), "size": (124, 12), "type": (156, 1), "link": (157, 100), "prefix": (345, 155)}
_PAX = (
    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    {"GNU.sparse.map": "0,1,5,7"},
    *({"size": size} for size in ("-1", "99999999999", "x")),
    {"path": "../" * 50 + "fer2013.csv"},
    {"comment": "x" * 9000},
)
_BOMB = 20 * (1 << 26)  # bytes when unpacked
_PATHS = ("../../fer2013.csv", "/fer2013.csv", "a/" * 300 + "fer2013.csv", "train/sad/\n.png", "train/" + "x" * 300)
_IMAGES = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP", "EPS", "ICO")
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr")
_SHAPES = ((48, 48), (48, 48), (1, 1), (1, 400), (64, 64), (7, 3))
_DTYPES = ("|u1", "|u1", "<f8", "|O", "|V0", "<U99999999", ">i2", "|b1", [("a", "<i4")], "junk", "<M8[s]", 7)
_LENGTHS = (0, 1, 2, 48, 48, -1, 1 << 31, 1 << 62, 1 << 64, 10**30)


@functools.cache
def faces() -> np.ndarray:
    """Returns nine faces of noise, uint8 [9, 48, 48]."""
    return np.random.default_rng(0).integers(0, 256, (9, _SIZE, _SIZE), np.uint8)


def csv(random: Random) -> bytes:
    """Returns a FER2013 as CSV: columns in any order, repeated or far too many, fields and bytes that are damaged."""
    columns = ["emotion", "pixels", "Usage"]
    random.shuffle(columns)
    if random.random() < 0.2:
        columns.insert(random.randint(0, 3), random.choice((*columns, "", "x")))
    table = [list(columns)]
    for index, face in enumerate(_texts()):
        fields = {"emotion": str(index % 7), "pixels": face, "Usage": _USAGES[index % 3]}
        table.append([fields.get(column, "") for column in columns])
    for _ in range(random.randint(0, 2)):
        row = random.choice(table)
        row[random.randrange(len(row))] = random.choice(mutations.TOKENS)
    if random.random() < 0.1:
        for row in random.sample(table, 2):
            row.extend(["x"] * random.choice((1, 1000, 100_000)))
    if random.random() < 0.2:
        table.insert(random.randint(0, len(table)), random.choice(table))
    text = random.choice(("\n", "\n", "\r\n", "\r")).join(",".join(row) for row in table)
    encoding = random.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"))
    return _damaged_or_not(text.encode(encoding, errors="surrogatepass"), random)


def votes(random: Random) -> bytes:
    """Returns a fer2013new.csv, often with a damaged row or header."""
    table = [["Usage", "Image name", *_VOTES]]
    table += [[_USAGES[index % 3], f"fer{index:07d}.png", *"0123001000"] for index in range(9)]
    if random.random() < 0.5:
        row = random.choice(table)
        row[random.randrange(len(row))] = random.choice(mutations.TOKENS)
    text = "\n".join(",".join(row) for row in table)
    return _damaged_or_not(text.encode(errors="surrogatepass"), random)


def archive(random: Random) -> tuple[str, bytes]:
    """Returns the name and the bytes of a .zip or tar: members outside, links, lies about sizes, and bombs."""
    if random.random() > 0.99:
        return "fer2013.tar.gz", _bomb()
    members = {}
    inside = random.choice(("csv", "csv", "images", "both", "neither"))
    if inside in ("csv", "both"):
        members[random.choice(_CSV_NAMES)] = _whole_csv() if random.random() < 0.6 else csv(random)
    if inside in ("images", "both"):
        members |= {str(path): content for path, content in _tree().items()}
        if random.random() < 0.4:
            name = random.choice(sorted(members))
            members[name] = image(random)
    for _ in range(random.randint(0, 2)):
        members[random.choice((*_PATHS, *mutations.TOKENS[:-7]))] = random.randbytes(random.randint(0, 20))
    suffix = random.choice((".zip", ".zip", ".zip", *_PACK))
    if suffix == ".zip" and random.random() < 0.2:
        members = {"fer2013.tar.gz": _PACK[".tar.gz"](_tar(members, random))}
    content = _zip(members, random) if suffix == ".zip" else _PACK[suffix](_tar(members, random))
    return f"fer2013{suffix}", _damaged_or_not(content, random)


def write_folder(random: Random, folder: pathlib.Path) -> None:
    """Writes a FER2013 of images into a folder, with some of them damaged, missing, linked or under odd names."""
    for path, content in _tree().items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        fate = random.choice(("whole",) * 30 + ("damaged", "image", "absent", "link", "renamed", "folder"))
        if fate == "link":
            place.symlink_to(random.choice((place, pathlib.Path("/dev/zero"), folder, pathlib.Path("/nowhere"))))
        elif fate == "folder":
            place.mkdir()
        elif fate != "absent":
            if fate == "damaged":
                content = mutations.damaged(content, random)
            elif fate == "image":
                content = image(random)
            name = random.choice(("\n.png", "\x1b.png", ".png", "Training_.jpg", "é" * 90 + ".png"))
            (place.with_name(name) if fate == "renamed" else place).write_bytes(content)
    if random.random() < 0.3:
        odd = folder / random.choice(("train", "Train", "TEST")) / random.choice(("joy", "Fear", "\n", "x" * 200))
        odd.mkdir(parents=True, exist_ok=True)
        (odd / "a.png").write_bytes(image(random))


def image(random: Random) -> bytes:
    """Returns an image of any kind that Pillow writes, animated or not, with damage or with a lie about its size."""
    if random.random() > 0.99:
        return _large()
    kind, mode = random.choice(_IMAGES), random.choice(_MODES)
    picture = PIL.Image.fromarray(faces()[0]).resize(random.choice(_SHAPES))
    more = {"append_images": [picture.rotate(90)] * 2} if kind in ("GIF", "PNG", "TIFF", "WEBP") else {}
    options = {"save_all": True, **more} if more and random.random() < 0.3 else {}
    buffer = io.BytesIO()
    try:
        if mode == "I;16":
            picture = PIL.Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
        else:
            picture = picture.convert(mode)
        picture.save(buffer, kind, **options)
    except (OSError, ValueError, KeyError):  # not every kind has every mode
        return _damaged_or_not(_png(), random)
    content = buffer.getvalue()
    if kind == "PNG" and random.random() < 0.3:
        return _png_header(content, random)
    return _damaged_or_not(content, random)


def array(random: Random) -> bytes:
    """Returns a .npy file, whose header often claims another shape or type than what follows."""
    if random.random() < 0.3:
        buffer = io.BytesIO()
        np.save(buffer, random.choice((faces(), faces()[:, :40], faces()[:0], faces() / 255.0, faces()[0])))
        return _damaged_or_not(buffer.getvalue(), random)
    dtype = random.choice(_DTYPES)
    shape = tuple(random.choice(_LENGTHS) for _ in range(random.choice((0, 1, 2, 3, 3, 3, 40))))
    header = repr({"descr": dtype, "fortran_order": random.random() < 0.2, "shape": shape})
    header = random.choice((header, header, header, header[1:], "(" * 5000, "0" * 70_000, "[" * 9000 + "]" * 9000))
    version = random.choice((1, 1, 1, 2, 3, 9))
    length = random.choice((len(header) + 1,) * 5 + (0, (1 << 16) - 1, (1 << 32) - 1))
    packed = struct.pack("<H", length & 0xFFFF) if version == 1 else struct.pack("<I", length)
    content = b"\x93NUMPY" + bytes([version, 0]) + packed + header.encode() + b"\n" + faces().tobytes()
    return _damaged_or_not(content, random)


def parquet(random: Random) -> bytes:
    """Returns a data set as a parquet file, whose columns, cells, metadata and bytes may be anything."""
    import pyarrow
    from pyarrow import parquet as parquet_lib

    cells = {
        "file": lambda: {"bytes": _png(), "path": "a.png"},
        "bytes": _png,
        "rows": lambda: faces()[0].tolist(),
        "flat": lambda: faces()[0].ravel().tolist(),
        "odd": lambda: random.choice(([], [[1], [2, 3]], [[300] * 3] * 3, [[[1, 2]]], [-1])),
        "text": lambda: random.choice(mutations.TOKENS[:-7]),
    }
    make = cells[random.choice(("file", "file", "bytes", "rows", "flat", "odd", "text"))]
    labels = random.choice((list(range(9)), [0, 1, 2] * 3, ["happy", "sad", None] * 3, [0.5, 1.0, float("nan")] * 3))
    damage = mutations.damaged(_png(), random) if random.random() < 0.2 else None
    images = [{"bytes": damage, "path": None} if damage and i == 4 else make() for i in range(9)]
    names = random.choice((["image", "label"],) * 6 + (["x", "y"], ["label", "image"], ["a", "b"], ["image", ""]))
    features = {
        names[1]: {"_type": "ClassLabel", "names": random.choice((["a", "b"], list("abcdefghi"), 7, [1, None]))}
    }
    about = mutations.damaged_json({"info": {"features": features}}, random)
    try:
        table = pyarrow.table(dict(zip(names, (images, labels), strict=True)))
        if random.random() < 0.5:
            table = table.replace_schema_metadata({"huggingface": about})
        buffer = io.BytesIO()
        parquet_lib.write_table(table, buffer, compression=random.choice(("none", "snappy", "gzip", "zstd")))
    except (pyarrow.ArrowException, TypeError):  # a column of several kinds
        return random.randbytes(random.randint(0, 200))
    return _damaged_or_not(buffer.getvalue(), random)


def arrays(random: Random) -> bytes:
    """Returns a .npz of images and labels of any shapes, types and names, often damaged."""
    images = random.choice((faces(), faces(), faces()[..., None], faces()[0], faces() / 255.0, faces()[:0]))
    labels = random.choice((np.arange(9), np.arange(9)[:, None], np.arange(3), np.array(list("abcdefghi")), np.ones(9)))
    first, second = random.choice((("images", "labels"),) * 4 + (("X", "y"), ("x_train", "y_train"), ("a", "b")))
    buffer = io.BytesIO()
    if random.random() < 0.1:
        first += random.choice(mutations.TOKENS[:-7]).replace("\0", "").encode(errors="replace").decode()
    np.savez_compressed(buffer, **{first: images, second: labels})
    return _damaged_or_not(buffer.getvalue(), random)


def write_class_folders(random: Random, folder: pathlib.Path) -> None:
    """Writes pictures in folders of classes, with some of them damaged, and odd names of splits and classes."""
    splits = random.choice((("",), ("train", "val"), ("train", "test"), ("Validation",), ("train", "x" * 200)))
    for split in splits:
        for name in random.sample(("happy", "sad", "0", "1", ".hidden", "\n", "é" * 90, "a b"), 3):
            place = folder / split / name
            place.mkdir(parents=True, exist_ok=True)
            for i in range(random.randint(0, 3)):
                content = _png() if random.random() < 0.8 else image(random)
                (place / f"{i}.{random.choice(('png', 'jpg', 'PNG', 'txt'))}").write_bytes(content)


def _damaged_or_not(content: bytes, random: Random) -> bytes:
    chance = random.random()
    if chance < 0.05:
        return random.randbytes(random.randint(0, 200))
    return mutations.damaged(content, random) if chance < 0.5 else content


@functools.cache
def _texts() -> list[str]:
    return [" ".join(map(str, face.ravel())) for face in faces()]


@functools.cache
def _whole_csv() -> bytes:
    rows = [f"{index % 7},{text},{_USAGES[index % 3]}" for index, text in enumerate(_texts())]
    return "\n".join(["emotion,pixels,Usage", *rows]).encode()


@functools.cache
def _png() -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(faces()[0]).save(buffer, "PNG")
    return buffer.getvalue()


@functools.cache
def _large() -> bytes:
    """Returns a small file of many pixels, which are still within the bound."""
    buffer = io.BytesIO()
    PIL.Image.new("RGBA", (5000, 5000)).save(buffer, "PNG")
    return buffer.getvalue()


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(bytes(1 << 26)) * (_BOMB >> 26)


@functools.cache
def _tree() -> dict[pathlib.PurePosixPath, bytes]:
    """Returns a png for each emotion in train and in test, by its path."""
    names = {"train": "Training_0.png", "test": "PublicTest_0.png"}
    folders = [pathlib.PurePosixPath(split, emotion) for split in names for emotion in emotions.EMOTIONS]
    return {folder / names[folder.parts[0]]: _png() for folder in folders}


def _png_header(content: bytes, random: Random) -> bytes:
    """Returns a PNG whose first chunk lies about size, depth or colour under a checksum that is right."""
    width, height, depth, colour = (
        random.choice(values)
        for values in ((0, 48, 30_000, 1 << 31), (0, 48, 30_000, (1 << 32) - 1), (1, 8, 16, 99), (0, 2, 3, 6, 9))
    )
    chunk = b"IHDR" + struct.pack(">IIBB", width, height, depth, colour) + content[26:29]
    return content[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:]


def _zip(members: dict[str, bytes], random: Random) -> bytes:
    buffer = io.BytesIO()
    method = random.choice((zipfile.ZIP_DEFLATED,) * 4 + (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(buffer, "w", method) as zipped:
        for name, content in members.items():
            info = zipfile.ZipInfo(name.encode(errors="replace").decode())
            info.external_attr = random.choice((0o100644,) * 9 + (0o120777,)) << 16  # at times a link
            zipped.writestr(info, content, method)
    content = bytearray(buffer.getvalue())
    places = [place for place in range(len(content)) if content.startswith(b"PK\1\2", place)] if members else []
    if places and random.random() < 0.4:
        # Of the list at the end: flags, method, packed and unpacked size, lengths, attributes and offset.
        place = random.choice(places) + random.choice((8, 10, 20, 24, 28, 30, 38, 42))
        content[place : place + 4] = struct.pack("<I", random.choice((0, 1, 99, 1 << 20, 1 << 31, (1 << 32) - 1)))
    return bytes(content)


def _tar(members: dict[str, bytes], random: Random) -> bytes:
    buffer = io.BytesIO()
    form = random.choice(_TAR_FORMATS)
    options = {"pax_headers": random.choice(_PAX)} if random.random() < 0.1 else {}
    with tarfile.open(fileobj=buffer, mode="w", format=form, **options) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name.encode(errors="replace").decode().replace("\0", ""))
            info.size = len(content)
            if random.random() < 0.1:
                info.pax_headers = random.choice(_PAX)
            try:
                tar.addfile(info, io.BytesIO(content))
            except ValueError:  # a name that is too long for the form
                continue
    content = bytearray(buffer.getvalue())
    headers = [place for place in range(0, len(content), 512) if content[place + 257 : place + 262] == b"ustar"]
    if headers and random.random() < 0.5:
        _lie(content, random.choice(headers), random)
    return bytes(content)


def _lie(content: bytearray, place: int, random: Random) -> None:
    """Changes a field of the tar header at a place, and makes its checksum right again."""
    start, length = _TAR_FIELDS[random.choice(sorted(_TAR_FIELDS))]
    size = random.choice((b"77777777777\0", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"00000000001\0", b"-1\0"))
    kind = bytes([random.choice(_TAR_TYPES)])
    value = {12: size, 1: kind}.get(length, mutations.token(random))
    content[place + start : place + start + length] = value[:length].ljust(length, b"\0")
    content[place + 148 : place + 156] = b" " * 8
    content[place + 148 : place + 156] = b"%06o\0 " % sum(content[place : place + 512])
