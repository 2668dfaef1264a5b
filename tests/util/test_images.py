"""Pixels between bytes and floats, grids, PNG files, and PSNR."""

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from emogan.util import images


def test_bytes_become_floats_in_minus_one_to_one_and_come_back():
    pixels = np.zeros((1, 48, 48), np.uint8)
    pixels.reshape(-1)[:256] = np.arange(256)
    floats = images.to_float(jnp.asarray(pixels))
    assert floats.shape == (1, 48, 48, 1)
    assert floats.dtype == jnp.float32
    np.testing.assert_allclose(floats.reshape(-1)[np.array([0, 51, 255])], [-1.0, -0.6, 1.0], atol=1e-6)
    back = images.to_bytes(floats)
    assert back.dtype == jnp.uint8
    np.testing.assert_array_equal(back, pixels)


def test_bytes_are_rounded_to_the_nearest_and_clipped():
    floats = np.zeros((1, 48, 48, 1), np.float32)
    floats.reshape(-1)[:4] = [-1.5, 1.5, 0.7 / 127.5 - 1, 1.2 / 127.5 - 1]
    np.testing.assert_array_equal(images.to_bytes(jnp.asarray(floats)).reshape(-1)[:4], [0, 255, 1, 1])


def test_tile_puts_each_image_in_its_row_and_column():
    grid = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2)
    picture = images.tile(grid)
    expected = [
        [0, 1, 4, 5, 8, 9],
        [2, 3, 6, 7, 10, 11],
        [12, 13, 16, 17, 20, 21],
        [14, 15, 18, 19, 22, 23],
    ]
    np.testing.assert_array_equal(picture, expected)
    np.testing.assert_array_equal(images.untile(picture, size=2), grid)


def test_untile_refuses_a_picture_that_is_no_whole_number_of_tiles():
    with pytest.raises(ValueError, match="expected a picture of 48x48 tiles, found 96x50 pixels"):
        images.untile(np.zeros((50, 96), np.uint8), 48)


def test_png_is_read_back_and_replaces_the_old_one_as_a_whole(tmp_path):
    path = tmp_path / "picture.png"
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 30, 40), dtype=np.uint8)
    images.save_png(path, first)
    with path.open("rb") as reader:
        content = path.read_bytes()
        images.save_png(path, second)
        assert reader.read() == content  # who reads the old file still does
    np.testing.assert_array_equal(images.load_png(path), second)
    with pytest.raises((TypeError, ValueError)):
        images.save_png(path, np.zeros((2, 2, 7), np.float64))
    np.testing.assert_array_equal(images.load_png(path), second)


def test_png_leaves_no_other_file(tmp_path):
    images.save_png(tmp_path / "picture.png", np.zeros((4, 4, 3), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG"])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_pictures_are_saved_as_their_names_say_with_their_metadata(tmp_path, suffix, channels):
    path = tmp_path / f"picture.{suffix}"
    picture = np.full((20, 30, *channels), 100, np.uint8)
    images.save(path, picture, images.SYNTHETIC, b"profile")
    with PIL.Image.open(path) as read:
        assert read.size == (30, 20)
        assert read.info["icc_profile"] == b"profile"
        if suffix == "png":
            assert read.text == images.SYNTHETIC
            np.testing.assert_array_equal(np.asarray(read), picture)
        else:
            assert read.info["comment"].decode() == read.getexif()[0x010E] == images.SYNTHETIC["Source"]
            # Three fifths of white shine through where a pixel's opacity is 100.
            assert np.abs(np.asarray(read).astype(int) - (194 if channels == (4,) else 100)).max() <= 2


@pytest.mark.parametrize("channels", [(), (3,)])
def test_animations_keep_every_frame_and_its_time(tmp_path, channels):
    ramp = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30, *(1,) * len(channels))  # wraps to fill every level
    frames = [np.broadcast_to(ramp // 2 + value, (20, 30, *channels)).astype(np.uint8) for value in (0, 60, 120)]
    images.save_gif(tmp_path / "a.gif", frames, [800, 80, 400], images.SYNTHETIC)
    with PIL.Image.open(tmp_path / "a.gif") as read:
        assert read.n_frames == 3
        assert read.info["comment"].decode() == images.SYNTHETIC["Source"]
        for i, time in enumerate([800, 80, 400]):
            read.seek(i)
            assert read.info["duration"] == time
            shown = np.asarray(read.convert("L")).astype(int)
            assert np.abs(shown - frames[i].reshape(20, 30, -1)[..., 0]).max() <= (4 if channels else 0)


def test_psnr_of_each_image_by_hand():
    originals = np.zeros((2, 48, 48, 1), np.float32)
    others = originals.copy()
    others[0] = 0.2  # 10 log10(2^2 / 0.04) = 20
    others[1, :24] = 2.0  # mean square 2: 10 log10(4 / 2)
    found = images.psnr(jnp.asarray(originals), jnp.asarray(others))
    np.testing.assert_allclose(found, [20.0, 10 * np.log10(2.0)], rtol=1e-5)


def test_colours_keep_their_axis_and_a_grid_of_them_is_one_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3), np.uint8)
    floats = images.to_float(jnp.asarray(pixels[0]))
    assert floats.shape == (3, 32, 32, 3)
    np.testing.assert_array_equal(images.to_bytes(floats), pixels[0])
    picture = images.tile(pixels)
    assert picture.shape == (64, 96, 3)
    np.testing.assert_array_equal(images.untile(picture, 32), pixels)
