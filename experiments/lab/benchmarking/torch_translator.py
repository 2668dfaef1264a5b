"""E, G, D and the guidance classifiers of phase `joint` in PyTorch, channels first; weights by `torch_weights.load`.

See `emogan.models.translator`, `critic` and `emotion_cnn`. With `exact` they pad as Flax does; see `torch_networks`.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from benchmarking import torch_networks, torch_weights
from torch import nn

from emogan.models import emotion_cnn

_CLOSED, _SHADING = -4.0, 2


class InstanceNorm(torch_weights.AsInEmogan):
    """Instance normalisation whose scale and bias are the label's, if there are labels."""

    def __init__(self, channels: int, classes: int = 0):
        super().__init__()
        self._labelled = classes > 0
        self.weight = nn.Parameter(torch.ones(max(classes, 1), channels))
        self.bias = nn.Parameter(torch.zeros(max(classes, 1), channels))

    def forward(self, x: torch.Tensor, one_hot: torch.Tensor | None) -> torch.Tensor:
        """Returns the normalised maps."""
        pair = (self.weight, self.bias)
        scale, bias = (one_hot @ p for p in pair) if self._labelled else pair
        return F.instance_norm(x) * scale[:, :, None, None] + bias[:, :, None, None]


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, channels: int, classes: int = 0):
        super().__init__()
        self.conv0, self.conv1 = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.norm0, self.norm1 = (InstanceNorm(channels, classes) for _ in range(2))

    def forward(self, x: torch.Tensor, one_hot: torch.Tensor | None) -> torch.Tensor:
        """Returns the maps."""
        y = F.relu(self.norm0(self.conv0(x), one_hot))
        return x + self.norm1(self.conv1(y), one_hot)


class Encoder(nn.Module):
    """E: features [B, 3 * width, 12, 12] of faces; the face itself, which the code holds, too, needs no module."""

    def __init__(self, width: int, blocks: int, exact: bool):
        super().__init__()
        self.conv0 = torch_networks.Conv(1, width, exact, bias=False)
        self.conv1 = torch_networks.Conv(width, 3 * width, exact, bias=False)
        self.norm0, self.norm1 = InstanceNorm(width), InstanceNorm(3 * width)
        self._blocks = [f"block{i}" for i in range(blocks)]
        for name in self._blocks:
            self.add_module(name, Block(3 * width))

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """Returns the features."""
        x = F.relu(self.norm0(self.conv0(faces), None))
        x = F.relu(self.norm1(self.conv1(x), None))
        for name in self._blocks:
            x = self.get_submodule(name)(x, None)
        return x


class Drawing(NamedTuple):
    """Edits, and the penalties of their residuals and warps [B]; see `translator.Drawing`."""

    faces: torch.Tensor
    residual: torch.Tensor
    roughness: torch.Tensor


class Generator(nn.Module):
    """G: warps faces under a label, and adds a residual under a mask."""

    def __init__(self, width: int, blocks: int, classes: int, reach: int, exact: bool):
        super().__init__()
        self._reach, self._blocks = reach, [f"block{i}" for i in range(blocks)]
        for name in self._blocks:
            self.add_module(name, Block(3 * width, classes))
        self.up0 = torch_networks.ConvTranspose(3 * width, width, exact, bias=False)
        self.norm0 = InstanceNorm(width, classes)
        self.up1 = torch_networks.ConvTranspose(width, 2, exact)
        self.flow = nn.Conv2d(3 * width, 2, 1)

    def forward(self, faces: torch.Tensor, x: torch.Tensor, one_hot: torch.Tensor) -> Drawing:
        """Returns the edits of faces whose features are x."""
        for name in self._blocks:
            x = self.get_submodule(name)(x, one_hot)
        y = smooth(self.up1(F.relu(self.norm0(smooth(self.up0(x)), one_hot)))).float()
        mask = torch.sigmoid(y[:, 1:] + _CLOSED)
        drawn = mask * torch.tanh(y[:, :1])
        flow = self._reach * torch.tanh(self.flow(x).float())
        roughness = sum(flow.diff(dim=dim).square().mean(dim=(1, 2, 3)) for dim in (2, 3))
        large = F.interpolate(flow, scale_factor=4, mode="bilinear")
        source = warp(faces, large)
        residual = drawn - mask * source
        for _ in range(_SHADING):
            residual = smooth(residual)
        return Drawing(source + residual, residual.square().mean(dim=(1, 2, 3)), roughness)


class Translator(nn.Module):
    """E and G."""

    def __init__(self, width: int, blocks: int, classes: int, reach: int, exact: bool):
        super().__init__()
        self.encoder = Encoder(width, blocks, exact)
        self.generator = Generator(width, blocks, classes, reach, exact)

    def forward(self, faces: torch.Tensor, one_hot: torch.Tensor) -> Drawing:
        """Returns the edits."""
        return self.generator(faces, self.encoder(faces), one_hot)


class Critic(torch_weights.AsInEmogan):
    """D: whether a face is real, as a whole and by its patches, and which emotion it shows."""

    def __init__(self, width: int, classes: int, guidance: int, exact: bool):
        super().__init__()
        sizes = (1, width, 2 * width, 4 * width, 8 * width)
        for i in range(4):
            self.add_module(f"conv{i}", torch_networks.Conv(sizes[i], sizes[i + 1], exact))
        self.patches1, self.patches2 = nn.Conv2d(2 * width, 1, 1), nn.Conv2d(4 * width, 1, 1)
        self.emotions = torch_weights.FromMaps(72 * width, classes)
        self.features = torch_weights.FromMaps(72 * width, 8 * width)
        self.guidance = nn.Linear(guidance, 8 * width, bias=False)
        self.logit = nn.Linear(8 * width, 1)
        self.projection = nn.Parameter(0.02 * torch.randn(classes, 8 * width))

    def forward(
        self, faces: torch.Tensor, one_hot: torch.Tensor, seen: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns logits [B], and logits [B, C] of the emotions; `seen` are the first classifier's features."""
        x, patches = faces, 0.0
        for i in range(4):
            x = F.leaky_relu(self.get_submodule(f"conv{i}")(x), 0.2)
            if i in (1, 2):
                one = self.get_submodule(f"patches{i}")(x)
                patches = patches + one.sum(dim=(1, 2, 3)) / one.shape[2]
        x = x.flatten(1)
        features = F.leaky_relu(self.features(x) + self.guidance(seen), 0.2)
        logits = self.logit(features)[:, 0] + patches + (features * (one_hot @ self.projection)).sum(dim=1)
        return logits.float(), self.emotions(x).float()


class Classifier(nn.Module):
    """A guidance classifier: logits and features of faces; it is not trained here."""

    def __init__(self, width: int, classes: int, exact: bool):
        super().__init__()
        self.stem, self.stem_norm = torch_networks.Conv(1, width, exact, bias=False), nn.BatchNorm2d(width)
        x = width
        for i, factor in enumerate(emotion_cnn.STAGES):
            self.add_module(f"block{i}", _Residual(x, factor * width, 1 if i == 0 else 2, exact))
            x = factor * width
        self.logits = nn.Linear(x, classes)

    def forward(self, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns logits [B, C] and features [B, 8 * width]."""
        x = F.relu(self.stem_norm(self.stem(faces)))
        for i in range(len(emotion_cnn.STAGES)):
            x = self.get_submodule(f"block{i}")(x)
        features = x.mean(dim=(2, 3))
        return self.logits(features).float(), features.float()


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, exact: bool):
        super().__init__()
        self._stride, self._before = stride, exact and stride == 2
        self.conv0 = nn.Conv2d(inputs, outputs, 3, stride, 0 if self._before else 1, bias=False)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm0, self.norm1 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        if inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.shortcut_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = F.pad(x, (0, 1, 0, 1)) if self._before else x
        y = self.norm1(self.conv1(F.relu(self.norm0(self.conv0(padded)))))
        x = F.avg_pool2d(x, self._stride) if self._stride > 1 else x
        return F.relu(y + (self.shortcut_norm(self.shortcut(x)) if hasattr(self, "shortcut") else x))


def smooth(x: torch.Tensor) -> torch.Tensor:
    """Returns maps filtered by (1, 2, 1) / 4 in both directions, the border repeated."""
    row = torch.tensor([0.25, 0.5, 0.25], device=x.device, dtype=x.dtype)
    kernel = (row[:, None] * row).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])


def warp(faces: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Returns faces [B, 1, S, S] whose pixels are taken from elsewhere, by Keys' cubic convolution."""
    for dim in (2, 3):
        size, way = faces.shape[dim], flow[:, dim - 2 : dim - 1]
        first = way.detach().floor()
        rest = way - first
        shape = [size if d == dim else 1 for d in range(4)]
        places = first.long() + torch.arange(size, device=faces.device).view(shape)
        faces = sum(
            _keys(rest - step) * faces.gather(dim, (places + step).clamp(0, size - 1)) for step in (-1, 0, 1, 2)
        )
    return faces


def _keys(distance: torch.Tensor) -> torch.Tensor:
    near, far = F.relu(1 - distance.abs()), F.relu(2 - distance.abs())
    return far * far * (far - 1) / 2 + near * near * (1 - 2 * near)
