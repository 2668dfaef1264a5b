"""Where FER2013 is under a path, and in which form."""

import contextlib
import dataclasses
import difflib
import itertools
import pathlib
from collections.abc import Sequence

from emogan.data.fer2013 import archives, class_folders, collector, csv_file, ferplus
from emogan.util import untrusted

KNOWN = (
    "fer2013.csv, icml_face_data.csv, train.csv, the competition's .zip or fer2013.tar.gz, or folders train/<class>/"
)
_NO_FORM = {
    ".npz": "read it by --dataset=folder",
    ".parquet": "read its folder by --dataset=folder",
    ".npy": "save images and labels together with numpy.savez, and read them by --dataset=folder",
    ".h5": "save images and labels with numpy.savez, and read them by --dataset=folder",
    ".rar": "unpack it first",
    ".7z": "unpack it first",
}
_DATA = (".csv", *archives.SUFFIXES, *_NO_FORM)
_MOST_LOOKED_AT = 1000  # folders, and CSV files whose first row is read
_HEADER = 1 << 16  # bytes
_ARCHIVE_STEMS = ("fer2013", "challenges-in-representation-learning", "archive", "icml_face_data")


@dataclasses.dataclass(frozen=True)
class Source:
    """One form of FER2013: CSV files, an archive or a folder of images.

    `path` is the file, or the folder of the images or of several files; `files` has (relative name, size, mtime in ns)
    of everything that is read, and `others` names forms next to it that are not read. `votes` is the file of FER+ that
    is named or next to it.
    """

    path: pathlib.Path
    files: tuple[tuple[str, int, int], ...]
    csv_files: tuple[pathlib.Path, ...] = ()
    listing: class_folders.Listing | None = None
    others: tuple[str, ...] = ()
    votes: pathlib.Path | None = None

    def names(self) -> list[str]:
        """Returns what it is called, as one of several in a folder."""
        return ["image folders"] if self.listing else [file.name for file in self.csv_files or (self.path,)]

    def read(self, rows: collector.Collector, progress: collector.Progress) -> str:
        """Adds all its faces to `rows` and returns the SHA-256 of the content.

        Raises:
          ValueError: if what it holds is not valid, or cannot be read.
        """
        try:
            if self.listing is not None:
                return class_folders.read_folder(self.listing, rows, progress)
            if self.csv_files:
                return "+".join(_read_csv(file, rows, progress) for file in self.csv_files)
            return archives.read(self.path, rows, progress)
        except OSError as e:
            raise ValueError(f"{self.path}: expected a file that can be read, found {e.strerror or e}") from e


def _read_csv(file: pathlib.Path, rows: collector.Collector, progress: collector.Progress) -> str:
    with open(file, "rb") as f:
        return csv_file.read(csv_file.buffered(f, file.stat().st_size, progress), str(file), file.name, rows)


def find(path: pathlib.Path, votes: pathlib.Path | None = None) -> Source:
    """Returns the form of FER2013 that is at a path: a file, or a folder with one in it or up to two folders below.

    Args:
      path: where to look.
      votes: fer2013new.csv, or its folder; if not given, it is looked for next to what is found, and at `path`.

    Raises:
      FileNotFoundError: if the path does not exist, or is a folder without FER2013.
      ValueError: if it is a file of a kind that FER2013 does not come in, or cannot be looked at.
    """
    try:
        return _with_votes(_find(path), path, votes)
    except FileNotFoundError:
        raise
    except OSError as e:
        raise ValueError(f"{path}: expected a file or folder that can be read, found {e.strerror or e}") from e


def _with_votes(source: Source, path: pathlib.Path, votes: pathlib.Path | None) -> Source:
    if votes is None:
        beside = source.path if source.path.is_dir() else source.path.parent
        found = next((file for folder in (beside, path) if (file := _votes_in(folder))), None)
    else:
        found = votes if votes.is_file() else _votes_in(votes)
        if found is None:
            raise FileNotFoundError(f"{votes}: expected {ferplus.NAME}, found no such file; {ferplus.ORIGIN}")
    if found is None:
        return source
    status = found.stat()
    read = (str(found.resolve()), status.st_size, status.st_mtime_ns)
    return dataclasses.replace(source, files=(*source.files, read), votes=found)


def _votes_in(folder: pathlib.Path) -> pathlib.Path | None:
    if not folder.is_dir():
        return None
    return next((p for p in sorted(folder.iterdir()) if p.name.lower() == ferplus.NAME and p.is_file()), None)


def _find(path: pathlib.Path) -> Source:
    if path.is_file():
        return _of_file(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: expected FER2013 ({KNOWN}), found no such file or folder; check data_dir")
    below = _folders_in([path])
    folders = [path, *below, *_folders_in(below)][:_MOST_LOOKED_AT]
    # What has a usual name comes before any other CSV file with faces, wherever both lie.
    for look in (_in_folder, _any_csv):
        for folder in folders:
            try:
                source = look(folder)
            except PermissionError:
                continue
            if source is not None:
                return source
    names = sorted(p.name for p in path.iterdir())
    shown = ", ".join(map(untrusted.shown, names[:5])) + (", ..." if len(names) > 5 else "")
    found = shown or "an empty folder"
    raise FileNotFoundError(f"{path}: expected FER2013 ({KNOWN}), found {found}; {_advice(path, folders)}")


def _folders_in(folders: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    found = []
    for folder in folders:
        with contextlib.suppress(PermissionError):
            found += sorted(p for p in folder.iterdir() if p.is_dir() and not class_folders.is_hidden(p.name))
        if len(found) > _MOST_LOOKED_AT:
            break
    return found


def _any_csv(folder: pathlib.Path) -> Source | None:
    """Returns the one file in a folder that has another name than fer2013.csv and a first row with emotion and pixels.

    Raises:
      ValueError: if there are several.
    """
    found = []
    files = sorted(p for p in folder.iterdir() if p.is_file() and not class_folders.is_hidden(p.name))
    for file in files[:_MOST_LOOKED_AT]:
        name = file.name.lower()
        if name.endswith((".csv", archives.GZIPPED)) or name == "fer2013":
            with contextlib.suppress(PermissionError):
                if csv_file.holds_faces(archives.first_bytes(file, _HEADER)):
                    found.append(file)
    if len(found) > 1:
        names = ", ".join(untrusted.shown(file.name) for file in found[:5])
        raise ValueError(f"{folder}: expected one file with faces, found {names}; name one: --data_dir={found[0]}")
    return dataclasses.replace(_of_csv(found[0]), others=_beside(folder, found)) if found else None


def _advice(path: pathlib.Path, folders: Sequence[pathlib.Path]) -> str:
    """Returns what to do about a folder without FER2013, by what lies in it."""
    for folder in folders:
        with contextlib.suppress(PermissionError):
            for file in sorted(folder.iterdir()):
                kind = next((suffix for suffix in _NO_FORM if file.name.lower().endswith(suffix)), None)
                if kind and file.is_file():
                    return f"{untrusted.shown(file.name)}: {_NO_FORM[kind]}"
    for folder in folders:
        with contextlib.suppress(PermissionError):
            if any(p.suffix.lower() in class_folders.SUFFIXES for p in folder.iterdir()) and folder != path:
                return "folders of images that are no FER2013 are read by --dataset=folder"
    usual = (*archives.FULL_CSV, *archives.PARTIAL_CSV, "fer2013.zip", "fer2013.tar.gz")
    for file in sorted(p for p in path.iterdir() if p.is_file()):
        if close := difflib.get_close_matches(file.name.lower(), usual, 1, 0.75):
            return f"the nearest is {untrusted.shown(file.name)}, which is not read as {close[0]} is; look into it"
    return "point --data_dir at FER2013"


def _of_file(path: pathlib.Path) -> Source:
    if path.name.lower().endswith(".csv") or path.name.lower() == "fer2013":
        return _of_csv(path)
    if path.name.lower().endswith(archives.SUFFIXES):
        return Source(path, (_status(path, path.parent),))
    expected = f"expected FER2013 as a .csv file, an archive ({', '.join(archives.SUFFIXES)}) or a folder"
    advice = _NO_FORM.get(path.suffix.lower(), "if it is a CSV file, let its name end in .csv")
    raise ValueError(f"{path}: {expected}, found a file of another kind; {advice}")


def _of_csv(path: pathlib.Path) -> Source:
    if path.name.lower().endswith(archives.GZIPPED):
        return Source(path, (_status(path, path.parent),))
    return Source(path, (_status(path, path.parent),), csv_files=(path,))


def _in_folder(folder: pathlib.Path) -> Source | None:
    """Returns the form in a folder itself that is read: a whole CSV, else image folders, an archive, a train.csv."""
    files = {p.name.lower(): p for p in sorted(folder.iterdir()) if p.is_file()}
    found = [_of_file(files[name]) for name in archives.FULL_CSV if name in files]
    if class_folders.holds_images(folder):
        listing = class_folders.list_images(folder)
        empty = tuple((f"{path}/", 0, 0) for path in listing.empty_classes)
        found.append(Source(folder, listing.files + empty, listing=listing))
    for name, file in files.items():
        if name.startswith(_ARCHIVE_STEMS) and name.endswith(archives.SUFFIXES):
            found.append(_of_file(file))
    partial = [files[name] for name in archives.PARTIAL_CSV if name in files]
    if partial:
        path = partial[0] if len(partial) == 1 else folder
        found.append(Source(path, tuple(_status(file, folder) for file in partial), csv_files=tuple(partial)))
    if not found:
        return None
    others = [name for source in found[1:] for name in source.names()]
    read = [*found[0].csv_files, found[0].path, *(source.path for source in found[1:] if not source.listing)]
    others += _beside(folder, [*read, *(file for source in found[1:] for file in source.csv_files)])
    return dataclasses.replace(found[0], others=tuple(others))


def _beside(folder: pathlib.Path, named: Sequence[pathlib.Path]) -> tuple[str, ...]:
    """Returns the names of what else in a folder may hold faces: files of data, and folders of images."""
    names = []
    for entry in sorted(folder.iterdir()):
        if entry in named or class_folders.is_hidden(entry.name) or entry.name.lower() == ferplus.NAME:
            continue
        if entry.is_file() and entry.name.lower().endswith(_DATA):
            names.append(untrusted.shown(entry.name))
        elif entry.is_dir() and entry.name.lower() not in class_folders.FOLDERS and _has_images(entry):
            names.append(f"{untrusted.shown(entry.name)}/")
    return (*names[:5], "...") if len(names) > 5 else tuple(names)


def _has_images(folder: pathlib.Path) -> bool:
    """Returns whether a folder, or one in it, has an image among its first entries."""
    with contextlib.suppress(PermissionError):
        for entry in itertools.islice(folder.iterdir(), 100):
            inside = itertools.islice(entry.iterdir(), 100) if entry.is_dir() else (entry,)
            if any(file.name.lower().endswith(class_folders.SUFFIXES) for file in inside):
                return True
    return False


def _status(file: pathlib.Path, folder: pathlib.Path) -> tuple[str, int, int]:
    status = file.stat()
    return str(file.relative_to(folder)), status.st_size, status.st_mtime_ns
