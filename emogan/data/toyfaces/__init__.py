"""Drawn faces whose identity and expression are known: the data set that needs no download.

A picture is a pure function of an identity (who, and how photographed) and an expression (facial action units), so
the same person can be drawn with every emotion, and what a perfect transfer would give is known exactly.
"""

import concurrent.futures
import functools
import hashlib
import os
import pathlib

import numpy as np

from emogan import emotions
from emogan.data import cache, dataset
from emogan.data.toyfaces import drawing, expression, scene

ACTION_UNITS = expression.ACTION_UNITS
prototype_expressions = expression.prototype_expressions
sample_expressions = expression.sample_expressions

IDENTITY_FIELDS = tuple(scene.TRAITS)
IDENTITY_SIZE = len(IDENTITY_FIELDS)

SPLIT_SIZES = {"train": 28709, "valid": 3589}

# FER2013's Training split, in the order of emotions.EMOTIONS.
_CLASS_COUNTS = np.array([3995, 436, 4097, 7215, 4830, 3171, 4965])

# Few enough that a layer of them stays in a core's cache.
_CHUNK = 32

_WORTH_REMEMBERING = 2000


def sample_identities(rng: np.random.Generator, n: int) -> np.ndarray:
    """Returns `n` people as photographed, float32 [n, IDENTITY_SIZE], each of IDENTITY_FIELDS uniform in [0, 1).

    The first rows do not depend on how many follow.
    """
    return rng.random((n, IDENTITY_SIZE), dtype=np.float32)


def render(
    identities: np.ndarray, expressions: np.ndarray, noise: bool = True, spec: dataset.ImageSpec = dataset.FER2013
) -> np.ndarray:
    """Returns the faces drawn, uint8 [N, S, S(, 3)]; the same arguments give the same bytes.

    Args:
      identities: [N, IDENTITY_SIZE] in [0, 1].
      expressions: [N, len(ACTION_UNITS)] in [0, 1].
      noise: whether to add the photograph's noise, which is a function of only the identity.
      spec: how many pixels, and whether in colour; the same drawing in all.

    Raises:
      ValueError: if an argument has another shape or leaves its range.
    """
    identities, expressions = np.asarray(identities, np.float32), np.asarray(expressions, np.float32)
    if identities.ndim != 2 or identities.shape[1] != IDENTITY_SIZE:
        raise ValueError(f"expected identities [N, {IDENTITY_SIZE}], found {list(identities.shape)}")
    if not np.all((identities >= 0) & (identities <= 1)):
        raise ValueError(f"expected identities in [0, 1], found {identities.min()}..{identities.max()}")
    if len(identities) != len(expressions):
        raise ValueError(f"expected as many expressions as identities, found {len(expressions)} and {len(identities)}")
    images = np.empty((len(identities), *spec.byte_shape), np.uint8)

    def draw_chunk(start):
        chunk = slice(start, start + _CHUNK)
        image = 255 * drawing.draw(identities[chunk], expressions[chunk], spec)
        if noise:
            image += scene.noise(identities[chunk], spec)
        images[chunk] = np.clip(np.rint(image), 0, 255)

    with concurrent.futures.ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        list(pool.map(draw_chunk, range(0, len(images), _CHUNK)))
    return images


def load(
    split: str,
    seed: int = 0,
    count: int | None = None,
    cache_dir: pathlib.Path | None = None,
    spec: dataset.ImageSpec = dataset.FER2013,
) -> dataset.Dataset:
    """Returns the 'train' (28,709 faces) or 'valid' (3,589) split, with the class frequencies of FER2013's Training.

    Another `count` gives the first faces of the same sequence; no identity is in both splits.

    Args:
      split: 'train' or 'valid'.
      seed: decides the faces.
      count: how many, if not all.
      cache_dir: where faces are remembered if drawing them takes seconds; nowhere if not given.
      spec: how many pixels a face has, and whether it is in colour.

    Raises:
      ValueError: if there is no such split or the count is not positive.
    """
    identities, labels, rng = _people(split, seed, count)
    key = f"{_code()} {split} {seed} {len(labels)} {spec}"
    made = cache.remember(
        cache_dir if len(labels) >= _WORTH_REMEMBERING else None,
        "toyfaces",
        key,
        lambda: {"images": render(identities, sample_expressions(rng, labels), spec=spec)},
    )
    images = made["images"]
    return dataset.Dataset(images=images, labels=labels, name="toyfaces", split=split)


def true_transfers(
    split: str, seed: int = 0, count: int | None = None, spec: dataset.ImageSpec = dataset.FER2013
) -> np.ndarray:
    """Returns what a perfect transfer would make of the faces of `load`, uint8 [7, N, S, S(, 3)].

    Entry [y, i] is identity i with the prototype of emotion y at its mean intensity, and without pixel noise, which
    no one can predict. That holds for the face's own emotion too: entry [label, i] is its typical form, not the input.

    Raises:
      ValueError: as `load`.
    """
    identities, _, _ = _people(split, seed, count)
    return np.stack(
        [
            render(identities, prototype_expressions(np.full(len(identities), emotion)), noise=False, spec=spec)
            for emotion in range(len(emotions.EMOTIONS))
        ]
    )


@functools.cache
def _code() -> str:
    """A digest of the code that draws, so that faces drawn by other code are not taken for these."""
    files = sorted(pathlib.Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _people(split, seed, count):
    """Identities, labels, and the stream that the expressions are drawn from."""
    if split not in SPLIT_SIZES:
        raise ValueError(f"expected a split out of {', '.join(SPLIT_SIZES)}, found {split!r}")
    count = SPLIT_SIZES[split] if count is None else count
    if count < 1:
        raise ValueError(f"expected a count of at least 1, found {count}")
    streams = np.random.SeedSequence([seed, list(SPLIT_SIZES).index(split)]).spawn(3)
    for_identities, for_labels, for_expressions = map(np.random.default_rng, streams)
    return sample_identities(for_identities, count), _labels(for_labels, count), for_expressions


def _labels(rng, n):
    """Labels whose every prefix has the class frequencies, to within a few faces.

    Steps by the golden ratio fill [0, 1) more evenly than independent draws would, so that the rare class is there in
    small sets too.
    """
    position = (rng.random() + np.arange(n) * (np.sqrt(5) - 1) / 2) % 1
    shares = np.cumsum(_CLASS_COUNTS) / _CLASS_COUNTS.sum()
    return np.searchsorted(shares[:-1], position, side="right").astype(np.int32)
