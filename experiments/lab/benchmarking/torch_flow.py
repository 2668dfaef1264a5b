"""Implementation `PyTorch` of phase `flow`: the step of the U-Net, drawn and averaged as emogan does."""

import torch
import torch.nn.functional as F
from benchmarking import torch_networks, torch_peer, torch_unet


class Steps(torch_peer.Steps):
    """PyTorch's steps of one variant; see `emogan.recipes.flow`."""

    def _make(self) -> dict[str, torch.nn.Module]:
        network = torch_unet.UNet(self._config.unet.channels(), self._config.unet.blocks, torch_networks.CLASSES)
        self._average = [value.detach().clone().to(self._device) for value in network.parameters()]
        return {"network": network}

    @property
    def _adam(self) -> tuple[float, tuple[float, float]]:
        settings = self._config.flow
        return settings.learning_rate, (settings.b1, settings.b2)

    def _examples(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        settings, count, device = self._config.flow, len(images), self._device
        faces = torch_peer.half_mirrored(torch_peer.to_float(images))
        quantiles = (torch.arange(count, device=device) / count + torch.rand(1, device=device)) % 1.0
        normal = torch.special.ndtri(quantiles.clamp(1e-6, 1 - 1e-6))
        times = torch.sigmoid(settings.time_mean + settings.time_spread * normal)
        kept = torch.rand(count, 1, device=device) >= settings.label_dropout
        return faces, torch.randn_like(faces), times, F.one_hot(labels, torch_networks.CLASSES) * kept.float()

    def _step(
        self, faces: torch.Tensor, noises: torch.Tensor, times: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        t, settings, network = times[:, None, None, None], self._config.flow, self._plain["network"]
        noisy = ((1 - t) * faces + t * noises).contiguous(memory_format=self._format)
        with self._autocast():
            velocities = self._networks["network"](noisy, times, labels)
        loss = ((velocities - (noises - faces)) ** 2).mean()
        self._optimizers["network"].zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        self._optimizers["network"].step()
        torch_peer.move_average(self._average, network, settings.ema_decay)
        return {"loss": loss.detach()}
