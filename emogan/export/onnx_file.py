"""A model as one ONNX file, for onnxruntime and browsers, with what it says of itself as metadata."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from emogan.edit import editor, flow_editor
from emogan.export import card, onnx_graph, onnx_ops

FACES, LABELS, EDITS = "faces", "labels", "edits"  # the names of its arrays
STRENGTHS, DRAWINGS = "strengths", "drawings"  # of a page's file, in addition to faces and labels
# Of a flow's file for a page, in addition to faces and labels.
TIMES, ORIGINALS, VELOCITIES = "times", "originals", "velocities"
_LARGE = 1000  # elements of a constant, from which on it is worth writing in float16


def to_bytes(model: editor.Editor, about: Mapping[str, Any]) -> bytes:
    """Returns the ONNX file of a model's `edit`, for batches of every size.

    Its metadata are texts in JSON under the names of `card.describe`.

    Args:
      model: the trained E and G.
      about: see `card.describe`.

    Raises:
      ValueError: if onnx is not installed, the model's encoder needs the source labels, or the networks
        do what `onnx_ops` has no rule for.
    """
    arrays = {FACES: (model.spec.byte_shape, np.uint8), LABELS: ((), np.int32)}
    return _written(functools.partial(model.edit, model.variables), arrays, EDITS, card.describe(model, about))


def drawing_to_bytes(model: editor.Editor) -> bytes:
    """Returns the ONNX file of a model's `drawing`, which the page puts into photographs; errors as of `to_bytes`."""
    arrays = {FACES: (model.spec.byte_shape, np.uint8), LABELS: ((), np.int32), STRENGTHS: ((), np.float32)}
    return _written(functools.partial(model.drawing, model.variables), arrays, DRAWINGS, {})


def velocity_to_bytes(model: flow_editor.FlowEditor) -> bytes:
    """Returns the ONNX file of a flow's `velocity`, which the page asks again and again; errors as of `to_bytes`."""
    arrays = {
        FACES: (model.spec.shape, np.float32),
        TIMES: ((), np.float32),
        LABELS: ((len(model.class_names),), np.float32),
        ORIGINALS: (model.spec.shape, np.float32),
    }
    return _written(functools.partial(model.velocity, model.variables), arrays, VELOCITIES, {})


def from_bytes(content: bytes) -> card.Edit:
    """Returns the function in the bytes of such a file, by onnxruntime on CPU.

    Raises:
      ValueError: if onnxruntime is not installed.
    """
    session = _session(content)
    return lambda faces, labels: session.run([EDITS], {FACES: faces, LABELS: labels})[0]


def drawing_from_bytes(content: bytes) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Returns the function (faces, labels, strengths) in what `drawing_to_bytes` gave; errors as of `from_bytes`."""
    session = _session(content)
    return lambda faces, labels, strengths: session.run(
        [DRAWINGS], {FACES: faces, LABELS: labels, STRENGTHS: strengths}
    )[0]


def velocity_from_bytes(content: bytes) -> Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """Returns the function (faces, times, labels, originals) in what `velocity_to_bytes` gave; errors alike."""
    session = _session(content)
    return lambda faces, times, labels, originals: session.run(
        [VELOCITIES], {FACES: faces, TIMES: times, LABELS: labels, ORIGINALS: originals}
    )[0]


def _written(
    function: Callable[..., Any], arrays: Mapping[str, Any], output: str, description: Mapping[str, Any]
) -> bytes:
    try:
        import onnx.checker
    except ImportError as error:
        raise ValueError('expected onnx to write such a file, found none: pip install "emogan[export]"') from error
    metadata = {name: json.dumps(value) for name, value in description.items()}
    made = onnx_graph.make(function, arrays, output, onnx_ops.RULES, metadata)
    _halve(made.graph)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def _halve(graph: Any) -> None:
    """Writes large constants that float16 holds exactly, as those of models that ship, in half of the bytes."""
    from onnx import TensorProto, helper, numpy_helper

    for constant in list(graph.initializer):
        array = numpy_helper.to_array(constant)
        if array.dtype != np.float32 or array.size < _LARGE:
            continue
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if np.array_equal(half.astype(np.float32), array):
            name = constant.name
            constant.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
            graph.node.insert(0, helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))


def _session(content: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError('expected onnxruntime to check the file, found none: pip install "emogan[export]"') from error
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
