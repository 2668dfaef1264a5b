"""Implementation `PyTorch` of phase `joint` with the settings of preset `emogan`; see `emogan.recipes.joint`."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from benchmarking import torch_networks, torch_peer, torch_translator

from emogan.recipes import joint

Changes = tuple[torch.Tensor, ...]  # what happens to each face; see `ours.changes_of`


class Steps(torch_peer.Steps):
    """PyTorch's steps of one variant."""

    NOT_COMPILED = ("discriminator",)  # torch.compile has no gradients of gradients, which R1 and R2 need

    def _make(self) -> dict[str, torch.nn.Module]:
        sizes, exact, classes = self._config.translator, self._settings.exact_padding, torch_networks.CLASSES
        self._names = joint.guidance_phases(self._config)
        widths = {name: getattr(self._config, name).width for name in self._names}
        guides = {name: torch_translator.Classifier(width, classes, exact) for name, width in widths.items()}
        for guide in guides.values():
            guide.eval().requires_grad_(False)
        translator = torch_translator.Translator(sizes.width, sizes.blocks, classes, sizes.reach, exact)
        critic = torch_translator.Critic(sizes.critic_width, classes, joint.features_size(self._config), exact)
        self._average = [value.detach().clone().to(self._device) for value in translator.parameters()]
        counts = torch.bincount(torch.from_numpy(self._settings.dataset().labels).long(), minlength=classes)
        self._prior = (counts / counts.sum()).clamp(min=1e-6).log().to(self._device)
        return {"translator": translator, "discriminator": critic, **guides}

    @property
    def _adam(self) -> tuple[float, tuple[float, float]]:
        settings = self._config.joint
        return settings.learning_rate, (settings.b1, settings.b2)

    def build(self) -> None:
        """See the base; D has a learning rate of its own."""
        super().build()
        for group in self._optimizers["discriminator"].param_groups:
            group["lr"] *= self._config.joint.critic_rate

    def _examples(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[Any, ...]:
        count, device = len(images), self._device
        faces = torch_peer.half_mirrored(torch_peer.to_float(images))
        wanted = torch.randint(0, torch_networks.CLASSES, (count,), device=device)
        own = torch.rand(count, device=device) < self._config.joint.own_share
        looks = [
            (
                torch.rand(count, device=device) < 0.5,
                torch.rand(count, 4, device=device) * 2 - 1,
                torch.rand(count, 2, device=device) * 2 - 1,
                torch.rand(count, device=device) < 0.3,
                torch.rand(count, 2, device=device) * 0.4,
                torch.rand(count, 2, device=device),
            )
            for _ in range(3)
        ]
        return faces, labels, torch.where(own, labels, wanted), *(part for look in looks for part in look)

    def _received(self, batch: Any) -> tuple[torch.Tensor, ...]:
        faces, labels, wanted, *looks = super()._received(batch)
        return faces, labels.long(), wanted.long(), *looks

    def _step(
        self, faces: torch.Tensor, labels: torch.Tensor, wanted: torch.Tensor, *looks: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        settings, networks, count = self._config.joint, self._networks, len(faces)
        faces = faces.contiguous(memory_format=self._format)
        changes = [looks[start : start + 6] for start in (0, 6, 12)]
        one_hot, target = (F.one_hot(y, torch_networks.CLASSES).float() for y in (labels, wanted))
        D = networks["discriminator"]
        with self._autocast():
            drawing = networks["translator"](faces, target)
        edits = drawing.faces

        self._plain["discriminator"].requires_grad_(True)
        shown = torch.cat([_changed(faces, changes[0]), _changed(edits.detach(), changes[1])])
        both = torch.cat([one_hot, target])
        with torch.no_grad(), self._autocast():
            seen = networks[self._names[0]](shown)[1]
        with self._autocast():
            logits, emotions = D(shown, both, seen)
        real, fake = logits.split(count)
        d_loss = F.softplus(fake - real).mean()
        total = d_loss + F.cross_entropy(emotions[:count] + self._prior, labels)
        few = torch.cat([torch.arange(3, count, 4), torch.arange(count + 3, 2 * count, 4)]).to(self._device)
        inputs = [shown[few].requires_grad_(), seen[few].requires_grad_()]
        with self._autocast():
            answers = D(inputs[0], both[few], inputs[1])[0].sum()
        gradients = torch.autograd.grad(answers, inputs, create_graph=True)
        squares = sum(gradient.float().square().flatten(1).sum(dim=1) for gradient in gradients)
        self._update("discriminator", total + settings.r1_r2 * squares.mean())

        self._plain["discriminator"].requires_grad_(False)
        other = (wanted != labels).float()
        edited = _changed(edits, changes[2])
        with self._autocast():
            found = [networks[name](edited) for name in self._names]
            fake, emotions = D(edited, target, found[0][1])
            with torch.no_grad():
                real = D(shown[:count], one_hot, seen[:count])[0]
        guided = sum(logits for logits, _ in found) / len(found) - self._prior
        apart = (edits - faces).abs().mean(dim=(1, 2, 3))
        g_loss = F.softplus(real - fake).mean()
        total = (
            settings.adversarial * g_loss
            + settings.reconstruction * (apart * (1 - other)).mean()
            + settings.keep * (apart * other).mean()
            + settings.residual * drawing.residual.mean()
            + settings.roughness * drawing.roughness.mean()
            + settings.classification * (self._wrong(emotions, wanted) * other).mean()
            + settings.guidance * (self._wrong(guided, wanted) * other).mean()
        )
        self._update("translator", total)
        torch_peer.move_average(self._average, self._plain["translator"], settings.ema_decay)
        return {"discriminator_loss": d_loss.detach(), "generator_loss": g_loss.detach()}

    def _wrong(self, logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, wanted, reduction="none").clamp(min=-math.log(self._config.joint.confidence))


def _changed(faces: torch.Tensor, changes: Changes) -> torch.Tensor:
    """Returns faces [B, 1, S, S] mirrored, turned, lit and erased as `emogan.data.augment.all_of` does."""
    mirrored, moves, lights, erased, sides, middles = changes
    size = faces.shape[2]
    faces = torch.where(mirrored[:, None, None, None], faces.flip(3), faces)

    middle, line = (size - 1) / 2, torch.arange(size, device=faces.device) - (size - 1) / 2
    y, x = line[:, None], line[None, :]
    down, right, angle, factor = moves[:, :, None, None].unbind(1)
    angle, factor = math.radians(12.0) * angle, (0.15 * factor).exp()
    rows = (angle.cos() * y - angle.sin() * x) / factor + 0.1 * size * down
    columns = (angle.sin() * y + angle.cos() * x) / factor + 0.1 * size * right
    grid = torch.stack([columns, rows], dim=-1) / middle
    faces = F.grid_sample(faces, grid, mode="bilinear", padding_mode="border", align_corners=True)

    factor, added = lights[:, :, None, None, None].unbind(1)
    mean = faces.mean(dim=(1, 2, 3), keepdim=True)
    faces = (faces - mean) * (0.3 * factor).exp() + mean + 0.2 * added

    places = (torch.arange(size, device=faces.device) + 0.5) / size
    inside = (places - middles[:, :, None]).abs() < sides[:, :, None] / 2
    rectangle = inside[:, 0, :, None] & inside[:, 1, None, :] & erased[:, None, None]
    return torch.where(rectangle[:, None], faces.mean(dim=(1, 2, 3), keepdim=True), faces)
