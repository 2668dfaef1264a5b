"""Who is on a face, by a network that was trained to recognise people: dlib's, from the extra `identity`.

It is used only for scores: no recipe learns from it.
"""

import functools
import importlib.util
import pathlib
from typing import Any

import numpy as np
import PIL.Image

from emogan.data import dataset
from emogan.evaluation import identity, methods, real_faces, scores

EXTRA = 'pip install "emogan[identity]"'
MOST = 200  # faces that are looked at, and edits of a method
SMALL_GALLERY = 64

_NETWORK, _LANDMARKS = "dlib_face_recognition_resnet_model_v1.dat", "shape_predictor_5_face_landmarks.dat"
_BORDER = 12  # pixels about a face, its edge repeated: landmarks may lie outside
_SCALE = 4
_CHIP, _PADDING = 150, 0.25  # what the network was trained on (dlib's dnn_face_recognition_ex.cpp)
_BATCH = 16


def missing() -> str:
    """Returns in one line what the extra `identity` lacks here, or "" if all is there."""
    if importlib.util.find_spec("dlib") is None:
        return f"identity by a face-recognition network is left out: expected dlib, found none; {EXTRA}"
    lacking = [name for name in (_NETWORK, _LANDMARKS) if not (_folder() / name).is_file()]
    if lacking:
        found = f"found no {' and no '.join(lacking)}"
        return f"identity by a face-recognition network is left out: expected face_recognition_models, {found}; {EXTRA}"
    return ""


def describe(pictures: np.ndarray) -> np.ndarray:
    """Returns descriptors float64 [N, 128] of faces uint8 [N, 48, 48]; of one person they lie nearer than 0.6.

    ResNet of dlib (King 2017), 99.4 % on Labeled Faces in the Wild. Each face is enlarged fourfold, five landmarks are
    found in it, and by them it is turned and cut as the network expects it.

    Raises:
      ValueError: if the extra is not installed, or the pictures are no such array.
    """
    identity.check_faces(pictures, dataset.FER2013)
    if missing():
        raise ValueError(missing())
    network, _ = _networks()
    found = []
    for start in range(0, len(pictures), _BATCH):
        chips = [_aligned(picture) for picture in pictures[start : start + _BATCH]]
        found += [np.array(row) for row in network.compute_face_descriptor(chips)]
    return np.stack(found)


class Recognition:
    """How often the own source is the nearest of 64 faces, and how far an edit is from it, to the network.

    At most `MOST` held-out faces, drawn at random, are looked at, and one edit of each to another emotion; the
    emotions are asked for equally often, as far as a method has such edits.

    Args:
      seed: of what is drawn.
    """

    name = "recognition"

    def __init__(self, seed: int = 0):
        self._seed = seed
        self._gallery: tuple[Any, np.ndarray, np.ndarray] | None = None

    def run(self, model: methods.Method, data: real_faces.Faces, key: object) -> scores.Scores:
        """Returns rank 1 of 64 and mean distances; {} without edits, for references, or with fewer than 2 faces.

        Of references nothing would be learned: the unchanged input has rank 1 of 100 % and a distance of 0.
        """
        del key  # so that the scores do not depend on which other evaluators there are
        if model.kind == "reference" or model.edits is None or len(data.held_out) < 2:
            return {}
        chosen, gallery = self._look_at(data)
        edits = model.edits
        picture, source = _one_each(edits, data.held_out.labels, chosen, np.random.default_rng(self._seed))
        if not len(picture):
            return {}
        pictures, place = np.unique(picture, return_inverse=True)
        made = describe(edits.pictures[pictures])[place]
        own, others, found = compare(made, source, gallery)
        return {
            "recognition_rank1_small": scores.mean_score(found),
            "recognition_own": scores.mean_score(own),
            "recognition_others": scores.mean_score(others),
        }

    def about(self, data: real_faces.Faces) -> dict[str, float]:
        """Returns what the network says of `identity.changed_copies` of the faces: what a faithful edit could reach."""
        chosen, gallery = self._look_at(data)
        copies = identity.changed_copies(data.held_out.images)[chosen]
        own, others, found = compare(describe(copies), np.arange(len(chosen)), gallery)
        return {
            "faces that the recognition network looks at": len(chosen),
            "its rank 1 of 64, of changed copies": float(found.mean()),
            "its distance of a changed copy": float(own.mean()),
            "its distance to other faces": float(others.mean()),
        }

    def _look_at(self, data: real_faces.Faces) -> tuple[np.ndarray, np.ndarray]:
        """Returns the places of the faces that are looked at, int [K], and their descriptors."""
        if self._gallery is None or self._gallery[0] is not data:
            order = np.random.default_rng(self._seed).permutation(len(data.held_out))
            chosen = np.sort(order[:MOST])
            self._gallery = (data, chosen, describe(data.held_out.images[chosen]))
        return self._gallery[1:]


def compare(made: np.ndarray, source: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns of each edit its distance to the own source, the mean to the others, and its rank 1 of 64, [M] each.

    The last is exact over all choices of the other 63 faces (`identity.rank1_among`); a tie is a miss.

    Args:
      made: [M, D].
      source: int [M], rows of the gallery.
      gallery: [N, D], N of at least 2.
    """
    squares = (made**2).sum(1)[:, None] + (gallery**2).sum(1)[None, :] - 2 * made @ gallery.T
    distance = np.sqrt(np.maximum(squares, 0))
    rows = np.arange(len(made))
    own = distance[rows, source]
    near = distance <= own[:, None]
    near[rows, source] = False
    others = (distance.sum(1) - own) / (len(gallery) - 1)
    return own, others, identity.rank1_among(near.sum(1), len(gallery) - 1, SMALL_GALLERY)


def _one_each(
    edits: methods.Edits, labels: np.ndarray, chosen: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns for chosen faces one edit each to another emotion, where there is one: its picture, the face's place."""
    order = random.permutation(len(edits.source))
    place = np.full(len(labels), -1)
    place[chosen] = np.arange(len(chosen))
    usable = order[(place[edits.source[order]] >= 0) & (edits.target[order] != labels[edits.source[order]])]
    by_source: dict[int, dict[int, int]] = {}
    for i in usable:
        by_source.setdefault(int(edits.source[i]), {}).setdefault(int(edits.target[i]), int(i))
    asked = np.zeros(int(edits.target.max()) + 1, int)
    taken = []
    for targets in by_source.values():
        target = min(targets, key=lambda one: asked[one])
        asked[target] += 1
        taken.append(targets[target])
    return edits.picture[taken], place[edits.source[taken]]


def _aligned(picture: np.ndarray) -> np.ndarray:
    """Returns a face uint8 [48, 48] as uint8 [150, 150, 3], its eyes and nose where the network expects them."""
    import dlib

    _, landmarks = _networks()
    padded = np.pad(picture, _BORDER, mode="edge")
    side = _SCALE * len(padded)
    enlarged = np.asarray(PIL.Image.fromarray(padded).resize((side, side), PIL.Image.Resampling.BICUBIC))
    colours = np.ascontiguousarray(np.repeat(enlarged[..., None], 3, axis=2))
    first, last = _SCALE * _BORDER, side - _SCALE * _BORDER - 1
    shape = landmarks(colours, dlib.rectangle(first, first, last, last))
    return dlib.get_face_chip(colours, shape, size=_CHIP, padding=_PADDING)


def _folder() -> pathlib.Path:
    """Returns where the models lie; their package is not imported, since it needs pkg_resources, which is gone."""
    found = importlib.util.find_spec("face_recognition_models")
    places = list(found.submodule_search_locations or ()) if found else []
    return pathlib.Path(places[0]) / "models" if places else pathlib.Path("no face_recognition_models")


@functools.cache
def _networks() -> tuple[Any, Any]:
    import dlib

    folder = _folder()
    return dlib.face_recognition_model_v1(str(folder / _NETWORK)), dlib.shape_predictor(str(folder / _LANDMARKS))
