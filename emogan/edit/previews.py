"""A model as a picture: what it makes of drawn faces."""

from typing import Any

import numpy as np

from emogan.data import toyfaces
from emogan.util import grids, images

FACES = 4
_MOST = 10  # emotions: data of one's own may have hundreds of classes


def draw(model: Any) -> np.ndarray:
    """Returns a picture uint8 [H, W(, 3)] of held-out drawn faces, a row a face: the face itself, then its edits.

    Args:
      model: an `emogan.Editor`.
    """
    data = toyfaces.load("valid", count=FACES, spec=model.spec)
    names = model.class_names[:_MOST]
    targets = np.arange(len(names)).repeat(FACES)
    source = np.tile(data.labels % len(model.class_names), len(names))  # asked for by an E(x, y) alone
    edits = model.faces(np.concatenate([data.images] * len(names)), targets, source)
    rows = np.concatenate([data.images[None], edits.reshape(len(names), *data.images.shape)]).swapaxes(0, 1)
    return grids.labelled_grid(rows, columns=("face", *names), scale=2)


def to_png(model: Any) -> bytes:
    """Returns the same picture as a PNG file, whose metadata say that its faces are generated."""
    return images.to_png(draw(model), images.SYNTHETIC)
