"""Detectability: how well a new network distinguishes edits from real faces that it was not trained on."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np

from emogan import config as config_lib
from emogan.data import augment, dataset, duplicates
from emogan.evaluation import methods, real_faces, scores
from emogan.models import emotion_cnn
from emogan.recipes import classifier
from emogan.recipes import state as state_lib
from emogan.train import layout as layout_lib
from emogan.train import parallel
from emogan.util import images

SETTINGS = config_lib.ClassifierConfig(width=8, epochs=10, learning_rate=0.05)
_REAL, _EDIT = 0, 1
_KINDS = ("real", "edit")
_REPEATS = 3  # pictures of each kind in the training set, in multiples of the half's faces
_LEAST = 5  # real faces of an emotion, and edits to it, in each half
_VIEWS = 2  # random changes of a tested picture, over which the logits are averaged
_LONGEST = 100
_BATCH = 512


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """Edits (or samples) of the held-out faces: uint8 [M, 48, 48], whose face each is, and its emotion, int [M]."""

    pictures: np.ndarray
    face: np.ndarray
    emotion: np.ndarray


class Detectability:
    """The area under the ROC curve of a small network that distinguishes edits to another emotion from real faces.

    The held-out faces are divided in two halves; near-duplicates stay in one. The network is trained on the faces and
    edits of the one half and tested on those of the other, and the same the other way round. In training both kinds
    have the same number of each emotion, and in the test an edit to an emotion is compared only with real faces of that
    emotion, so that the frequency of an emotion says nothing. All pictures are changed at random by
    `augment.without_fine_detail`. A method without edits is judged by its samples.

    Args:
      settings: of the network and its training.
      seed: of the halves, the training set, the network and the changes.
      progress: given the method's name and the score as it is known.
    """

    name = "detectability"

    def __init__(
        self,
        settings: config_lib.ClassifierConfig = SETTINGS,
        seed: int = 0,
        progress: Callable[[str, float], None] = lambda name, value: None,
    ):
        self._settings, self._seed, self._progress = settings, seed, progress
        self._trainers: dict[int, _Trainer] = {}

    def run(self, model: methods.Method, data: real_faces.Faces, key: object) -> scores.Scores:
        """Returns the AUC by emotion, and its mean over the emotions if none is missing.

        An emotion is left out with fewer than 5 real faces of it, or edits to it, in a half; the mean is left out where
        a method lacks an emotion of which there are enough real faces. {} for references with edits: an unchanged input
        cannot be distinguished from itself, and noise always can.
        """
        del key  # so that the score does not depend on which other evaluators there are
        if model.kind == "reference" and model.edits is not None:
            return {}
        made, real = _made(model, data), data.held_out
        halves = halve(real, np.random.default_rng(self._seed))
        classes = range(len(real.class_names))
        enough = [c for c in classes if _least(real.labels == c, np.arange(len(real)), halves) >= _LEAST]
        judged = [c for c in enough if _least(made.emotion == c, made.face, halves) >= _LEAST]
        if not judged:
            return {}
        compared = [self._compare(real, made, judged, half) for half in (halves, ~halves)]

        def score(emotions: list[int]) -> scores.Score:
            def mean(weights: np.ndarray) -> float:
                return float(np.nanmean([one[emotion].auc(weights) for one in compared for emotion in emotions]))

            return scores.Score(mean(np.ones(len(real))), scores.bootstrap(mean, len(real)))

        answer = {"detectability": score(judged)} if judged == enough else {}
        by_emotion = {f"detectability_{real.class_names[c]}": c for c in judged}
        answer |= {name: score([c]) for name, c in by_emotion.items() if name in scores.METRICS}
        if "detectability" in answer:
            self._progress(model.name, answer["detectability"].value)
        return answer

    def _compare(
        self, real: dataset.Dataset, made: _Pictures, emotions: list[int], half: np.ndarray
    ) -> dict[int, "_Comparison"]:
        """Trains on one half of the faces and compares the pictures of the other half, by emotion."""
        random = np.random.default_rng([self._seed, int(half[0])])
        key = jax.random.key(int(random.integers(2**31)))
        training = _balanced(real, made, emotions, half, random)
        if len(training) not in self._trainers:
            self._trainers[len(training)] = _Trainer(self._settings, len(training), training.spec)
        variables = self._trainers[len(training)](training, key)
        own = np.flatnonzero(~half & np.isin(real.labels, emotions))
        theirs = np.flatnonzero(~half[made.face] & np.isin(made.emotion, emotions))
        module = classifier.make_classifier(self._settings, 2)
        keys = jax.random.split(jax.random.fold_in(key, 0))
        of_real = look(module, variables, real.images[own], keys[0])
        of_edits = look(module, variables, made.pictures[theirs], keys[1])
        compared = {}
        for emotion in emotions:
            a, b = real.labels[own] == emotion, made.emotion[theirs] == emotion
            compared[emotion] = _Comparison(order(of_real[a], of_edits[b]), own[a], made.face[theirs[b]])
        return compared


@dataclasses.dataclass(frozen=True)
class _Comparison:
    """`order` of R real faces and E edits, and the held-out faces that they are or were made from."""

    order: np.ndarray
    real: np.ndarray
    edited: np.ndarray

    def auc(self, weights: np.ndarray) -> float:
        """Returns the AUC where each held-out face counts by its weight [N]; nan if no weight is left."""
        of_real, of_edits = weights[self.real], weights[self.edited]
        total = of_real.sum() * of_edits.sum()
        return float(of_real @ self.order @ of_edits / total) if total else np.nan


def order(real: np.ndarray, edits: np.ndarray) -> np.ndarray:
    """Returns [R, E]: 1 where an edit's logit is above a real face's, 1/2 where both are equal, else 0.

    The mean is the area under the ROC curve (Hanley & McNeil 1982).
    """
    return (edits[None, :] > real[:, None]) + 0.5 * (edits[None, :] == real[:, None])


def halve(data: dataset.Dataset, random: np.random.Generator) -> np.ndarray:
    """Returns which faces are in the first half, bool [N]; near-duplicates are together, each emotion in both."""
    group = duplicates.groups(len(data), duplicates.near_pairs(data.images))
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    chosen = np.zeros(len(first), bool)
    for label in range(len(data.class_names)):
        chosen[random.permutation(np.flatnonzero(data.labels[first] == label))[::2]] = True
    return chosen[inverse]


class _Trainer:
    """Trains networks on sets of one size; compiled once."""

    def __init__(self, settings: config_lib.ClassifierConfig, size: int, spec: dataset.ImageSpec):
        config = dataclasses.replace(config_lib.Config(), classifier=settings)
        batch = min(settings.batch_size, size)
        none = dataset.no_faces(spec, _KINDS)
        self._steps = dataset.total_steps(settings.epochs, size, batch)
        self._phase = classifier.make(config, 2, self._steps, none, change=augment.without_fine_detail)
        self._init = jax.jit(self._phase.init)
        self._chunk = parallel.make_chunk(self._phase, size, batch, _LONGEST)

    def __call__(self, data: dataset.Dataset, key: jax.Array) -> state_lib.Variables:
        """Returns the averaged network after training on pictures with the labels `_REAL` and `_EDIT`."""
        init_key, chunk_key = jax.random.split(key)
        state, placed = self._init(init_key), layout_lib.single().place(data)
        for done in range(0, self._steps, _LONGEST):
            state, _ = self._chunk(state, placed, chunk_key, min(_LONGEST, self._steps - done))
        return state.average


def look(
    module: emotion_cnn.Classifier, variables: state_lib.Variables, pictures: np.ndarray, key: jax.Array
) -> np.ndarray:
    """Returns logits of "edit" against "real", float64 [M], of pictures uint8 [M, 48, 48] changed at random."""
    found = []
    for start in range(0, len(pictures), _BATCH):
        part = pictures[start : start + _BATCH]
        padded = np.pad(part, ((0, _BATCH - len(part)), (0, 0), (0, 0)))  # one size is one compilation
        keys = jax.random.split(jax.random.fold_in(key, start), _VIEWS)
        views = [np.asarray(_look(module, variables, padded, one), float) for one in keys]
        found.append(np.mean(views, axis=0)[: len(part)])
    return np.concatenate(found)


@functools.partial(jax.jit, static_argnums=0)
def _look(
    module: emotion_cnn.Classifier, variables: state_lib.Variables, faces: jax.Array, key: jax.Array
) -> jax.Array:
    changed = augment.without_fine_detail(images.to_float(faces), jax.random.split(key, len(faces)))
    logits, _ = module.apply(variables, changed, train=False)
    return logits[:, _EDIT] - logits[:, _REAL]


def _made(model: methods.Method, data: real_faces.Faces) -> _Pictures:
    if model.edits is None:
        labels = data.held_out.labels
        return _Pictures(model.samples(0), np.arange(len(labels)), labels)
    edits = model.edits
    other = edits.target != data.held_out.labels[edits.source]
    return _Pictures(edits.pictures[edits.picture[other]], edits.source[other], edits.target[other])


def _least(chosen: np.ndarray, face: np.ndarray, half: np.ndarray) -> int:
    """Returns how many of the chosen pictures are in the half that has fewer of them."""
    return min(int((chosen & half[face]).sum()), int((chosen & ~half[face]).sum()))


def _balanced(
    real: dataset.Dataset, made: _Pictures, emotions: list[int], half: np.ndarray, random: np.random.Generator
) -> dataset.Dataset:
    """Returns a training set with as many real faces as edits of each emotion, out of one half of the faces.

    An emotion's share goes by the root of its frequency: so rare ones count, and their few faces are not learned by
    heart. Each picture is there as often as any other of its kind and emotion, or once more.
    """
    # Of both halves, so that their training sets are of one size.
    shares = np.sqrt([(real.labels == emotion).sum() for emotion in emotions])
    wanted = np.round(_REPEATS * len(real) / 2 * shares / shares.sum()).astype(int)
    parts = {_REAL: [], _EDIT: []}
    for emotion, count in zip(emotions, wanted, strict=True):
        own = random.permutation(np.flatnonzero(half & (real.labels == emotion)))
        theirs = random.permutation(np.flatnonzero(half[made.face] & (made.emotion == emotion)))
        parts[_REAL].append(real.images[np.resize(own, count)])
        parts[_EDIT].append(made.pictures[np.resize(theirs, count)])
    pictures = np.concatenate(parts[_REAL] + parts[_EDIT])
    kinds = np.repeat(np.array([_REAL, _EDIT], np.int32), wanted.sum())
    return dataset.Dataset(pictures, kinds, class_names=_KINDS)
