"""Faces and methods of a made-up study, whose pictures say what they are."""

import numpy as np

from emogan.data import dataset, toyfaces
from emogan.evaluation import study_pictures


def held_out() -> dataset.Dataset:
    """Returns 210 drawn faces, 30 of each emotion, whose first pixel is their number and whose second is 0."""
    faces = toyfaces.load("valid", 0, 210)
    images = faces.images.copy()
    images[:, 0, 0], images[:, 0, 1] = np.arange(210), 0
    return dataset.Dataset(images, (np.arange(210) % 7).astype(np.int32), faces.name, faces.split)


def method(held_out: dataset.Dataset, name: str, number: int, may: np.ndarray | None = None) -> study_pictures.Method:
    """Returns a method that writes its number into the second pixel, and the target into the third."""

    def edit(faces: np.ndarray, emotions: np.ndarray) -> np.ndarray:
        pictures = held_out.images[faces].copy()
        pictures[:, 0, 1], pictures[:, 0, 2] = number, emotions
        return pictures

    may = np.ones((len(held_out), 7), bool) if may is None else may
    return study_pictures.Method(name, may, edit)
