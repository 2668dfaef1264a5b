"""Changing the emotion on a face: GANs in JAX and Flax."""

import importlib
from typing import Any

from emogan.emotions import EMOTIONS

# Imported at first use, so that an edit does not wait for the imports of training.
_PLACES = {
    "Config": "emogan.config",
    "Editor": "emogan.edit.editor",
    "PRESETS": "emogan.presets",
    "load": "emogan.edit.loading",
    "preset": "emogan.presets",
}

__all__ = ["EMOTIONS", *_PLACES]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'emogan' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
