"""Every flag of every script, and how a wrong one ends: in one line on standard error and status 2."""

import sys
from collections.abc import Callable, Sequence

from absl import app, flags, logging
from ml_collections import config_flags

from emogan import config as config_lib


def define_config() -> flags.FlagHolder:
    """Defines --config=PRESET with --config.FIELD=VALUE, and the short names for its data."""
    flags.DEFINE_string("dataset", None, "toyfaces, fer2013 or tfds:NAME; the same as --config.data.name")
    flags.DEFINE_string("data_dir", None, "where the data lie; the same as --config.data.dir")
    flags.DEFINE_enum("on_bad_row", None, ["error", "skip"], "the same as --config.data.on_bad_row")
    _check_fields(sys.argv[1:])
    return config_flags.DEFINE_config_dataclass(
        "config",
        config_lib.quick(),
        "a preset; its fields are overridden by --config.FIELD=VALUE",
        parse_fn=config_lib.preset,
    )


def resolve(holder: flags.FlagHolder) -> config_lib.Config:
    """Returns the configuration that the flags give, checked.

    Raises:
      ValueError: if a value is out of its range.
    """
    config = holder.value
    values = flags.FLAGS
    if values.dataset is not None:
        config.data.name = values.dataset
    if values.data_dir is not None:
        config.data.dir = values.data_dir
    if values.on_bad_row is not None:
        config.data.on_bad_row = values.on_bad_row
    config.check()
    return config


def run(main: Callable[[Sequence[str]], None], arguments: bool = False) -> None:
    """Runs a script's main; what a user got wrong ends in one line and status 2, without a traceback.

    Args:
      main: takes the program's name and its arguments.
      arguments: whether there may be arguments that are no flags.
    """
    app.run(lambda argv: _guarded(main, argv, arguments), flags_parser=_parse)


def fail(message: object) -> None:
    """Ends the program with one line on standard error and status 2."""
    text = " ".join(str(message).split())
    print(f"error: {text}", file=sys.stderr, flush=True)
    sys.exit(2)


def _check_fields(arguments: Sequence[str]) -> None:
    """Ends the program if an argument names a field that no configuration has: ml_collections would trace back."""
    fields = config_lib.flatten(config_lib.Config())
    for argument in arguments:
        name = argument.lstrip("-").split("=", maxsplit=1)[0]
        if name.startswith("config.") and name.removeprefix("config.") not in fields:
            fail(f"--{name}: expected a field out of {', '.join(fields)}")


def _guarded(main: Callable[[Sequence[str]], None], argv: Sequence[str], arguments: bool) -> None:
    if len(argv) > 1 and not arguments:
        fail(f"expected flags only, found {argv[1]!r}; --help lists them")
    try:
        # JAX tells at INFO which accelerators it did not find.
        logging.set_verbosity(logging.WARNING)
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
