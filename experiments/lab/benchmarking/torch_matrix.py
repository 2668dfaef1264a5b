"""Matrix products by PyTorch; see `matrix`."""

import time

import torch
from benchmarking import settings as settings_lib
from benchmarking import torch_peer


class Product:
    """A product by PyTorch; `settings.variant` is its shape, as "m,k,n"."""

    def __init__(self, settings: settings_lib.Settings):
        self._device = torch_peer.device_of(settings)
        self._shape = tuple(map(int, settings.variant.split(",")))

    def build(self) -> None:
        """Draws the factors."""
        m, k, n = self._shape
        self._a, self._b = torch.randn(m, k, device=self._device), torch.randn(k, n, device=self._device)
        torch_peer.synchronise()

    def run(self, steps: int) -> float:
        """Returns the seconds of `steps` products."""
        began = time.perf_counter()
        with torch.inference_mode():
            for _ in range(steps):
                torch.mm(self._a, self._b)
        torch_peer.synchronise()
        return time.perf_counter() - began
