"""Edits as a set: how near their distribution comes to that of real faces."""

import numpy as np

from emogan.evaluation import distances, methods, real_faces, scores


class EditSets:
    """The Frechet distance of edits to unedited faces, in the judge's features, compared with that of real faces.

    The held-out faces are divided in two halves with the same labels. One is edited, each face to the label of another
    one and never to its own, and compared with the other, unedited half. It is not compared with its own sources: edits
    are nearer to these than real faces are, so otherwise the unchanged input would score best. Scores are the mean of
    both directions, over `methods.SEEDS` divisions.
    """

    name = "edit sets"

    def run(self, model: methods.Method, data: real_faces.Faces, key: object) -> scores.Scores:
        """Returns the distance and its ratio to that of the unedited halves; {} unless all edits are there.

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
        found, floors = [], []
        for seed in range(methods.SEEDS):
            random = np.random.default_rng(seed)
            halves = halve(labels, random)
            real = [distances.moments([data.opinion.features[half]]) for half in halves]
            floors.append(distances.frechet(*real))
            ways = []
            for half, others in zip(halves, real[::-1], strict=True):
                wanted = exchange(labels[half], random)
                if wanted is None:
                    return {}
                features = model.edit_opinion.features[place[half, wanted]]
                ways.append(distances.frechet(others, distances.moments([features])))
            found.append(np.mean(ways))
        distance = scores.over_seeds(found)
        return {"edit_frechet": distance, "edit_frechet_ratio": scores.ratio(distance, scores.over_seeds(floors))}


def halve(labels: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of two halves of labels [N], drawn at random, each label in equal parts but for one face."""
    order = random.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    return order[::2], order[1::2]


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
