"""What the phases `joint` and `student` share, which learn edits of real faces."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax.numpy as jnp

from emogan.recipes import state as state_lib
from emogan.util import images, types

if TYPE_CHECKING:
    from emogan import config as config_lib

GRAY = 127.5  # gray levels in a unit of float images
LAST_RATE = 0.05  # of the first learning rate, at the end of the schedule
SHOWN = 8  # faces of a sample


def every_edit(
    draw: Callable[[types.Images, types.Labels], types.Images], batch: state_lib.Batch, num_classes: int
) -> types.ByteImages:
    """Returns a row for each face, uint8 [N, 1 + C, S, S(, 3)]: the face, then its edits by `draw` to each label."""
    faces = images.to_float(batch["image"][:SHOWN])
    labels = jnp.repeat(jnp.arange(num_classes), len(faces))
    edits = draw(jnp.tile(faces, (num_classes, 1, 1, 1)), labels)
    columns = jnp.concatenate([faces[None], edits.reshape(num_classes, *faces.shape)])
    return images.to_bytes(columns.swapaxes(0, 1))


def refuse_microbatches(config: "config_lib.Config", name: str) -> None:
    """Raises ValueError if a batch is to be cut into parts."""
    if config.parallel.microbatches > 1:
        raise ValueError(
            f"parallel.microbatches: expected 1 with phase {name}, found {config.parallel.microbatches}; "
            f"give it a smaller {name}.batch_size"
        )
