"""Pictures that say in every file that they are synthetic."""

import io

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest

from emogan.edit import synthetic
from emogan.util import images

NOTE = images.SYNTHETIC["Source"]


@pytest.fixture
def image():
    picture = PIL.Image.fromarray(np.arange(48 * 48 * 3, dtype=np.uint8).reshape(48, 48, 3))
    picture.info["icc_profile"] = b"profile"
    return synthetic.of(picture)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG", "a.webp"])
def test_every_file_says_so(image, tmp_path, name):
    image.save(tmp_path / name)
    with PIL.Image.open(tmp_path / name) as saved:
        if name.endswith(".png"):
            assert saved.text == images.SYNTHETIC
            np.testing.assert_array_equal(np.asarray(saved), np.asarray(image))
        else:
            assert saved.getexif()[0x010E] == NOTE
        if name.lower().startswith("a.jp"):
            assert saved.info["comment"] == NOTE.encode()


def test_formats_and_files_in_memory_are_those_of_pillow(image):
    buffer = io.BytesIO()
    image.save(buffer, "png")
    assert PIL.Image.open(buffer).text == images.SYNTHETIC
    buffer = io.BytesIO()
    image.save(buffer, format="BMP")
    assert PIL.Image.open(buffer).size == (48, 48)
    with pytest.raises(ValueError, match="unknown file extension"):
        image.save("picture.unknown")


def test_what_the_user_gives_is_kept(image, tmp_path):
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("Author", "me")
    image.save(tmp_path / "a.png", pnginfo=text)
    with PIL.Image.open(tmp_path / "a.png") as saved:
        assert saved.text == {"Author": "me"}
    image.save(tmp_path / "low.jpg", quality=5)
    image.save(tmp_path / "high.jpg", quality=95)
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "high.jpg").stat().st_size


def test_it_is_an_image_as_any(image):
    assert image.info == {"icc_profile": b"profile", **images.SYNTHETIC}
    assert image.convert("L").resize((20, 10)).size == (20, 10)
    assert image.copy().getpixel((1, 0)) == (3, 4, 5)
