"""What a face does under an emotion: facial action units, and how far each of them moves what it moves.

Action units are those of the Facial Action Coding System (Ekman, Friesen and Hager, FACS, 2002), head movements
(51 to 58) included; which of them an emotion is made of follows EMFACS (Friesen and Ekman, 1983).
"""

import types

import numpy as np

from emogan import emotions

ACTION_UNITS = (
    "AU1",  # inner brow raiser
    "AU2",  # outer brow raiser
    "AU4",  # brow lowerer
    "AU5",  # upper lid raiser
    "AU6",  # cheek raiser
    "AU7",  # lid tightener
    "AU9",  # nose wrinkler
    "AU10",  # upper lip raiser
    "AU12",  # lip corner puller
    "AU15",  # lip corner depressor
    "AU16",  # lower lip depressor
    "AU17",  # chin raiser
    "AU20",  # lip stretcher
    "AU23",  # lip tightener
    "AU24",  # lip pressor
    "AU25",  # lips part
    "AU26",  # jaw drop
    "AU27",  # mouth stretch
    "AU43",  # eyes closed
    "AU51",  # head turn left (the person's own left: to the right of the picture)
    "AU52",  # head turn right
    "AU53",  # head up
    "AU54",  # head down
    "AU55",  # head tilt left
    "AU56",  # head tilt right
    "AU57",  # head forward
    "AU58",  # head back
)

MEAN_INTENSITY = 0.7

# Activation at full intensity, and how much it differs between two people who feel the same (as a share of itself).
# EMFACS says which facial units; it leaves the head to the coder, and these are the movements usually seen.
_PROTOTYPES = {
    "angry": {
        "AU4": (0.95, 0.1), "AU5": (0.45, 0.8), "AU7": (0.80, 0.3), "AU10": (0.40, 1.0), "AU17": (0.45, 0.7),
        "AU23": (0.65, 0.5), "AU24": (0.50, 0.9), "AU25": (0.35, 1.0), "AU16": (0.25, 1.0),
        "AU57": (0.85, 0.2), "AU54": (0.40, 0.5), "AU56": (0.25, 0.8),
    },
    "disgusted": {
        "AU9": (0.90, 0.1), "AU10": (0.75, 0.3), "AU4": (0.40, 0.5), "AU7": (0.60, 0.4), "AU6": (0.40, 0.6),
        "AU15": (0.55, 0.5), "AU16": (0.45, 0.8), "AU17": (0.50, 0.7), "AU25": (0.40, 0.9), "AU43": (0.25, 0.8),
        "AU51": (0.80, 0.2), "AU55": (0.45, 0.5), "AU58": (0.30, 0.8), "AU53": (0.25, 0.8),
    },
    "fearful": {
        "AU1": (0.85, 0.15), "AU2": (0.50, 0.5), "AU4": (0.60, 0.4), "AU5": (0.85, 0.15), "AU7": (0.30, 0.9),
        "AU20": (0.80, 0.2), "AU25": (0.70, 0.4), "AU26": (0.35, 0.8), "AU16": (0.30, 0.8),
        "AU58": (0.90, 0.1), "AU52": (0.50, 0.5), "AU54": (0.20, 0.8),
    },
    "happy": {
        "AU6": (0.80, 0.25), "AU12": (0.92, 0.08), "AU25": (0.65, 0.5), "AU26": (0.30, 1.0), "AU2": (0.12, 0.9),
        "AU10": (0.15, 0.9), "AU53": (0.45, 0.5), "AU56": (0.50, 0.5),
    },
    "sad": {
        "AU1": (0.85, 0.15), "AU4": (0.55, 0.4), "AU15": (0.85, 0.15), "AU17": (0.60, 0.6), "AU43": (0.45, 0.6),
        "AU24": (0.20, 0.9), "AU54": (0.85, 0.15), "AU55": (0.65, 0.4),
    },
    "surprised": {
        "AU1": (0.90, 0.1), "AU2": (0.92, 0.08), "AU5": (0.80, 0.25), "AU25": (0.75, 0.3), "AU26": (0.70, 0.4),
        "AU27": (0.55, 0.7), "AU53": (0.80, 0.2), "AU58": (0.25, 0.8),
    },
    "neutral": {},
}  # fmt: skip


def _table(column: int) -> np.ndarray:
    table = np.zeros((len(emotions.EMOTIONS), len(ACTION_UNITS)), np.float32)
    for emotion, units in _PROTOTYPES.items():
        for unit, entry in units.items():
            table[emotions.label(emotion), ACTION_UNITS.index(unit)] = entry[column]
    return table


_ACTIVATION, _SPREAD = _table(0), _table(1)


def _checked(labels) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"expected labels int [N], found {labels.dtype} {list(labels.shape)}")
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(emotions.EMOTIONS)):
        raise ValueError(f"expected labels in 0..{len(emotions.EMOTIONS) - 1}, found {labels.min()}..{labels.max()}")
    return labels


def prototype_expressions(labels: np.ndarray, intensity: float = MEAN_INTENSITY) -> np.ndarray:
    """Returns the typical expression of each emotion, float32 [N, len(ACTION_UNITS)] in [0, 1].

    Args:
      labels: int [N] in 0..6.
      intensity: 0 (a face at rest) to 1 (as strong as it gets); the default is the mean of `sample_expressions`.

    Raises:
      ValueError: if labels are no emotions or the intensity is outside [0, 1].
    """
    if not 0 <= intensity <= 1:
        raise ValueError(f"expected an intensity in [0, 1], found {intensity}")
    return np.float32(intensity) * _ACTIVATION[_checked(labels)]


def sample_expressions(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """Returns an expression of each emotion as it comes, float32 [N, len(ACTION_UNITS)] in [0, 1].

    The intensity is uniform in [0.4, 1], each unit differs from its prototype, and every unit (also in a neutral
    face) moves a little. The first rows do not depend on how many follow.

    Raises:
      ValueError: if labels are not int [N] in 0..6.
    """
    labels = _checked(labels)
    # One row of uniforms a face: that is what makes a prefix of the labels give a prefix of the expressions.
    uniform = rng.random((len(labels), 1 + 2 * len(ACTION_UNITS)), dtype=np.float32)
    intensity = 2 * (1 - MEAN_INTENSITY) * (uniform[:, :1] - 0.5) + MEAN_INTENSITY
    variation, stirring = np.split(uniform[:, 1:], 2, axis=1)
    activation = intensity * _ACTIVATION[labels] * (1 + _SPREAD[labels] * (2 * variation - 1))
    return np.clip(activation + 0.22 * stirring**3, 0, 1)


def displacements(expressions: np.ndarray) -> types.SimpleNamespace:
    """Returns what the action units move, as named float32 arrays [N, 1, 1].

    Lengths are in face units (half the height of a resting head is about 1, down and the picture's right are
    positive), angles in radians, the rest in [0, 1].

    Raises:
      ValueError: if expressions are not [N, len(ACTION_UNITS)] in [0, 1].
    """
    expressions = np.asarray(expressions, np.float32)
    if expressions.ndim != 2 or expressions.shape[1] != len(ACTION_UNITS):
        raise ValueError(f"expected expressions [N, {len(ACTION_UNITS)}], found {list(expressions.shape)}")
    if not np.all((expressions >= 0) & (expressions <= 1)):
        raise ValueError(f"expected activations in [0, 1], found {expressions.min()}..{expressions.max()}")
    a = {unit: expressions[:, k, None, None] for k, unit in enumerate(ACTION_UNITS)}
    turn, up, tilt = a["AU51"] - a["AU52"], a["AU53"] - a["AU54"], a["AU55"] - a["AU56"]
    parted = np.clip(a["AU25"] + 0.5 * a["AU26"] + a["AU27"], 0, 1)
    return types.SimpleNamespace(
        # Pivoting on the neck moves the head as well as turning it.
        head_x=0.15 * turn + 0.11 * tilt,
        head_y=-0.19 * up - 0.04 * (a["AU58"] - a["AU57"]),
        head_scale=1 + 0.19 * a["AU57"] - 0.16 * a["AU58"],
        head_roll=0.24 * tilt,
        head_yaw=0.75 * turn,
        head_pitch=-0.75 * up,
        jaw=0.13 * a["AU26"] + 0.17 * a["AU27"] - 0.04 * a["AU17"] - 0.03 * a["AU24"],
        brow_inner=-0.17 * a["AU1"] + 0.15 * a["AU4"] + 0.08 * a["AU9"] - 0.05 * a["AU2"],
        brow_middle=-0.09 * a["AU1"] - 0.15 * a["AU2"] + 0.11 * a["AU4"] + 0.08 * a["AU9"],
        brow_outer=-0.15 * a["AU2"] + 0.02 * a["AU4"] + 0.03 * a["AU1"] + 0.03 * a["AU6"],
        brow_gap=-0.06 * a["AU4"] + 0.02 * a["AU2"],
        upper_lid=0.075 * a["AU5"] - 0.035 * a["AU7"] - 0.03 * a["AU9"] - 0.025 * a["AU6"] - 0.09 * a["AU43"],
        lower_lid=-0.035 * a["AU7"] - 0.04 * a["AU6"] - 0.03 * a["AU9"] + 0.015 * a["AU5"],
        cheek=np.clip(a["AU6"] + 0.5 * a["AU12"] + 0.5 * a["AU9"], 0, 1),
        nose_rise=0.05 * a["AU9"] + 0.02 * a["AU10"],
        nostrils=0.05 * a["AU9"] + 0.03 * a["AU10"] + 0.03 * a["AU12"] + 0.02 * a["AU4"],
        furrow=np.clip(a["AU4"] + 0.7 * a["AU9"], 0, 1),
        wrinkled_nose=a["AU9"],
        wrinkled_forehead=np.clip(0.6 * a["AU1"] + 0.6 * a["AU2"] - 0.3 * a["AU4"], 0, 1),
        fold=np.clip(0.9 * a["AU12"] + 0.7 * a["AU10"] + 0.6 * a["AU9"] + 0.25 * a["AU15"], 0, 1),
        chin_boss=a["AU17"],
        mouth_y=0.07 * a["AU26"] + 0.05 * a["AU27"] - 0.05 * a["AU17"] - 0.03 * a["AU9"] - 0.02 * a["AU12"],
        mouth_width=0.13 * a["AU12"] + 0.14 * a["AU20"] - 0.07 * a["AU23"] - 0.10 * a["AU27"] - 0.05 * a["AU26"],
        corner=-0.21 * a["AU12"] + 0.20 * a["AU15"] + 0.05 * a["AU20"] + 0.05 * a["AU10"],
        upper_open=parted * (0.035 + 0.03 * a["AU12"] + 0.10 * a["AU27"]) + 0.08 * a["AU10"] * a["AU25"],
        lower_open=parted * (0.03 + 0.10 * a["AU12"] + 0.10 * a["AU16"]) + 0.13 * a["AU26"] + 0.20 * a["AU27"],
        lip_raise=0.05 * a["AU10"] + 0.02 * a["AU9"],
        square=np.clip(a["AU20"] + 0.8 * a["AU10"] + 0.6 * a["AU16"], 0, 1),
        round=np.clip(0.6 * a["AU26"] + 0.9 * a["AU27"], 0, 1),
        teeth=np.clip(0.6 * a["AU25"] + a["AU10"] + 0.6 * a["AU12"] + 0.5 * a["AU20"] - 0.5 * a["AU27"], 0, 1),
        thin_lips=np.clip(0.8 * a["AU23"] + 0.8 * a["AU24"] + 0.3 * a["AU12"] + 0.25 * a["AU20"], 0, 1),
    )
