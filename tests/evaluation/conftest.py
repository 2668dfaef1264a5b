"""Held-out toy faces with the judge that ships with emogan, and models that are perfect or hopeless."""

import numpy as np
import pytest

from emogan.data import toyfaces
from emogan.evaluation import identity, judge, methods
from emogan.evaluation import real_faces as faces_lib

COUNT = 210


class Perfect:
    """Answers with the true drawings; its samples are training faces of the wanted emotion."""

    def __init__(self, train):
        self.train = train

    def faces(self, faces, emotion, labels):
        assert emotion == "all"
        return toyfaces.true_transfers("valid", 0, len(faces))

    def sample(self, labels, seed):
        random = np.random.default_rng(seed)
        return np.stack([self.train.images[random.choice(np.flatnonzero(self.train.labels == y))] for y in labels])


class Contrary(Perfect):
    """Draws the right person with the next emotion."""

    def faces(self, faces, emotion, labels):
        return np.roll(super().faces(faces, emotion, labels), -1, axis=0)

    def sample(self, labels, seed):
        return super().sample((labels + 1) % 7, seed)


class Stranger(Perfect):
    """Draws the right emotion on another person."""

    def faces(self, faces, emotion, labels):
        return np.roll(super().faces(faces, emotion, labels), 1, axis=1)


@pytest.fixture(scope="session")
def train_data():
    return toyfaces.load("train", 0, 1500)


@pytest.fixture(scope="session")
def toy_judge():
    return judge.packaged("toyfaces")


@pytest.fixture(scope="session")
def toy(train_data, toy_judge):
    return faces_lib.Faces(toyfaces.load("valid", 0, COUNT), train_data, toy_judge, identity.hog())


@pytest.fixture(scope="session")
def entered(toy, train_data):
    """All methods by name."""
    models = {"perfect": Perfect, "contrary": Contrary, "stranger": Stranger}
    found = [methods.of_model(name, "", make(train_data), toy) for name, make in models.items()]
    return {one.name: one for one in [*found, *methods.references(toy)]}
