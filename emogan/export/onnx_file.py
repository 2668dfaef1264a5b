"""A model as one ONNX file, for onnxruntime and browsers, with what it says of itself as metadata."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from emogan.edit import editor
from emogan.export import card, onnx_graph, onnx_ops

FACES, LABELS, EDITS = "faces", "labels", "edits"  # the names of its arrays


def to_bytes(model: editor.Editor, about: Mapping[str, Any]) -> bytes:
    """Returns the ONNX file of a model, for batches of every size.

    Its metadata are texts in JSON under the names of `card.describe`.

    Args:
      model: the trained E and G.
      about: see `card.describe`.

    Raises:
      ValueError: if onnx is not installed, the model's encoder needs the source labels, or the networks
        do what `onnx_ops` has no rule for.
    """
    try:
        import onnx.checker
    except ImportError as error:
        raise ValueError('expected onnx to write such a file, found none: pip install "emogan[export]"') from error
    metadata = {name: json.dumps(value) for name, value in card.describe(model, about).items()}
    arrays = {FACES: (model.spec.byte_shape, np.uint8), LABELS: ((), np.int32)}
    made = onnx_graph.make(functools.partial(model.edit, model.variables), arrays, EDITS, onnx_ops.RULES, metadata)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def from_bytes(content: bytes) -> card.Edit:
    """Returns the function in the bytes of such a file, by onnxruntime on CPU.

    Raises:
      ValueError: if onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError('expected onnxruntime to check the file, found none: pip install "emogan[export]"') from error
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda faces, labels: session.run([EDITS], {FACES: faces, LABELS: labels})[0]
