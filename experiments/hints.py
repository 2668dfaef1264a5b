"""What a flag that is not there was meant to be, and how to write it."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

_NEAR = 0.75  # of difflib's ratio, from which a name counts as near
_MOST = 3  # flags that one line names
_SHORT = {"lr": "learning_rate", "bs": "batch_size"}  # what people type that no likeness finds
_ALSO = {  # the same for flags
    **dict.fromkeys(("model", "checkpoint", "ckpt", "weights", "run"), "workdir"),
    **dict.fromkeys(("o", "out", "outdir", "output_dir", "dest"), "output"),
    **dict.fromkeys(("i", "in", "image", "photo", "file", "source"), "input"),
}

_fields: dict[str, Any] = {}
_phases: dict[str, Sequence[str]] = {}
_every: set[str] = set()


def know(fields: Mapping[str, Any], phases: Mapping[str, Sequence[str]], every: Sequence[str]) -> None:
    """Makes the fields of a configuration known, of a script that takes --config.FIELD=VALUE.

    Args:
      fields: by dotted names.
      phases: what each preset trains.
      every: all phases.
    """
    _fields.update(fields)
    _phases.update(phases)
    _every.update(every)


def unknown_flag(name: str, argv: Sequence[str]) -> str:
    """Returns a line that says of a flag that is not there what to write instead.

    Args:
      name: as it was typed, without dashes.
      argv: the script's arguments, of which it is one; their --config decides which phases are trained.
    """
    names = [flag.name for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])]
    wanted = name.replace("-", "_")
    wanted = _SHORT.get(wanted, wanted)
    # A field of the same name is meant before a flag of a like one: batch_size, and not batch_per_device.
    # Where a configuration is taken, --workdir is the folder of what is to be trained.
    also = [_ALSO[wanted]] if _ALSO.get(wanted) in names and not ("config" in names or "train" in names) else []
    found = _ending_in([wanted], argv) or _near(wanted, names) or also or _near_field(wanted, argv)
    return _line(name, argv, "a flag", found, "--help lists the flags")


def unknown_field(argument: str, argv: Sequence[str]) -> str | None:
    """Returns a line as `unknown_flag` for an argument --config.FIELD; None if it is none, or there is such a field."""
    name = argument.lstrip("-").partition("=")[0]
    if not (argument.startswith("-") and name.startswith("config.")) or name.removeprefix("config.") in _fields:
        return None
    found = _near_field(name.removeprefix("config.").replace("-", "_"), argv)
    return _line(name, argv, "a field of the configuration", found, "--dry_run prints all fields")


def config_first(arguments: Sequence[str]) -> list[str]:
    """Returns arguments with --config before its fields, where ml_collections expects it."""
    before, after = [], list(arguments)
    for i, argument in enumerate(after):
        if argument == "--":
            break
        if argument in ("--config", "-config"):
            before, after[i : i + 2] = after[i : i + 2], []
            break
        if argument.startswith(("--config=", "-config=")):
            before, after[i : i + 1] = [argument], []
            break
    return [*before, *after]


def _line(name: str, argv: Sequence[str], what: str, found: Sequence[str], otherwise: str) -> str:
    value = _value(name, argv)
    typed = f"{'--' if len(name) > 1 else '-'}{name}" + ("" if value is None else f"={value}")
    end = "" if value is None and any(_is_switch(flag) for flag in found) else f"={'VALUE' if value is None else value}"
    write = " or ".join(f"--{flag}{end}" for flag in found[:_MOST])
    return f"{typed}: expected {what}, found none of this name; {f'write {write}' if write else otherwise}"


def _value(name: str, argv: Sequence[str]) -> str | None:
    """Returns what was typed as the value of a flag, after its equals sign or as the next argument; None if nothing."""
    for argument, following in zip(argv, [*argv[1:], "-"], strict=True):
        typed, equals, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and typed == name:
            return value if equals else None if following.startswith("-") else following
    return None


def _is_switch(name: str) -> bool:
    return name in flags.FLAGS and flags.FLAGS[name].boolean


def _near(name: str, names: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(name, names, _MOST, _NEAR)[:1]


def _near_field(name: str, argv: Sequence[str]) -> list[str]:
    """Returns the fields that a name was meant to be, as flags."""
    part, _, last = name.rpartition(".")
    last = _SHORT.get(last, last)
    within = [field.rpartition(".")[2] for field in _fields if part and field.rpartition(".")[0] == part]
    if near := _near(last, within):
        return [f"config.{part}.{near[0]}"]
    if part and (near := _near(name, list(_fields))):
        return [f"config.{near[0]}"]
    if exact := _ending_in([last], argv):
        return exact
    return _ending_in(_near(last, [field.rpartition(".")[2] for field in _fields]), argv)


def _ending_in(names: Sequence[str], argv: Sequence[str]) -> list[str]:
    """Returns the fields with such a last part, as flags: those that no phase has or a trained one; else all."""
    found = [f"config.{field}" for field in _fields if field.rpartition(".")[2] in names]
    trained = _phases.get(_value("config", argv) or next(iter(_phases), ""), ())
    kept = [flag for flag in found if flag.split(".")[1] in trained or flag.split(".")[1] not in _every]
    return kept or found
