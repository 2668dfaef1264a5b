"""Batch normalisation with the paper's constants, or none."""

from collections.abc import Callable

import flax.linen as nn
import jax


def batch_norm(use: bool, train: bool, axis_name: str | None) -> Callable[[str], Callable[[jax.Array], jax.Array]]:
    """Returns a maker of layers by name: batch norm with epsilon 1e-5 and decay 0.9, or the identity if not `use`.

    In training the layers use the batch's own statistics, averaged over the device axis `axis_name` if there is one;
    otherwise the running averages.
    """
    if not use:
        return lambda name: lambda x: x
    return lambda name: nn.BatchNorm(
        use_running_average=not train, momentum=0.9, epsilon=1e-5, axis_name=axis_name, name=name
    )
