"""Implementation `PyTorch`: the same steps as one who knows PyTorch writes them. Needs torch, which nothing else does.

As in PyTorch's own DCGAN example, G draws once a step: D sees the faces detached, then G's loss goes through them. D's
weights ask for no gradient meanwhile. PyTorch keeps the unbiased variance as its running one, Flax the biased; the
losses do not see it.
"""

import functools
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from benchmarking import settings as settings_lib
from benchmarking import torch_networks, torch_weights

COMPILE_MODES = {"max-autotune": "max-autotune-no-cudagraphs", "reduce-overhead": "reduce-overhead"}


def variants(device: str) -> list[str]:
    """Returns the ways to run a step on `cpu` or `cuda`."""
    common = ["eager", "channels_last", "compile"]
    return common if device == "cpu" else [*common, *(f"compile {mode}" for mode in COMPILE_MODES), "cuda graph"]


def device_of(settings: settings_lib.Settings) -> torch.device:
    """Returns the device to use, its precision set."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # later versions have another name for the same
        torch.backends.cuda.matmul.allow_tf32 = settings.precision == "tf32"
        torch.backends.cudnn.allow_tf32 = settings.precision == "tf32"
    torch.backends.cudnn.benchmark = True
    return torch.device("cuda")


def synchronise() -> None:
    """Returns when the device has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def device_memory() -> dict[str, float]:
    """Returns the peak of the device's memory in MiB, on a GPU."""
    return {"device_peak_mib": torch.cuda.max_memory_allocated() / 2**20} if torch.cuda.is_available() else {}


class About:
    """What PyTorch says of itself."""

    def __init__(self, settings: settings_lib.Settings):
        self._device = device_of(settings)

    def about(self) -> dict[str, Any]:
        """Returns version, device, threads and the variants that there are on it."""
        name = torch.cuda.get_device_name() if self._device.type == "cuda" else "cpu"
        return {
            "version": torch.__version__,
            "backend": "gpu" if self._device.type == "cuda" else "cpu",
            "device": name,
            "threads": torch.get_num_threads(),
            "variants": variants(self._device.type),
        }


class Steps:
    """PyTorch's steps of one variant; the data lie on the device."""

    NOT_COMPILED: tuple[str, ...] = ()

    def __init__(self, settings: settings_lib.Settings):
        self._settings = settings
        self._device = device_of(settings)
        # A recorded graph has to convert the weights anew in each step.
        self._autocast = functools.partial(
            torch.autocast,
            self._device.type,
            torch.bfloat16,
            enabled=settings.bfloat16,
            cache_enabled=settings.variant != "cuda graph",
        )
        self._config = settings.config()
        torch.manual_seed(0)

    def build(self) -> None:
        """Makes networks and optimisers, and puts the faces on the device."""
        variant = self._settings.variant
        self._plain = self._make()
        self._trained = {
            name: network for name, network in self._plain.items() if any(p.requires_grad for p in network.parameters())
        }
        self._format = torch.channels_last if variant == "channels_last" else torch.contiguous_format
        for network in self._plain.values():
            network.to(self._device, memory_format=self._format)
        rate, betas = self._adam
        self._optimizers = {
            name: torch.optim.Adam(network.parameters(), rate, betas, fused=True, capturable=variant == "cuda graph")
            for name, network in self._trained.items()
        }
        self._networks = self._plain
        if variant.startswith("compile"):
            mode = COMPILE_MODES.get(variant.removeprefix("compile").strip())
            self._networks = {
                name: network if name in self.NOT_COMPILED else torch.compile(network, mode=mode)
                for name, network in self._plain.items()
            }
        data = self._settings.dataset()
        self._images = torch.from_numpy(data.images).to(self._device)
        self._labels = torch.from_numpy(data.labels).to(self._device, torch.int64)
        self._batches = self._endless_batches()
        self._one_step = self._graphed() if variant == "cuda graph" else self._step
        synchronise()

    def run(self, steps: int) -> float:
        """Returns the seconds of `steps` steps."""
        began = time.perf_counter()
        for _ in range(steps):
            if self._settings.variant == "compile reduce-overhead":
                torch.compiler.cudagraph_mark_step_begin()
            self._one_step(*next(self._batches))
        synchronise()
        return time.perf_counter() - began

    def device_memory(self) -> dict[str, float]:
        """See the function."""
        return device_memory()

    def follow(self, task: dict[str, Any]) -> dict[str, Any]:
        """Returns what PyTorch makes of `ours.Steps.reference`'s task."""
        self.build()
        for name, network in self._plain.items():
            torch_weights.load(network, task["weights"][name])
        before = {name: _copies(network) for name, network in self._trained.items()}
        found: dict[str, Any] = {"losses": [], "gradients": {}, "moved": {}}
        for batch in task["batches"]:
            losses = self._step(*self._received(batch))
            found["losses"].append({name: float(loss) for name, loss in losses.items()})
            if len(found["losses"]) == 1:
                for name, network in self._trained.items():
                    self._record(name, network, before[name], found)
        return found

    def _make(self) -> dict[str, torch.nn.Module]:
        """Returns the networks; those that are not trained ask for no gradient."""
        width, latent_size, exact = self._settings.width, self._config.model.latent_size, self._settings.exact_padding
        G = torch_networks.Generator(width, latent_size, exact)
        if self._settings.phase == "encoder":
            G.eval().requires_grad_(False)
            return {"generator": G, "encoder": torch_networks.Encoder(width, latent_size, exact)}
        return {"generator": G, "discriminator": torch_networks.Discriminator(width, exact)}

    @property
    def _adam(self) -> tuple[float, tuple[float, float]]:
        """The learning rate, b1 and b2."""
        return self._config.gan.learning_rate, (self._config.gan.b1, self._config.gan.b2)

    def _examples(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Returns what `_step` takes for a batch of the data, with new random numbers."""
        latents = torch.rand(len(images), self._config.model.latent_size, device=self._device) * 2 - 1
        return images, labels, latents

    def _received(self, batch: tuple[np.ndarray, ...]) -> tuple[torch.Tensor, ...]:
        """Returns what `_step` takes for a batch of `ours.Steps.reference`."""
        parts = [torch.from_numpy(np.array(part)).to(self._device) for part in batch]
        return tuple(part.permute(0, 3, 1, 2) if part.ndim == 4 else part for part in parts)

    def _record(self, name: str, network: torch.nn.Module, before: dict[str, Any], found: dict[str, Any]) -> None:
        state = self._optimizers[name].state
        gradients = {key: state[value]["exp_avg"] / (1 - self._adam[1][0]) for key, value in network.named_parameters()}
        moved = {key: value - before[key] for key, value in network.named_parameters()}
        for what, values in (("gradients", gradients), ("moved", moved)):
            found[what] |= {f"{name}/{path}": array for path, array in torch_weights.in_flax_form(network, values)}

    def _step(self, images: torch.Tensor, labels: torch.Tensor, latents: torch.Tensor) -> dict[str, torch.Tensor]:
        real = to_float(images).contiguous(memory_format=self._format)
        one_hot = F.one_hot(labels.to(torch.int64), torch_networks.CLASSES).to(torch.float32)
        if self._settings.phase == "encoder":
            return self._encoder_step(real, one_hot)
        return self._gan_step(real, one_hot, latents)

    def _gan_step(self, real: torch.Tensor, one_hot: torch.Tensor, latents: torch.Tensor) -> dict[str, torch.Tensor]:
        G, D = self._networks["generator"], self._networks["discriminator"]
        self._plain["discriminator"].requires_grad_(True)
        with self._autocast():
            fake = G(latents, one_hot)
            d_loss = _cross_entropy(D(real, one_hot), 1.0) + _cross_entropy(D(fake.detach(), one_hot), 0.0)
        self._update("discriminator", d_loss)
        self._plain["discriminator"].requires_grad_(False)
        with self._autocast():
            g_loss = _cross_entropy(D(fake, one_hot), 1.0)
        self._update("generator", g_loss)
        return {"discriminator_loss": d_loss.detach(), "generator_loss": g_loss.detach()}

    def _encoder_step(self, faces: torch.Tensor, one_hot: torch.Tensor) -> dict[str, torch.Tensor]:
        G, E = self._networks["generator"], self._networks["encoder"]
        with self._autocast():
            again = G(E(faces, one_hot), one_hot)
        loss = ((faces - again) ** 2).sum(dim=(1, 2, 3)).mean()
        self._update("encoder", loss)
        return {"loss": loss.detach()}

    def _update(self, name: str, loss: torch.Tensor) -> None:
        self._optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        self._optimizers[name].step()

    def _graphed(self):
        """Returns a step that replays the kernels of a recorded one."""
        stream, held = torch.cuda.Stream(), [value.clone() for value in next(self._batches)]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._step(*held)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step(*held)

        def step(*batch: torch.Tensor) -> None:
            for place, value in zip(held, batch, strict=True):
                place.copy_(value)
            graph.replay()

        return step

    def _endless_batches(self) -> Iterator[tuple[torch.Tensor, ...]]:
        size = self._settings.batch_size
        while True:
            order = torch.randperm(len(self._images), device=self._device)
            for start in range(0, len(order) - size + 1, size):
                chosen = order[start : start + size]
                yield self._examples(self._images[chosen], self._labels[chosen])


def to_float(images: torch.Tensor) -> torch.Tensor:
    """Returns bytes [B, S, S] as faces [B, 1, S, S] in [-1, 1]."""
    return (images.to(torch.float32) / 127.5 - 1.0)[:, None]


def half_mirrored(faces: torch.Tensor) -> torch.Tensor:
    """Returns faces [B, 1, S, S], each mirrored in half of the cases."""
    return torch.where(torch.rand(len(faces), 1, 1, 1, device=faces.device) < 0.5, faces.flip(3), faces)


def move_average(average: list[torch.Tensor], network: torch.nn.Module, decay: float) -> None:
    """Moves an average of a network's parameters towards them."""
    with torch.no_grad():
        torch._foreach_lerp_(average, list(network.parameters()), 1 - decay)


def _cross_entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _copies(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.named_parameters()}
