"""The flags that scripts share; every script runs through `run` and ends what a user got wrong by `fail`."""

import sys
from collections.abc import Sequence

import hints
import script
from absl import flags
from ml_collections import config_flags

from emogan import config as config_lib
from emogan import presets

run, fail = script.run, script.fail


def define_config() -> flags.FlagHolder:
    """Defines --config=PRESET with --config.FIELD=VALUE, and the short names for its data."""
    flags.DEFINE_string("dataset", None, "toyfaces, fer2013, folder or tfds:NAME; the same as --config.data.name")
    script.define_path("data_dir", None, "folder of the data; the same as --config.data.dir")
    flags.DEFINE_enum("on_bad_row", None, ["error", "skip"], "the same as --config.data.on_bad_row")
    flags.DEFINE_enum("parallel", None, ["auto", "jit", "pmap"], "the same as --config.parallel.mode")
    flags.DEFINE_integer("devices", None, "how many devices, 0 for all; the same as --config.parallel.devices")
    trained = {name: make().phases.split(",") for name, make in presets.PRESETS.items()}
    hints.know(config_lib.flatten(presets.quick()), trained, config_lib.PHASES)
    sys.argv[1:] = hints.config_first(sys.argv[1:])
    _check_fields(sys.argv[1:])
    holder = config_flags.DEFINE_config_dataclass(
        "config",
        presets.quick(),
        "a preset; its fields are overridden by --config.FIELD=VALUE",
        parse_fn=presets.preset,
    )
    flags.FLAGS["config"].default_as_str = "'quick'"  # else --help prints all of its fields
    return holder


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
    config.data.dir = script.expanded(config.data.dir)
    if values.on_bad_row is not None:
        config.data.on_bad_row = values.on_bad_row
    if values.parallel is not None:
        config.parallel.mode = values.parallel
    if values.devices is not None:
        config.parallel.devices = values.devices
    config.check()
    return config


def _check_fields(arguments: Sequence[str]) -> None:
    """Ends the program if an argument names a field that no configuration has: ml_collections would trace back."""
    for argument in arguments:
        if argument == "--":
            return
        if line := hints.unknown_field(argument, arguments):
            fail(line)
