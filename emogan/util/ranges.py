"""Settings that come from files and flags: their types and ranges. Each error names the field and what was found."""

import dataclasses
from typing import Any

from emogan.util import untrusted


def one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ValueError unless a text is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name}: expected {' or '.join(choices)}, found {value!r:.100}")


def between(name: str, value: float, low: float, high: float) -> None:
    """Raises ValueError unless a number lies in low..high, both included."""
    if not low <= value <= high:
        raise ValueError(f"{name}: expected {low} to {high}, found {value}")


def numbers(name: str, text: str) -> tuple[float, ...]:
    """Returns the numbers in a text, with commas between them.

    Raises:
      ValueError: if it is something else; `name` is what it is called there.
    """
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"{name}: expected a number, or one for each emotion with commas between them, found {text!r:.100}"
        ) from error


def from_dict(cls: type, values: Any, prefix: str) -> Any:
    """Returns the dataclass of settings whose fields, and those of the dataclasses in it, are in a dictionary.

    Args:
      cls: the dataclass; its `RENAMED`, if it has one, gives for each former name of a field the present one, or "" for
        a field that no longer exists; its `BEFORE` gives the values of fields that files of before do not have, where
        they are not the default.
      values: what a file says; anything.
      prefix: of the fields' names in errors, such as "gan.".

    Raises:
      ValueError: if a field is unknown, or a value is of another type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{prefix or 'config'}: expected an object, found {values!r:.100}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    renamed = getattr(cls, "RENAMED", {})
    values = {renamed.get(name, name): value for name, value in values.items() if renamed.get(name, name)}
    values = {**getattr(cls, "BEFORE", {}), **values}
    if unknown := sorted(set(values) - set(fields)):
        name = prefix + untrusted.shown(unknown[0])
        raise ValueError(f"{name}: expected a field out of {', '.join(fields)}, found another")
    arguments = {}
    for name, value in values.items():
        kind = fields[name].type
        if dataclasses.is_dataclass(kind):
            arguments[name] = from_dict(kind, value, f"{prefix}{name}.")
            continue
        if kind is float and type(value) is int and abs(value) < 1 << 63:
            value = float(value)
        if kind is str and type(value) in (int, float):  # as of a field that was one number and may be several now
            value = f"{value:g}"
        if type(value) is not kind:
            raise ValueError(f"{prefix}{name}: expected {kind.__name__}, found {value!r:.100}")
        arguments[name] = value
    return cls(**arguments)
