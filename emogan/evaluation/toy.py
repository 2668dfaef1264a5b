"""How near a transfer comes to the true drawing, which only the toy faces know."""

from typing import Any

import numpy as np

from emogan import emotions
from emogan.data import toyfaces

ANSWERS = ("model", "input", "mean_face")


def score(
    model: Any, split: str = "valid", seed: int = 0, size: int | None = None, train_size: int | None = None
) -> dict[str, Any]:
    """Returns the PSNR in dB of a model's transfers, and of two trivial answers, against the true drawings.

    The trivial answers are the face as it is, and the mean training face of the wanted emotion. Each entry of `psnr`
    has `all` (mean over faces and the seven targets), `other_labels` (without the face's own) and `per_target`.

    Args:
      model: has `transfer(images uint8 [N, 48, 48], "all", labels [N])` -> uint8 [7, N, 48, 48].
      split: which drawn faces.
      seed: decides the drawn faces.
      size: how many of the split's faces; all if not given.
      train_size: how many training faces the mean faces are of; all if not given.

    Raises:
      ValueError: if there is no such split, or an emotion has no training face.
    """
    data = toyfaces.load(split, seed, size)
    truth = toyfaces.true_transfers(split, seed, size)
    made = {
        "model": np.asarray(model.transfer(data.images, "all", data.labels)),
        "input": data.images[None],
        "mean_face": _mean_faces(seed, train_size)[:, None],
    }
    return {
        "split": split,
        "seed": seed,
        "faces": len(data),
        "psnr": {name: _summary(psnr(made[name], truth), data.labels) for name in ANSWERS},
    }


def psnr(images: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns the peak signal-to-noise ratio in dB, [...], of pictures [..., H, W] in 0..255; infinite where equal."""
    shape = np.broadcast_shapes(images.shape, truth.shape)
    images = np.broadcast_to(images, shape)
    # One target at a time, because all as float32 are a gigabyte.
    error = np.stack(
        [np.mean((a.astype(np.float32) - b) ** 2, axis=(-2, -1)) for a, b in zip(images, truth, strict=True)]
    )
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255.0**2 / error.astype(float))


def to_text(scores: dict[str, Any]) -> str:
    """Returns scores as an aligned table, a line for each target and an answer in each column."""
    table = scores["psnr"]
    rows = [("all labels", [table[name]["all"] for name in ANSWERS])]
    rows.append(("other labels", [table[name]["other_labels"] for name in ANSWERS]))
    rows += [(target, [table[name]["per_target"][target] for name in ANSWERS]) for target in emotions.EMOTIONS]
    head = f"PSNR, dB, of {scores['faces']} faces ({scores['split']}) against the true drawings"
    lines = [head, f"{'target':<14}" + "".join(f"{name.replace('_', ' '):>11}" for name in ANSWERS)]
    lines += [f"{target:<14}" + "".join(f"{value:11.2f}" for value in values) for target, values in rows]
    return "\n".join(lines)


def _mean_faces(seed: int, size: int | None) -> np.ndarray:
    data = toyfaces.load("train", seed, size)
    counts = data.class_counts()
    for name, count in zip(data.class_names, counts, strict=True):
        if not count:
            raise ValueError(f"expected training faces of every emotion, found none that are {name}; draw more")
    return np.stack([data.images[data.labels == label].mean(axis=0) for label in range(len(counts))])


def _summary(values: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    other = np.arange(len(values))[:, None] != labels
    return {
        "all": float(values.mean()),
        "other_labels": float(values[other].mean()),
        "per_target": {name: float(row.mean()) for name, row in zip(emotions.EMOTIONS, values, strict=True)},
    }
