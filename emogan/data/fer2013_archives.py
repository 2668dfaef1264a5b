"""FER2013 inside a .zip or .tar.gz, read as a stream: nothing is unpacked to where an archive says."""

import bz2
import contextlib
import gzip
import lzma
import pathlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from emogan.data import fer2013_csv, fer2013_folders, fer2013_rows

# In order of preference: those that hold everything, and those that hold Training or no labels.
FULL_CSV = ("fer2013.csv", "icml_face_data.csv")
PARTIAL_CSV = ("train.csv", "test.csv")
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
SUFFIXES = (".zip", *TAR_SUFFIXES)

# NotImplementedError is zipfile's word for a compression that it does not know.
_BROKEN = (
    EOFError,
    NotImplementedError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
)


def read(path: pathlib.Path, rows: fer2013_rows.Collector, progress: fer2013_rows.Progress) -> str:
    """Adds what an archive holds of FER2013 to `rows` and returns the SHA-256 of what was read.

    Raises:
      ValueError: if the archive is cut or holds no FER2013, or what it holds is not valid.
    """
    try:
        if path.name.lower().endswith(".zip"):
            return _read_zip(path, rows, progress)
        with open(path, "rb") as f:
            stream = fer2013_csv.buffered(f, path.stat().st_size, progress)
            return _read_tar(stream, path.name, str(path), rows)
    except _BROKEN as e:
        raise ValueError(f"{path}: expected a whole archive, found it cut or damaged ({e}); fetch it again") from e


def _read_zip(path: pathlib.Path, rows: fer2013_rows.Collector, progress: fer2013_rows.Progress) -> str:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist() if _is_regular(info)}
        by_name: dict[str, zipfile.ZipInfo] = {}
        for name, info in members.items():
            by_name.setdefault(pathlib.PurePosixPath(name).name.lower(), info)

        @contextlib.contextmanager
        def opened(info: zipfile.ZipInfo) -> Iterator[BinaryIO]:
            with archive.open(info) as f:
                yield fer2013_csv.buffered(f, info.file_size, progress)

        for name in FULL_CSV:
            if name in by_name:
                with opened(by_name[name]) as stream:
                    return fer2013_csv.read(stream, _inside(path, by_name[name].filename), by_name[name].filename, rows)
        images = sorted(name for name in members if fer2013_folders.parse_name(name))
        if images:
            return _read_zipped_images(archive, images, _inside(path, ""), rows, progress)
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
                digests.append(fer2013_csv.read(stream, _inside(path, info.filename), info.filename, rows))
        return "+".join(digests)


def _read_zipped_images(archive, images, prefix, rows, progress) -> str:
    fer2013_folders.check_classes(images, prefix, rows)

    def contents():
        for done, name in enumerate(images, start=1):
            yield name, lambda name=name: archive.read(name)
            if done % 256 == 0 or done == len(images):
                progress(done, len(images))

    return fer2013_folders.read_images(contents(), prefix, rows)


def _read_tar(stream: BinaryIO, name: str, where: str, rows: fer2013_rows.Collector) -> str:
    """Reads a tar in one pass: its CSV where it has one, else its images."""
    names: list[str] = []
    images: list[str] = []
    digest = None

    def contents(archive: tarfile.TarFile):
        nonlocal digest
        for member in archive:
            path = pathlib.PurePosixPath(member.name)
            if not member.isreg() or any(fer2013_folders.is_hidden(part) for part in path.parts):
                continue
            names.append(member.name)
            if path.name.lower() in FULL_CSV and digest is None:
                digest = fer2013_csv.read(archive.extractfile(member), _inside(where, member.name), path.name, rows)
            elif digest is None and fer2013_folders.parse_name(str(path)):
                images.append(str(path))
                yield str(path), archive.extractfile(member).read

    with _decompressed(stream, name) as plain:
        with tarfile.open(fileobj=plain, mode="r|") as archive:
            image_digest = fer2013_folders.read_images(contents(archive), _inside(where, ""), rows)
        # A checksum at the end is only compared by who reads that far.
        while plain.read(1 << 20):
            pass
    if images and digest is not None:
        raise ValueError(f"{where}: expected a CSV file or images, found both; unpack it and name the one you want")
    if images:
        fer2013_folders.check_classes(images, _inside(where, ""), rows)
        return image_digest
    if digest is None:
        raise ValueError(_nothing(where, names))
    return digest


def _decompressed(stream: BinaryIO, name: str) -> BinaryIO:
    name = name.lower()
    if name.endswith((".gz", ".tgz")):
        return gzip.GzipFile(fileobj=stream)
    if name.endswith((".xz", ".txz")):
        return lzma.LZMAFile(stream)
    if name.endswith(".bz2"):
        return bz2.BZ2File(stream)
    return stream


def _is_regular(info: zipfile.ZipInfo) -> bool:
    """Returns whether a member is a plain file that can be read without a password."""
    if info.is_dir() or info.flag_bits & 1 or stat.S_ISLNK(info.external_attr >> 16):
        return False
    return not any(fer2013_folders.is_hidden(part) for part in pathlib.PurePosixPath(info.filename).parts)


def _inside(archive: pathlib.Path | str, member: str) -> str:
    return f"{archive}: {member}"


def _nothing(where: str, names: list[str]) -> str:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    expected = f"expected an archive that holds {', '.join(FULL_CSV)} or images train/<class>/*.jpg"
    return f"{where}: {expected}, found {shown or 'nothing that can be read'}"
