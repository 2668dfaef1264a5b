"""What the detector of `emogan edit` finds in faces of 48x48 pixels, which are enlarged for it."""

import numpy as np
import PIL.Image

from emogan.edit import detection

FRAME = 192  # pixels of the side in which a face is shown, with half as many on each side of it


def embedded(face: np.ndarray) -> np.ndarray:
    """Returns a face uint8 [48, 48] enlarged in the middle of a picture uint8 [384, 384], its border going on."""
    large = PIL.Image.fromarray(face).resize((FRAME, FRAME), PIL.Image.Resampling.BICUBIC)
    return np.pad(np.asarray(large), FRAME // 2, mode="edge")


def certain(pixels: np.ndarray) -> list[detection.Detection]:
    """Returns what emogan's detector finds with the confidence that it asks for by default."""
    return [one for one in detection.detect(pixels) if one.confidence >= detection.MIN_CONFIDENCE]


def largest(found: list[detection.Detection]) -> detection.Detection:
    """Returns the largest of some faces."""
    return max(found, key=lambda one: one.box[2] * one.box[3])
