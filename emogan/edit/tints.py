"""The colours of an edited face whose network knows only gray: those of what looks alike on the face before.

Lips that close over white teeth must become red, and skin must appear where a dark brow was. So a pixel that the edit
changes takes its tint from places of the face before whose surroundings have similar grays (Welsh et al. 2002). The
tint is their mean, weighted by similarity and nearness (non-local means, Buades et al. 2005). The tint of a pixel is
(channel - gray) / gray for each channel; it has no unit.
"""

import numpy as np
from scipy import ndimage

from emogan.util import images

LUMA = np.array(images.LUMA, np.float32)
# Lengths are in pixels of the small face, differences in gray levels.
AROUND = 5  # the side of the surroundings that are compared
REACH = 6  # the furthest places that are compared lie so far down, up and to each side
LIKENESS = 14.0  # surroundings with this root mean square difference have the weight 1/e
NEARNESS = 6.0  # places at this distance have the weight 1/e
DARKEST = 32.0  # a darker pixel's tint is mostly noise, and is divided by this instead of its gray
STRONGEST = 0.9  # no tint is stronger than this quantile of the face's, or a red spot would colour a cheek
UNCHANGED, CHANGED = 8.0, 30.0  # up to the first change a pixel keeps its tint; from the second on it takes the new one
SPREAD = 0.7  # deviation of the Gaussian that blurs the squared change before


def of(colours: np.ndarray) -> np.ndarray:
    """Returns the tints of a face, float32 [S, S, 3].

    Args:
      colours: the face in 0..255, [S, S, 3].
    """
    gray = colours @ LUMA
    tints = (colours - gray[..., None]) / np.maximum(gray, DARKEST)[..., None]
    strength = np.linalg.norm(tints, axis=-1, keepdims=True)
    most = np.quantile(strength, STRONGEST)
    return (tints * np.minimum(1.0, most / np.maximum(strength, 1e-6))).astype(np.float32)


def transferred(tints: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns the tints float32 [S, S, 3] of a gray edit.

    Args:
      tints: of the face before, [S, S, 3].
      before: its grays in 0..255, [S, S].
      after: those of the edit, likewise.
    """
    size, side = len(before), 2 * REACH + 1
    padding = ((REACH, REACH), (REACH, REACH))
    windows = np.lib.stride_tricks.sliding_window_view
    grays = windows(np.pad(before, padding, mode="edge"), (size, size)).reshape(side * side, size, size)
    steps = np.arange(-REACH, REACH + 1) / NEARNESS
    away = (steps[:, None] ** 2 + steps[None] ** 2).reshape(-1, 1, 1)
    unlike = ndimage.uniform_filter(np.square((after - grays) / LIKENESS), (1, AROUND, AROUND), mode="nearest") + away
    weights = np.exp(unlike.min(axis=0) - unlike).astype(np.float32)
    weights /= weights.sum(axis=0)
    padded = windows(np.pad(tints, (*padding, (0, 0)), mode="edge"), (size, size), axis=(0, 1))
    return np.einsum("kyx,kcyx->yxc", weights, padded.reshape(side * side, 3, size, size))


def shares(change: np.ndarray) -> np.ndarray:
    """Returns the share of the new tint in each pixel of an edit, float32 [S, S] in 0..1.

    Args:
      change: of the edit, in gray levels, [S, S].
    """
    size = np.sqrt(ndimage.gaussian_filter(np.square(change), SPREAD))
    return np.clip((size - UNCHANGED) / (CHANGED - UNCHANGED), 0.0, 1.0).astype(np.float32)
