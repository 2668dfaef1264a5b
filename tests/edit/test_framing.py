"""Squares about faces: cut out, turned upright, and turned back."""

import numpy as np
import PIL.Image
import pytest
import skimage.data

from emogan.data import dataset
from emogan.edit import framing


def test_cutting_is_exact_where_the_square_fits_the_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (80, 90), dtype=np.uint8)
    np.testing.assert_array_equal(
        framing.cut(pixels, framing.Square(20, 10, 48), dataset.FER2013), pixels[10:58, 20:68]
    )


def test_cutting_shrinks_by_averages_at_any_place():
    pixels = np.add.outer(np.arange(200), np.arange(250)).astype(np.uint8)
    pixels = np.minimum(pixels, 200)
    face = framing.cut(pixels, framing.Square(3.5, 2.25, 96), dataset.FER2013).astype(float)
    centres = (np.arange(48) + 0.5) * 2
    expected = np.minimum(np.add.outer(centres + 2.25 - 0.5, centres + 3.5 - 0.5), 200)
    assert np.abs(face - expected)[2:-2, 2:-2].max() <= 1.5


def test_beyond_the_photograph_its_border_goes_on():
    pixels = np.full((60, 60), 200, np.uint8)
    assert (framing.cut(pixels, framing.Square(-30.5, 40.2, 48.7), dataset.FER2013) == 200).all()
    assert (framing.cut(pixels, framing.Square(500, 500, 10), dataset.FER2013) == 200).all()


@pytest.mark.parametrize(("colour", "luma"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)])
def test_colours_are_cut_as_the_luma_of_itu_r_601(colour, luma):
    pixels = np.broadcast_to(np.array(colour, np.uint8), (60, 60, 3))
    assert (framing.cut(pixels, framing.Square(0, 0, 60), dataset.FER2013) == luma).all()


@pytest.fixture(scope="module")
def photograph():
    """uint8 [400, 500, 3], smooth."""
    image = PIL.Image.fromarray(skimage.data.astronaut()).crop((0, 0, 500, 400))
    return np.asarray(image.resize((125, 100)).resize((500, 400), PIL.Image.Resampling.BICUBIC))


@pytest.mark.parametrize("angle", [-90.0, -33.0, 20.0, 180.0])
def test_the_tilted_square_of_a_turned_photograph_shows_the_same_face(photograph, angle):
    square = framing.Square(150.5, 120.25, 120)
    turned = PIL.Image.fromarray(photograph).rotate(-angle, PIL.Image.Resampling.BICUBIC, center=square.middle)
    tilted = framing.about(square.middle, square.side, angle)
    face, expected = (
        framing.cut(pixels, one, dataset.FER2013).astype(float)
        for pixels, one in ((np.asarray(turned), tilted), (photograph, square))
    )
    assert np.abs(face - expected).mean() < 1
    # Not the one that is turned the other way.
    other = framing.about(square.middle, square.side, angle + 60)
    assert np.abs(framing.cut(np.asarray(turned), other, dataset.FER2013) - expected).mean() > 10


@pytest.mark.parametrize("place", [(150.5, 120.25, 120.0), (-60.0, 300.0, 180.0)])
def test_a_large_tilted_face_is_shrunk_before_it_is_turned(photograph, place):
    square = framing.Square(*place, 35.0)
    large = np.asarray(PIL.Image.fromarray(photograph).resize((4000, 3200), PIL.Image.Resampling.BICUBIC))
    part, own = framing.upright(large, square.within(0, 0, 8), least=150)
    assert 150 <= len(part) <= 300
    size = len(part)
    scale = own.side / square.side
    expected, _ = framing.upright(photograph, square)
    shrunk = PIL.Image.fromarray(expected).resize((round(len(expected) * scale),) * 2, PIL.Image.Resampling.BICUBIC)
    assert abs(size - shrunk.width) <= 1
    common = min(size, shrunk.width)
    assert np.abs(part[:common, :common].astype(float) - np.asarray(shrunk)[:common, :common]).mean() < 3
    face, small = (
        framing.cut(pixels, one, dataset.FER2013).astype(float)
        for pixels, one in ((large, square.within(0, 0, 8)), (photograph, square))
    )
    assert np.abs(face - small).mean() < 2


def test_a_square_in_a_part_keeps_its_tilt():
    assert framing.Square(30, 20, 10, 25.0).within(10, 5, 3.0) == framing.Square(60, 45, 30, 25.0)


@pytest.mark.parametrize("shape", [(90, 120), (90, 120, 3)])
@pytest.mark.parametrize("square", [framing.Square(20.3, 10, 50.5, 31.0), framing.Square(-30, 60, 70, -100.0)])
def test_what_is_added_to_the_upright_part_is_added_there(shape, square):
    pixels = np.full(shape, 100, np.uint8)
    part, own = framing.upright(pixels, square)
    assert part.shape[2:] == shape[2:]
    assert (part == 100).all()  # beyond the photograph, too
    assert own.side == square.side
    rows, columns = np.indices(part.shape[:2]) + 0.5
    inside = np.maximum(abs(rows - own.middle[1]), abs(columns - own.middle[0])) < own.side / 2
    change = np.where(inside, 40, 0).astype(np.int16)
    answer = framing.turned_back(pixels, square, change if len(shape) == 2 else change[..., None].repeat(3, axis=2))
    assert answer.shape == shape
    # By its definition: turned back by the angle about the middle, a pixel lies in the square or not.
    turn = np.deg2rad(square.angle)
    y, x = (places + 0.5 - middle for places, middle in zip(np.indices(shape[:2]), square.middle[::-1], strict=True))
    right, down = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    far = np.maximum(abs(right), abs(down)) - square.side / 2
    assert (answer[far < -1.5] == 140).all()
    assert (answer[far > 1.5] == 100).all()
    assert (far < -1.5).sum() > 900


def test_no_change_turned_back_is_the_photograph(photograph):
    square = framing.Square(100, 80, 130.4, 25.0)
    part, _ = framing.upright(photograph, square)
    same = framing.turned_back(photograph, square, np.zeros(part.shape, np.int16))
    np.testing.assert_array_equal(same, photograph)
    nowhere = framing.Square(-300, -300, 50, 25.0)
    np.testing.assert_array_equal(
        framing.turned_back(photograph, nowhere, np.full((75, 75, 3), 9, np.int16)), photograph
    )
