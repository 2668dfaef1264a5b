"""How every script runs, and how what a user got wrong ends: in one line on standard error and status 2."""

import pathlib
import subprocess
import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from emogan import process, untrusted
from emogan.models import onednn


def run(main: Callable[[Sequence[str]], None], arguments: bool = False) -> None:
    """Runs a script's main; what a user got wrong ends in one line and status 2, without a traceback.

    Args:
      main: takes the program's name and its arguments.
      arguments: whether there may be arguments that are no flags.
    """
    app.run(lambda argv: _guarded(main, argv, arguments), flags_parser=_parse)


def fail(message: object) -> None:
    """Ends the program with one line on standard error and status 2."""
    text = untrusted.escaped(" ".join(str(message).split()))
    print(f"error: {text}", file=sys.stderr, flush=True)
    sys.exit(2)


def output(path: str | pathlib.Path, beside: str = "") -> pathlib.Path:
    """Returns where --output says that a file shall be written, before the work for it is done.

    Args:
      path: the file; "" is the current folder, as if it were ".".
      beside: the suffix of what is written beside the file, which it must not have itself.

    Raises:
      ValueError: if its folder is not there, it is a folder itself, or it is what is written beside it.
    """
    place = pathlib.Path(path)
    if beside and place.suffix.lower() == beside:
        raise ValueError(
            f"--output: expected another ending than {beside}, which the card beside it has, found {place}"
        )
    if not place.parent.is_dir() or place.is_dir():
        raise ValueError(f"--output: expected a file in a folder that exists, found {place}")
    return place


def commit() -> str:
    """Returns emogan's commit, with "-dirty" where files differ from it; "unknown" outside a clone."""
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # there is no git
        return "unknown"
    return found.stdout.strip() or "unknown"


def _guarded(main: Callable[[Sequence[str]], None], argv: Sequence[str], arguments: bool) -> None:
    if len(argv) > 1 and not arguments:
        fail(f"expected flags only, found {argv[1]!r}; --help lists them")
    try:
        # JAX tells at INFO which accelerators it did not find.
        logging.set_verbosity(logging.WARNING)
        process.keep_memory()
        process.keep_compiled()
        onednn.announce(lambda message: print(message, file=sys.stderr, flush=True))
        main(argv)
    except (ValueError, OSError) as error:
        fail(error)


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        fail(f"{error}; --help lists the flags")
    # ml_collections answers an unknown preset, and a wrong kind of value, with these.
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        fail(error)
