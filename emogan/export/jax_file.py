"""A model as one file for JAX: StableHLO from `jax.export`, behind a small header in JSON.

    bytes 0-7    b"emogan\\0\\1"
    bytes 8-11   the header's length, little-endian
    then         the header: what the model says of itself (`card.describe`), the number of weights, and the SHA-256
                 of all that follows
    then         the weights, float32, little-endian
    then         the program (weights, faces, labels) -> edits, as `jax.export.deserialize` reads it

Nobody needs emogan to run it (docs/export.md). The weights are an argument and not constants of the program, because
XLA 0.10.2 gives wrong faces on CPU where a table of a normalisation is a constant of ones and 64 faces or more come at
once.
"""

import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.export
import jax.flatten_util
import numpy as np

from emogan.data import dataset
from emogan.edit import editor
from emogan.export import card
from emogan.models import conv
from emogan.util import untrusted

PLATFORMS = ("cpu", "cuda")
MOST_BODY = 1 << 30  # bytes

_MAGIC = b"emogan\0\1"
_LENGTH = 4  # bytes of the header's length
_WEIGHT = np.dtype("<f4")


class PortableModel:
    """A model from a file; `load` returns one.

    Attributes:
      labels: the emotions' names; a label is a place in them.
      about: all that the file says of the model, see `card.describe`.
      spec: what the faces are.
    """

    def __init__(self, about: Mapping[str, Any], weights: np.ndarray, program: jax.export.Exported):
        self.about = dict(about)
        self.labels = tuple(about["labels"])
        self.spec = _spec_of(program)
        self._call = functools.partial(jax.jit(program.call), jax.device_put(weights))

    def __call__(self, faces: np.ndarray, labels: Sequence[int] | np.ndarray) -> np.ndarray:
        """Returns edits float32 [B, S, S, C] in [-1, 1] of faces uint8 [B, S, S(, 3)] under labels [B]; B is 1 or more.

        Raises:
          ValueError: if the faces or labels are others.
        """
        faces, labels = np.asarray(faces), np.asarray(labels)
        shape = self.spec.byte_shape
        if faces.dtype != np.uint8 or faces.shape[1:] != shape or not len(faces):
            found, expected = f"{faces.dtype} {list(faces.shape)}", f"[B, {', '.join(map(str, shape))}]"
            raise ValueError(f"expected faces uint8 {expected} with B of 1 or more, found {found}")
        if not np.issubdtype(labels.dtype, np.integer) or labels.shape != faces.shape[:1]:
            raise ValueError(f"expected integer labels [{len(faces)}], found {labels.dtype} {list(labels.shape)}")
        wrong = labels[(labels < 0) | (labels >= len(self.labels))]
        if wrong.size:
            raise ValueError(f"expected labels in 0..{len(self.labels) - 1}, found {wrong[0]}")
        return np.asarray(self._call(faces, labels.astype(np.int32)))


def to_bytes(model: editor.Editor, about: Mapping[str, Any]) -> bytes:
    """Returns the file of a model, for batches of every size, on CPU and CUDA.

    Args:
      model: the trained E and G.
      about: see `card.describe`.

    Raises:
      ValueError: if the model's encoder needs the source labels.
    """
    (batch,) = jax.export.symbolic_shape("B")
    faces = jax.ShapeDtypeStruct((batch, *model.spec.byte_shape), np.uint8)
    labels = jax.ShapeDtypeStruct((batch,), np.int32)
    weights, variables_of = jax.flatten_util.ravel_pytree(model.variables)

    def edit(weights, faces, labels):
        with conv.portable():
            return model.edit(variables_of(weights), faces, labels)

    program = jax.export.export(jax.jit(edit), platforms=PLATFORMS)(weights, faces, labels)
    body = np.asarray(weights, _WEIGHT).tobytes() + program.serialize()
    header = {**card.describe(model, about), "weights": len(weights), "sha256": hashlib.sha256(body).hexdigest()}
    text = json.dumps(header).encode()
    return _MAGIC + len(text).to_bytes(_LENGTH, "little") + text + body


def load(path: str | pathlib.Path) -> PortableModel:
    """Returns the model in a file that `to_bytes` gave. The file holds a program: load those of people you trust.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is none, it is cut or damaged, or it was made for other platforms than this process has.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected a model of --format=jax, found none; make one by emogan export")
    try:
        most = len(_MAGIC) + _LENGTH + untrusted.MOST_TEXT + MOST_BODY
        return from_bytes(untrusted.read_bytes(path, most))
    except ValueError as error:
        raise ValueError(f"{path}: {error}; export it again") from error


def from_bytes(content: bytes) -> PortableModel:
    """Returns the model in the bytes of a file; else as `load`."""
    start = len(_MAGIC) + _LENGTH
    length = int.from_bytes(content[len(_MAGIC) : start], "little")
    if not content.startswith(_MAGIC) or len(content) < start + length:
        raise ValueError("expected a model of --format=jax, found another file, or a part of one")
    if length > untrusted.MOST_TEXT:
        raise ValueError(f"expected a header of at most {untrusted.MOST_TEXT >> 20} MiB, found {length:,} bytes")
    try:
        about = card.check(untrusted.from_json(content[start : start + length].decode()))
    except ValueError as error:
        raise ValueError(f"expected the header of a model, found {untrusted.reason(error)}") from error
    body, count = content[start + length :], about.get("weights")
    if about.get("sha256") != hashlib.sha256(body).hexdigest():
        raise ValueError(
            "expected the weights and the program described in the header, found others; the file is damaged or "
            "incomplete"
        )
    size = _WEIGHT.itemsize
    if type(count) is not int or not 0 < count * size < len(body):
        raise ValueError(f"expected the number of weights, found {untrusted.shown(repr(count))}")
    try:
        program = jax.export.deserialize(bytearray(body[count * size :]))
    except Exception as error:  # of another version, or made to break a reader: errors of many kinds
        raise ValueError(f"expected a program of jax.export, found {untrusted.reason(error)}") from error
    _check_program(program, count)
    return PortableModel(about, np.frombuffer(body, _WEIGHT, count), program)


def _spec_of(exported: jax.export.Exported) -> dataset.ImageSpec:
    """Returns what the faces of a program are; raises ValueError if it has none."""
    size, channels = (*exported.out_avals[0].shape, 0, 0, 0, 0)[2:4]
    return dataset.ImageSpec(size, channels)


def _check_program(exported: jax.export.Exported, count: int) -> None:
    avals = (*exported.in_avals, *exported.out_avals)
    arrays = [(str(aval.dtype), aval.shape[min(i, 1) :]) for i, aval in enumerate(avals)]
    try:
        spec = _spec_of(exported)
    except (ValueError, IndexError):
        spec = dataset.FER2013
    expected = [("float32", (count,)), ("uint8", spec.byte_shape), ("int32", ()), ("float32", spec.shape)]
    if arrays != expected:
        raise ValueError(f"expected a program from weights, faces and labels to faces, found {untrusted.shown(arrays)}")
    here = jax.default_backend()
    if not {here, "cuda" if here == "gpu" else here} & set(exported.platforms):
        raise ValueError(f"expected a program for {here}, found one for {', '.join(exported.platforms)}")
