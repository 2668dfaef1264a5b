"""The U-Net of phase `flow` in PyTorch, channels first; weights from emogan's by `torch_weights.load`.

Only `torch_flow` imports this file.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from emogan.models import resampling, unet


class UNet(nn.Module):
    """Velocities [B, C, S, S] of noisy faces; see `emogan.models.unet.UNet` and `velocity_of`."""

    def __init__(self, widths: Sequence[int], blocks: int, classes: int, channels: int = 1):
        super().__init__()
        self._widths, self._blocks, size = widths, blocks, 4 * widths[0]
        self.time0, self.time1 = nn.Linear(widths[0], size), nn.Linear(size, size)
        self.label = nn.Linear(classes + 1, size, bias=False)
        self.stem = _conv(resampling.UNSHUFFLE**2 * channels, widths[0])
        skips, x = [widths[0]], widths[0]
        for level, width in enumerate(widths):
            if level:
                skips.append(x)
            for i in range(blocks):
                self.add_module(f"down{level}_{i}", _Block(x, width, size))
                x = width
                skips.append(x)
        self.middle0, self.middle1 = (_Block(x, x, size) for _ in range(2))
        self.attention = _Attention(x)
        for level, width in reversed(list(enumerate(widths))):
            for i in range(blocks + 1):
                self.add_module(f"up{level}_{i}", _Block(x + skips.pop(), width, size))
                x = width
        self.norm, self.velocity = _norm(x), _conv(x, resampling.UNSHUFFLE**2 * channels)

    def forward(self, faces: torch.Tensor, times: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Returns the velocities of faces [B, C, S, S] at times [B] under labels [B, classes]."""
        t = times[:, None, None, None]
        variance = ((1 - t) * unet.DEVIATION) ** 2 + t**2
        answer = self._answer(faces * variance.rsqrt(), times, labels)
        return faces * (t - (1 - t) * unet.DEVIATION**2) / variance + unet.DEVIATION * variance.rsqrt() * answer

    def _answer(self, faces: torch.Tensor, times: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        y = self.time1(F.silu(self.time0(_sinusoids(times, self._widths[0]))))
        known = torch.cat([labels, 1 - labels.sum(1, keepdim=True)], dim=1)
        condition = F.silu(y + self.label(known))
        x = self.stem(_unshuffle(faces))
        skips = [x]
        for level in range(len(self._widths)):
            if level:
                x = F.avg_pool2d(x, 2)
                skips.append(x)
            for i in range(self._blocks):
                x = self.get_submodule(f"down{level}_{i}")(x, condition)
                skips.append(x)
        x = self.middle1(self.attention(self.middle0(x, condition)), condition)
        for level in reversed(range(len(self._widths))):
            for i in range(self._blocks + 1):
                x = self.get_submodule(f"up{level}_{i}")(torch.cat([x, skips.pop()], dim=1), condition)
            x = F.interpolate(x, scale_factor=2, mode="nearest") if level else x
        return _shuffle(self.velocity(F.silu(self.norm(x))).float())


class _Block(nn.Module):
    def __init__(self, inputs: int, features: int, condition: int):
        super().__init__()
        self.norm0, self.conv0 = _norm(inputs), _conv(inputs, features)
        self.modulation = nn.Linear(condition, 2 * features)
        self.norm1, self.conv1 = _norm(features), _conv(features, features)
        if inputs != features:
            self.shortcut = nn.Conv2d(inputs, features, 1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        y = self.conv0(F.silu(self.norm0(x)))
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        y = self.conv1(F.silu(self.norm1(y) * (1 + scale) + shift))
        return (self.shortcut(x) if hasattr(self, "shortcut") else x) + y


class _Attention(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self._heads = max(1, channels // unet.HEAD)
        self.norm, self.qkv, self.out = (
            _norm(channels),
            nn.Linear(channels, 3 * channels),
            nn.Linear(channels, channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(places).unflatten(2, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.out(y).transpose(1, 2).unflatten(2, x.shape[2:])


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(unet.GROUPS, channels)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _sinusoids(times: torch.Tensor, features: int) -> torch.Tensor:
    rates = 2 * torch.pi * torch.logspace(0, 3, features // 2, device=times.device)
    angles = times[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


# emogan's channels after it joins 2x2 pixels are in the order (row, column, channel), PyTorch's in (channel, row,
# column): the same for gray faces.


def _unshuffle(faces: torch.Tensor) -> torch.Tensor:
    return F.pixel_unshuffle(faces, resampling.UNSHUFFLE)


def _shuffle(x: torch.Tensor) -> torch.Tensor:
    return F.pixel_shuffle(x, resampling.UNSHUFFLE)
