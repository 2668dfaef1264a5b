"""What the paper says of its pictures, as numbers of a run: docs/paper.md quotes them."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from emogan.data import dataset
from emogan.evaluation import reconstructions
from emogan.util import images


def measure(model: Any, data: dataset.Dataset, samples: Sequence[pathlib.Path]) -> dict[str, Any]:
    """Returns the numbers behind the paper's claims, for held-out faces and the fixed samples of phase `gan`.

    `own_label_psnr` and `other_labels_psnr` are mean PSNR in dB of edits against the face itself; `contrast` is the
    mean standard deviation of a picture's pixels, in grey levels of 0..255; `moved` is how far the edits to a label lie
    from the edits of the same faces to the other labels, in grey levels of mean absolute difference.

    Args:
      model: has `faces(images uint8 [N, 48, 48], "all", labels [N])` -> uint8 [C, N, 48, 48].
      data: faces that were not trained on.
      samples: PNG files of the fixed samples, in order.
    """
    edits = np.asarray(model.faces(data.images, "all", data.labels))
    fidelity = np.stack([reconstructions.psnr(edit, data.images) for edit in edits])
    own = data.labels[None] == np.arange(len(edits))[:, None]
    mean = edits.mean(axis=0, dtype=np.float32)
    others = len(edits) / (len(edits) - 1)  # the mean holds the label's own edits too
    return {
        "faces": len(data),
        "own_label_psnr": float(fidelity[own].mean()),
        "other_labels_psnr": float(fidelity[~own].mean()),
        "contrast": {
            "faces": contrast(data.images),
            "edits": contrast(edits.reshape(-1, *edits.shape[2:])),
            "samples": {path.stem: contrast(_faces(path, data.spec)) for path in samples},
        },
        "moved": {
            name: float(others * np.abs(edit - mean).mean()) for name, edit in zip(data.class_names, edits, strict=True)
        },
    }


def contrast(faces: np.ndarray) -> float:
    """Returns the mean over faces uint8 [N, H, W(, 3)] of the standard deviation of a face's values, of 0..255."""
    return float(faces.std(axis=tuple(range(1, faces.ndim)), dtype=np.float32).mean())


def _faces(path: pathlib.Path, spec: dataset.ImageSpec) -> np.ndarray:
    grid = images.untile(images.load_png(path, spec.channels), spec.size)
    return grid.reshape(-1, *grid.shape[2:])
