"""Photographs, and a detector that finds in them what a test says."""

import functools
import pathlib

import PIL.Image
import pytest
import skimage

from emogan.edit import detection

DATA = pathlib.Path(skimage.__file__).parent / "data"


@pytest.fixture(scope="module")
def portrait():
    """Eileen Collins, in the public domain, 300x300."""
    return PIL.Image.open(DATA / "astronaut.png").convert("RGB").crop((80, 0, 380, 300))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, portrait):
    """Two photographs with a face, a face that is cropped, a photograph with none, and one with too small a face."""
    folder = tmp_path_factory.mktemp("photos")
    portrait.save(folder / "a.jpg", quality=95)
    portrait.convert("L").save(folder / "b.png")
    PIL.Image.new("L", (48, 48), 120).save(folder / "c.png")
    PIL.Image.open(DATA / "coffee.png").save(folder / "d.png")
    far = PIL.Image.new("RGB", (200, 200), "gray")
    far.paste(portrait.resize((100, 100)), (50, 50))
    far.save(folder / "e.png")
    return folder


@pytest.fixture
def three(portrait, tmp_path):
    """Three portraits side by side, the middle one the largest."""
    image = PIL.Image.new("RGB", (800, 300), "gray")
    image.paste(portrait.resize((240, 240)), (0, 0))
    image.paste(portrait, (245, 0))
    image.paste(portrait.resize((240, 240)), (550, 0))
    image.save(tmp_path / "three.png")
    return tmp_path / "three.png"


@pytest.fixture
def finds(monkeypatch):
    """Makes the detector find in every photograph the faces that this is called with."""

    def find(faces, pixels, min_confidence=0.85):
        return [face for face in faces if face.confidence >= min_confidence]

    return lambda *faces: monkeypatch.setattr(detection, "find", functools.partial(find, faces))
