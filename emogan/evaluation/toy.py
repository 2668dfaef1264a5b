"""Toy faces, whose exact answer is known: how near edits come to the true drawings."""

import numpy as np

from emogan.data import dataset, toyfaces
from emogan.evaluation import methods, real_faces, reconstructions, scores

_BLOCK = 512


class Toy:
    """Scores of edits to another emotion against what the drawing of that person with that emotion is.

    Args:
      seed: of the drawn faces.
    """

    name = "toy"

    def __init__(self, seed: int):
        self._seed = seed
        self._drawn: dict[tuple[str, int, dataset.ImageSpec], np.ndarray] = {}

    def run(self, model: methods.Method, data: real_faces.Faces, key: object) -> scores.Scores:
        """Returns PSNR to the true drawing, and how often another person's or emotion's drawing is nearer.

        Raises:
          ValueError: if the held-out faces are not drawn ones.
        """
        del key
        if data.held_out.name != "toyfaces":
            raise ValueError(f"expected toyfaces, whose true edits are known, found {data.held_out.name}")
        if model.edits is None:
            return {}
        edits = model.edits
        truths = self._truths(data.own_held_out)
        other = edits.target != data.held_out.labels[edits.source]
        made = edits.pictures[edits.picture[other]]
        source, target = edits.source[other], edits.target[other]
        return {
            "toy_psnr": scores.mean_score(reconstructions.psnr(made, truths[target, source]), source),
            "toy_identity": scores.mean_score(nearest(made, target, truths) != source, source),
            "toy_expression": scores.mean_score(nearest(made, source, truths.swapaxes(0, 1)) != target, source),
        }

    def _truths(self, data: dataset.Dataset) -> np.ndarray:
        key = data.split, len(data), data.spec
        if key not in self._drawn:  # tens of thousands of drawings, the same for every method
            drawn = toyfaces.true_transfers(data.split, self._seed, len(data), data.spec)
            self._drawn[key] = np.stack([real_faces.as_judged(part) for part in drawn])
        return self._drawn[key]


def nearest(pictures: np.ndarray, which: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Returns the place of the nearest candidate of each picture, int [M], by squared difference of pixels.

    Args:
      pictures: uint8 [M, H, W].
      which: int [M], the row of candidates that each picture is compared with.
      candidates: uint8 [R, K, H, W].
    """
    answer = np.empty(len(pictures), int)
    for row in np.unique(which):
        choices = candidates[row].reshape(candidates.shape[1], -1).astype(np.float32) / 255
        own = np.flatnonzero(which == row)
        for start in range(0, len(own), _BLOCK):
            places = own[start : start + _BLOCK]
            made = pictures[places].reshape(len(places), -1).astype(np.float32) / 255
            answer[places] = ((choices**2).sum(axis=1) - 2.0 * made @ choices.T).argmin(axis=1)
    return answer
