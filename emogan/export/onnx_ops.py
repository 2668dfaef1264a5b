"""What the operations of emogan's networks are in ONNX: a rule for each primitive of JAX.

Maps are NHWC in JAX and NCHW in ONNX, so convolutions stand between two transpositions; runtimes push these through
the element-wise operations between two convolutions, where they cancel.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emogan.export import onnx_graph

_Graph, _Known, _Value = onnx_graph.Graph, onnx_graph.Known, onnx_graph.Value

_ELEMENTWISE = {
    "abs": "Abs",
    "add": "Add",
    "and": "And",
    "copy": "Identity",
    "cos": "Cos",
    "div": "Div",
    "eq": "Equal",
    "exp": "Exp",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "le": "LessOrEqual",
    "log": "Log",
    "logistic": "Sigmoid",
    "lt": "Less",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "not": "Not",
    "or": "Or",
    "sin": "Sin",
    "sqrt": "Sqrt",
    "stop_gradient": "Identity",
    "sub": "Sub",
    "tanh": "Tanh",
}


def _elementwise(kind: str) -> onnx_graph.Rule:
    return lambda graph, equation, given: graph.node(kind, given, _together(given))


def _square(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    return graph.node("Mul", [given[0], given[0]], given[0].shape)


def _rsqrt(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    return graph.node("Reciprocal", [graph.node("Sqrt", given, given[0].shape)], given[0].shape)


def _select(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    if len(given) != 3:
        raise _other(equation, f"{len(given) - 1} cases")
    return graph.node("Where", [given[0], given[2], given[1]], _together(given))


def _convert(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    return graph.node("Cast", given, given[0].shape, to=onnx_graph.onnx_type(equation.params["new_dtype"]))


def _broadcast(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    """The axes are put in their places only: what uses them repeats them, most often by itself."""
    shape = [1] * len(equation.outvars[0].aval.shape)
    for axis, size in zip(equation.params["broadcast_dimensions"], given[0].shape, strict=True):
        shape[axis] = size
    return graph.reshape(given[0], shape)


def _reshape(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    return graph.reshape(_full(graph, equation, given)[0], equation.outvars[0].aval.shape)


def _transpose(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Known:
    return graph.transpose(given[0], equation.params["permutation"])


def _concatenate(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    parts = [part for part in _full(graph, equation, given) if 0 not in part.shape]
    return graph.node("Concat", parts, equation.outvars[0].aval.shape, axis=equation.params["dimension"])


def _slice(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    strides = equation.params["strides"] or (1,) * len(starts)
    return _cut(graph, *_full(graph, equation, given), starts, limits, strides, equation.outvars[0].aval.shape)


def _split(graph: _Graph, equation: Any, given: Sequence[_Known]) -> list[_Value]:
    return _parts(graph, *_full(graph, equation, given), equation.params["axis"], equation.params["sizes"])


def _stack(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    """Arrays side by side along a new axis: a primitive in JAX 0.12, and not in 0.10."""
    shape, axis = equation.outvars[0].aval.shape, equation.params["axis"]
    one = [1 if place == axis else size for place, size in enumerate(shape)]
    parts = [graph.reshape(part, one) for part in _full(graph, equation, given)]
    return graph.node("Concat", parts, shape, axis=axis)


def _unstack(graph: _Graph, equation: Any, given: Sequence[_Known]) -> list[_Value]:
    """Parts of length 1 along an axis, which is then removed: a primitive in JAX 0.12, and not in 0.10."""
    ones = [1] * len(equation.outvars)
    parts = _parts(graph, *_full(graph, equation, given), equation.params["axis"], ones)
    return [graph.reshape(part, one.aval.shape) for part, one in zip(parts, equation.outvars, strict=True)]


def _parts(graph: _Graph, x: _Known, axis: int, sizes: Sequence[int]) -> list[_Value]:
    """Parts of these sizes, one after the other along an axis."""
    ends, parts = np.cumsum(sizes).tolist(), []
    for start, end in zip([0, *ends], ends, strict=False):
        starts, limits, shape = [0] * len(x.shape), list(x.shape), list(x.shape)
        starts[axis], limits[axis], shape[axis] = start, end, end - start
        parts.append(_cut(graph, x, starts, limits, [1] * len(x.shape), shape))
    return parts


def _cut(graph: _Graph, x: _Known, starts: Any, limits: Any, strides: Any, shape: Any) -> _Value:
    axes = [axis for axis, limit in enumerate(limits) if isinstance(limit, int)]  # the batch is never cut
    parts = [np.array([of[axis] for axis in axes], np.int64) for of in (starts, limits)]
    steps = np.array([strides[axis] for axis in axes], np.int64)
    return graph.node("Slice", [x, *parts, np.array(axes, np.int64), steps], shape)


def _reverse(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    axes = np.array(equation.params["dimensions"], np.int64)
    first, beyond = np.full_like(axes, -1), np.full_like(axes, np.iinfo(np.int64).min)
    x = _full(graph, equation, given)[0]
    return graph.node("Slice", [x, first, beyond, axes, np.full_like(axes, -1)], equation.outvars[0].aval.shape)


def _pad(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    sides = equation.params["padding_config"]
    if any(inner for *_, inner in sides):
        raise _other(equation, "padding between elements")
    x, value = _full(graph, equation, given)
    pads = np.array([side[0] for side in sides] + [side[1] for side in sides], np.int64)  # negative ones cut
    return graph.node("Pad", [x, pads, value], equation.outvars[0].aval.shape)


def _reduce_sum(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    inputs = [*_full(graph, equation, given), np.array(equation.params["axes"], np.int64)]
    return graph.node("ReduceSum", inputs, equation.outvars[0].aval.shape, keepdims=0)


def _reduce_max(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    shape, axes = equation.outvars[0].aval.shape, list(equation.params["axes"])
    return graph.node("ReduceMax", _full(graph, equation, given), shape, axes=axes, keepdims=0)


def _gather(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    """Rows of a table, as `jnp.take(table, labels, axis=0)` asks for them, or a part at places that are known."""
    x, places = _full(graph, equation, given)
    if isinstance(places, np.ndarray):
        return _part(graph, equation, x, places)
    how, inner = equation.params["dimension_numbers"], tuple(range(1, len(x.shape)))
    whole_rows = how.collapsed_slice_dims == how.start_index_map == (0,) and how.offset_dims == inner
    if not whole_rows or equation.params["slice_sizes"] != (1, *x.shape[1:]) or places.shape[1:] != (1,):
        raise _other(equation, "places that depend on the faces")
    return graph.node("Gather", [x, graph.reshape(places, places.shape[:1])], equation.outvars[0].aval.shape, axis=0)


def _part(graph: _Graph, equation: Any, x: _Known, places: np.ndarray) -> _Value:
    """What indexing gives, such as x[:, 1:, ::2, -3:], if one axis at most is taken place by place."""
    how, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    shape = equation.outvars[0].aval.shape
    starts = dict(zip(how.start_index_map, places.reshape(-1, places.shape[-1]).T, strict=True))
    single = [axis for axis, these in starts.items() if len(these) > 1 and len(set(these.tolist())) > 1]
    if len(single) != max(places.ndim - 1, 0) or len(single) > 1 or not set(single) <= set(how.collapsed_slice_dims):
        raise _other(equation, "places in several axes")
    begin, limits = [0] * len(x.shape), list(x.shape)
    for axis in starts.keys() - set(single):
        begin[axis], limits[axis] = int(starts[axis][0]), int(starts[axis][0]) + sizes[axis]
    cut_shape = [x.shape[axis] if axis in single else sizes[axis] for axis in range(len(sizes))]
    y = _cut(graph, x, begin, limits, [1] * len(sizes), cut_shape)
    for axis in single:
        cut_shape[axis] = len(starts[axis])
        y = graph.node("Gather", [y, starts[axis].astype(np.int64)], cut_shape, axis=axis)
    kept = [axis for axis in range(len(sizes)) if axis not in how.collapsed_slice_dims]
    order = [kept[how.offset_dims.index(i)] if i in how.offset_dims else single[0] for i in range(len(shape))]
    order += [axis for axis in how.collapsed_slice_dims if axis not in single]  # of one place, which goes
    return graph.reshape(graph.transpose(y, order), shape)


def _dot(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    """As a product of two matrices: what is summed over becomes one axis of each, all others the other."""
    (of_left, of_right), of_batch = equation.params["dimension_numbers"]
    left, right = _full(graph, equation, given)
    if any(of_batch):
        return _batched_dot(graph, equation, left, right)
    if not all(isinstance(size, int) for size in right.shape):
        raise _other(equation, "products that depend on the batch twice")
    free_left = [axis for axis in range(len(left.shape)) if axis not in of_left]
    free_right = [axis for axis in range(len(right.shape)) if axis not in of_right]
    summed = int(np.prod([right.shape[axis] for axis in of_right]))
    columns = int(np.prod([right.shape[axis] for axis in free_right]))
    rows = 1
    for axis in free_left:
        rows *= left.shape[axis]
    first = graph.reshape(graph.transpose(left, [*free_left, *of_left]), (rows, summed))
    second = graph.transpose(right, [*of_right, *free_right])
    second = second.reshape(summed, columns) if isinstance(second, np.ndarray) else graph.reshape(second, (-1, columns))
    product = graph.node("MatMul", [first, second], (rows, columns))
    return graph.reshape(product, equation.outvars[0].aval.shape)


def _batched_dot(graph: _Graph, equation: Any, left: _Known, right: _Known) -> _Value:
    """Products of matrices, one for each place in the axes of the batch."""
    (of_left, of_right), (batch_left, batch_right) = equation.params["dimension_numbers"]
    free_left = [axis for axis in range(len(left.shape)) if axis not in (*of_left, *batch_left)]
    free_right = [axis for axis in range(len(right.shape)) if axis not in (*of_right, *batch_right)]
    if not len(free_left) == len(free_right) == len(of_left) == 1:
        raise _other(equation, "products of more than matrices")
    first = graph.transpose(left, [*batch_left, *free_left, *of_left])
    second = graph.transpose(right, [*batch_right, *of_right, *free_right])
    return graph.node("MatMul", [first, second], equation.outvars[0].aval.shape)


def _conv(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    params = equation.params
    numbers, strides, dilation = params["dimension_numbers"], params["window_strides"], params["lhs_dilation"]
    before, after = zip(*params["padding"], strict=True)
    x, kernel = _full(graph, equation, given)
    if set(params["rhs_dilation"]) != {1} or params["batch_group_count"] != 1 or params["feature_group_count"] != 1:
        raise _other(equation, "dilated or grouped kernels")
    if not isinstance(kernel, np.ndarray):
        raise _other(equation, "a kernel that depends on the faces")
    x, kernel = graph.transpose(x, numbers.lhs_spec), kernel.transpose(numbers.rhs_spec)  # NCHW and OIHW
    shape = [equation.outvars[0].aval.shape[axis] for axis in numbers.out_spec]
    sizes = kernel.shape[2:]
    if set(dilation) == {1}:
        pads, kind = [*before, *after], "Conv"
    elif set(strides) == {1}:  # which ONNX has under its own name, with the kernel turned
        kernel = kernel[:, :, ::-1, ::-1].swapaxes(0, 1)
        pads = [size - 1 - pad for side in (before, after) for size, pad in zip(sizes, side, strict=True)]
        kind, strides = "ConvTranspose", dilation
    else:
        raise _other(equation, "strides on both sides")
    if min(pads) < 0:
        raise _other(equation, "negative padding")
    y = graph.node(kind, [x, kernel], shape, kernel_shape=list(sizes), strides=list(strides), pads=pads)
    return graph.transpose(y, [numbers.out_spec.index(axis) for axis in range(len(shape))])


def _max_pool(graph: _Graph, equation: Any, given: Sequence[_Known]) -> _Value:
    """Of maps NHWC, over H and W."""
    params = equation.params
    window, strides, pads = params["window_dimensions"], params["window_strides"], params["padding"]
    if (
        len(window) != 4
        or window[0] != 1
        or window[3] != 1
        or {*params["base_dilation"], *params["window_dilation"]} != {1}
    ):
        raise _other(equation, "windows over other axes than height and width, or dilated ones")
    shape = [equation.outvars[0].aval.shape[axis] for axis in (0, 3, 1, 2)]
    how = {"kernel_shape": list(window[1:3]), "strides": list(strides[1:3])}
    how["pads"] = [pads[1][0], pads[2][0], pads[1][1], pads[2][1]]
    x = graph.transpose(*_full(graph, equation, given), (0, 3, 1, 2))
    return graph.transpose(graph.node("MaxPool", [x], shape, **how), (0, 2, 3, 1))


def _full(graph: _Graph, equation: Any, given: Sequence[_Known]) -> list[_Known]:
    pairs = zip(given, equation.invars, strict=True)
    return [one if 0 in one.shape else graph.full(one, variable.aval.shape) for one, variable in pairs]


def _together(given: Sequence[_Known]) -> tuple[Any, ...]:
    """Returns the shape to which values are broadcast."""
    rank = max(len(one.shape) for one in given)
    padded = [(1,) * (rank - len(one.shape)) + tuple(one.shape) for one in given]
    return tuple(next((s for s in sizes if not isinstance(s, int) or s != 1), 1) for sizes in zip(*padded, strict=True))


def _other(equation: Any, found: str) -> ValueError:
    return ValueError(f"expected a {equation.primitive.name} that emogan has in ONNX, found {found}; export as jax")


RULES: dict[str, onnx_graph.Rule] = {
    **{primitive: _elementwise(kind) for primitive, kind in _ELEMENTWISE.items()},
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _conv,
    "convert_element_type": _convert,
    "dot_general": _dot,
    "gather": _gather,
    "pad": _pad,
    "reduce_max": _reduce_max,
    "reduce_sum": _reduce_sum,
    "reduce_window_max": _max_pool,
    "reshape": _reshape,
    "rev": _reverse,
    "rsqrt": _rsqrt,
    "select_n": _select,
    "slice": _slice,
    "split": _split,
    "square": _square,
    "squeeze": _reshape,
    "stack": _stack,
    "transpose": _transpose,
    "unstack": _unstack,
}
