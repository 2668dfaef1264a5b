"""Faces that occur in a data set more than once: exactly, or with another crop, contrast or watermark."""

import hashlib

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph

# Pairs of FER2013 correlated from here on show the same photograph: of ten looked at in each of four bands all did,
# while of ten at 0.92 to 0.93 three were two people (docs/data.md).
SAME_PHOTOGRAPH = 0.94

_THUMBNAIL = 24  # at 12 pixels, two people with the same haircut reach 0.95
_BLOCK = 1024


def digests(images: np.ndarray) -> list[str]:
    """Returns a SHA-256 of each image's bytes, for images uint8 [N, H, W]."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in np.ascontiguousarray(images)]


def near_pairs(images: np.ndarray, others: np.ndarray | None = None, threshold: float = SAME_PHOTOGRAPH) -> np.ndarray:
    """Returns pairs of near-duplicates, int64 [P, 2], ordered, that link all of them; exact duplicates are among them.

    Two images are near-duplicates if their thumbnails (24 x 24 means, each with mean 0 and norm 1) correlate by
    `threshold` or more, or if they are equal, as constant images may be, which correlate with nothing. Of equal images
    the first stands for all: a face that a file repeats a thousand times makes a thousand pairs and not a million.

    Args:
      images: uint8 [N, S, S(, 3)].
      others: uint8 [M, S, S(, 3)], for pairs (i, j) of an image i and another j; if not given, pairs i < j of images.
      threshold: the correlation.
    """
    within = others is None
    own_digests = digests(images)
    theirs_digests = own_digests if within else digests(others)
    first = {digest: j for j, digest in reversed(list(enumerate(theirs_digests)))}
    other_place = np.array(sorted(first.values()), np.int64)
    place = other_place if within else np.arange(len(images))
    theirs = _thumbnails((images if within else others)[other_place])
    own = theirs if within else _thumbnails(images)
    equal = [(i, first[digest]) for i, digest in enumerate(own_digests) if digest in first]
    if within:
        equal = [(j, i) for i, j in equal if j < i]
    found = [np.array(equal, np.int64).reshape(-1, 2)]
    for start in range(0, len(own), _BLOCK):
        begin = start if within else 0
        i, j = np.nonzero(own[start : start + _BLOCK] @ theirs[begin:].T >= threshold)
        pairs = np.stack([place[i + start], other_place[j + begin]], axis=1)
        found.append(pairs[pairs[:, 0] < pairs[:, 1]] if within else pairs)
    return np.unique(np.concatenate(found), axis=0)


def nearest(images: np.ndarray, others: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places of the `count` most correlated others of each image, and their correlations, both [N, count].

    Args:
      images: uint8 [N, S, S(, 3)].
      others: uint8 [M, S, S(, 3)].
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
    """Returns float32 [N, 576] of mean 0 and norm 1, in gray; 0 for constant images."""
    if images.ndim == 4:
        images = images.mean(axis=3, dtype=np.float32)
    size = images.shape[1]
    block, rest = divmod(size, _THUMBNAIL)
    if rest:
        # What of each pixel lies in each part, which no whole number of pixels fills.
        starts = np.arange(_THUMBNAIL)[:, None] * size / _THUMBNAIL
        ends, pixels = starts + size / _THUMBNAIL, np.arange(size)
        shares = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None) * _THUMBNAIL / size
        means = np.matmul(np.matmul(shares.astype(np.float32), images), shares.T.astype(np.float32))
    else:
        means = images.reshape(-1, _THUMBNAIL, block, _THUMBNAIL, block).mean(axis=(2, 4), dtype=np.float32)
    means = means.reshape(len(images), -1)
    means -= means.mean(axis=1, keepdims=True)
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-3)
