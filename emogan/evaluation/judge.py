"""The judge as scoring uses it: a trained classifier that ships with emogan, or one of the user's own."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jax
import numpy as np

from emogan.data import dataset
from emogan.evaluation import identity
from emogan.models import emotion_cnn
from emogan.recipes import classifier
from emogan.recipes import state as state_lib
from emogan.train import checkpoint, run_folder
from emogan.util import weights

BATCH = 256
FORMAT = 1

_PACKAGED = {"fer2013": "judge_fer2013", "toyfaces": "judge_toyfaces"}


@dataclasses.dataclass(frozen=True)
class Opinion:
    """What a judge says of N faces.

    Attributes:
      probabilities: float32 [N, C].
      features: float32 [N, F] before its last layer; F is 0 for a judge in whose features no distance is measured.
    """

    probabilities: np.ndarray
    features: np.ndarray

    @property
    def verdicts(self) -> np.ndarray:
        """The most probable label of each face, int64 [N]."""
        return self.probabilities.argmax(axis=1)


class Judge:
    """A trained classifier.

    Attributes:
      card: what it is: data, command, accuracy and the like; JSON.
      class_names: the names of its labels.
      checksum: a SHA-256 of its weights.
    """

    def __init__(self, width: int, class_names: tuple[str, ...], variables: state_lib.Variables, card: Mapping):
        self.class_names = tuple(class_names)
        self.card = dict(card)
        self.width = width
        self.variables = jax.tree.map(np.asarray, dict(variables))
        self.checksum = weights.checksum(self.variables)
        module = emotion_cnn.Classifier(width, len(class_names))
        self._look = functools.partial(_look, module, jax.device_put(weights.in_floats(self.variables)))

    def look(self, faces: np.ndarray) -> Opinion:
        """Returns the judge's opinion of faces uint8 [N, 48, 48]; it does not depend on the other faces.

        Raises:
          ValueError: if the faces' shape or type is another.
        """
        identity.check_faces(faces, dataset.FER2013)
        answers = []
        for start in range(0, len(faces), BATCH):
            part = faces[start : start + BATCH]
            padded = np.pad(part, ((0, BATCH - len(part)), (0, 0), (0, 0)))  # one size is one compilation
            answers.append([np.asarray(answer)[: len(part)] for answer in self._look(padded)])
        return Opinion(*(np.concatenate(parts) for parts in zip(*answers, strict=True)))


def accuracy(verdicts: np.ndarray, labels: np.ndarray, num_classes: int) -> dict[str, Any]:
    """Returns `accuracy`, `balanced_accuracy` and `confusion` (label -> verdict, counts) of verdicts int [N]."""
    confusion = np.zeros((num_classes, num_classes), int)
    np.add.at(confusion, (labels, verdicts), 1)
    counts = confusion.sum(axis=1)
    recalls = np.diag(confusion)[counts > 0] / counts[counts > 0]
    return {
        "accuracy": float(np.diag(confusion).sum() / counts.sum()),
        "balanced_accuracy": float(recalls.mean()),
        "confusion": confusion.tolist(),
    }


def packaged(data_name: str) -> Judge:
    """Returns the judge that ships with emogan for the data set `fer2013` or `toyfaces`.

    Raises:
      ValueError: if there is none for the data set.
    """
    if data_name not in _PACKAGED:
        raise ValueError(
            f"expected data with a judge of their own ({' or '.join(_PACKAGED)}), found {data_name}; train one with "
            "emogan train --config=judge --dataset=... and give its folder as --judge"
        )
    with resources.as_file(resources.files("emogan") / "assets" / f"{_PACKAGED[data_name]}.npz") as path:
        return from_file(path)


def from_file(path: pathlib.Path) -> Judge:
    """Returns the judge that `save` wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is no judge, or was changed.
    """
    return weights.load(path, _make, "a judge", "train one with --config=judge")


def from_run(workdir: pathlib.Path) -> Judge:
    """Returns the judge that phase `classifier` trained in a run's folder: the averaged network, in float16.

    Raises:
      FileNotFoundError: if the folder is no run's.
      ValueError: if the phase has not finished, or its faces are not 48x48 and gray.
    """
    run = run_folder.read(workdir)
    config, names, about = run.config, run.class_names, run.about_data
    if config.data.spec != dataset.FER2013:
        raise ValueError(
            f"{workdir}: expected a judge of {dataset.FER2013} faces, to which all faces are converted to be scored, "
            f"found one of {config.data.spec}; train one with --config=judge and neither data.size nor data.channels"
        )
    settings = config.classifier
    steps = dataset.total_steps(settings.epochs, run.examples, settings.batch_size)
    folder = workdir / "checkpoints" / "classifier"
    done = checkpoint.newest_step(folder)
    if done >= steps:
        phase = classifier.make(config, len(names), steps, dataset.no_faces(config.data.spec, names))
        saved = checkpoint.read(folder, phase.init(jax.random.key(0)))
        done = saved.step  # an older one, if the newest is damaged
    if done < steps:
        raise ValueError(f"{workdir}: expected a finished phase classifier ({steps} steps), found {done or 'no'} steps")
    card = {"data": about["name"], "split": about["split"], "faces": about["examples"]}
    card |= {"fingerprint": about["fingerprint"], "settings": dataclasses.asdict(settings), "seed": config.seed}
    return Judge(settings.width, names, weights.in_halves(saved.state.average), card)


def save(judge: Judge, path: pathlib.Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Writes a judge with its card and returns the card; `about` is added to it. A reader sees all of it or nothing."""
    card = {"format": FORMAT, "width": judge.width, "class_names": list(judge.class_names)}
    return weights.save(path, judge.variables, {**card, **judge.card, **about})


def _make(variables: dict[str, Any], card: dict[str, Any]) -> Judge:
    return Judge(card["width"], tuple(card["class_names"]), variables, card)


@functools.partial(jax.jit, static_argnums=0)
def _look(
    module: emotion_cnn.Classifier, variables: state_lib.Variables, faces: jax.Array
) -> tuple[jax.Array, jax.Array]:
    logits, features = classifier.look(module, variables, faces)
    return jax.nn.softmax(logits), features
