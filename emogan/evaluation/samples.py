"""Samples G(z, y): how near they come to real faces, and whether they show their label."""

from collections.abc import Callable

import numpy as np

from emogan.evaluation import distances, methods, real_faces, scores

SMALLEST_CLASS = 50  # faces of a class, for a kernel distance of its own


class Samples:
    """Scores of samples with the labels of the held-out faces, as many as those, in the judge's features.

    With several sets of samples each score is their mean, and its error the standard error of that.

    Args:
      inception: faces uint8 [N, 48, 48] -> features of the standard Inception network, for the FID; None for no FID.
    """

    name = "samples"

    def __init__(self, inception: Callable[[np.ndarray], np.ndarray] | None = None):
        self._inception = inception
        self._real_inception: np.ndarray | None = None

    def run(self, model: methods.Method, data: real_faces.Faces, key: object) -> scores.Scores:
        """Returns distances, precision, recall, density, coverage, label accuracy; only the last without features."""
        del key
        if model.samples(0) is None:
            return {}
        found = [self._one(model, data, seed) for seed in range(model.seeds)]
        return {name: scores.over_seeds([values[name] for values in found]) for name in found[0]}

    def _one(self, model: methods.Method, data: real_faces.Faces, seed: int) -> dict[str, float]:
        opinion, labels = model.sample_opinion(seed), data.held_out.labels
        right = opinion.verdicts == labels
        answer = {"sample_accuracy": float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))}
        if self._inception:
            if self._real_inception is None:
                self._real_inception = self._inception(data.held_out.images)
            two = (self._real_inception, self._inception(model.samples(seed)))
            answer["fid"] = distances.frechet(*(distances.moments([features]) for features in two))
        has_features = data.opinion.features.shape[1] > 0
        return answer | (_in_features(data.opinion.features, opinion.features, data) if has_features else {})


def _in_features(real: np.ndarray, fake: np.ndarray, data: real_faces.Faces) -> dict[str, float]:
    """Returns the scores of samples whose judge's features are `fake`, compared with those of the held-out faces."""
    answer = {
        "frechet": distances.frechet(distances.moments([real]), distances.moments([fake])),
        "kernel": distances.kernel(real, fake),
    }
    shares = distances.manifolds(real, fake)
    answer |= {name: getattr(shares, name) for name in ("precision", "recall", "density", "coverage")}
    for label, name in enumerate(data.held_out.class_names):
        own = data.held_out.labels == label
        # A Frechet distance of a class would need more faces than features.
        if f"kernel_{name}" in scores.METRICS and own.sum() >= SMALLEST_CLASS:
            answer[f"kernel_{name}"] = distances.kernel(real[own], fake[own])
    if data.leaked.any() and not data.leaked.all():
        real, fake = real[~data.leaked], fake[~data.leaked]
        answer["frechet_clean"] = distances.frechet(distances.moments([real]), distances.moments([fake]))
        answer["kernel_clean"] = distances.kernel(real, fake)
    return answer
