"""Brings the faces of dark or flat photographs to the contrast of FER2013's faces, and their edits back.

Networks that learned from FER2013 draw expressions with the contrast of its faces, which is too much on a dark face.
"""

import dataclasses

import numpy as np

# Of the 5th and the 95th percentile of a face's levels: the medians over 2,858 faces of FER2013's `valid`.
RANGE = 173.0  # their difference
MIDDLE = 122.0
LEAST = 16.0  # of a difference: a face with less shows next to nothing
_ENDS = (5, 95)


@dataclasses.dataclass(frozen=True)
class Exposed:
    """Faces as an editor should see them.

    Attributes:
      faces: uint8 [N, S, S(, 3)].
      before: the faces as they are, of the same shape.
      gains: float [N], 1 or more: how many levels of `faces` a level of `before` is.
    """

    faces: np.ndarray
    before: np.ndarray
    gains: np.ndarray

    def back(self, edits: np.ndarray) -> np.ndarray:
        """Returns edits uint8 [..., N, S, S(, 3)] of `faces` as edits of `before`."""
        gains = self.gains.reshape(-1, *(1,) * (self.faces.ndim - 1))
        change = (edits.astype(float) - self.faces) / gains
        return np.where(gains == 1.0, edits, np.floor(np.clip(self.before + change, 0, 255) + 0.5)).astype(np.uint8)


def of(faces: np.ndarray, together: bool = False) -> Exposed:
    """Returns faces uint8 [N, S, S(, 3)] with at least the contrast `RANGE`; those that have it stay as they are.

    A face whose levels are spread less is stretched about their middle, which moves towards `MIDDLE` the more, the more
    the face is stretched.

    Args:
      faces: the faces.
      together: whether they are one person's in successive frames, which are all stretched alike.
    """
    rows = faces.reshape(1 if together else len(faces), -1)
    low, high = np.percentile(rows, _ENDS, axis=1)
    gains = np.maximum(1.0, RANGE / np.maximum(high - low, LEAST))
    middle = (low + high) / 2
    moved = middle + (MIDDLE - middle) * (1.0 - 1.0 / gains)
    gains, middle, moved = (
        np.broadcast_to(one, len(faces)).reshape(-1, *(1,) * (faces.ndim - 1)) for one in (gains, middle, moved)
    )
    stretched = np.floor(np.clip((faces - middle) * gains + moved, 0, 255) + 0.5).astype(np.uint8)
    return Exposed(np.where(gains == 1.0, faces, stretched), faces, gains.reshape(-1))
