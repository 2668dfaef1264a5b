"""How every script runs, and how what a user got wrong ends: in one line on standard error and status 2."""

# isort: off
import sigint  # first: an import may take seconds

# isort: on
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import hints
from absl import app, flags, logging

from emogan.models import onednn
from emogan.util import files, process, untrusted

flags.disclaim_key_flags()  # those that are defined here belong to the script that asks for them


def run(main: Callable[[Sequence[str]], None], arguments: bool = False) -> None:
    """Runs a script's main; what a user got wrong ends in one line and status 2, without a traceback.

    Args:
      main: takes the program's name and its arguments.
      arguments: whether there may be arguments that are no flags.
    """
    sigint.raise_it()
    _name_the_command()
    app.run(lambda argv: _guarded(main, argv, arguments), flags_parser=_parse)


def _name_the_command() -> None:
    """Lets the help of a script that runs as `emogan COMMAND` show the command in its examples."""
    module = sys.modules["__main__"]
    command = getattr(module, "EMOGAN_COMMAND", "")  # of emogan/__main__.py
    if command and module.__doc__:
        own = f"python experiments/{pathlib.Path(str(module.__file__)).name}"
        module.__doc__ = module.__doc__.replace(own, command)


def fail(*messages: object) -> None:
    """Ends the program with one line on standard error for each message, and status 2."""
    for message in messages:
        text = untrusted.escaped(" ".join(str(message).split()))
        print(f"error: {text}", file=sys.stderr, flush=True)
    sys.exit(2)


def define_path(name: str, default: str | None, about: str, **options: Any) -> flags.FlagHolder:
    """Defines a flag that holds a file or folder; every such flag is one of these, or of `define_paths`.

    A leading ~ becomes the user's home, since no shell does that after `--flag=`.
    """
    return flags.DEFINE(_PathParser(), name, default, about, **options)


def define_paths(name: str, default: Sequence[str], about: str) -> flags.FlagHolder:
    """Defines a flag that holds files or folders with commas between; see `define_path`."""
    return flags.DEFINE(_PathsParser(), name, list(default), about, serializer=flags.CsvListSerializer(","))


def expanded(path: str) -> str:
    """Returns a path with the user's home in the place of a leading ~."""
    return os.path.expanduser(path)


def output(path: str | pathlib.Path, beside: str = "") -> pathlib.Path:
    """Returns where --output says that a file is to be written, before the work for it is done.

    Args:
      path: the file; "" is the current folder, as if it were ".".
      beside: the suffix of what is written next to the file, which it must not have itself.

    Raises:
      ValueError: if its folder is not there, it is a folder itself, it is what is written next to it, or
        nothing can be written there.
    """
    place = pathlib.Path(path)
    if beside and place.suffix.lower() == beside:
        raise ValueError(f"--output: expected a suffix other than {beside}, which the card uses, found {place}")
    if not place.parent.is_dir() or place.is_dir():
        raise ValueError(f"--output: expected a file in a folder that exists, found {place}")
    files.check_folder(place.parent)
    return place


def commit() -> str:
    """Returns emogan's commit, with "-dirty" where files differ from it; "unknown" outside a clone."""
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # there is no git
        return "unknown"
    return found.stdout.strip() or "unknown"


class _PathParser(flags.ArgumentParser):
    """Parses a path."""

    def parse(self, argument: str) -> str:
        return expanded(argument)

    def flag_type(self) -> str:
        return "path"


class _PathsParser(flags.ListParser):
    """Parses paths with commas between."""

    def parse(self, argument: str | list[str]) -> list[str]:
        return [expanded(path) for path in super().parse(argument)]


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
    except Exception as error:
        # JAX looks for its devices where the first one is needed. That there is none it says by errors of any kind,
        # which some readers take for a damaged file.
        try:
            process.check_devices()
        except ValueError as lacking:
            fail(lacking)
        if isinstance(error, (ValueError, OSError)):
            fail(error)
        raise


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(["--help" if argument == "-h" else argument for argument in argv])
    except flags.UnrecognizedFlagError as error:
        fail(hints.unknown_flag(error.flagname, argv[1:]))
    except flags.Error as error:
        lacking = re.search(r"Flag (--\w+) must have a value other than None", str(error))
        if lacking:
            fail(f"{lacking[1]}: expected a value, found none; --help lists the flags")
        fail(f"{error}; --help lists the flags")
    # ml_collections answers an unknown preset, and a wrong kind of value, with these.
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        fail(error)
    except SystemExit:  # absl ends --help, which is no error, with status 1
        sys.exit(0)
