"""Classification accuracy score: what a classifier learns only from a model's pictures (Ravuri & Vinyals 2019)."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

from emogan import config as config_lib
from emogan.data import dataset
from emogan.evaluation import judge, methods, real_faces, scores
from emogan.recipes import classifier
from emogan.train import layout as layout_lib
from emogan.train import parallel

SETTINGS = config_lib.ClassifierConfig(width=12, epochs=8, learning_rate=0.05)
_LONGEST = 100


class Usefulness:
    """Balanced accuracy on held-out faces of a small classifier trained on real faces, on samples, and on edits.

    All have as many pictures as there are training faces; samples have the labels of the training faces, and each
    edit is a training face under another emotion than its own, drawn at random.

    Args:
      settings: of the small classifier.
      progress: called with (name of the training, its accuracy) as each ends.
    """

    name = "usefulness"

    def __init__(
        self,
        settings: config_lib.ClassifierConfig = SETTINGS,
        progress: Callable[[str, float], None] = lambda name, value: None,
    ):
        self._settings, self._progress = settings, progress
        self._real: dict[str, scores.Score] = {}

    def run(self, model: methods.Method, data: real_faces.Faces, key: jax.Array) -> scores.Scores:
        """Returns the balanced accuracies and their ratios to that of real faces; {} without a model that can draw."""
        transfer, train = model.model, data.train
        if transfer is None:
            return {}
        if "cas_real" not in self._real:
            self._real["cas_real"] = self._learned("real faces", train.images, train.labels, data, key)
        answer = dict(self._real)
        sets = {}
        if hasattr(transfer, "sample"):
            sets["cas_samples"] = (transfer.sample(train.labels, 1), train.labels)
        classes = len(train.class_names)
        shift = np.random.default_rng(0).integers(1, classes, len(train))
        wanted = ((train.labels + shift) % classes).astype(np.int32)
        sets["cas_edits"] = (transfer.faces(data.own_train.images, wanted, train.labels), wanted)
        for name, (pictures, labels) in sets.items():
            judged = real_faces.as_judged(np.asarray(pictures))
            answer[name] = self._learned(name.removeprefix("cas_"), judged, labels, data, key)
            answer[f"{name}_ratio"] = scores.ratio(answer[name], answer["cas_real"])
        return answer

    def _learned(
        self, name: str, pictures: np.ndarray, labels: np.ndarray, data: real_faces.Faces, key: jax.Array
    ) -> scores.Score:
        learned = dataset.Dataset(pictures, labels, class_names=data.train.class_names)
        verdicts = learn(learned, data.held_out.images, self._settings, key)
        score = scores.balanced_score(verdicts == data.held_out.labels, data.held_out.labels)
        self._progress(name, score.value)
        return score


def learn(
    data: dataset.Dataset, tested: np.ndarray, settings: config_lib.ClassifierConfig, key: jax.Array
) -> np.ndarray:
    """Returns the verdicts int [N] on faces uint8 [N, 48, 48] of a classifier trained only on a data set."""
    config = dataclasses.replace(config_lib.Config(), classifier=settings)
    batch = min(settings.batch_size, len(data))
    steps = dataset.total_steps(settings.epochs, len(data), batch)
    none = dataset.Dataset(data.images[:0], data.labels[:0], class_names=data.class_names)
    phase = classifier.make(config, len(data.class_names), steps, none)
    init_key, chunk_key = jax.random.split(key)
    state = phase.init(init_key)
    chunk = parallel.make_chunk(phase, len(data), batch, _LONGEST)
    placed = layout_lib.single().place(data)
    for done in range(0, steps, _LONGEST):
        state, _ = chunk(state, placed, chunk_key, min(_LONGEST, steps - done))
    return judge.Judge(settings.width, data.class_names, state.average, {}).look(tested).verdicts
