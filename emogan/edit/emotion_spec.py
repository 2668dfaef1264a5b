"""What --emotion says: one emotion, all of them, or an interpolation between two."""

import functools
from collections.abc import Callable

import numpy as np

from emogan.edit import editor

BETWEEN = ":"
MOST_FRAMES = 240
FRAME = 80  # milliseconds
ENDS = 800  # of the first and the last frame, since an animation begins again and again


def is_interpolation(emotion: str) -> bool:
    """Returns whether an emotion is an interpolation, "neutral:happy"."""
    return BETWEEN in emotion


def check(model: editor.Editor, emotion: str, frames: int) -> None:
    """Checks an emotion, an interpolation's number of frames, and that the model needs nothing but faces.

    Raises:
      ValueError: if the run has no such emotion, an interpolation has not 2..240 frames, or the encoder needs labels.
    """
    if is_interpolation(emotion):
        for end in _ends(emotion):
            model.label(end)
        if not 2 <= frames <= MOST_FRAMES:
            raise ValueError(f"--frames: expected 2 to {MOST_FRAMES}, found {frames}")
    elif not editor.is_all(emotion):
        model.label(emotion)
    if model.encoder_labels == editor.SOURCE:
        raise ValueError(
            "expected a run whose encoder is E(x), found model.encoder_labels=True: files do not say the "
            "source labels; use emogan.load(workdir).faces(faces, emotion, labels=...)"
        )


def names(model: editor.Editor, emotion: str) -> tuple[str, ...]:
    """Returns the names of the pictures of each face that `apply` gives, those of an interpolation all being one."""
    if is_interpolation(emotion):
        return (" to ".join(model.class_names[model.label(end)] for end in _ends(emotion)),)
    if editor.is_all(emotion):
        return model.class_names
    return (model.class_names[model.label(emotion)],)


def apply(model: editor.Editor, faces: np.ndarray, emotion: str, frames: int, strength: float = 1.0) -> np.ndarray:
    """Returns the edits uint8 [K, N, ...] of faces uint8 [N, S, S(, 3)]: K is 1, the number of emotions, or of frames.

    For an interpolation, a flow is asked for blends of the two emotions in even steps. Other networks take an emotion
    as one of seven, so pixels change in even steps from the face with the one to that with the other.
    """
    if is_interpolation(emotion) and model.blends:
        first, last = (np.eye(len(model.class_names))[model.label(end)] for end in _ends(emotion))
        shares = np.linspace(0.0, 1.0, frames)[:, None]
        blends = ((1.0 - shares) * first + shares * last).repeat(len(faces), axis=0)
        every = np.tile(faces, (frames, *(1,) * (faces.ndim - 1)))
        labels = np.tile(model.source(faces), frames)
        return model.faces(every, blends, labels=labels, strength=strength).reshape(frames, *faces.shape)
    return np.round(_each(functools.partial(model.faces, faces, strength=strength), emotion, frames)).astype(np.uint8)


def displacements(
    model: editor.Editor, faces: np.ndarray, emotion: str, frames: int, strength: float = 1.0
) -> np.ndarray | None:
    """Returns how the edits of `apply` are warped, float32 [K, N, S, S, 2], or None; see `Editor.displacement`."""
    if not model.warps:
        return None
    return _each(functools.partial(model.displacement, faces, strength=strength), emotion, frames)


def durations(frames: int) -> list[int]:
    """Returns how many milliseconds each frame of an interpolation is shown."""
    return [ENDS, *[FRAME] * (frames - 2), ENDS]


def _each(ask: Callable[[str], np.ndarray], emotion: str, frames: int) -> np.ndarray:
    """Returns what a model says of an emotion, of all, or of an interpolation in even steps, [K, ...]."""
    if not is_interpolation(emotion):
        answer = ask(emotion)
        return answer if editor.is_all(emotion) else answer[None]
    first, last = (ask(end).astype(np.float32) for end in _ends(emotion))
    return np.stack([first + step * (last - first) for step in np.linspace(0.0, 1.0, frames, dtype=np.float32)])


def _ends(emotion: str) -> tuple[str, str]:
    ends = tuple(part.strip() for part in emotion.split(BETWEEN))
    if len(ends) != 2 or not all(ends):
        raise ValueError(f"--emotion: expected a name, all, or FROM:TO, found {emotion!r}")
    return ends[0], ends[1]
