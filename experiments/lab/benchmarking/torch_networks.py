"""The paper's networks in PyTorch, channels first, the label maps joined to every input.

Only the other files torch_*.py import this one: PyTorch is no requirement of emogan.

PyTorch pads a convolution alike on both sides, by 2; Flax, for SAME, by 1 before and 2 after. With `exact` the
networks here pad as Flax does, in a step of its own, and then give the same numbers.
"""

import torch
import torch.nn.functional as F
from benchmarking import torch_weights
from torch import nn

CLASSES = 7


class Conv(nn.Conv2d):
    """A 5x5 convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int, exact: bool, bias: bool = True):
        super().__init__(inputs, outputs, 5, 2, 0 if exact else 2, bias=bias)
        self._exact = exact

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the small map."""
        return super().forward(F.pad(x, (1, 2, 1, 2)) if self._exact else x)


class ConvTranspose(nn.ConvTranspose2d):
    """A 5x5 transposed convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int, exact: bool, bias: bool = True):
        super().__init__(inputs, outputs, 5, 2, 1 if exact else 2, 0 if exact else 1, bias=bias)
        self._exact = exact

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the large map."""
        y = super().forward(x)
        return y[:, :, :-1, :-1] if self._exact else y


def _join(x: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, one_hot[:, :, None, None].expand(-1, -1, *x.shape[2:])], dim=1)


class Generator(nn.Module):
    """G: latents [B, Z] and one-hot labels [B, 7] become faces [B, 1, 48, 48] in [-1, 1]."""

    def __init__(self, width: int, latent_size: int = 100, exact: bool = False):
        super().__init__()
        sizes = (8 * width, 4 * width, 2 * width, width, 1)
        self.project = torch_weights.ToMaps(latent_size + CLASSES, 9 * sizes[0])
        self.project_norm = torch_weights.NormOfMaps(9 * sizes[0])
        for i in range(4):
            self.add_module(f"conv{i}", ConvTranspose(sizes[i] + CLASSES, sizes[i + 1], exact))
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
            self.add_module(f"conv{i}", Conv(sizes[i] + CLASSES * labeled, sizes[i + 1], exact))
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
        self.logit = torch_weights.FromMaps(72 * width + CLASSES, 1)
        _initialise(self)

    def forward(self, faces: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        """Returns the logits."""
        return self.logit(self.trunk(faces, one_hot))[:, 0]


class Encoder(nn.Module):
    """E(x): latents [B, latent_size] in (-1, 1)."""

    def __init__(self, width: int, latent_size: int = 100, exact: bool = False):
        super().__init__()
        self.trunk = Trunk(width, False, exact)
        self.latent = torch_weights.FromMaps(72 * width, latent_size)
        _initialise(self)

    def forward(self, faces: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        """Returns the latents."""
        return torch.tanh(self.latent(self.trunk(faces, one_hot)))


def _initialise(network: nn.Module) -> None:
    for name, value in network.named_parameters():
        if name.endswith("weight") and "norm" not in name:
            nn.init.normal_(value, 0.0, 0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(value)
