"""A model as ONNX: the same pictures by onnxruntime, its metadata, and every rule beside JAX's own answer."""

import functools
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from jax import lax

import emogan
from emogan.data import toyfaces
from emogan.export import card, onnx_file, onnx_graph, onnx_ops
from emogan.models import landmarks
from emogan.util import images

ALONE = """
import sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(edits,) = session.run(None, {"faces": np.load(sys.argv[2]), "labels": np.load(sys.argv[3])})
np.save(sys.argv[4], edits)
assert not {"emogan", "jax"} & set(sys.modules)
"""


def test_every_kind_gives_the_live_models_pictures(model, asked, live):
    edit = onnx_file.from_bytes(onnx_file.to_bytes(model, {}))
    expected = live(model, *asked)
    for count in (1, 3, 100):
        edits = edit(*(array[:count] for array in asked))
        assert (edits.shape, edits.dtype) == ((count, 48, 48, 1), np.float32)
        np.testing.assert_allclose(edits, expected[:count], atol=1e-5)
    assert card.largest_difference(edit, model) <= 1e-5


def test_a_fresh_process_gives_the_live_models_pictures(main_model, asked, live, tmp_path):
    (tmp_path / "emogan.onnx").write_bytes(onnx_file.to_bytes(main_model, {}))
    for name, array in zip(("faces", "labels"), asked, strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    names = ("emogan.onnx", "faces.npy", "labels.npy", "edits.npy")
    subprocess.run([sys.executable, "-c", ALONE, *(str(tmp_path / name) for name in names)], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "edits.npy"), live(main_model, *asked), atol=1e-5)


def test_a_file_tells_of_itself(main_model):
    made = onnx.load_from_string(onnx_file.to_bytes(main_model, {"commit": "abc"}))
    about = {entry.key: json.loads(entry.value) for entry in made.metadata_props}
    assert card.check(about) == about
    assert about["labels"] == list(emogan.EMOTIONS)
    assert about["value_range"] == [-1.0, 1.0]
    assert about["card"]["commit"] == "abc"


def test_parameters_alone_are_computed_when_the_file_is_made(main_model):
    made = onnx.load_from_string(onnx_file.to_bytes(main_model, {}))
    inputs = {name.name for name in made.graph.input}
    for node in made.graph.node:
        before, inputs = inputs, inputs | set(node.output)
        if node.op_type == "Cast" and node.input[0].endswith("_half"):
            continue  # a constant that is written in half of the bytes
        assert set(node.input) & before, f"{node.op_type} of constants only"


def test_parameters_that_are_used_twice_are_in_the_file_once():
    kernel = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    twice = onnx_graph.make(lambda x: jnp.tanh(x @ kernel) @ kernel, {"x": ((4,), np.float32)}, "y", onnx_ops.RULES, {})
    onnx.checker.check_model(twice, full_check=True)
    assert [list(one.dims) for one in twice.graph.initializer].count([4, 4]) == 1


def test_constants_that_float16_holds_are_written_in_it(flow_model):
    halves = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16).astype(np.float32), flow_model.variables)
    rounded = type(flow_model)(flow_model.networks, emogan.EMOTIONS, *halves)
    whole, half = onnx_file.velocity_to_bytes(flow_model), onnx_file.velocity_to_bytes(rounded)
    in_half = lambda content: [  # noqa: E731
        int(np.prod(one.dims))
        for one in onnx.load_from_string(content).graph.initializer
        if one.data_type == onnx.TensorProto.FLOAT16
    ]
    large = lambda params: sum(leaf.size for leaf in jax.tree.leaves(params) if leaf.size >= 1000)  # noqa: E731
    ours = large(landmarks.packaged())  # which are rounded in every model
    assert sum(in_half(whole)) == ours > 0
    assert sum(in_half(half)) == ours + large(flow_model.variables) > ours
    assert len(whole) - len(half) == pytest.approx(2 * large(flow_model.variables), rel=0.05)
    faces = toyfaces.load("train", count=2, spec=flow_model.spec).images.reshape(2, *flow_model.spec.shape)
    faces = faces / np.float32(127.5) - 1
    given = (0.6 * faces, np.float32([0.3, 0.8]), np.eye(7, dtype=np.float32)[:2], faces)
    expected = np.asarray(rounded.velocity(rounded.variables, *given))
    np.testing.assert_allclose(
        onnx_file.velocity_from_bytes(half)(*given), expected, atol=1e-4 * np.abs(expected).max()
    )


def test_a_drawing_has_the_strength_and_where_pixels_come_from(model, asked):
    if model.encoder_labels == "source":
        return
    faces, labels = (array[:5] for array in asked)
    strengths = np.float32([0, 0.5, 1, 1.3, 1])
    drawn = onnx_file.drawing_from_bytes(onnx_file.drawing_to_bytes(model))(faces, labels, strengths)
    assert drawn.shape == (5, 48, 48, 3)
    for i, strength in enumerate(strengths):
        floats = np.asarray(images.to_float(faces[i : i + 1]))
        np.testing.assert_allclose(drawn[i, ..., :1], model.faces(floats, labels[i], strength=strength)[0], atol=1e-5)
        ways = model.displacement(faces[i : i + 1], labels[i], strength=strength)
        np.testing.assert_allclose(drawn[i, ..., 1:], 0.0 if ways is None else ways[0], atol=1e-4)


def test_a_network_in_bfloat16_is_refused():
    with pytest.raises(ValueError, match="expected a network that computes in float32, found bfloat16; export as jax"):
        converted(lambda x: x.astype(jnp.bfloat16).astype(jnp.float32), (3,))


def converted(function, shape, dtype=np.float32):
    """A function of x [B, ...] by onnxruntime."""
    made = onnx_graph.make(function, {"x": (shape, dtype)}, "y", onnx_ops.RULES, {})
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


KERNEL = np.random.default_rng(0).normal(size=(3, 5, 2, 4)).astype(np.float32)
MAPS = ("NHWC", "HWIO", "NHWC")
FUNCTIONS = {
    "arithmetic": lambda x: jnp.abs(x) * 2 - x / 3 + jnp.maximum(x, 0.1) - jnp.minimum(-x, 0.2) + jnp.square(x),
    "curves": lambda x: jnp.tanh(x) + jax.nn.sigmoid(x) + jnp.exp(-x) + jnp.log(x * x + 1) + jnp.sqrt(x * x + 1),
    "waves": lambda x: jnp.sin(x) + jnp.cos(3 * x),
    "roots": lambda x: lax.rsqrt(x * x + 1),
    "comparisons": lambda x: jnp.where((x < 0.5) & ~(x <= -0.5) | (x > 1) & (x >= 1.5), x, -x),
    "one-hot": lambda x: jax.nn.one_hot((x[..., 0] > 0).astype(jnp.int32), 3),
    "leaky ReLU": lambda x: jax.nn.leaky_relu(x, 0.2),
    "slices": lambda x: x[:, 1:, ::2, -1:],
    "parts": lambda x: jnp.split(x, [1, 3], axis=2)[1] * jnp.split(x, 2, axis=3)[0][:, :, :2],
    "parts of an axis, which goes": lambda x: functools.reduce(jnp.subtract, jnp.unstack(x, axis=2)),
    "a new axis": lambda x: jnp.stack([x, 2 * x], axis=2),
    "places of an axis of one": lambda x: lax.squeeze(x[:, :1, :, 1:], (1, 3)),
    "reversal": lambda x: jnp.flip(x, (1, 3)),
    "one axis backwards": lambda x: x[:, :, ::-1],
    "one place": lambda x: x[:, 2],
    "zero padding": lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), constant_values=0.5),
    "edge padding": lambda x: jnp.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0)), mode="edge"),
    "negative padding": lambda x: lax.pad(x, np.float32(0), ((0, 0, 0), (-1, 2, 0), (1, -2, 0), (0, 0, 0))),
    "sums": lambda x: x.sum((1, 2)) + x.mean((1, 2)) + x.max((1, 2)),
    "transposition": lambda x: x.transpose(0, 3, 1, 2).reshape(len_of(x), -1),
    "concatenation": lambda x: jnp.concatenate([x, jnp.broadcast_to(x[:, :1], x.shape), jnp.ones_like(x)], axis=2),
    "repetition": lambda x: jnp.repeat(jnp.repeat(x, 2, axis=1), 3, axis=2),
    "broadcast result": lambda x: jnp.broadcast_to(x[:, :1, :1], x.shape),
    "matrix": lambda x: x.reshape(len_of(x), -1) @ jnp.linspace(-1, 1, 96).reshape(48, 2),
    "contraction": lambda x: jnp.einsum("bhwc,wd->bhcd", x, jnp.arange(12.0).reshape(4, 3)),
    "attention": lambda x: jnp.matmul(jax.nn.softmax(jnp.matmul(x, x.swapaxes(2, 3))), 2 * x),
    "products of a batch": lambda x: jnp.einsum("bhwc,bhwd->bhcd", x, x + 1),
    "table": lambda x: jnp.take(jnp.arange(12.0).reshape(4, 3), (x[:, 0, 0, 0] > 0).astype(jnp.int32) + 2, axis=0),
    "pooling": lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME"),
    "convolution": lambda x: lax.conv_general_dilated(x, KERNEL, (2, 1), [(1, 0), (2, 3)], dimension_numbers=MAPS),
    "transposed convolution": lambda x: lax.conv_transpose(x, KERNEL, (2, 3), "SAME", dimension_numbers=MAPS),
    "jit": jax.jit(lambda x: jax.jit(jnp.tanh)(x) + 1),
    "choice by platform": lambda x: lax.platform_dependent(x, cpu=jnp.negative, default=jnp.abs),
}


def len_of(x):
    return x.shape[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rules_answer_as_jax(name):
    function, x = FUNCTIONS[name], np.random.default_rng(1).normal(size=(3, 6, 4, 2)).astype(np.float32)
    got = converted(function, x.shape[1:])(x)
    expected = np.abs(x) if name == "choice by platform" else np.asarray(function(x))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-5)


REFUSED = {
    "no rule": (lambda x: jnp.cumsum(x, axis=1), "operations that emogan has in ONNX, found cumsum; export as jax"),
    "inner padding": (lambda x: lax.pad(x, np.float32(0), ((0, 0, 0), (0, 0, 1), (0, 0, 0), (0, 0, 0))), "a pad that"),
    "places in two axes": (lambda x: x[:, ::-1, ::-1], "a gather .*, found places in several axes"),
    "scattered places": (lambda x: x[:, np.array([0, 2]), np.array([1, 0])], "a gather .*, found places in several"),
    "batched products of more": (
        lambda x: jnp.einsum("bhwc,bhwd->bcd", x, x), "a dot_general that .*, found products of more than matrices",
    ),
    "dilated kernel": (
        functools.partial(
            lax.conv_general_dilated, rhs=KERNEL, window_strides=(1, 1), padding="SAME", rhs_dilation=(2, 2),
            dimension_numbers=MAPS,
        ),
        "a conv_general_dilated that emogan has in ONNX, found dilated or grouped kernels",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_by_name(name):
    function, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        converted(function, (6, 4, 2))
