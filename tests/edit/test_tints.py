"""The colours of edited faces, from what looks alike on the face before."""

import numpy as np
import pytest

from emogan.edit import framing, photos, tints

SKIN, LIPS = np.array([205.0, 160, 140]), np.array([150.0, 70, 75])

STILL = np.zeros((48, 48, 2), np.float32)


@pytest.fixture
def mouth():
    """Colours float32 [48, 48, 3]: skin, and lips from row 30 on, four rows high; and the grays."""
    colours = np.tile(SKIN, (48, 48, 1))
    colours[30:34, 16:32] = LIPS
    return colours.astype(np.float32), colours.astype(np.float32) @ tints.LUMA


def tint(colour):
    gray = colour @ tints.LUMA
    return (colour - gray) / gray


def test_lips_that_move_take_their_colour_along(mouth):
    colours, before = mouth
    after = np.roll(before, 6, axis=0)
    found = tints.transferred(tints.of(colours), before, after)
    # The colours themselves, but for the limit of the strongest.
    strongest = np.quantile(np.linalg.norm((colours - before[..., None]) / before[..., None], axis=-1), tints.STRONGEST)
    lips = tint(LIPS) * min(1, strongest / np.linalg.norm(tint(LIPS)))
    np.testing.assert_allclose(found[37:39, 20:28], np.broadcast_to(lips, (2, 8, 3)), atol=0.05)
    np.testing.assert_allclose(found[31:33, 20:28], np.broadcast_to(tint(SKIN), (2, 8, 3)), atol=0.05)


def test_teeth_that_close_do_not_leave_white_lips():
    teeth = np.array([235.0, 232, 228])
    colours = np.tile(SKIN, (48, 48, 1)).astype(np.float32)
    colours[28:30, 16:32] = colours[34:36, 16:32] = LIPS
    colours[30:34, 16:32] = teeth
    square, pixels = framing.Square(0, 0, 192), colours.repeat(4, 0).repeat(4, 1).astype(np.uint8)
    before = np.round(colours @ tints.LUMA).astype(np.uint8)
    after = before.copy()
    after[28:36, 16:32] = round(float(LIPS @ tints.LUMA))
    edited = (
        photos.put_back(pixels, square, before, after, STILL)
        .astype(float)[4 * 31 : 4 * 33, 4 * 20 : 4 * 28]
        .mean((0, 1))
    )
    assert edited[0] - edited[1] > 20  # red, where teeth have 3
    assert abs(edited @ tints.LUMA - LIPS @ tints.LUMA) < 2


def test_no_tint_is_new(mouth):
    colours, before = mouth
    own = tints.of(colours)
    after = np.random.default_rng(0).uniform(0, 255, before.shape).astype(np.float32)
    found = tints.transferred(own, before, after)
    assert found.shape == (48, 48, 3)
    assert (found >= own.min((0, 1)) - 1e-5).all()
    assert (found <= own.max((0, 1)) + 1e-5).all()
    np.testing.assert_allclose(found @ tints.LUMA, 0, atol=1e-5)


def test_tints_beyond_reach_and_of_single_spots_count_little(mouth):
    colours, _ = mouth
    colours[10, 10] = (255, 0, 0)
    strength = np.linalg.norm(tints.of(colours), axis=-1)
    assert strength.max() <= np.linalg.norm(tint(SKIN)) + 1e-4  # 97 % are skin
    far = np.tile(SKIN, (48, 48, 1)).astype(np.float32)
    far[:8] = (40, 90, 160)
    before = far @ tints.LUMA
    after = before.copy()
    after[30:] = before[0, 0]  # as dark as what is far above
    found = tints.transferred(tints.of(far), before, after)
    np.testing.assert_allclose(found[30:], np.broadcast_to(tint(SKIN), (18, 48, 3)), atol=1e-4)


def test_only_changes_take_tints():
    change = np.zeros((48, 48), np.float32)
    change[20:28, 20:28] = tints.CHANGED
    change[36:40, 36:40] = tints.UNCHANGED
    shares = tints.shares(change)
    assert shares.dtype == np.float32
    assert shares[24, 24] == 1
    assert shares[38, 38] == shares[4, 4] == 0
    assert (shares >= 0).all()
    assert (shares <= 1).all()


@pytest.mark.parametrize("size", [48, 96])
def test_a_gray_photograph_with_three_channels_stays_gray(size):
    rng = np.random.default_rng(2)
    gray = rng.integers(40, 200, (40, 40), dtype=np.uint8).repeat(5, 0).repeat(5, 1)
    pixels, square = np.stack([gray] * 3, axis=-1), framing.Square(0, 0, 200)
    before = framing.crop(gray, square, size)
    after = rng.integers(0, 255, (size, size), dtype=np.uint8)
    still = np.zeros((size, size, 2), np.float32)
    edited = photos.put_back(pixels, square, before, after, still)
    assert np.ptp(edited, axis=-1).max() == 0
    assert np.abs(edited.astype(int) - photos.put_back(gray, square, before, after, still)[..., None]).max() <= 1


def test_tints_are_warped_with_the_face():
    colours = np.tile(SKIN, (48, 48, 1))
    colours[:, 24:] = np.array([120, 190, 120.0]) * (SKIN @ tints.LUMA) / (np.array([120, 190, 120.0]) @ tints.LUMA)
    pixels, square = colours.repeat(4, 0).repeat(4, 1).astype(np.uint8), framing.Square(0, 0, 192)
    before = np.full((48, 48), round(float(SKIN @ tints.LUMA)), np.uint8)
    after, flow = np.where(np.arange(48)[:, None] > 23, before - 60, before), np.zeros((48, 48, 2), np.float32)
    flow[..., 1] = 10  # every pixel comes from ten to the right
    edited = photos.put_back(pixels, square, before, after.astype(np.uint8), flow).astype(int)
    for row in (80, 112):  # above, where nothing was drawn, and below
        assert (edited[row, 64:76, 1] > edited[row, 64:76, 0]).all()  # green where skin was
