"""Faces that stand in a data set more than once: exactly, or with another crop, contrast or watermark."""

import hashlib
import itertools

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

from emogan.data import dataset

# Pairs of FER2013 correlated from here on show the same photograph: of ten looked at in each of four bands all did,
# while of ten at 0.92 to 0.93 three were two people (docs/data.md).
SAME_PHOTOGRAPH = 0.94

_THUMBNAIL = 24  # at 12 pixels, two people with the same haircut reach 0.95
_BLOCK = 1024


def digests(images: np.ndarray) -> list[str]:
    """Returns a SHA-256 of each image's bytes, for images uint8 [N, H, W]."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in np.ascontiguousarray(images)]


def near_pairs(images: np.ndarray, others: np.ndarray | None = None, threshold: float = SAME_PHOTOGRAPH) -> np.ndarray:
    """Returns the pairs of near-duplicates, int64 [P, 2], ordered; exact duplicates are among them.

    Two images are near-duplicates if their thumbnails (24 x 24 means, each with mean 0 and norm 1) correlate by
    `threshold` or more, or if they are equal, as constant images may be, which correlate with nothing.

    Args:
      images: uint8 [N, 48, 48].
      others: uint8 [M, 48, 48], for pairs (i, j) of an image i and another j; if not given, pairs i < j of images.
      threshold: the correlation.
    """
    own, within = _thumbnails(images), others is None
    theirs = own if within else _thumbnails(others)
    found = [_equal_pairs(images, others)]
    for start in range(0, len(own), _BLOCK):
        first = start if within else 0
        i, j = np.nonzero(own[start : start + _BLOCK] @ theirs[first:].T >= threshold)
        pairs = np.stack([i + start, j + first], axis=1)
        found.append(pairs[pairs[:, 0] < pairs[:, 1]] if within else pairs)
    return np.unique(np.concatenate(found), axis=0)


def nearest(images: np.ndarray, others: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of the `count` most correlated others of each image, and their correlations, both [N, count].

    Args:
      images: uint8 [N, 48, 48].
      others: uint8 [M, 48, 48].
      count: how many, at most M.
    """
    correlation = _thumbnails(images) @ _thumbnails(others).T
    places = np.argsort(-correlation, axis=1, kind="stable")[:, :count]
    return places, np.take_along_axis(correlation, places, axis=1)


def groups(count: int, pairs: np.ndarray) -> np.ndarray:
    """Returns a group's number for each of `count` images, int32 [count]: what pairs [P, 2] link has one number."""
    links = scipy.sparse.coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return scipy.sparse.csgraph.connected_components(links, directed=False)[1]


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """Returns float32 [N, 576] of mean 0 and norm 1; 0 for constant images."""
    block = dataset.IMAGE_SIZE // _THUMBNAIL
    means = images.reshape(-1, _THUMBNAIL, block, _THUMBNAIL, block).mean(axis=(2, 4), dtype=np.float32)
    means = means.reshape(len(images), -1)
    means -= means.mean(axis=1, keepdims=True)
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-3)


def _equal_pairs(images: np.ndarray, others: np.ndarray | None) -> np.ndarray:
    places: dict[str, list[int]] = {}
    for j, digest in enumerate(digests(images if others is None else others)):
        places.setdefault(digest, []).append(j)
    if others is None:
        # A chain of neighbours is enough to link all of a group.
        pairs = [pair for members in places.values() for pair in itertools.pairwise(members)]
    else:
        pairs = [(i, j) for i, digest in enumerate(digests(images)) for j in places.get(digest, ())]
    return np.array(pairs, np.int64).reshape(-1, 2)
