"""FER2013 inside a .zip or .tar.gz, read as a stream: nothing is unpacked to where an archive says."""

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import pathlib
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from emogan.data.fer2013 import class_folders, collector, csv_file, ferplus
from emogan.util import untrusted

# In order of preference: those that hold everything, and those that hold Training or no labels.
FULL_CSV = ("fer2013.csv", "icml_face_data.csv")
PARTIAL_CSV = ("train.csv", "val.csv", "valid.csv", "validation.csv", "test.csv")
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
GZIPPED = ".csv.gz"
SUFFIXES = (".zip", *TAR_SUFFIXES, GZIPPED)

_DATA = (*class_folders.SUFFIXES, ".csv", ".npz", ".npy", ".parquet")  # what else may hold faces

_UNPACK = (
    ((".gz", ".tgz"), lambda stream: gzip.GzipFile(fileobj=stream)),
    ((".xz", ".txz"), lzma.LZMAFile),
    ((".bz2",), bz2.BZ2File),
)

# Three times the largest form. Packed data unpack to a thousand times their size, packed twice to a million times.
_MOST_UNPACKED = 1 << 30
_LONGEST_HEADER = 1 << 13  # bytes of what tar knows of a member beyond a name of 100 characters
_LONGEST_LIST = 1 << 25  # bytes in which a .zip lists its members
_MOST_NAMED = 5  # members in a message

# What the standard library raises over damage; RuntimeError holds its words for passwords, unknown kinds and recursion.
_BROKEN = (
    EOFError,
    RuntimeError,
    OverflowError,
    MemoryError,
    UnicodeDecodeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
)


def read(path: pathlib.Path, rows: collector.Collector, progress: collector.Progress) -> str:
    """Adds what an archive holds of FER2013 to `rows` and returns the SHA-256 of what was read.

    Raises:
      ValueError: if the archive is cut, holds no FER2013 or too much, or what it holds is not valid.
    """
    try:
        if path.name.lower().endswith(".zip"):
            return _read_zip(path, rows, progress)
        with open(path, "rb") as f:
            stream = csv_file.buffered(f, path.stat().st_size, progress)
            if path.name.lower().endswith(GZIPPED):
                return _read_gzipped(stream, path, rows)
            return _read_tar(stream, path.name, str(path), rows)
    except _BROKEN as e:
        why = untrusted.reason(e)
        raise ValueError(f"{path}: expected a whole archive, found it cut or damaged ({why}); fetch it again") from e


def _read_gzipped(stream: BinaryIO, path: pathlib.Path, rows: collector.Collector) -> str:
    with _decompressed(stream, path.name, str(path)) as plain:
        return csv_file.read(plain, str(path), path.name, rows)


def first_bytes(path: pathlib.Path, most: int) -> bytes:
    """Returns the beginning of what a .csv or .csv.gz file holds; nothing where it cannot be unpacked."""
    try:
        with open(path, "rb") as f:
            if not path.name.lower().endswith(GZIPPED):
                return f.read(most)
            with gzip.GzipFile(fileobj=f) as unpacked:
                return unpacked.read(most)
    except (*_BROKEN, OSError):
        return b""


def _read_zip(path: pathlib.Path, rows: collector.Collector, progress: collector.Progress) -> str:
    with _ShortReads(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist() if _is_regular(info)}
        by_name: dict[str, zipfile.ZipInfo] = {}
        for name, info in members.items():
            by_name.setdefault(pathlib.PurePosixPath(name).name.lower(), info)

        @contextlib.contextmanager
        def opened(info: zipfile.ZipInfo) -> Iterator[BinaryIO]:
            _check_members(path, [info])
            with archive.open(info) as f:
                yield csv_file.buffered(f, info.file_size, progress)

        if ferplus.NAME in by_name:
            info = by_name[ferplus.NAME]
            with opened(info) as stream:
                _keep_votes(stream, _inside(path, info.filename), rows)
        for name in FULL_CSV:
            if name in by_name:
                with opened(by_name[name]) as stream:
                    return csv_file.read(stream, _inside(path, by_name[name].filename), by_name[name].filename, rows)
        images = _of_one_folder((name for name in sorted(members) if class_folders.parse_name(name)), str(path), rows)
        if images:
            _name_others(members, images, str(path), rows)
            _check_members(path, [members[name] for name in images])
            return _read_zipped_images(archive, images, str(path), rows, progress)
        for name, info in by_name.items():
            if name.endswith(TAR_SUFFIXES):
                with opened(info) as stream:
                    return _read_tar(stream, name, _inside(path, info.filename), rows)
        found = [by_name[name] for name in PARTIAL_CSV if name in by_name]
        if not found:
            raise ValueError(_nothing(str(path), list(members)))
        digests = []
        for info in found:
            with opened(info) as stream:
                digests.append(csv_file.read(stream, _inside(path, info.filename), info.filename, rows))
        return "+".join(digests)


def _of_one_folder(images: Iterable[str], where: str, rows: collector.Collector) -> list[str]:
    """Returns the images whose train/ and test/ lie highest: an archive from Kaggle holds all of its own twice."""
    by_root: dict[str, list[str]] = {}
    for name in images:
        by_root.setdefault("/".join(name.split("/")[:-3]), []).append(name)
    roots = sorted(by_root, key=lambda root: (root.count("/") + bool(root), root))
    for root in roots[1:]:
        rows.remark(f"{where}: {len(by_root[root]):,} images in {untrusted.shown(root)} are not read")
    return by_root[roots[0]] if roots else []


def _name_others(members: Iterable[str], images: list[str], where: str, rows: collector.Collector) -> None:
    read = set(images)
    others = [
        name
        for name in members
        if name not in read and name.lower().endswith(_DATA) and not class_folders.parse_name(name)
        if pathlib.PurePosixPath(name).name.lower() != ferplus.NAME
    ]
    if others:
        shown = ", ".join(untrusted.shown(name) for name in others[:_MOST_NAMED])
        more = ", ..." if len(others) > _MOST_NAMED else ""
        rows.remark(f"{where}: {len(others):,} other members are not read: {shown}{more}")


def _read_zipped_images(archive, images, where, rows, progress) -> str:
    prefix = _inside(where, "")
    class_folders.check_classes(images, prefix, rows)

    def content(info: zipfile.ZipInfo) -> bytes:
        with archive.open(info) as f:
            return f.read(info.file_size)  # without a number zipfile unpacks it all before it compares with its size

    def contents():
        for done, name in enumerate(images, start=1):
            rows.count(where)
            info = archive.getinfo(name)
            yield name, info.file_size, functools.partial(content, info)
            if done % 256 == 0 or done == len(images):
                progress(done, len(images))

    return class_folders.read_images(contents(), prefix, rows)


def _read_tar(stream: BinaryIO, name: str, where: str, rows: collector.Collector) -> str:
    """Reads a tar in one pass: its CSV where it has one, else its images."""
    names: list[str] = []
    images: list[str] = []
    digest = None

    def contents(archive: tarfile.TarFile):
        nonlocal digest
        for member in archive:
            rows.count(where)
            # tarfile would keep every member, and with each a copy of what the headers for all of them say.
            archive.members.clear()
            archive.pax_headers.clear()
            # To skip what is not there, tarfile would take as many steps as its size has blocks.
            _check_unpacked(_inside(where, member.name), member.size)
            path = pathlib.PurePosixPath(member.name)
            if not member.isreg() or any(class_folders.is_hidden(part) for part in path.parts):
                continue
            if len(names) <= _MOST_NAMED:
                names.append(member.name)
            if path.name.lower() == ferplus.NAME:
                _keep_votes(archive.extractfile(member), _inside(where, member.name), rows)
            elif path.name.lower() in FULL_CSV and digest is None:
                digest = csv_file.read(archive.extractfile(member), _inside(where, member.name), path.name, rows)
            elif digest is None and class_folders.parse_name(str(path)):
                images.append(str(path))
                yield str(path), member.size, archive.extractfile(member).read

    with _decompressed(stream, name, where) as plain:
        with tarfile.open(fileobj=plain, mode="r|", tarinfo=_Member) as archive:
            image_digest = class_folders.read_images(contents(archive), _inside(where, ""), rows)
        # A checksum at the end is only compared by who reads that far.
        while plain.read(1 << 20):
            pass
    if images and digest is not None:
        raise ValueError(f"{where}: expected a CSV file or images, found both; unpack it and name the one you want")
    if images:
        class_folders.check_classes(images, _inside(where, ""), rows)
        return image_digest
    if digest is None:
        raise ValueError(_nothing(where, names))
    return digest


def _keep_votes(stream: BinaryIO, where: str, rows: collector.Collector) -> None:
    # One byte more than is read shows that there is more.
    rows.ferplus = stream.read(untrusted.MOST_TEXT + 1), where


class _ShortReads(io.BufferedReader):
    """A file that gives at most `_LONGEST_LIST` bytes at once: zipfile reads the list of its members as a whole."""

    def read(self, size: int = -1) -> bytes:
        if size > _LONGEST_LIST:
            raise zipfile.BadZipFile(f"a list of members of {size:,} bytes")
        return super().read(size)


class _Member(tarfile.TarInfo):
    """A member whose headers are short, and which does not claim to be a large file with holes."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        member = super().frombuf(buf, encoding, errors)
        is_header = member.type in (*tarfile.GNU_TYPES, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if is_header and not 0 <= member.size <= _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member

    def _refuse_holes(self, *_):
        raise tarfile.ReadError("a file with holes")

    # tarfile offers no other way to leave them out, and reads their maps, of any length, into memory.
    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_holes


@contextlib.contextmanager
def _decompressed(stream: BinaryIO, name: str, where: str) -> Iterator[BinaryIO]:
    """Gives what a tar unpacks to, as a stream that raises ValueError beyond `_MOST_UNPACKED`."""
    name = name.lower()
    unpack = next((unpack for suffixes, unpack in _UNPACK if name.endswith(suffixes)), contextlib.nullcontext)
    with unpack(stream) as unpacked:
        yield csv_file.buffered(unpacked, _MOST_UNPACKED, lambda done, _: _check_unpacked(where, done))


def _check_members(path: pathlib.Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    try:
        untrusted.check_members(infos, _MOST_UNPACKED)
    except ValueError as e:
        raise ValueError(f"{path}: expected FER2013 in a .zip, found {e}; pack it again") from e


def _check_unpacked(where: str, size: int) -> None:
    if not 0 <= size <= _MOST_UNPACKED:
        expected = f"expected at most {_MOST_UNPACKED:,} bytes when unpacked"
        raise ValueError(f"{where}: {expected}, found {size:,}; FER2013 has a third of that")


def _is_regular(info: zipfile.ZipInfo) -> bool:
    """Returns whether a member is a plain file that can be read without a password."""
    if not info.filename or info.is_dir() or info.flag_bits & 1 or stat.S_ISLNK(info.external_attr >> 16):
        return False
    return not any(class_folders.is_hidden(part) for part in pathlib.PurePosixPath(info.filename).parts)


def _inside(archive: pathlib.Path | str, member: str) -> str:
    return f"{archive}: {untrusted.shown(member)}"


def _nothing(where: str, names: list[str]) -> str:
    shown = ", ".join(map(untrusted.shown, names[:_MOST_NAMED])) + (", ..." if len(names) > _MOST_NAMED else "")
    expected = f"expected an archive that holds {', '.join(FULL_CSV)} or images train/<class>/*.jpg"
    return f"{where}: {expected}, found {shown or 'nothing that can be read'}"
