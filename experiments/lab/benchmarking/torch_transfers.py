"""Implementation `PyTorch` of section `transfer`."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from benchmarking import settings as settings_lib
from benchmarking import torch_networks, torch_peer, torch_weights, transfers

from emogan import emotions

BATCH = 256  # as emogan has it


class Transfer:
    """Edits `settings.faces` faces at a step, bytes to bytes; `settings.variant` is `eager` or `channels_last`."""

    def __init__(self, settings: settings_lib.Settings):
        self._settings = settings
        self._device = torch_peer.device_of(settings)

    def build(self) -> None:
        """Draws weights and faces."""
        settings, size = self._settings, self._settings.config().model.latent_size
        self._networks = {
            "encoder": torch_networks.Encoder(settings.width, size, settings.exact_padding),
            "generator": torch_networks.Generator(settings.width, size, settings.exact_padding),
        }
        last = settings.variant == "channels_last"
        self._format = torch.channels_last if last else torch.contiguous_format
        for network in self._networks.values():
            network.to(self._device, memory_format=self._format).eval()
        self._faces = transfers.faces(settings)

    def run(self, steps: int) -> float:
        """Returns the seconds of `steps` edits of all faces."""
        return transfers.timed(self._edit, steps, len(self._faces) == 1)

    def device_memory(self) -> dict[str, float]:
        """See `torch_peer.device_memory`."""
        return torch_peer.device_memory()

    def follow(self, weights: dict[str, Any]) -> np.ndarray:
        """Returns the edited faces of emogan's weights."""
        self.build()
        for name, network in self._networks.items():
            torch_weights.load(network, weights[name])
        return self._edit()

    @torch.inference_mode()
    def _edit(self) -> np.ndarray:
        E, G = self._networks["encoder"], self._networks["generator"]
        label, edited = emotions.label(transfers.EMOTION), []
        for start in range(0, len(self._faces), BATCH):
            images = torch.from_numpy(self._faces[start : start + BATCH]).to(self._device)
            x = (images.to(torch.float32) / 127.5 - 1.0)[:, None].contiguous(memory_format=self._format)
            labels = torch.full((len(x),), label, device=self._device)
            one_hot = F.one_hot(labels, torch_networks.CLASSES).to(torch.float32)
            y = (G(E(x, one_hot), one_hot)[:, 0] + 1.0) * 127.5
            edited.append(y.round().clamp(0.0, 255.0).to(torch.uint8).cpu())
        return torch.cat(edited).numpy()
