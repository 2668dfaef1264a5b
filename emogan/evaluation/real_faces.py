"""The real faces that methods are compared with, and the outputs of judge and descriptor for them.

Judges and descriptors see gray faces of 48x48. Faces of other data are edited without conversion; then their edits
are converted.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np

from emogan import emotions
from emogan.data import cache, dataset, duplicates, pictures
from emogan.evaluation import hog_judge
from emogan.evaluation import judge as judge_lib


def as_judged(faces: np.ndarray) -> np.ndarray:
    """Returns faces uint8 [N, S, S(, 3)] as judges and descriptors see them, uint8 [N, 48, 48]."""
    return pictures.converted(faces, dataset.FER2013)


class Faces:
    """Held-out faces, training faces, and the two networks that look at them.

    Attributes:
      held_out: the faces that edits and samples are compared with, 48x48 and gray.
      train: the faces that a model learned from, 48x48 and gray.
      own_held_out, own_train: the same in the size and channels of the data, as models see them.
      judge: predicts emotions.
      descriptor: faces uint8 [N, 48, 48] -> float32 [N, D], rows of norm 1: who is on a face.
    """

    def __init__(
        self,
        held_out: dataset.Dataset,
        train: dataset.Dataset,
        judge: judge_lib.Judge | hog_judge.HogJudge,
        descriptor: Callable[[np.ndarray], np.ndarray],
        cache_dir: pathlib.Path | None = None,
    ):
        judged, named = ([emotions.usual(name) for name in one.class_names] for one in (judge, held_out))
        if held_out.class_names != train.class_names or judged != named:
            raise ValueError(
                f"expected a judge of {', '.join(held_out.class_names)}, found one of {', '.join(judge.class_names)}"
            )
        self.own_held_out, self.own_train, self.judge, self.descriptor = held_out, train, judge, descriptor
        self.held_out, self.train = (
            dataclasses.replace(data, images=as_judged(data.images)) for data in (held_out, train)
        )
        self._cache_dir = cache_dir

    @functools.cached_property
    def opinion(self) -> judge_lib.Opinion:
        """The judge's opinion of the held-out faces."""
        return self._opinion(self.held_out)

    @functools.cached_property
    def gallery(self) -> np.ndarray:
        """The identity descriptors of the held-out faces."""
        return self.descriptor(self.held_out.images)

    @functools.cached_property
    def leaked(self) -> np.ndarray:
        """Which held-out faces are also in the training data, exactly or nearly, bool [N]."""
        found = self._remembered("leaked", lambda: {"leaked": self._find_leaked()}, self.held_out, self.train)
        return found["leaked"]

    def matching_train(self, seed: int) -> np.ndarray:
        """Returns places of training faces, int [N], with the labels of the held-out ones.

        None is drawn twice unless there are fewer training faces of a label than held-out ones.

        Raises:
          ValueError: if a label has no training face at all.
        """
        random = np.random.default_rng(seed)
        chosen = np.empty(len(self.held_out), int)
        for label, name in enumerate(self.held_out.class_names):
            own = np.flatnonzero(self.train.labels == label)
            wanted = np.flatnonzero(self.held_out.labels == label)
            if len(wanted) and not len(own):
                raise ValueError(f"expected training faces of every label, found none that are {name}")
            chosen[wanted] = random.choice(own, len(wanted), replace=len(own) < len(wanted))
        return chosen

    def _find_leaked(self) -> np.ndarray:
        leaked = np.zeros(len(self.held_out), bool)
        leaked[duplicates.near_pairs(self.held_out.images, self.train.images)[:, 0]] = True
        return leaked

    def _opinion(self, data: dataset.Dataset) -> judge_lib.Opinion:
        def make() -> dict[str, np.ndarray]:
            opinion = self.judge.look(data.images)
            return {"probabilities": opinion.probabilities, "features": opinion.features}

        return judge_lib.Opinion(**self._remembered(f"opinion {self.judge.checksum}", make, data))

    def _remembered(
        self, what: str, make: Callable[[], dict[str, np.ndarray]], *data: dataset.Dataset
    ) -> dict[str, np.ndarray]:
        """Returns what `make` gives, kept under a key of what it is, the data, their splits and the image size."""
        parts = [f"{part.name} {part.split} {part.fingerprint()}" for part in data]
        key = f"faces 1 {what} {self.held_out.spec.size} {' '.join(parts)}"
        return cache.remember(self._cache_dir, what.split()[0], key, make)
