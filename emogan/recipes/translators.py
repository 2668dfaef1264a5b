"""E, G and D of phase `joint` as a configuration has them, in training and finished."""

from emogan import config as config_lib
from emogan.models import emotion_cnn as classifier_lib
from emogan.models import translator


def make_encoder(settings: config_lib.TranslatorConfig, num_classes: int) -> translator.Encoder:
    """Returns the module E of a configuration."""
    told = num_classes if settings.labels == "encoder" else 0
    return translator.Encoder(settings.width, settings.blocks, told, settings.skip)


def make_generator(settings: config_lib.TranslatorConfig, num_classes: int) -> translator.Generator:
    """Returns the module G of a configuration."""
    told = num_classes if settings.labels == "generator" else 0
    return translator.Generator(settings.width, settings.blocks, told, settings.skip, settings.reach)


def make_finished_encoder(settings: config_lib.TranslatorConfig, num_classes: int) -> translator.Encoder:
    """Returns the module E of a configuration as edits are made with it: it sees the mirror image too, if it shall."""
    return make_encoder(settings, num_classes).clone(mirrored=settings.mirrored)


def make_finished_generator(settings: config_lib.TranslatorConfig, num_classes: int) -> translator.Generator:
    """Returns the module G of a configuration as edits are made with it: it bends as strongly as `strength` says.

    Its codes are those of `make_finished_encoder`.

    Raises:
      ValueError: if that has neither one number nor one for each of the classes.
    """
    strengths = settings.strengths()
    if len(strengths) not in (1, num_classes):
        raise ValueError(
            f"translator.strength: expected 1 number or {num_classes}, one for each emotion, found {len(strengths)}; "
            "--config.translator.strength=1 bends all as in training"
        )
    return make_generator(settings, num_classes).clone(strength=strengths, mirrored=settings.mirrored)


def make_discriminator(settings: config_lib.TranslatorConfig, num_classes: int) -> translator.Critic:
    """Returns the module D of a configuration."""
    return translator.Critic(settings.critic_width, num_classes, settings.projection)


def code_shape(settings: config_lib.TranslatorConfig) -> tuple[int, int, int]:
    """Returns the shape of a code of the finished E."""
    views = 2 if settings.mirrored else 1
    return translator.CODE_SIZE, translator.CODE_SIZE, views * 3 * settings.width + (16 if settings.skip else 0)


def told_size(config: config_lib.Config) -> int:
    """Returns how many features of a face D is told by the first guide, 0 if none."""
    guides = config_lib.guides(config)
    if not (config.translator.informed and guides):  # a configuration without phase `joint` may have no guide
        return 0
    return classifier_lib.STAGES[-1] * getattr(config, guides[0]).width
