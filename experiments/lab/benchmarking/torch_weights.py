"""Weights between emogan's layout and PyTorch's; the modules of a network have the names of emogan's parameters."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

_PLACES = 9  # of the smallest maps, 3x3
_LEAVES = {
    "weight": ("params", "kernel"),
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
}


class FromMaps(nn.Linear):
    """A dense layer over flattened maps [C, 3, 3], which emogan flattens as [3, 3, C], and at most 8 more inputs."""


class ToMaps(nn.Linear):
    """A dense layer whose outputs are maps [C, 3, 3], of emogan [3, 3, C]."""


class NormOfMaps(nn.BatchNorm1d):
    """Batch normalisation of the outputs of `ToMaps`."""


class AsInEmogan(nn.Module):
    """A module whose own parameters have the layout that they have in emogan."""


def load(network: nn.Module, variables: Mapping[str, Mapping]) -> None:
    """Copies emogan's variables, {"params": ..., "batch_stats": ...}, into a network."""
    values = {}
    for name, target in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        module, (group, path) = _module(network, name), _flax_name(name)
        value = variables[group]
        for part in path.split("/"):
            value = value[part]
        values[name] = torch.from_numpy(np.array(_to_torch(module, np.asarray(value))))
        assert values[name].shape == target.shape, (name, values[name].shape, target.shape)
    missing, unexpected = network.load_state_dict(values, strict=False)
    assert not unexpected, unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing), missing


def in_flax_form(network: nn.Module, values: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, np.ndarray]]:
    """Yields values that are shaped as the network's parameters under emogan's names and in its layout."""
    for name, _ in network.named_parameters():
        value = values[name].detach().cpu().numpy()
        yield _flax_name(name)[1], _from_torch(_module(network, name), value)


def _module(network: nn.Module, name: str) -> nn.Module:
    return network.get_submodule(name.rpartition(".")[0])


def _flax_name(name: str) -> tuple[str, str]:
    *modules, leaf = name.split(".")
    group, own = _LEAVES.get(leaf, ("params", leaf))
    if own == "kernel" and "norm" in modules[-1]:
        own = "scale"
    return group, "/".join([*modules, own])


def _to_torch(module: nn.Module, value: np.ndarray) -> np.ndarray:
    if isinstance(module, AsInEmogan) or (value.ndim == 1 and not isinstance(module, (ToMaps, NormOfMaps))):
        return value
    if isinstance(module, (ToMaps, NormOfMaps)):
        value = np.moveaxis(value.reshape(*value.shape[:-1], 3, 3, -1), -1, -3).reshape(value.shape)
    if isinstance(module, FromMaps) and value.ndim == 2:
        maps = _maps(value)
        turned = np.moveaxis(value[:maps].reshape(3, 3, -1, value.shape[1]), 2, 0).reshape(maps, -1)
        value = np.concatenate([turned, value[maps:]])
    if value.ndim == 4:
        # Flax's transposed convolution has its kernel mirrored to that of PyTorch.
        if isinstance(module, nn.ConvTranspose2d):
            return value[::-1, ::-1].transpose(2, 3, 0, 1)
        return value.transpose(3, 2, 0, 1)
    # A dense layer at each place of a map is a 1x1 convolution here.
    return value.T[:, :, None, None] if isinstance(module, nn.Conv2d) else value.T


def _from_torch(module: nn.Module, value: np.ndarray) -> np.ndarray:
    if isinstance(module, AsInEmogan):
        return value
    if value.ndim == 4 and value.shape[2:] == (1, 1):
        return value[:, :, 0, 0].T
    if value.ndim == 4:
        if isinstance(module, nn.ConvTranspose2d):
            return value.transpose(2, 3, 0, 1)[::-1, ::-1]
        return value.transpose(2, 3, 1, 0)
    value = value.T
    if isinstance(module, (ToMaps, NormOfMaps)):
        return np.moveaxis(value.reshape(*value.shape[:-1], -1, 3, 3), -3, -1).reshape(value.shape)
    if isinstance(module, FromMaps) and value.ndim == 2:
        maps = _maps(value)
        turned = np.moveaxis(value[:maps].reshape(-1, 3, 3, value.shape[1]), 0, 2).reshape(maps, -1)
        return np.concatenate([turned, value[maps:]])
    return value


def _maps(value: np.ndarray) -> int:
    return len(value) // _PLACES * _PLACES
