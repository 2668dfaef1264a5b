"""The pictures of a report: samples, edits, nearest training faces, ways through the latent space."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from emogan.data import duplicates
from emogan.edit import editor, emotion_spec
from emogan.evaluation import methods, real_faces
from emogan.figures import run_figures
from emogan.util import grids, images

_ACROSS = 10  # samples of each label
_ROWS = 14  # faces with their edits
_NEIGHBOURS = 4
_STEPS = 9  # of an interpolation


def samples(model: methods.Method, data: real_faces.Faces) -> np.ndarray | None:
    """Returns a picture uint8 [H, W] of samples, a row a label, or None if there are none."""
    if model.samples(0) is None:
        return None
    names, labels = data.held_out.class_names, data.held_out.labels
    shown = [label for label in range(len(names)) if (labels == label).sum() >= _ACROSS]
    if not shown:
        return None
    rows = [model.samples(0)[np.flatnonzero(labels == label)[:_ACROSS]] for label in shown]
    return grids.labelled_grid(np.stack(rows), rows=[names[label] for label in shown], scale=2)


def edits(model: methods.Method, data: real_faces.Faces) -> np.ndarray | None:
    """Returns a picture uint8 [H, W] of faces and their edits to every label, None where not all were made."""
    names, labels = data.held_out.class_names, data.held_out.labels
    if model.edits is None:
        return None
    made = model.edits
    table = np.full((len(names), len(labels)), -1)
    table[made.target, made.source] = made.picture
    whole = np.flatnonzero((table >= 0).all(axis=0))
    if not len(whole):
        return None
    chosen = whole[run_figures.choose_faces(labels[whole], _ROWS)]
    rows = np.concatenate([data.held_out.images[chosen][None], made.pictures[table[:, chosen]]]).swapaxes(0, 1)
    return grids.labelled_grid(rows, columns=("face", *names), rows=[names[labels[face]] for face in chosen], scale=2)


def side_by_side(models: Mapping[str, editor.Editor], originals: np.ndarray) -> np.ndarray:
    """Returns a picture uint8 [H, W] of faces uint8 [N, 48, 48] and their edits to every label, a row a model.

    Raises:
      ValueError: if a model cannot edit faces without their labels, or the models have other labels.
    """
    (names, *others) = {model.class_names for model in models.values()}
    if others:
        raise ValueError(f"expected models of the same emotions, found {', '.join(names)} and {', '.join(others[0])}")
    made = []
    for model in models.values():
        emotion_spec.check(model, editor.ALL, 2)
        edited = emotion_spec.apply(model, originals, editor.ALL, 2)
        made.append(np.concatenate([originals[None], edited]).swapaxes(0, 1))  # a face, its columns
    rows = np.stack(made, axis=1).reshape(-1, 1 + len(names), *originals.shape[1:])
    return grids.labelled_grid(rows, columns=("face", *names), rows=list(models) * len(originals), scale=2)


def neighbours(model: methods.Method, data: real_faces.Faces) -> np.ndarray | None:
    """Returns a picture uint8 [H, W] of samples, each before the training faces that look most like it.

    A sample that is one of them, but for light or noise, would be remembered and not drawn.
    """
    if model.samples(0) is None:
        return None
    names, labels = data.held_out.class_names, data.held_out.labels
    chosen = run_figures.choose_faces(labels, 2 * len(names))
    drawn = model.samples(0)[chosen]
    places, alike = duplicates.nearest(drawn, data.train.images, _NEIGHBOURS)
    rows = np.concatenate([drawn[:, None], data.train.images[places]], axis=1)
    return grids.labelled_grid(
        rows,
        columns=("sample", *(f"no. {i + 1}" for i in range(_NEIGHBOURS))),
        rows=[f"{names[labels[face]]}, {best:.2f}" for face, best in zip(chosen, alike[:, 0], strict=True)],
        scale=2,
    )


def interpolations(model: methods.Method, data: real_faces.Faces) -> np.ndarray | None:
    """Returns a picture uint8 [H, W] of ways from z to z under each label, None without a latent space."""
    live: Any = model.model
    if not hasattr(live, "sample_latents"):
        return None
    names = data.held_out.class_names
    ends = live.sample_latents(2 * len(names), 1)
    share = np.linspace(0, 1, _STEPS, dtype=np.float32)[None, :, None]
    way = ends[::2, None] * (1 - share) + ends[1::2, None] * share
    labels = np.arange(len(names)).repeat(_STEPS)
    drawn = np.asarray(images.to_bytes(live.decode(way.reshape(len(labels), -1), labels)))
    return grids.labelled_grid(drawn.reshape(len(names), _STEPS, *drawn.shape[1:]), rows=names, scale=2)
