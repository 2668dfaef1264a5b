"""The tenth of FER2013's Training split on which choices are made, cut so that no photograph is on both sides."""

import pathlib

import numpy as np

from emogan.data import cache, dataset, duplicates

SHARE = 0.1

# Part of the cache's key: raise it when the same faces are cut otherwise.
_VERSION = "fer2013 valid 1"


def cut(data: dataset.Dataset, cache_dir: pathlib.Path | None = None) -> tuple[dataset.Dataset, dataset.Dataset]:
    """Returns Training as (`train`, `valid`); the same faces are cut in the same way on every machine, in any order.

    Near-duplicates (`duplicates.near_pairs`) stay together. Of each class the groups are taken in the order of a
    hash of their pixels until `valid` has a tenth of the class's faces.

    Args:
      data: the Training split.
      cache_dir: where the cut is remembered, since the search takes seconds; nowhere if not given.
    """
    chosen = remembered(data, cache_dir)
    return data.take(~chosen, "train"), data.take(chosen, "valid")


def remembered(data: dataset.Dataset, cache_dir: pathlib.Path | None = None) -> np.ndarray:
    """Returns what `choose` does, from `cache_dir` where it was kept."""
    key = f"{_VERSION} {data.fingerprint()}"
    return cache.remember(cache_dir, "valid", key, lambda: {"chosen": choose(data)})["chosen"]


def choose(data: dataset.Dataset) -> np.ndarray:
    """Returns which faces are `valid`, bool [N]."""
    digests = np.array(duplicates.digests(data.images))
    # By pixels and not by place, so that every form in which FER2013 is handed round gives the same cut.
    order = np.lexsort((data.labels, digests))
    group = duplicates.groups(len(data), duplicates.near_pairs(data.images))
    _, first, inverse, sizes = np.unique(group[order], return_index=True, return_inverse=True, return_counts=True)
    chosen = np.zeros(len(sizes), bool)
    label = data.labels[order][first]  # of a group's first face
    for one in np.unique(label):
        members = np.flatnonzero(label == one)
        members = members[np.argsort(first[members])]
        taken = np.cumsum(sizes[members])
        chosen[members[taken <= SHARE * taken[-1]]] = True
    answer = np.zeros(len(data), bool)
    answer[order] = chosen[inverse]
    return answer
