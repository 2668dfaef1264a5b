"""Edits as a set: how near their distribution comes to that of real faces."""

import numpy as np

from emogan.evaluation import contestants, distances, faces, scores


class EditSets:
    """The Frechet distance of edits to the held-out faces, in the judge's features, beside that of real faces.

    Each set has a picture of every held-out face, edited to the label of another one and never to its own, so that
    the labels are those of the held-out faces. Scores are the mean over `contestants.SEEDS` such sets.
    """

    name = "edit sets"

    def __init__(self):
        self._floor: scores.Score | None = None

    def run(self, model: contestants.Contestant, data: faces.Faces, key: object) -> scores.Scores:
        """Returns the distance and its ratio to the floor; {} unless every face was edited to every label.

        {} also for a judge without features.
        """
        del key
        labels, classes = data.held_out.labels, len(data.held_out.class_names)
        if model.edits is None or not data.opinion.features.shape[1]:
            return {}
        pairs = model.edits.source * classes + model.edits.target
        if len(np.unique(pairs)) != classes * len(labels):
            return {}
        place = np.full((len(labels), classes), -1)
        place[model.edits.source, model.edits.target] = model.edits.picture
        held_out = distances.moments([data.opinion.features])
        found = []
        for seed in range(contestants.SEEDS):
            wanted = exchange(labels, np.random.default_rng(seed))
            if wanted is None:
                return {}
            pictures = place[np.arange(len(labels)), wanted]
            features = model.edit_opinion.features[pictures]
            found.append(distances.frechet(held_out, distances.moments([features])))
        distance = scores.over_seeds(found)
        return {"edit_frechet": distance, "edit_frechet_ratio": scores.ratio(distance, self._real(data, held_out))}

    def _real(self, data: faces.Faces, held_out: distances.Moments) -> scores.Score:
        if self._floor is None:
            found = []
            for seed in range(contestants.SEEDS):
                opinion = data.judge.look(data.train.images[data.matching_train(seed)])
                found.append(distances.frechet(held_out, distances.moments([opinion.features])))
            self._floor = scores.over_seeds(found)
        return self._floor


def exchange(labels: np.ndarray, random: np.random.Generator) -> np.ndarray | None:
    """Returns the labels [N] in another order, in which none is where it was; None if one of them has the majority."""
    if len(labels) < 2 * np.bincount(labels).max():
        return None
    wanted = random.permutation(labels)
    while (same := np.flatnonzero(wanted == labels)).size:
        for i in same:
            others = np.flatnonzero((wanted != labels[i]) & (labels != wanted[i]))
            j = random.choice(others)
            wanted[i], wanted[j] = wanted[j], wanted[i]
    return wanted
