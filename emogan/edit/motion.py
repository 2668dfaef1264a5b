"""Where an edit moved the parts of a face, found from the face before and after.

A model that warps no faces gives only pixels. But most of what it changes has moved: brows, lids, corners of the mouth.
Where the motion is known, the photograph is moved in the same way and stays sharp (`photos.put_back`).
"""

import numpy as np
from scipy import ndimage

from emogan.edit import tints

USUAL = 48  # pixels of a side, for which the following are; on larger faces, lengths grow with the side

# Deviations of Gaussians, in pixels.
SCALES = (4.0, 2.0, 1.0, 0.6)  # of both faces, from coarse to fine
FLAT = 4.0  # what is smoother than this is light and shade, which do not move
WINDOW, SMOOTH = 1.5, 1.0  # of the window about a pixel, and of the motion; times the scale, if it is above 1
STEPS = 4  # at each scale

# In units of the variance and of the deviation of the face before, without light and shade.
STIFFNESS = 0.1  # of the squared gradients: where they are weaker, little moves
DIFFERENT = 0.3  # of levels: what differs more has been drawn, and not moved, and counts less


def of_edits(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns `between` of faces [N, S, S(, 3)] and each of their edits [K, N, S, S(, 3)], float32 [K, N, S, S, 2]."""
    return np.stack([np.stack([between(*pair) for pair in zip(before, edits, strict=True)]) for edits in after])


def between(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns from where each pixel of a face came, float32 [S, S, 2], down and right, in pixels of the face.

    The method of Lucas and Kanade (1981) from coarse to fine: in a window about each pixel, the motion that best
    explains the difference of the levels by their gradients, in several steps.

    Args:
      before, after: levels [S, S] or [S, S, 3] in 0..255.
    """
    unit = len(before) / USUAL
    faces = [face if face.ndim == 2 else face @ tints.LUMA for face in (before, after)]
    old, new = (face - _blurred(face, FLAT * unit) for face in np.asarray(faces, np.float32))
    contrast = max(float(old.std()), 1.0)
    old, new, places = old / contrast, new / contrast, np.indices(old.shape, np.float32)
    moved, stiffness = np.zeros_like(places), STIFFNESS / unit**2
    for scale in SCALES:
        first, last, wide = _blurred(old, scale * unit), _blurred(new, scale * unit), max(scale, 1.0) * unit
        for _ in range(STEPS):
            came = ndimage.map_coordinates(first, places + moved, order=1, mode="nearest")
            down, right = np.gradient((came + last) / 2)
            apart = came - last
            weight = 1.0 / np.sqrt(1.0 + np.square(apart / DIFFERENT))
            products = (down * down, right * right, down * right, down * apart, right * apart)
            a, b, c, u, v = (_blurred(weight * product, WINDOW * wide) for product in products)
            a, b = a + stiffness, b + stiffness
            moved = moved - np.stack([b * u - c * v, a * v - c * u]) / (a * b - c * c)
            moved = np.stack([_blurred(part, SMOOTH * wide) for part in moved])
    return np.moveaxis(moved, 0, -1).astype(np.float32)


def _blurred(face: np.ndarray, deviation: float) -> np.ndarray:
    return ndimage.gaussian_filter(face, deviation)
