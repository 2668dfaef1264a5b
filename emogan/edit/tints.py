"""The colours of an edited face whose network knows only gray: those of what looks alike on the face before.

Lips that close over white teeth must become red, and skin that shows where a dark brow was must become skin. So every
pixel that the edit changes takes its tint from places of the face before whose surroundings have the same grays (Welsh
et al. 2002), as an average weighted by likeness (non-local means, Buades et al. 2005).
"""

import numpy as np
from scipy import ndimage

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as of `detection.cut`
AROUND = 5  # pixels of the small face: the side of the surroundings that are compared
REACH = 6  # likewise: how far a tint may come from, down, up and to either side
LIKENESS = 14.0  # gray levels: surroundings that differ by as many count 1/e
NEARNESS = 6.0  # pixels of the small face: places so far away count 1/e
DARKEST = 32.0  # gray level: tints of darker pixels are mostly noise, and count as theirs over this level
STRONGEST = 0.9  # the quantile of how strong a face's tints are that none exceeds: a red spot must not colour a cheek
UNCHANGED, CHANGED = 8.0, 30.0  # gray levels: up to the first a pixel keeps its colour, from the second on it does not
SPREAD = 0.7  # pixels of the small face: what counts as changed reaches so far beyond


def of(colours: np.ndarray) -> np.ndarray:
    """Returns the tints float32 [S, S, 3] of a face in 0..255 [S, S, 3]: how far each channel is from gray, over it."""
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
    """Returns how far the pixels of an edit take new tints, float32 [S, S] in 0..1, by its change in gray levels."""
    size = np.sqrt(ndimage.gaussian_filter(np.square(change), SPREAD))
    return np.clip((size - UNCHANGED) / (CHANGED - UNCHANGED), 0.0, 1.0).astype(np.float32)
