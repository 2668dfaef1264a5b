"""Whose pictures are scored: a model, another program's pictures, and the references that keep a table honest."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from emogan.data import dataset
from emogan.evaluation import identity
from emogan.evaluation import judge as judge_lib
from emogan.evaluation import real_faces as faces_lib

SEEDS = 3  # of samples


@dataclasses.dataclass(frozen=True)
class Edits:
    """M edits of held-out faces: `pictures` uint8 [K, 48, 48], and for each edit its picture, source and target.

    Two edits may share a picture, so that what never changes is looked at once.
    """

    pictures: np.ndarray
    picture: np.ndarray  # int [M], a place in `pictures`
    source: np.ndarray  # int [M], a place among the held-out faces
    target: np.ndarray  # int [M], a label


class Method:
    """One column of a table; what is asked of its pictures is asked once.

    Attributes:
      name: in the tables.
      kind: `model`, `pictures` or `reference`.
      about: one line on what it is.
      model: the transfer model itself, None where there are pictures only.
      seeds: how many sets of samples there are, each of as many as held-out faces.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        about: str,
        faces: faces_lib.Faces,
        edits: Callable[[], Edits] | None = None,
        samples: Callable[[int], np.ndarray] | None = None,
        model: Any = None,
        seeds: int = SEEDS,
    ):
        self.name, self.kind, self.about, self.model, self.seeds = name, kind, about, model, seeds
        self._faces, self._make_edits, self._make_samples = faces, edits, samples

    @functools.cached_property
    def edits(self) -> Edits | None:
        """All edits, or None if the method makes none."""
        return self._make_edits() if self._make_edits else None

    @functools.cached_property
    def edit_opinion(self) -> judge_lib.Opinion:
        """The judge's opinion of the edits' pictures."""
        return self._faces.judge.look(self.edits.pictures)

    @functools.cached_property
    def edit_descriptors(self) -> np.ndarray:
        """The identity descriptors of the edits' pictures."""
        return self._faces.descriptor(self.edits.pictures)

    @functools.cache  # noqa: B019 - methods live as long as their table
    def samples(self, seed: int) -> np.ndarray | None:
        """Samples uint8 [N, 48, 48], one with the label of each held-out face, or None if there are none."""
        return self._make_samples(seed) if self._make_samples else None

    @functools.cache  # noqa: B019
    def sample_opinion(self, seed: int) -> judge_lib.Opinion:
        """The judge's opinion of samples."""
        return self._faces.judge.look(self.samples(seed))


def of_model(name: str, about: str, transfer: Any, faces: faces_lib.Faces) -> Method:
    """Returns the method of a model, an `emogan.Editor` or what has its methods.

    Its edits are the held-out faces under every label; it has samples if it has a method
    `sample(labels, seed) -> uint8 [N, S, S(, 3)]`.
    """
    data = faces.own_held_out

    def edits() -> Edits:
        made = np.asarray(transfer.faces(data.images, "all", data.labels))
        classes, count = made.shape[:2]
        made = made.reshape(-1, *made.shape[2:])
        identity.check_faces(made, data.spec, f"edits of {name}")
        target, source = np.divmod(np.arange(classes * count), count)
        return Edits(faces_lib.as_judged(made), np.arange(classes * count), source, target)

    def samples(seed: int) -> np.ndarray:
        return faces_lib.as_judged(np.asarray(transfer.sample(data.labels, seed)))

    return Method(name, "model", about, faces, edits, samples if hasattr(transfer, "sample") else None, transfer)


def of_edits(
    name: str, pictures: np.ndarray, labels: np.ndarray, sources: np.ndarray, faces: faces_lib.Faces
) -> Method:
    """Returns the method of another program's edits uint8 [M, S, S(, 3)] to labels [M] of held-out faces [M].

    Raises:
      ValueError: if types, shapes or values are not those.
    """
    check_edits(pictures, labels, sources, faces.own_held_out)
    edits = Edits(faces_lib.as_judged(pictures), np.arange(len(pictures)), sources.astype(int), labels.astype(int))
    return Method(name, "pictures", "edits from another program", faces, lambda: edits)


def of_samples(name: str, pictures: np.ndarray, labels: np.ndarray, faces: faces_lib.Faces) -> Method:
    """Returns the method of another program's samples uint8 [M, S, S(, 3)] with labels [M].

    As many are scored as there are held-out faces, with the same number of each label, so that the rows of a table
    are of one size.

    Raises:
      ValueError: if types, shapes or values are not those, or a label has too few samples.
    """
    _check_pictures(pictures, labels, faces.own_held_out)
    wanted, had = faces.held_out.class_counts(), np.bincount(labels, minlength=len(faces.held_out.class_names))
    if (had < wanted).any():
        names = faces.held_out.class_names
        missing = ", ".join(f"{wanted[i]} {names[i]} (found {had[i]})" for i in np.flatnonzero(had < wanted))
        raise ValueError(f"--images: expected at least as many samples of each label as held-out faces: {missing}")

    def samples(seed: int) -> np.ndarray:
        del seed
        chosen = np.empty(len(faces.held_out), int)
        for label in np.flatnonzero(wanted):
            chosen[faces.held_out.labels == label] = np.flatnonzero(labels == label)[: wanted[label]]
        return faces_lib.as_judged(pictures[chosen])

    return Method(name, "pictures", "samples from another program", faces, samples=samples, seeds=1)


def references(faces: faces_lib.Faces) -> list[Method]:
    """Returns real training faces, the unchanged input, the mean face of the class, and noise."""
    data, train = faces.held_out, faces.train
    count, classes = len(data), len(data.class_names)
    target, source = np.divmod(np.arange(classes * count), count)

    def same_for_all(pictures: np.ndarray) -> Edits:
        return Edits(pictures, source, source, target)

    def mean_faces() -> np.ndarray:
        means = [
            train.images[train.labels == label].mean(axis=0)
            if (train.labels == label).any()
            else np.zeros(data.spec.byte_shape)
            for label in range(classes)
        ]
        return np.round(means).astype(np.uint8)

    def noise(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, data.images.shape, dtype=np.uint8)

    return [
        Method(
            "real faces",
            "reference",
            "training faces with the labels of the held-out ones",
            faces,
            samples=functools.partial(_real, faces),
        ),
        Method(
            "unchanged",
            "reference",
            "the input itself, whatever is asked for",
            faces,
            lambda: same_for_all(data.images),
        ),
        Method(
            "mean face",
            "reference",
            "the mean training face of the target emotion",
            faces,
            lambda: Edits(mean_faces(), target, source, target),
            lambda seed: mean_faces()[data.labels],
            seeds=1,
        ),
        Method(
            "noise", "reference", "independent uniform pixels", faces, lambda: same_for_all(noise(0)), noise, seeds=1
        ),
    ]


def degraded(faces: faces_lib.Faces) -> list[Method]:
    """Returns real training faces made worse in two ways: blurred, and with their labels shuffled.

    A score that does not put them between real faces and noise, each where it must, is not to be trusted.
    """
    from scipy import ndimage

    def blurred(seed: int) -> np.ndarray:
        return ndimage.gaussian_filter(_real(faces, seed), (0, 2, 2))

    def shuffled(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).permutation(_real(faces, seed))

    return [
        Method("blurred", "reference", "real faces after a Gaussian of 2 pixels", faces, samples=blurred),
        Method("shuffled", "reference", "real faces under the labels of others", faces, samples=shuffled),
    ]


def _real(faces: faces_lib.Faces, seed: int) -> np.ndarray:
    return faces.train.images[faces.matching_train(seed)]


def check_edits(pictures: np.ndarray, labels: np.ndarray, sources: np.ndarray, held_out: dataset.Dataset) -> None:
    """Checks another program's edits uint8 [M, S, S(, 3)] to labels [M] of held-out faces [M].

    Raises:
      ValueError: if types, shapes or values are not those.
    """
    _check_pictures(pictures, labels, held_out)
    count = len(held_out)
    if sources.shape != labels.shape or not np.issubdtype(sources.dtype, np.integer):
        raise ValueError(f"--sources: expected integers [{len(labels)}], found {sources.dtype} {list(sources.shape)}")
    if len(sources) and not (sources.min() >= 0 and sources.max() < count):
        raise ValueError(
            f"--sources: expected places among the {count} held-out faces, found {sources.min()}..{sources.max()}"
        )


def _check_pictures(pictures: np.ndarray, labels: np.ndarray, held_out: dataset.Dataset) -> None:
    identity.check_faces(pictures, held_out.spec, "--images")
    classes = len(held_out.class_names)
    if labels.shape != (len(pictures),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"--labels: expected integers [{len(pictures)}], found {labels.dtype} {list(labels.shape)}")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"--labels: expected labels in 0..{classes - 1}, found {labels.min()}..{labels.max()}")
