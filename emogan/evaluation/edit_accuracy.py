"""Transfer: does the judge see the target emotion, and is it still the same person?"""

import numpy as np

from emogan.evaluation import identity, methods, real_faces, scores

SMALL_GALLERY = 64  # faces among which a person is looked for; the paper's authors published edits of as many


class Transfers:
    """Scores of edits to another emotion than the face's own."""

    name = "transfer"

    def run(self, model: methods.Method, data: real_faces.Faces, key: object) -> scores.Scores:
        """Returns edit accuracy and identity; nothing in them is random.

        What is a mean over the targets is left out unless each of them was asked of faces with another label.
        """
        del key
        if model.edits is None:
            return {}
        edits, labels = model.edits, data.held_out.labels
        belief = model.edit_opinion.probabilities[edits.picture, edits.target]
        right = model.edit_opinion.verdicts[edits.picture] == edits.target
        other = edits.target != labels[edits.source]
        if not other.any():
            return {}
        descriptors = model.edit_descriptors[edits.picture[other]]
        source = edits.source[other]
        own, others = identity.cosines(descriptors, source, data.gallery)
        nearer = identity.nearer(descriptors, source, data.gallery)
        found, found_among = nearer == 0, identity.rank1_among(nearer, len(data.gallery) - 1, SMALL_GALLERY)

        def summary(chosen: np.ndarray) -> scores.Scores:
            targets, cluster = edits.target[other][chosen], source[chosen]
            named = {}
            if len(np.unique(targets)) == len(data.held_out.class_names):  # else one could ask for the easy ones alone
                named["edit_accuracy"] = scores.balanced_score(right[other][chosen], targets, cluster)
                named["edit_confidence"] = scores.balanced_score(belief[other][chosen], targets, cluster)
            return {
                **named,
                "identity_rank1": scores.mean_score(found[chosen], cluster),
                "identity_rank1_small": scores.mean_score(found_among[chosen], cluster),
                "identity_own": scores.mean_score(own[chosen], cluster),
                "identity_others": scores.mean_score(others[chosen], cluster),
            }

        answer = dict(summary(np.ones(len(source), bool)))
        if "edit_accuracy" in answer:
            real = scores.balanced_score(data.opinion.verdicts == labels, labels)
            by_target = [
                scores.mean_score(right[asked], edits.source[asked])
                for asked in (other & (edits.target == target) for target in np.unique(edits.target))
            ]
            answer["edit_accuracy_ratio"] = scores.ratio(answer["edit_accuracy"], real)
            answer["edit_weakest_ratio"] = scores.ratio(min(by_target, key=lambda score: score.value), real)
        clean = ~data.leaked[source]
        if clean.any() and not clean.all():
            kept = ("edit_accuracy", "identity_rank1")
            answer |= {f"{name}_clean": score for name, score in summary(clean).items() if name in kept}
        return answer


def verdicts(model: methods.Method, data: real_faces.Faces) -> np.ndarray | None:
    """Returns how often the judge gave each verdict, int [7, 7, 7]: emotion of the source, target, verdict."""
    if model.edits is None:
        return None
    edits, classes = model.edits, len(data.held_out.class_names)
    counts = np.zeros((classes,) * 3, int)
    source = data.held_out.labels[edits.source]
    np.add.at(counts, (source, edits.target, model.edit_opinion.verdicts[edits.picture]), 1)
    return counts
