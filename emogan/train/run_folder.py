"""What a run's folder says of itself: config.json and data.json."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from emogan import config as config_lib
from emogan.util import untrusted


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """A run's configuration, the names of its classes, how many examples it has, and all of data.json."""

    config: config_lib.Config
    class_names: tuple[str, ...]
    examples: int
    about_data: dict[str, Any]


# What a training writes into its folder; docs/architecture.md.
_OWN = ("config.json", "data.json", "metrics.jsonl", "tensorboard", "checkpoints", "figures", "profile", "pairs")
_LOGS = (".err", ".log", ".out")  # a shell, or a cluster, may write there what a run says


def foreign(workdir: pathlib.Path) -> list[str]:
    """Returns what lies in a folder that is no run's: names, without hidden files, logs, and a run's own files."""
    if not workdir.is_dir() or (workdir / "config.json").exists():
        return []
    names = sorted(path.name for path in workdir.iterdir() if path.suffix not in _LOGS)
    own = (*_OWN, "lost+found")  # what a file system of its own begins with
    # A run that was killed as it wrote its first file has left a part of it.
    return [name for name in names if name[0] != "." and name not in own and not name.endswith(".tmp")]


def read(workdir: pathlib.Path) -> RunFolder:
    """Returns what a run's folder says.

    Raises:
      FileNotFoundError: if the folder is no run's.
      ValueError: if a file in it is broken, or a value out of its range.
    """
    return RunFolder(read_config(workdir), *_read(workdir / "data.json", _data))


def read_config(workdir: pathlib.Path) -> config_lib.Config:
    """Returns the configuration of a run's folder; else as `read`."""
    return _read(workdir / "config.json", _config)


def read_about_data(workdir: pathlib.Path) -> dict[str, Any]:
    """Returns what data.json of a run's folder says; else as `read`."""
    return _read(workdir / "data.json", _data)[2]


def _read(path: pathlib.Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(untrusted.read_text(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(
            f"{path.parent}: expected a run's folder, found no {path.name} in it; "
            "make one with emogan train --workdir=..."
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _config(text: str) -> config_lib.Config:
    config = config_lib.from_json(text)
    config.check()
    return config


def _data(text: str) -> tuple[tuple[str, ...], int, dict[str, Any]]:
    """Returns the names of the classes, the number of examples, and all that the file says."""
    expected = "expected class_names and examples as JSON"
    try:
        about = untrusted.from_json(text)
    except ValueError as error:
        raise ValueError(f"{expected}, found {error}; train the run again") from error
    about = about if isinstance(about, dict) else {}
    names, examples = about.get("class_names"), about.get("examples")
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise ValueError(f"{expected}, found class_names {names!r:.100}; train the run again")
    if type(examples) is not int or not 0 <= examples < 1 << 31:
        raise ValueError(f"{expected}, found examples {examples!r:.100}; train the run again")
    for name in ("name", "split", "fingerprint"):
        if not isinstance(about.get(name), str):
            raise ValueError(f"expected a text {name} in JSON, found {about.get(name)!r:.100}; train the run again")
    return tuple(names), examples, about
