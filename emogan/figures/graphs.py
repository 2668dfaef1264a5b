"""The computational graphs of Fig. 2 and Fig. 4 as tables of layers, read from the modules that are trained."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from emogan import config as config_lib
from emogan.data import dataset
from emogan.models import dcgan, labeled_conv
from emogan.util import types


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer with weights: its path in the module, what it does, sizes without the batch, and its parameters."""

    path: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    parameters: int


@dataclasses.dataclass(frozen=True)
class Graph:
    """A network's layers in the order in which they are called, between what it takes and what it gives."""

    name: str
    inputs: str
    outputs: str
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """How many numbers the network learns."""
        return sum(layer.parameters for layer in self.layers)


def networks(model: config_lib.ModelConfig, num_classes: int, spec: dataset.ImageSpec) -> dict[str, Graph]:
    """Returns the graphs of `generator`, `discriminator` and `encoder` for a configuration; nothing is computed."""
    latent = jnp.zeros((1, model.latent_size))
    face = jnp.zeros((1, *spec.shape))
    label, z, image = f"label y [{num_classes}]", f"z [{model.latent_size}]", f"face [{_size(spec.shape)}]"
    bound = ", in (-1, 1) by tanh" if model.encoder_output == "tanh" else ""
    made = (
        (
            "generator",
            "Generator G",
            functools.partial(dcgan.make_generator, spec=spec),
            latent,
            f"{z} and {label}",
            f"{image}, in [-1, 1] by tanh",
        ),
        ("discriminator", "Discriminator D", dcgan.make_discriminator, face, f"{image} and {label}", "one logit"),
        (
            "encoder",
            "Encoder E",
            dcgan.make_encoder,
            face,
            f"{image} and {label}" if model.encoder_labels else image,
            f"{z}{bound}",
        ),
    )
    return {
        name: Graph(title, inputs, outputs, _layers(make(model, num_classes), x))
        for name, title, make, x, inputs, outputs in made
    }


def to_text(graphs: Sequence[Graph]) -> str:
    """Returns graphs as aligned tables of plain text."""
    parts = []
    for graph in graphs:
        rows = [_HEADER, *_rows(graph)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
        lines = ["  ".join(_align(cell, i, widths[i]) for i, cell in enumerate(row)).rstrip() for row in rows]
        lines.insert(1, "-" * max(map(len, lines)))
        parts.append("\n".join([f"{graph.name}: {graph.inputs} -> {graph.outputs}", "", *lines]))
    return "\n\n\n".join(parts) + "\n"


def to_figure(graphs: Sequence[Graph], title: str) -> Any:
    """Returns graphs as tables in a `matplotlib.figure.Figure`."""
    import matplotlib.figure

    heights = [len(graph.layers) + 4 for graph in graphs]
    figure = matplotlib.figure.Figure(figsize=(11.5, 0.29 * sum(heights) + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=13, fontweight="bold")
    all_axes = figure.subplots(len(graphs), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, graph in zip(all_axes, graphs, strict=True):
        axes.axis("off")
        axes.set_title(f"{graph.name}:  {graph.inputs}  \N{RIGHTWARDS ARROW}  {graph.outputs}", fontsize=11, loc="left")
        rows = _rows(graph)
        table = axes.table(
            [_HEADER, *rows],
            colWidths=[0.15, 0.41, 0.16, 0.16, 0.12],
            cellLoc="left",
            bbox=[0, 0, 1, 1],
            edges="closed",
        )
        table.auto_set_font_size(False)
        table.set_fontsize(10)
        for (row, column), cell in table.get_celld().items():
            cell.set_edgecolor("#c8ccd2")
            last = row == len(rows)
            if row == 0 or last:
                cell.set_text_props(fontweight="bold")
            if column == len(_HEADER) - 1:
                cell.set_text_props(ha="right")
            if row == 0:
                cell.set_facecolor("#dfe7f1")
            elif last or "conv" in rows[row - 1][1] or "linear" in rows[row - 1][1]:
                cell.set_facecolor("#f4f7fb" if not last else "#dfe7f1")
    return figure


_HEADER = ("layer", "what it does", "from", "to", "parameters")


def _rows(graph: Graph) -> list[tuple[str, ...]]:
    rows = [
        (layer.path, layer.kind, _size(layer.inputs), _size(layer.outputs), f"{layer.parameters:,}")
        for layer in graph.layers
    ]
    return [*rows, ("total", "", "", "", f"{graph.parameters:,}")]


def _align(cell: str, column: int, width: int) -> str:
    return cell.rjust(width) if column == len(_HEADER) - 1 else cell.ljust(width)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _layers(module: nn.Module, x: jax.Array) -> tuple[Layer, ...]:
    """Calls a module on shapes alone and listens to what it calls."""
    calls = []

    def listen(call: Callable, args: Sequence, kwargs: Mapping, context: nn.module.InterceptorContext) -> Any:
        answer = call(*args, **kwargs)
        if context.method_name == "__call__" and context.module.path:
            calls.append((context.module.path, _kind(context.module), args[0].shape[1:], answer.shape[1:]))
        return answer

    with nn.intercept_methods(listen):
        variables = jax.eval_shape(
            lambda key: module.init(key, x, jnp.zeros((1,), jnp.int32), train=False), jax.random.key(0)
        )
    layers = []
    for path, kind, inputs, outputs in calls:
        own = _own_parameters(variables["params"], path)
        if own:
            layers.append(Layer("/".join(path), kind, inputs, outputs, own))
    return tuple(layers)


def _own_parameters(params: types.Params, path: Sequence[str]) -> int:
    for name in path:
        params = params.get(name, {})
    return sum(leaf.size for leaf in params.values() if not isinstance(leaf, Mapping))


def _kind(module: nn.Module) -> str:
    if isinstance(module, labeled_conv.LabeledConv):
        name = "transposed conv" if module.transpose else "conv"
        maps = f", joined by {module.num_classes} label maps" if module.num_classes else ""
        return f"5x5 {name}, stride {module.stride}{maps}"
    return {"Dense": "linear", "BatchNorm": "batch norm"}.get(type(module).__name__, type(module).__name__)
