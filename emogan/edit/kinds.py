"""The editors whose edit is G(E(x), y), by what E and G are; a flow's is `flow_editor`."""

import functools

import flax.linen as nn
import jax
import numpy as np

from emogan.edit import editor
from emogan.models import dcgan, direct, translator, unet


class TranslatorEditor(editor.Editor):
    """Editor with the networks of phase `joint`; a latent is a code [S / 4, S / 4, F]."""

    def _parts(self) -> tuple[nn.Module, nn.Module, tuple[int, ...], str]:
        settings, classes, spec = self.networks.translator, len(self.class_names), self.networks.image
        E = translator.make_finished_encoder(settings, classes)
        G = translator.make_finished_generator(settings, classes, spec)
        return E, G, translator.code_shape(settings, spec), editor.TARGET if settings.labels == "encoder" else ""


class LatentEditor(editor.Editor):
    """Editor with a G that draws faces from a prior over latents: the paper's, of the phases `gan` and `encoder`."""

    def _parts(self) -> tuple[nn.Module, nn.Module, tuple[int, ...], str]:
        settings, classes = self.networks.model, len(self.class_names)
        E, G = dcgan.make_encoder(settings, classes), dcgan.make_generator(settings, classes, self.networks.image)
        return E, G, (settings.latent_size,), editor.SOURCE if settings.encoder_labels else ""

    def sample_latents(self, count: int, seed: int = 0) -> np.ndarray:
        """Returns latents float32 [count, Z] drawn from the prior."""
        settings = self.networks.model
        key = jax.random.key(seed)
        return np.asarray(dcgan.sample_latents(key, count, settings.latent_size, settings.latent_distribution))

    def sample(self, labels: editor.Emotion, seed: int = 0) -> np.ndarray:
        """Returns faces uint8 [N, S, S(, 3)] that G draws for labels [N].

        Raises:
          ValueError: if a label is none of the model's.
        """
        count = np.size(labels)
        latents = self.sample_latents(count, seed)
        return self._decoded(functools.partial(self._decode, as_bytes=True), latents, np.reshape(labels, count))


class DirectEditor(editor.Editor):
    """Editor with a U-Net that edits a face in one evaluation (phase `student`); the latent is the face itself."""

    def _parts(self) -> tuple[nn.Module, nn.Module, tuple[int, ...], str]:
        network = unet.make(self.networks.unet, len(self.class_names), self.networks.model.precision)
        return direct.Encoder(), direct.Generator(network), self.networks.image.shape, ""
