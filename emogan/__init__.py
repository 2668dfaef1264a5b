"""Changing the emotion on a face: GANs in JAX and Flax."""

from emogan.config import Config
from emogan.emotions import EMOTIONS
from emogan.presets import PRESETS, preset
from emogan.transfer import EmotionTransfer, load

__all__ = ["EMOTIONS", "PRESETS", "Config", "EmotionTransfer", "load", "preset"]
