"""What every evaluator returns: scores with their uncertainty, and what each score means."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from emogan import emotions

RESAMPLES = 200  # of the bootstrap


@dataclasses.dataclass(frozen=True)
class Score:
    """A value and its standard error, None where there is none to state (a single exact number)."""

    value: float
    error: float | None = None


Scores = Mapping[str, Score]


class Evaluator(Protocol):
    """One group of scores: `run` compares a method (`methods.py`) with the held-out faces (`real_faces.py`).

    It returns {} where the method has not what the scores are about, such as samples without a prior over z.
    """

    name: str

    def run(self, model: Any, data: Any, key: Any) -> Scores:
        """Returns the scores by their names in `METRICS`; what is random in them comes from the JAX key."""
        ...


@dataclasses.dataclass(frozen=True)
class Metric:
    """What a score is: its group, its title in a table, its unit, which way is better, and how it is made.

    `better` is `higher`, `lower` or empty; `scale` and `digits` say how its number is shown.
    """

    group: str
    title: str
    better: str
    about: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 2


def _share(group: str, title: str, about: str, better: str = "higher") -> Metric:
    return Metric(group, title, better, about, "%", 100.0, 1)


# In the order of the tables. A score over faces that are not in the training data has `_clean` after its name.
METRICS: Mapping[str, Metric] = {
    "edit_accuracy": _share(
        "transfer",
        "edit accuracy",
        "Share of edits to another emotion for which the judge predicts the target emotion; mean over the seven "
        "targets, chance 1/7.",
    ),
    "edit_accuracy_ratio": Metric(
        "transfer",
        "edit accuracy / real faces",
        "higher",
        "Edit accuracy divided by the judge's balanced accuracy on the held-out faces themselves.",
    ),
    "edit_weakest_ratio": Metric(
        "transfer",
        "the same, weakest target",
        "higher",
        "The edit accuracy of the target emotion where it is least, divided by the same balanced accuracy.",
    ),
    "edit_confidence": _share(
        "transfer",
        "judge's probability of the target",
        "Mean probability that the judge gives to the target emotion; mean over the seven targets.",
    ),
    "identity_rank1": _share(
        "transfer",
        "identity, rank 1",
        "Share of edits to another emotion whose nearest held-out face is their own source, by cosine in a descriptor "
        "that is independent of the judge. It sees pose, outline and light: compare it with the rank 1 of blurred "
        "faces (Identity, above), in which no one recognises a person.",
    ),
    "identity_rank1_small": _share(
        "transfer",
        "identity, rank 1 of 64",
        "The same among the source and 63 other held-out faces, the mean over all such choices.",
    ),
    "identity_own": Metric(
        "transfer", "cosine to the own source", "higher", "Mean cosine of an edit and its source.", digits=3
    ),
    "identity_others": Metric(
        "transfer", "cosine to other faces", "", "Mean cosine of an edit and all other held-out faces.", digits=3
    ),
    "recognition_rank1_small": _share(
        "transfer",
        "recognised, rank 1 of 64",
        "Share of edits whose own source is the nearest of 64 faces to a face-recognition network (dlib's ResNet).",
    ),
    "recognition_own": Metric(
        "transfer", "distance to the own source", "lower", "Mean distance, to the same network; 0.6 is its limit."
    ),
    "recognition_others": Metric(
        "transfer", "distance to other faces", "", "Mean distance of an edit and the other faces, likewise."
    ),
    "edit_frechet": Metric(
        "transfer",
        "Frechet distance of edits",
        "lower",
        "As that of samples, of edits: one half of the held-out faces, each to the label of another one and never to "
        "its own label; compared with the unedited other half. Both halves have the same count of each emotion; the "
        "mean of both directions and of three divisions.",
    ),
    "edit_frechet_ratio": Metric(
        "transfer",
        "the same / real faces",
        "lower",
        "That distance divided by the one of the two unedited halves: the floor at this N, which the unchanged input "
        "has.",
    ),
    "reconstruction_psnr": Metric(
        "reconstruction", "PSNR, own label", "higher", "Mean over faces, against the face itself.", "dB"
    ),
    "reconstruction_ssim": Metric(
        "reconstruction",
        "SSIM, own label",
        "higher",
        "Wang et al. 2004: Gaussian window of sigma 1.5; mean over faces.",
        digits=3,
    ),
    "reconstruction_l1": Metric(
        "reconstruction", "L1, own label", "lower", "Mean absolute difference, in grey levels of 0..255."
    ),
    "reconstruction_accuracy": _share(
        "reconstruction",
        "judge, own label",
        "Share of reconstructions for which the judge predicts the label of the face.",
    ),
    "frechet": Metric(
        "samples",
        "Frechet distance",
        "lower",
        "Between Gaussians fitted to the judge's features of samples and held-out faces (Heusel et al. 2017, with "
        "classifier features: no FID).",
    ),
    "kernel": Metric(
        "samples",
        "kernel distance x 1000",
        "lower",
        "Unbiased squared maximum mean discrepancy, cubic polynomial kernel (Binkowski et al. 2018), in the judge's "
        "features; 0 is its mean where both are of one distribution.",
        scale=1000.0,
    ),
    "fid": Metric("samples", "FID", "lower", "Heusel et al. 2017, with the Inception weights given."),
    "precision": _share(
        "samples", "precision", "Share of samples within the manifold of real faces, k = 3 (Kynkaanniemi et al. 2019)."
    ),
    "recall": _share(
        "samples", "recall", "Share of real faces within the manifold of samples, k = 3 (Kynkaanniemi et al. 2019)."
    ),
    "density": Metric("samples", "density", "higher", "Naeem et al. 2020, k = 5.", digits=3),
    "coverage": _share("samples", "coverage", "Naeem et al. 2020, k = 5."),
    "sample_accuracy": _share(
        "samples",
        "label accuracy",
        "Share of samples for which the judge predicts their label; mean over the seven labels.",
    ),
    **{
        f"kernel_{name}": Metric(
            "samples by class",
            f"kernel distance x 1000, {name}",
            "lower",
            f"The same between samples and held-out faces that are {name}.",
            scale=1000.0,
        )
        for name in emotions.EMOTIONS
    },
    "cas_real": _share(
        "usefulness",
        "classifier trained on real faces",
        "Balanced accuracy on held-out faces of a small classifier trained on real training faces.",
    ),
    "cas_samples": _share(
        "usefulness",
        "classifier trained on samples",
        "The same classifier, trained on as many samples (classification accuracy score, Ravuri & Vinyals 2019).",
    ),
    "cas_samples_ratio": Metric("usefulness", "samples / real", "higher", "Ratio of the two.", digits=3),
    "cas_edits": _share(
        "usefulness",
        "classifier trained on edits",
        "The same classifier, trained on training faces edited to another emotion, with that emotion as label.",
    ),
    "cas_edits_ratio": Metric("usefulness", "edits / real", "higher", "Ratio of the two.", digits=3),
    "detectability": Metric(
        "detectability",
        "edit or real face, AUC",
        "lower",
        "How well a small network, trained on one half of the faces, distinguishes edits from real faces of the other "
        "half that have the target emotion: area under the ROC curve, mean over the emotions. All pictures are moved, "
        "blurred, lit and made grainy at random. 0.5 is chance; 1 is certain.",
        digits=3,
    ),
    **{
        f"detectability_{name}": Metric(
            "detectability", f"the same, {name}", "lower", f"Of edits to {name} and real {name} faces.", digits=3
        )
        for name in emotions.EMOTIONS
    },
    "toy_psnr": Metric(
        "toy faces", "PSNR to the true drawing", "higher", "Edits to another emotion; mean over edits.", "dB"
    ),
    "toy_identity": _share(
        "toy faces",
        "identity missed",
        "Share of edits to another emotion that lie nearer (in pixels) to another person's true drawing of that "
        "emotion than to their own person's.",
        "lower",
    ),
    "toy_expression": _share(
        "toy faces",
        "expression missed",
        "Share of edits to another emotion that lie nearer to their person's true drawing of a third emotion than to "
        "the target.",
        "lower",
    ),
    "latent_correlation": Metric(
        "latent space", "E(G(z, y)) against z", "higher", "Correlation, mean over the latent's numbers.", digits=3
    ),
    "latent_error": Metric(
        "latent space",
        "error of E(G(z, y))",
        "lower",
        "Root mean square error in units of the prior's standard deviation; 1 is what answering 0 gives.",
        digits=3,
    ),
    "latent_spread": Metric(
        "latent space",
        "spread of E(x)",
        "",
        "Standard deviation of E(x) over held-out faces in units of the prior's: far from 1, z left the prior.",
        digits=3,
    ),
    "images_seen": Metric(
        "cost", "training faces seen", "", "Over all phases, with repetition.", unit="thousands", scale=1e-3, digits=0
    ),
    "training_time": Metric(
        "cost",
        "training time",
        "",
        "Of all phases, compiling included, on the device of the environment.",
        "min",
        1 / 60,
    ),
}


def mean_score(values: np.ndarray, cluster: np.ndarray | None = None) -> Score:
    """Returns the mean of values [N], with its standard error by the bootstrap over the faces they come from.

    Args:
      values: one for each edit or face.
      cluster: int [N], the face that each value comes from, since edits of one face are not independent; not given,
        every value is a face of its own.
    """
    values = np.asarray(values, float)
    cluster = np.arange(len(values)) if cluster is None else cluster
    sums = np.bincount(cluster, values)
    counts = np.bincount(cluster, minlength=len(sums)).astype(float)
    seen = counts > 0
    if not np.isfinite(values).all():  # the PSNR of a picture with itself
        return Score(float(values.mean()))
    return Score(
        float(values.mean()), bootstrap(lambda weights: weights @ sums[seen] / (weights @ counts[seen]), seen.sum())
    )


def balanced_score(values: np.ndarray, labels: np.ndarray, cluster: np.ndarray | None = None) -> Score:
    """Returns the mean over classes of the mean of values [N], for labels int [N]; its error as in `mean_score`."""
    values = np.asarray(values, float)
    cluster = np.arange(len(values)) if cluster is None else cluster
    faces, cluster = np.unique(cluster, return_inverse=True)
    classes, labels = np.unique(labels, return_inverse=True)
    shape = (len(faces), len(classes))
    place = cluster * shape[1] + labels
    sums = np.bincount(place, values, minlength=shape[0] * shape[1]).reshape(shape)
    counts = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape).astype(float)

    def statistic(weights: np.ndarray) -> float:
        members = weights @ counts
        return float(((weights @ sums)[members > 0] / members[members > 0]).mean())

    return Score(statistic(np.ones(len(faces))), bootstrap(statistic, len(faces)))


def over_seeds(values: Sequence[float]) -> Score:
    """Returns the mean over sets, and the standard error of that where there are several."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return Score(float(np.mean(values)), error)


def ratio(score: Score, real: Score) -> Score:
    """Returns the ratio of two scores, its error by those of both, taken as independent; to 0 it is not a number."""
    if not real.value:
        return Score(math.nan)
    value = score.value / real.value
    error = value * float(np.hypot((score.error or 0.0) / max(score.value, 1e-9), (real.error or 0.0) / real.value))
    return Score(value, error)


def bootstrap(statistic: Callable[[np.ndarray], float], count: int) -> float:
    """Returns the standard deviation of statistic(weights [count]) over `RESAMPLES` resamplings of `count` faces.

    The resamplings are always the same, so that the errors of two methods can be compared.
    """
    random = np.random.default_rng(0)
    draws = (random.multinomial(count, np.full(count, 1 / count)).astype(float) for _ in range(RESAMPLES))
    return float(np.std([statistic(weights) for weights in draws], ddof=1))
