"""The paper's networks in PyTorch, channels first, the label maps joined to every input; weights from emogan's.

Only `torch_peer` imports this file: PyTorch is no requirement of emogan.

PyTorch pads a convolution alike on both sides, by 2; Flax, for SAME, by 1 before and 2 after. With `exact` the
networks here pad as Flax does, in a step of its own, and then give the same numbers.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 7


class _Conv(nn.Conv2d):
    def __init__(self, inputs: int, outputs: int, exact: bool):
        super().__init__(inputs, outputs, 5, 2, 0 if exact else 2)
        self._exact = exact

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(x, (1, 2, 1, 2)) if self._exact else x)


class _ConvTranspose(nn.ConvTranspose2d):
    def __init__(self, inputs: int, outputs: int, exact: bool):
        super().__init__(inputs, outputs, 5, 2, 1 if exact else 2, 0 if exact else 1)
        self._exact = exact

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        return y[:, :, :-1, :-1] if self._exact else y


def _join(x: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, one_hot[:, :, None, None].expand(-1, -1, *x.shape[2:])], dim=1)


class Generator(nn.Module):
    """G: latents [B, Z] and one-hot labels [B, 7] become faces [B, 1, 48, 48] in [-1, 1]."""

    def __init__(self, width: int, latent_size: int = 100, exact: bool = False):
        super().__init__()
        sizes = (8 * width, 4 * width, 2 * width, width, 1)
        self.project = nn.Linear(latent_size + CLASSES, 9 * sizes[0])
        self.project_norm = nn.BatchNorm1d(9 * sizes[0])
        for i in range(4):
            self.add_module(f"conv{i}", _ConvTranspose(sizes[i] + CLASSES, sizes[i + 1], exact))
            if i < 3:
                self.add_module(f"norm{i}", nn.BatchNorm2d(sizes[i + 1]))
        _initialise(self)

    def forward(self, latents: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        """Returns the faces."""
        x = F.relu(self.project_norm(self.project(torch.cat([latents, one_hot], dim=1))))
        x = x.view(len(x), -1, 3, 3)
        for i in range(3):
            x = F.relu(self.get_submodule(f"norm{i}")(self.get_submodule(f"conv{i}")(_join(x, one_hot))))
        return torch.tanh(self.conv3(_join(x, one_hot)))


class Trunk(nn.Module):
    """The convolutions of D (`labeled`) and of E: faces [B, 1, 48, 48] become features [B, F]."""

    def __init__(self, width: int, labeled: bool, exact: bool):
        super().__init__()
        sizes = (1, width, 2 * width, 4 * width, 8 * width)
        self._labeled = labeled
        for i in range(4):
            self.add_module(f"conv{i}", _Conv(sizes[i] + CLASSES * labeled, sizes[i + 1], exact))
            if i > 0:
                self.add_module(f"norm{i}", nn.BatchNorm2d(sizes[i + 1]))

    def forward(self, x: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        """Returns the features."""
        for i in range(4):
            x = self.get_submodule(f"conv{i}")(_join(x, one_hot) if self._labeled else x)
            x = F.leaky_relu(self.get_submodule(f"norm{i}")(x) if i > 0 else x, 0.2)
        x = x.flatten(1)
        return torch.cat([x, one_hot], dim=1) if self._labeled else x


class Discriminator(nn.Module):
    """D: logits [B], above 0 for faces held to be real."""

    def __init__(self, width: int, exact: bool = False):
        super().__init__()
        self.trunk = Trunk(width, True, exact)
        self.logit = nn.Linear(72 * width + CLASSES, 1)
        _initialise(self)

    def forward(self, faces: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        """Returns the logits."""
        return self.logit(self.trunk(faces, one_hot))[:, 0]


class Encoder(nn.Module):
    """E(x): latents [B, latent_size] in (-1, 1)."""

    def __init__(self, width: int, latent_size: int = 100, exact: bool = False):
        super().__init__()
        self.trunk = Trunk(width, False, exact)
        self.latent = nn.Linear(72 * width, latent_size)
        _initialise(self)

    def forward(self, faces: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        """Returns the latents."""
        return torch.tanh(self.latent(self.trunk(faces, one_hot)))


def load(network: nn.Module, variables: Mapping[str, Mapping]) -> None:
    """Copies emogan's variables, {"params": ..., "batch_stats": ...}, into a network."""
    values = {}
    for name, target in network.state_dict().items():
        found = _flax_name(name)
        if found is None:
            continue
        group, path = found
        value = variables[group]
        for part in path.split("/"):
            value = value[part]
        own = _to_torch(path, value, _is_transposed(network, name))
        # A dense layer at each place of a map may be a 1x1 convolution here.
        values[name] = torch.from_numpy(np.array(own)).reshape(target.shape if own.ndim == 2 else own.shape)
        assert values[name].shape == target.shape, (name, values[name].shape, target.shape)
    missing, unexpected = network.load_state_dict(values, strict=False)
    assert not unexpected, unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing), missing


def in_flax_form(network: nn.Module, values: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, np.ndarray]]:
    """Yields values that are shaped as the network's parameters under emogan's names and in its layout."""
    for name, _ in network.named_parameters():
        _, path = _flax_name(name)
        value = values[name].detach().cpu().numpy()
        value = value[:, :, 0, 0] if value.shape[2:] == (1, 1) else value
        yield path, _from_torch(path, value, _is_transposed(network, name))


_LEAVES = {
    "weight": ("params", "kernel"),
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
}


def _flax_name(name: str) -> tuple[str, str] | None:
    *modules, leaf = name.split(".")
    if leaf not in _LEAVES:
        return None
    group, own = _LEAVES[leaf]
    if own == "kernel" and "norm" in modules[-1]:
        own = "scale"
    return group, "/".join([*modules, own])


def _is_transposed(network: nn.Module, name: str) -> bool:
    return isinstance(network.get_submodule(name.rpartition(".")[0]), nn.ConvTranspose2d)


# Flax's maps are [.., 3, 3, C] where PyTorch's are [.., C, 3, 3], which the dense layers next to them see.


def _to_torch(path: str, value: np.ndarray, transposed: bool) -> np.ndarray:
    value = np.asarray(value)
    if path.startswith("project"):
        value = np.moveaxis(value.reshape(*value.shape[:-1], 3, 3, -1), -1, -3).reshape(value.shape)
    elif path in ("logit/kernel", "latent/kernel"):
        maps = len(value) if len(value) % 9 == 0 else len(value) - CLASSES
        turned = np.moveaxis(value[:maps].reshape(3, 3, -1, value.shape[1]), 2, 0).reshape(maps, -1)
        value = np.concatenate([turned, value[maps:]])
    if value.ndim == 2:
        return value.T
    if value.ndim == 4:
        # Flax's transposed convolution has its kernel mirrored to that of PyTorch.
        return value[::-1, ::-1].transpose(2, 3, 0, 1) if transposed else value.transpose(3, 2, 0, 1)
    return value


def _from_torch(path: str, value: np.ndarray, transposed: bool) -> np.ndarray:
    if value.ndim == 4:
        return value.transpose(2, 3, 0, 1)[::-1, ::-1] if transposed else value.transpose(2, 3, 1, 0)
    if value.ndim == 2:
        value = value.T
    if path.startswith("project"):
        value = np.moveaxis(value.reshape(*value.shape[:-1], -1, 3, 3), -3, -1).reshape(value.shape)
    elif path in ("logit/kernel", "latent/kernel"):
        maps = len(value) if len(value) % 9 == 0 else len(value) - CLASSES
        turned = np.moveaxis(value[:maps].reshape(-1, 3, 3, value.shape[1]), 0, 2).reshape(maps, -1)
        value = np.concatenate([turned, value[maps:]])
    return value


def _initialise(network: nn.Module) -> None:
    for name, value in network.named_parameters():
        if name.endswith("weight") and "norm" not in name:
            nn.init.normal_(value, 0.0, 0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(value)
