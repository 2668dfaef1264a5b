"""What an exported model says of itself, and the comparison with the live model that every export passes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from emogan import config as config_lib
from emogan.data import toyfaces
from emogan.edit import editor
from emogan.util import images, untrusted

FORMAT = 1  # of what a file says of itself; another number is another set of fields
TOLERANCE = 1e-5  # of values in [-1, 1]
FACES = 100  # on which an export is compared
MOST_LABELS = 1000

# (faces uint8 [B, S, S(, 3)], labels int32 [B]) -> edits float32 [B, S, S, C]
Edit = Callable[[np.ndarray, np.ndarray], np.ndarray]


def describe(model: editor.Editor, about: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a file says of a model: labels, arrays, value range and model card; JSON.

    Args:
      model: the trained E and G.
      about: further entries of the card: the data, the commit and the like; JSON.
    """
    whole = config_lib.of(model.card)
    config = config_lib.flatten(whole)
    taken, given = (", ".join(map(str, ("B", *shape))) for shape in (model.spec.byte_shape, model.spec.shape))
    kind, level = ("gray", "gray level") if model.spec.channels == 1 else ("red, green and blue", "level")
    del config["data.dir"]  # of this machine
    return {
        "format": FORMAT,
        "labels": list(model.class_names),
        "inputs": {
            "faces": f"uint8 [{taken}]: {kind}, framed as in FER2013, the face filling the square",
            "labels": "int32 [B]: the target labels, as places in the list of labels",
        },
        "outputs": {"edits": f"float32 [{given}]: round((value + 1) * 127.5) is the {level}"},
        "value_range": [-1.0, 1.0],
        "card": {
            "model": "emogan: G(E(face) | emotion), a face with another emotion",
            **images.SYNTHETIC,
            "use": "Say that the pictures are synthetic where you show them; edit nobody's face without consent.",
            "limits": f"{model.spec} pixels; it learned from the data below, and does worse on faces unlike those. "
            "An emotion on a picture says nothing of what anyone feels.",
            "license": "Apache-2.0 (emogan)",
            "phases": whole.phases,
            "preset": whole.preset,
            "config": config,
            **({"data": model.card["data"]} if "data" in model.card else {}),
            **about,
        },
    }


def check(about: Any) -> dict[str, Any]:
    """Returns what a file says of its model, if it is what `describe` gives.

    Raises:
      ValueError: if not.
    """
    about = about if isinstance(about, dict) else {}
    if about.get("format") != FORMAT:
        raise ValueError(f"expected format {FORMAT}, found {untrusted.shown(repr(about.get('format')))}")
    labels = about.get("labels")
    named = isinstance(labels, list) and all(isinstance(name, str) and name for name in labels)
    if not named or not 0 < len(labels) <= MOST_LABELS:
        raise ValueError(f"expected the labels' names, found {untrusted.shown(repr(labels))}")
    return about


def largest_difference(edit: Edit, model: editor.Editor) -> float:
    """Returns the largest difference between the edits of an export and of the live model, on drawn faces.

    Raises:
      ValueError: if it is above `TOLERANCE`.
    """
    faces = toyfaces.load("valid", count=FACES, spec=model.spec).images
    labels = np.arange(FACES, dtype=np.int32) % len(model.class_names)
    targets = labels if model.encoder_labels == editor.TARGET else None
    live = model.decode(model.encode(faces, targets), labels)
    return within(float(np.abs(edit(faces, labels) - live).max()), TOLERANCE)


def within(found: float, tolerance: float) -> float:
    """Returns the difference between an export and the live model.

    Raises:
      ValueError: if it is above the tolerance.
    """
    if not found <= tolerance:  # nor is it NaN
        raise ValueError(
            f"expected an export within {tolerance:g} of the live model, found {found:.2g}; nothing is written, please "
            "report it"
        )
    return found
