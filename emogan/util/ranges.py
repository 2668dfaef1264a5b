"""Checks of values against their ranges; each names the field, the range, and what was found."""


def one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ValueError unless a text is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name}: expected {' or '.join(choices)}, found {value!r:.100}")


def between(name: str, value: float, low: float, high: float) -> None:
    """Raises ValueError unless a number lies in low..high, both included."""
    if not low <= value <= high:
        raise ValueError(f"{name}: expected {low} to {high}, found {value}")
