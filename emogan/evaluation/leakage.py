"""What is wrong with the data themselves: faces that occur twice, with two labels, or in two splits."""

import collections
from collections.abc import Mapping
from typing import Any

import numpy as np

from emogan.data import dataset, duplicates


def audit(splits: Mapping[str, dataset.Dataset]) -> dict[str, Any]:
    """Returns what `within` finds in each split and what `between` finds in each two."""
    names = list(splits)
    pairs = [(one, other) for i, one in enumerate(names) for other in names[:i]]
    return {
        "within": {name: within(data) for name, data in splits.items()},
        "between": {f"{one} in {other}": between(splits[one], splits[other]) for one, other in pairs},
    }


def within(data: dataset.Dataset) -> dict[str, int]:
    """Returns how many faces, groups of equal and of nearly equal faces, and constant images a data set holds."""
    members = collections.defaultdict(list)
    for place, digest in enumerate(duplicates.digests(data.images)):
        members[digest].append(place)
    equal = [places for places in members.values() if len(places) > 1]
    group = duplicates.groups(len(data), duplicates.near_pairs(data.images))
    sizes = np.bincount(group)
    labels = np.zeros((len(sizes), len(data.class_names)), bool)
    labels[group, data.labels] = True
    return {
        "faces": len(data),
        "groups of equal faces": len(equal),
        "of these with conflicting labels": sum(len(set(data.labels[places])) > 1 for places in equal),
        "faces that repeat an equal one": sum(len(places) - 1 for places in equal),
        "groups of near-duplicates": int((sizes > 1).sum()),
        "of these with conflicting labels, near": int((labels.sum(axis=1) > 1).sum()),
        "constant images": int((data.images.min(axis=(1, 2)) == data.images.max(axis=(1, 2))).sum()),
    }


def between(data: dataset.Dataset, other: dataset.Dataset) -> dict[str, int]:
    """Returns how many faces of `data` are also in another data set: equal, nearly equal, or mirrored."""
    known = set(duplicates.digests(other.images))
    near = duplicates.near_pairs(data.images, other.images)
    mirrored = duplicates.near_pairs(data.images, other.images[:, :, ::-1])
    labels = {tuple(pair): data.labels[pair[0]] != other.labels[pair[1]] for pair in near}
    conflicting = {place for (place, _), differs in labels.items() if differs}
    return {
        "equal": sum(digest in known for digest in duplicates.digests(data.images)),
        "near": len(np.unique(near[:, 0])),
        "near, with another label": len(conflicting),
        "near when mirrored": len(np.unique(mirrored[:, 0])),
    }


def to_text(found: Mapping[str, Any]) -> str:
    """Returns an audit as lines."""
    lines = []
    for name, counts in found["within"].items():
        lines += [f"{name}:", *(f"  {what:<42}{count:>8,}" for what, count in counts.items())]
    for name, counts in found["between"].items():
        lines += [f"faces of {name}:", *(f"  {what:<42}{count:>8,}" for what, count in counts.items())]
    return "\n".join(lines)
