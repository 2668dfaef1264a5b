"""A trained network's weights in one file: .npz, with a card that describes them."""

import hashlib
import io
import json
import pathlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, TypeVar

import flax.traverse_util
import jax
import numpy as np
from jax.experimental import multihost_utils

from emogan.util import files, untrusted

Model = TypeVar("Model")

_CARD = "card"
_CHECKSUM = "checksum"


def checksum(state: Any) -> str:
    """Returns a SHA-256 over the names, shapes, types and bytes of a state's arrays."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        array = np.asarray(gathered(leaf))
        digest.update(f"{jax.tree_util.keystr(path)}{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def gathered(leaf: Any) -> Any:
    """Returns an array whole, which may lie in parts on the devices of several processes."""
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        return multihost_utils.process_allgather(leaf, tiled=True)
    return leaf


def in_halves(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns variables in float16, in the host's memory."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float16), dict(variables))


def in_floats(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns variables in float32, in the host's memory."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), dict(variables))


def save(path: pathlib.Path, variables: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    """Writes variables with a card and returns the card, which then has their checksum; all of it or nothing."""
    card = {**card, _CHECKSUM: checksum(variables)}
    arrays = flax.traverse_util.flatten_dict(dict(variables), sep="/")
    buffer = io.BytesIO()
    np.savez(buffer, **{_CARD: np.frombuffer(json.dumps(card).encode(), np.uint8)}, **arrays)
    files.write_bytes(path, buffer.getvalue())
    return card


def packaged(name: str) -> dict[str, Any]:
    """Returns the variables, float32, of a network that is a part of the package, assets/NAME.npz."""
    make = lambda variables, card: in_floats(variables)  # noqa: E731
    with resources.as_file(resources.files("emogan") / "assets" / f"{name}.npz") as path:
        return load(path, make, f"the network of {name}", "install emogan again")


def load(path: pathlib.Path, make: Callable[[dict[str, Any], dict[str, Any]], Model], what: str, remedy: str) -> Model:
    """Returns what `make` makes of the variables and the card that `save` wrote.

    Args:
      path: the file.
      make: (variables, card) -> a model; it may fail in any way on a card of another kind.
      what: what the file should be, such as "a judge", for the errors.
      remedy: what to do where there is none.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if the file is no such one, or its weights were changed.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected {what}'s .npz, found none; {remedy}")
    try:
        arrays = untrusted.read_arrays(path)
        card = untrusted.from_json(arrays.pop(_CARD).tobytes().decode())
        variables = flax.traverse_util.unflatten_dict(arrays, sep="/")
        expected, found = str(card[_CHECKSUM]), checksum(variables)
        model = make(variables, card)
    except Exception as error:  # arrays and a card of any shape lead to errors of many kinds
        why = f"{type(error).__name__}: {untrusted.reason(error)}"
        raise ValueError(f"{path}: expected {what}, found {why}; copy it again") from error
    if expected != found:
        raise ValueError(f"{path}: expected weights with checksum {expected[:16]!r}, found others; copy it again")
    return model
