"""Importing this lets a script import what lies in experiments/ (the flags) and in tests/ (`support`)."""

import pathlib
import sys

_EXPERIMENTS = pathlib.Path(__file__).parents[1]

sys.path += [str(_EXPERIMENTS), str(_EXPERIMENTS.parent / "tests")]
