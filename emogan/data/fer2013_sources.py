"""Where under a path FER2013 lies, and in which form."""

import dataclasses
import pathlib

from emogan.data import fer2013_archives, fer2013_csv, fer2013_folders, fer2013_rows, ferplus

KNOWN = (
    "fer2013.csv, icml_face_data.csv, train.csv, the competition's .zip or fer2013.tar.gz, or folders train/<class>/"
)
_ARCHIVE_STEMS = ("fer2013", "challenges-in-representation-learning", "archive", "icml_face_data")


@dataclasses.dataclass(frozen=True)
class Source:
    """One form of FER2013: CSV files, an archive or a folder of images.

    `path` is the file, or the folder of the images or of several files; `files` has (relative name, size,
    mtime in ns) of everything that is read, and `others` names forms that lie beside it and are not. `votes` is the
    file of FER+ that is named or lies beside it.
    """

    path: pathlib.Path
    files: tuple[tuple[str, int, int], ...]
    csv_files: tuple[pathlib.Path, ...] = ()
    listing: fer2013_folders.Listing | None = None
    others: tuple[str, ...] = ()
    votes: pathlib.Path | None = None

    def names(self) -> list[str]:
        """Returns what it is called, as one of several in a folder."""
        return ["image folders"] if self.listing else [file.name for file in self.csv_files or (self.path,)]

    def read(self, rows: fer2013_rows.Collector, progress: fer2013_rows.Progress) -> str:
        """Adds all its faces to `rows` and returns the SHA-256 of the content.

        Raises:
          ValueError: if what it holds is not valid, or cannot be read.
        """
        try:
            if self.listing is not None:
                return fer2013_folders.read_folder(self.listing, rows, progress)
            if self.csv_files:
                return "+".join(_read_csv(file, rows, progress) for file in self.csv_files)
            return fer2013_archives.read(self.path, rows, progress)
        except OSError as e:
            raise ValueError(f"{self.path}: expected a file that can be read, found {e.strerror or e}") from e


def _read_csv(file: pathlib.Path, rows: fer2013_rows.Collector, progress: fer2013_rows.Progress) -> str:
    with open(file, "rb") as f:
        return fer2013_csv.read(fer2013_csv.buffered(f, file.stat().st_size, progress), str(file), file.name, rows)


def find(path: pathlib.Path, votes: pathlib.Path | None = None) -> Source:
    """Returns the form of FER2013 that is at a path: a file, or a folder with one in it or one folder below.

    Args:
      path: where to look.
      votes: fer2013new.csv, or its folder; if not given, it is looked for beside what is found, and at `path`.

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
    below = sorted(p for p in path.iterdir() if p.is_dir() and not fer2013_folders.is_hidden(p.name))
    for folder in (path, *below):
        try:
            source = _in_folder(folder)
        except PermissionError:
            continue
        if source is not None:
            return source
    names = sorted(p.name for p in path.iterdir())
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    raise FileNotFoundError(
        f"{path}: expected FER2013 ({KNOWN}), found {shown or 'an empty folder'}; point data_dir at FER2013"
    )


def _of_file(path: pathlib.Path) -> Source:
    if path.name.lower().endswith(".csv"):
        return Source(path, (_status(path, path.parent),), csv_files=(path,))
    if path.name.lower().endswith(fer2013_archives.SUFFIXES):
        return Source(path, (_status(path, path.parent),))
    expected = f"expected FER2013 as a .csv file, an archive ({', '.join(fer2013_archives.SUFFIXES)}) or a folder"
    raise ValueError(f"{path}: {expected}, found a file of another kind")


def _in_folder(folder: pathlib.Path) -> Source | None:
    """Returns the form in a folder itself that is read: a whole CSV, else image folders, an archive, a train.csv."""
    files = {p.name.lower(): p for p in sorted(folder.iterdir()) if p.is_file()}
    found = [_of_file(files[name]) for name in fer2013_archives.FULL_CSV if name in files]
    if fer2013_folders.holds_images(folder):
        listing = fer2013_folders.list_images(folder)
        empty = tuple((f"{path}/", 0, 0) for path in listing.empty_classes)
        found.append(Source(folder, listing.files + empty, listing=listing))
    for name, file in files.items():
        if name.startswith(_ARCHIVE_STEMS) and name.endswith(fer2013_archives.SUFFIXES):
            found.append(_of_file(file))
    partial = [files[name] for name in fer2013_archives.PARTIAL_CSV if name in files]
    if partial:
        path = partial[0] if len(partial) == 1 else folder
        found.append(Source(path, tuple(_status(file, folder) for file in partial), csv_files=tuple(partial)))
    if not found:
        return None
    others = tuple(name for source in found[1:] for name in source.names())
    return dataclasses.replace(found[0], others=others)


def _status(file: pathlib.Path, folder: pathlib.Path) -> tuple[str, int, int]:
    status = file.stat()
    return str(file.relative_to(folder)), status.st_size, status.st_mtime_ns
