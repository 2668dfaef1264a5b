"""How far viewers agree beyond chance: Krippendorff's alpha."""

import numpy as np

NOMINAL, ORDINAL = "nominal", "ordinal"


def krippendorff(answers: np.ndarray, categories: int, level: str) -> float:
    """Returns Krippendorff's alpha of answers; nan where no picture has two answers, or all answers are the same.

    1 is full agreement, 0 that of chance (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability).

    Args:
      answers: int [V, N] of V viewers on N pictures, in 0..categories - 1, or negative where there is no answer.
      categories: how many there are.
      level: `NOMINAL`, or `ORDINAL` for categories that are in order.

    Raises:
      ValueError: if `level` is neither, or an answer is no category.
    """
    answers = np.asarray(answers)
    if level not in (NOMINAL, ORDINAL):
        raise ValueError(f"expected {NOMINAL} or {ORDINAL}, found {level!r}")
    if answers.size and answers.max() >= categories:
        raise ValueError(f"expected answers below {categories}, found {answers.max()}")
    counts = np.stack([(answers == category).sum(axis=0) for category in range(categories)], axis=1).astype(float)
    counts = counts[counts.sum(axis=1) >= 2]  # a single answer has none to be compared with
    if not len(counts):
        return float("nan")
    pairs = counts.T @ (counts / (counts.sum(axis=1, keepdims=True) - 1))
    pairs -= np.diag((counts / (counts.sum(axis=1, keepdims=True) - 1)).sum(axis=0))
    frequency = pairs.sum(axis=1)
    if level == NOMINAL:
        distance = 1 - np.eye(categories)
    else:
        below = np.cumsum(frequency) - frequency / 2  # the middle of each category's ranks
        distance = np.square(below[:, None] - below[None, :])
    expected = frequency @ distance @ frequency / (frequency.sum() - 1)
    return float(1 - (pairs * distance).sum() / expected) if expected else float("nan")
