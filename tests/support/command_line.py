"""The command `emogan` in a process of its own, and a face for it to edit."""

import os
import subprocess
import sys

import numpy as np
import PIL.Image


def call(*arguments, package, cwd):
    """What `python -m emogan ARGUMENTS` gives in a folder, with the package that lies in the folder `package`."""
    return subprocess.run(
        [sys.executable, "-m", "emogan", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(package), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )


def write_face(path):
    """Writes 48x48 gray pixels in blocks of 8x8."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    PIL.Image.fromarray(pixels).save(path)
