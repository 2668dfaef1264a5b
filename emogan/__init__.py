"""Changing the emotion on a face: GANs in JAX and Flax."""

from emogan.config import Config
from emogan.edit.loading import EmotionTransfer, load
from emogan.emotions import EMOTIONS
from emogan.presets import PRESETS, preset

__all__ = ["EMOTIONS", "PRESETS", "Config", "EmotionTransfer", "load", "preset"]
