"""Changing the emotion on a face: GANs in JAX and Flax."""

from emogan.config import PRESETS, Config, preset
from emogan.emotions import EMOTIONS
from emogan.transfer import EmotionTransfer, load

__all__ = ["EMOTIONS", "PRESETS", "Config", "EmotionTransfer", "load", "preset"]
