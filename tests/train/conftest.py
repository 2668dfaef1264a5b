"""Both phases with tiny networks, for every file here."""

from support.tiny_phases import *  # noqa: F403
