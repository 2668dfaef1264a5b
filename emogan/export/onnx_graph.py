"""A pure JAX function of a batch as a graph of ONNX: its jaxpr, read equation by equation.

jax2onnx does this for far more of JAX, but pins an Orbax older than emogan's, and its versions that do not (0.12 and
before) fail on the paper's encoder; so emogan translates the few operations that its networks are made of
(`onnx_ops.RULES`), and refuses others by name.

Whatever depends on neither input is computed here, once, so that parameters come out in the form in which ONNX wants
them. Where a function chooses by platform (`models.conv`), ONNX is one of the platforms without their own form.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core

OPSET = 17  # of 2021: newer runtimes read it, and so do older ones
_IR = 8  # the version of the file format that came with it
_BATCH = "B"

# Called functions: the primitive's name, and its parameter that is the function.
_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}


class Value(NamedTuple):
    """What a node gives: its name, and its shape there.

    The shape may have 1 where the jaxpr has more: ONNX broadcasts as NumPy does, and `Graph.full` repeats for the rest.
    """

    name: str
    shape: tuple[Any, ...]


_NOTHING = Value("", (0,))  # an array without elements, such as padding of no width; no node takes it

Known = Value | np.ndarray  # an array is known when the graph is made

# (graph, equation, its inputs) -> its output, or its outputs
Rule = Callable[["Graph", Any, Sequence[Known]], Value | list[Value]]


class Graph:
    """The nodes and constants that have been made, and the name of the input whose first axis is the batch."""

    def __init__(self, batch_of: str):
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._batch_of = batch_of
        self._names: dict[tuple[Any, ...], str] = {}  # of the constants: a network used twice has its parameters once

    def node(self, kind: str, inputs: Sequence[Known], shape: Sequence[Any], **attributes: Any) -> Value:
        """Adds a node of one output and returns that."""
        from onnx import helper

        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.name(value) for value in inputs], [name], **attributes))
        return Value(name, tuple(shape))

    def name(self, value: Known) -> str:
        """Returns the name of a value; an array becomes a constant, equal arrays the same one."""
        from onnx import numpy_helper

        if isinstance(value, Value):
            return value.name
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        key = (array.dtype, array.shape, array.tobytes())
        if key not in self._names:
            self._names[key] = f"c{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, self._names[key]))
        return self._names[key]

    def full(self, value: Known, shape: Sequence[Any]) -> Known:
        """Returns a value in the shape that the jaxpr has for it."""
        if value.shape == tuple(shape):
            return value
        return self.node("Expand", [value, self._shape(shape)], shape)

    def reshape(self, value: Known, shape: Sequence[Any]) -> Value:
        """Returns a value in another shape, in which one axis at most depends on the batch."""
        return self.node("Reshape", [value, np.array([_or(size, -1) for size in shape], np.int64)], shape)

    def transpose(self, value: Known, order: Sequence[int]) -> Known:
        """Returns a value with its axes in another order."""
        if isinstance(value, np.ndarray):
            return value.transpose(order)
        return self.node("Transpose", [value], [value.shape[axis] for axis in order], perm=list(order))

    def _shape(self, shape: Sequence[Any]) -> Known:
        if all(isinstance(size, int) for size in shape):
            return np.array(shape, np.int64)
        batch = self.node("Shape", [Value(self._batch_of, ())], (1,), start=0, end=1)
        sizes = [np.array([size], np.int64) if isinstance(size, int) else batch for size in shape]
        return self.node("Concat", sizes, (len(shape),), axis=0)


def make(
    function: Callable[..., jax.Array],
    inputs: Mapping[str, tuple[tuple[int, ...], Any]],
    output: str,
    rules: Mapping[str, Rule],
    metadata: Mapping[str, str],
) -> Any:
    """Returns an `onnx.ModelProto` of a pure function.

    Args:
      function: takes arrays with a first axis of one length, the batch.
      inputs: the arrays' names, with their shapes after the first axis and their types.
      output: the name of the result.
      rules: what a primitive is in ONNX, by its name.
      metadata: texts by name, which the file carries.

    Raises:
      ValueError: if the function does what there is no rule for.
    """
    from onnx import helper

    (batch,) = jax.export.symbolic_shape(_BATCH)
    given = [jax.ShapeDtypeStruct((batch, *shape), dtype) for shape, dtype in inputs.values()]
    closed = jax.make_jaxpr(function)(*given)
    graph = Graph(next(iter(inputs)))
    arguments = [Value(name, one.shape) for name, one in zip(inputs, given, strict=True)]
    (answer,) = _walk(graph, closed, arguments, rules)
    (aval,) = closed.out_avals
    answer = graph.full(answer, aval.shape)
    graph.nodes.append(helper.make_node("Identity", [graph.name(answer)], [output]))
    infos = [_info(name, one) for name, one in zip(inputs, given, strict=True)]
    made = helper.make_graph(graph.nodes, "emogan", infos, [_info(output, aval)], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="emogan")
    model.ir_version = _IR
    helper.set_model_props(model, dict(metadata))
    return model


def _walk(graph: Graph, closed: Any, arguments: Sequence[Known], rules: Mapping[str, Rule]) -> list[Known]:
    """Returns the outputs of a jaxpr, after adding its nodes."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.constvars, (np.asarray(constant) for constant in closed.consts), strict=True))
    values |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(variable):
        if _is_empty(variable):
            return _NOTHING
        return np.asarray(variable.val) if isinstance(variable, core.Literal) else values[variable]

    for equation in _needed(jaxpr):
        name, given = equation.primitive.name, [read(variable) for variable in equation.invars]
        if name in _CALLS:
            answers = _walk(graph, equation.params[_CALLS[name]], given, rules)
        elif name == "platform_index":
            answers = [np.int32(equation.params["platforms"].index(None))]
        elif name == "cond" and isinstance(given[0], np.generic | np.ndarray):
            answers = _walk(graph, equation.params["branches"][int(given[0])], given[1:], rules)
        elif _is_known(equation, given):
            answers = equation.primitive.bind(*given, **equation.params)
            answers = [np.asarray(one) for one in (answers if equation.primitive.multiple_results else [answers])]
        elif name in rules:
            made = rules[name](graph, equation, given)
            answers = made if isinstance(made, list) else [made]
        else:
            raise ValueError(f"expected a network of operations that emogan has in ONNX, found {name}; export as jax")
        values |= zip(equation.outvars, answers, strict=True)
    return [read(variable) for variable in jaxpr.outvars]


def _needed(jaxpr: Any) -> list[Any]:
    """Returns the equations on which the result depends, in their order, without those that only give nothing."""
    needed = {variable for variable in jaxpr.outvars if not isinstance(variable, core.Literal)}
    equations = []
    for equation in reversed(jaxpr.eqns):
        if any(variable in needed and not _is_empty(variable) for variable in equation.outvars):
            needed.update(variable for variable in equation.invars if not isinstance(variable, core.Literal))
            equations.append(equation)
    return equations[::-1]


def _is_empty(variable: Any) -> bool:
    return any(isinstance(size, int) and size == 0 for size in variable.aval.shape)


def _is_known(equation: Any, given: Sequence[Known]) -> bool:
    shapes = [size for variable in equation.outvars for size in variable.aval.shape]
    return all(not isinstance(one, Value) for one in given) and all(isinstance(size, int) for size in shapes)


def _info(name: str, aval: Any) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, onnx_type(aval.dtype), [_or(size, _BATCH) for size in aval.shape])


def onnx_type(dtype: Any) -> int:
    """Returns ONNX's number of a type of arrays.

    Raises:
      ValueError: if browsers could not compute in it.
    """
    from onnx import helper

    if np.dtype(dtype).name not in ("float32", "int32", "uint8", "int64", "bool"):
        raise ValueError(f"expected a network that computes in float32, found {dtype}; export as jax")
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def _or(size: Any, other: Any) -> Any:
    return size if isinstance(size, int) else other
