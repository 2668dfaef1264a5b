"""A second judge, of another kind: a logistic regression on histograms of oriented gradients.

Edits may be guided in training by networks of the first judge's family, and an edit accepted by one of them may be
accepted by all. This judge is not a network and takes no part in training. It is also far weaker.
"""

import pathlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import flatten_util

from emogan.data import dataset
from emogan.evaluation import identity
from emogan.evaluation import judge as judge_lib
from emogan.util import weights

NAME = "hog"  # how options ask for it

_ORIENTATIONS, _CELL, _BLOCK = 8, 6, 2
_CHUNK = 256  # faces whose HOG is in memory at a time
_FLAT = 1e-3  # what varies less than this over the training faces is not scaled up to as much as the rest


class HogJudge:
    """A fitted regression, which scoring uses as it does a `judge.Judge`.

    Attributes:
      card: what it is: data, command, accuracy and the like; JSON.
      class_names: the names of its labels.
      variables: float16 `kernel` [D, C], `bias` [C], and `mean` and `scale` [D] of the training faces' HOG.
      checksum: a SHA-256 of these.
    """

    def __init__(self, class_names: Sequence[str], variables: Mapping[str, np.ndarray], card: Mapping[str, Any]):
        self.class_names = tuple(class_names)
        self.card = dict(card)
        self.variables = weights.in_halves({name: variables[name] for name in ("kernel", "bias", "mean", "scale")})
        self.checksum = weights.checksum(self.variables)
        self._floats = weights.in_floats(self.variables)

    def look(self, faces: np.ndarray) -> judge_lib.Opinion:
        """Returns the judge's opinion of faces uint8 [N, 48, 48]; it does not depend on the other faces.

        It has no `features`, float32 [N, 0]. A regression has only its input before its last layer. In HOG noise lies
        among faces, because each block is scaled to one length: with the input, averaged over each block, noise got a
        precision of 100 %, and blurred faces a recall of 98 %.

        Raises:
          ValueError: if the faces' shape or type is another.
        """
        identity.check_faces(faces, dataset.FER2013)
        starts = range(0, len(faces), _CHUNK)
        probabilities = np.concatenate([self._probabilities(faces[start : start + _CHUNK]) for start in starts])
        return judge_lib.Opinion(probabilities, np.empty((len(faces), 0), np.float32))

    def _probabilities(self, faces: np.ndarray) -> np.ndarray:
        import scipy.special

        rows = (hog(faces) - self._floats["mean"]) / self._floats["scale"]
        return scipy.special.softmax(rows @ self._floats["kernel"] + self._floats["bias"], axis=1)


def hog(faces: np.ndarray) -> np.ndarray:
    """Returns scikit-image's HOG (Dalal & Triggs 2005) of faces uint8 [N, 48, 48], float32 [N, 7 * 7 * 2 * 2 * 8]."""
    import skimage.feature

    settings = _ORIENTATIONS, (_CELL, _CELL), (_BLOCK, _BLOCK)
    return np.stack([skimage.feature.hog(face, *settings).astype(np.float32) for face in faces])


def fit(data: dataset.Dataset, l2: float = 0.01, iterations: int = 200) -> HogJudge:
    """Returns the judge that is fitted to faces and their mirror images; the same faces give the same judge.

    A face weighs 1 / sqrt(how many have its label), so that rare emotions are predicted too; see `regress` for the
    rest.
    """
    rows = np.concatenate([hog(data.images), hog(data.images[:, :, ::-1])])
    mean, scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), _FLAT)
    rows -= mean
    rows /= scale
    class_weights = 1 / np.sqrt(np.maximum(data.class_counts(), 1))
    found = regress(rows, np.tile(data.labels, 2), class_weights, l2, iterations)
    card = {"format": 1, "class_names": list(data.class_names), "data": data.name, "split": data.split}
    settings = {"orientations": _ORIENTATIONS, "cell": _CELL, "block": _BLOCK, "l2": l2, "iterations": iterations}
    card |= {"faces": len(data), "fingerprint": data.fingerprint(), "settings": settings}
    return HogJudge(data.class_names, {**found, "mean": mean, "scale": scale}, card)


def regress(
    rows: np.ndarray, labels: np.ndarray, class_weights: np.ndarray, l2: float, iterations: int
) -> dict[str, np.ndarray]:
    """Returns `kernel` [D, C] and `bias` [C] of a multinomial logistic regression, by L-BFGS from zeros.

    They minimise the mean cross-entropy of rows float32 [N, D] and labels int [N], in which a row weighs
    `class_weights` [C] of its label, plus l2 / 2 times the squared norm of the kernel; float32.
    """
    import scipy.optimize

    shares = (class_weights[labels] / class_weights[labels].sum()).astype(np.float32)
    zeros = {"kernel": jnp.zeros((rows.shape[1], len(class_weights))), "bias": jnp.zeros(len(class_weights))}
    start, unravel = flatten_util.ravel_pytree(zeros)
    data = jax.device_put((rows, labels, shares))

    @jax.jit
    @jax.value_and_grad
    def loss(flat: jax.Array, rows: jax.Array, labels: jax.Array, shares: jax.Array) -> jax.Array:
        kernel, bias = (unravel(flat)[name] for name in ("kernel", "bias"))
        losses = optax.softmax_cross_entropy_with_integer_labels(rows @ kernel + bias[None], labels)
        return jnp.sum(shares * losses) + l2 / 2 * jnp.sum(kernel**2)

    def in_doubles(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = loss(flat.astype(np.float32), *data)
        return float(value), np.asarray(slope, np.float64)

    found = scipy.optimize.minimize(in_doubles, start, jac=True, method="L-BFGS-B", options={"maxiter": iterations})
    return jax.tree.map(np.asarray, unravel(jnp.asarray(found.x, jnp.float32)))


def packaged(data_name: str) -> HogJudge:
    """Returns the one that ships with emogan.

    Raises:
      ValueError: if the data are not FER2013.
    """
    if data_name != "fer2013":
        raise ValueError(f"--judge={NAME}: expected fer2013, whose faces it was fitted to, found {data_name}")
    with resources.as_file(resources.files("emogan") / "assets" / "judge_hog_fer2013.npz") as path:
        return from_file(path)


def from_file(path: pathlib.Path) -> HogJudge:
    """Returns the judge that `save` wrote.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is no such judge, or was changed.
    """
    make = lambda variables, card: HogJudge(card["class_names"], variables, card)  # noqa: E731
    return weights.load(path, make, "a HOG judge", "fit one with experiments/lab/export_judge.py --hog")


def save(judge: HogJudge, path: pathlib.Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Writes a judge with its card and returns the card; `about` is added to it. A reader sees all of it or nothing."""
    return weights.save(path, judge.variables, {**judge.card, **about})
