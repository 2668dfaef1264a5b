"""Edits put back into photographs: where, how much, and what stays as it was."""

import numpy as np
import pytest
from scipy import ndimage

from emogan.data import dataset
from emogan.edit import detection, framing, motion, photos, tints

LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture
def photograph():
    """uint8 [300, 260, 3]: coarse patches of many colours."""
    return np.random.default_rng(0).integers(40, 200, (30, 26, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)


STILL = np.zeros((48, 48, 2), np.float32)


def put_back(pixels, square, change):
    before = np.full((48, 48), 128, np.uint8)
    return photos.put_back(pixels, square, before, (before.astype(int) + change).astype(np.uint8), STILL)


def luminance(pixels):
    return pixels.astype(float) @ LUMA


def test_no_change_leaves_every_byte(photograph):
    np.testing.assert_array_equal(put_back(photograph, framing.Square(-20.3, 7.7, 151.2), 0), photograph)


def test_outside_of_the_square_nothing_changes_and_the_input_never(photograph):
    original = photograph.copy()
    edited = put_back(photograph, framing.Square(60, 80, 120), -50)
    np.testing.assert_array_equal(photograph, original)
    changed = np.argwhere((edited != photograph).any(axis=-1))
    assert changed.min(axis=0).tolist() >= [80, 60]
    assert changed.max(axis=0)[0] < 200
    assert changed.max(axis=0)[1] < 180


@pytest.mark.parametrize("warped", [False, True])
def test_a_tilted_face_is_edited_as_the_same_face_upright(warped):
    pixels = ndimage.gaussian_filter(np.random.default_rng(1).integers(0, 256, (300, 300, 3)).astype(float), (6, 6, 0))
    pixels = (40 + 170 * (pixels - pixels.min()) / np.ptp(pixels)).astype(np.uint8)
    level = framing.about((150.0, 150.0), 130.0)
    tilted = framing.about((150.0, 150.0), 130.0, 90.0)
    turned = np.ascontiguousarray(np.rot90(pixels, -1))  # clockwise, without any loss
    rows, columns = np.indices((48, 48))
    change = 50 * np.exp(-((rows - 30) ** 2 + (columns - 20) ** 2) / 60)
    flow = np.full((48, 48, 2), (1.5, -2.0) if warped else 0.0, np.float32)

    def edited(photograph, square):
        before = framing.cut(photograph, square, dataset.FER2013)
        return photos.put_back(photograph, square, before, np.clip(before + change, 0, 255).astype(np.uint8), flow)

    expected = np.rot90(edited(pixels, level), -1).astype(int)
    found = edited(turned, tilted).astype(int)
    assert np.abs(expected - turned).max() > 30
    assert np.abs(found - expected).mean() < 0.3
    assert np.abs(found - expected).max() < 12
    far = np.hypot(*(np.indices((300, 300)) - 150)) > 130
    np.testing.assert_array_equal(found[far], turned[far])


@pytest.mark.parametrize("change", [-30, 30])
def test_the_luminance_in_the_middle_changes_by_the_edit(photograph, change):
    edited = put_back(photograph, framing.Square(60, 80, 120), change)
    difference = (luminance(edited) - luminance(photograph))[120:160, 100:140]
    assert np.abs(difference - change).max() <= 1


def test_the_edge_of_an_edit_has_no_seam():
    flat = np.full((200, 200), 100, np.uint8)
    edited = put_back(flat, framing.Square(20, 20, 160), 80).astype(int)
    assert max(np.abs(np.diff(edited, axis=axis)).max() for axis in (0, 1)) <= 6
    assert edited[100, 100] == 180


def test_what_changes_little_keeps_its_hue(photograph):
    change = int(tints.UNCHANGED)
    for sign in (-1, 1):
        edited = put_back(photograph, framing.Square(0, 0, 260), sign * change).astype(float)[100:160, 100:160]
        before = photograph.astype(float)[100:160, 100:160]
        # A hue is the direction of a colour away from gray.
        one, other = (part - luminance(part)[..., None] for part in (before, edited))
        lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
        cosine = (one * other).sum(axis=-1)[lengths > 400] / lengths[lengths > 400]
        assert cosine.min() > 0.99


def test_a_shadow_takes_the_colour_down_with_the_light():
    skin = np.full((100, 100, 3), (200, 150, 130), np.uint8)
    edited = put_back(skin, framing.Square(0, 0, 100), -80)[50, 50]
    np.testing.assert_allclose(edited, np.array([200, 150, 130]) * (1 - 80 / luminance(skin)[0, 0]), atol=1)


def test_what_would_leave_the_bytes_ends_in_white_or_black():
    pixels = np.full((100, 100, 3), (250, 200, 190), np.uint8)
    assert put_back(pixels, framing.Square(0, 0, 100), 127)[50, 50].tolist() == [255, 255, 255]
    assert put_back(pixels // 4, framing.Square(0, 0, 100), -128)[50, 50].tolist() == [0, 0, 0]


def test_an_edit_lands_where_its_pixel_was_cut():
    pixels = np.full((400, 400), 100, np.uint8)
    change = np.zeros((48, 48), int)
    change[30, 18] = 100
    square = framing.Square(41.3, 77.6, 240.0)
    edited = put_back(pixels, square, change).astype(float) - 100
    rows, columns = np.mgrid[:400, :400]
    middle = [(edited * places).sum() / edited.sum() + 0.5 for places in (rows, columns)]
    np.testing.assert_allclose(middle, [77.6 + 30.5 * 5, 41.3 + 18.5 * 5], atol=0.6)


@pytest.mark.parametrize(
    "square", [(-60, -50, 130), (200.5, 250.5, 90), (-10, -10, 400), (30.2, 30.7, 12), (900, 0, 9)]
)
def test_squares_beyond_the_border_and_small_ones_keep_the_shape(photograph, square):
    edited = put_back(photograph, framing.Square(*square), 60)
    assert edited.shape == photograph.shape
    assert edited.dtype == np.uint8
    assert (edited != photograph).any() == (square[0] < 300)


def test_cutting_an_edited_photograph_gives_the_edit():
    rng = np.random.default_rng(1)
    coarse = rng.integers(60, 180, (20, 20), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
    square = framing.Square(0, 0, 240)
    before = framing.cut(coarse, square, dataset.FER2013)
    rows, columns = np.mgrid[:48, :48]
    after = (before + 40 * np.exp(-((rows - 30) ** 2 + (columns - 24) ** 2) / 40)).astype(np.uint8)
    found = framing.cut(photos.put_back(coarse, square, before, after, STILL), square, dataset.FER2013)
    assert np.abs(found.astype(int) - after)[12:36, 12:36].max() <= 3
    flow = motion.between(before, after)
    found = framing.cut(photos.put_back(coarse, square, before, after, flow), square, dataset.FER2013)
    assert np.abs(found.astype(int) - after)[12:36, 12:36].mean() <= 1.5  # the squares are sharper than the small face


def test_a_photograph_is_moved_as_the_two_faces_say():
    """A face that an edit has shifted: the photograph's own edges are found at the new place, and sharp."""
    rng = np.random.default_rng(2)
    sharp = rng.integers(60, 180, (24, 24), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
    square, shift = framing.Square(0, 0, 240), 10  # two pixels of the small face
    before = framing.cut(sharp, square, dataset.FER2013)
    shifted = np.roll(sharp, shift, axis=0)
    after = framing.cut(shifted, square, dataset.FER2013)
    middle = slice(80, 160), slice(80, 160)

    def apart(edited):
        return np.abs(edited[middle].astype(int) - shifted[middle]).mean()

    found = photos.put_back(sharp, square, before, after, motion.between(before, after))
    assert apart(found) < 0.6 * apart(photos.put_back(sharp, square, before, after, STILL))


@pytest.mark.parametrize("channels", [1, 3])
def test_detail_fades_with_the_edge_that_the_edit_takes_away(channels):
    columns = np.arange(480)
    teeth = 128 + 60 * np.sign(np.sin(columns / 6))[None] * np.ones((480, 1))  # sharp, four pixels of the edit long
    pixels = np.clip(teeth, 0, 255).astype(np.uint8)
    if channels == 3:
        pixels = np.stack([pixels, pixels, pixels // 2 + 40], axis=-1)
    spec, square = dataset.ImageSpec(48, channels), framing.Square(0, 0, 480)
    before = framing.cut(pixels, square, spec)
    after = before.copy()
    after[16:32] = before.mean(axis=(0, 1))  # lips close
    edited = photos.put_back(pixels, square, before, after, motion.between(before, after)).astype(float)
    gone, stays = edited[220:260, 120:360], edited[80:120, 120:360]
    assert gone.std(axis=1).max() < 0.1 * pixels[220:260, 120:360].std(axis=1).min()
    apart = np.abs(stays - pixels[80:120, 120:360])
    assert (apart.max() <= 3, apart.mean() < 0.1) == (True, True)  # the motion that is found there is hardly any


def test_detail_fades_where_other_edges_come():
    stripes = 128 + 60 * np.sign(np.sin(np.arange(48) / 2))[None] * np.ones((48, 1))
    assert photos._detail_kept(stripes, stripes.T).max() < 0.1
    assert photos._detail_kept(stripes, 255 - stripes).max() < 0.01


def test_detail_stays_where_an_edit_only_shades_or_sharpens(photograph):
    square = framing.Square(0, 0, 240)
    before = framing.cut(photograph, square, dataset.FER2013)
    for after in (before + 30, np.clip(1.5 * before.astype(float) - 60, 0, 255).astype(np.uint8)):
        kept = photos._detail_kept(before.astype(np.float32), after.astype(np.float32))
        assert kept.min() > 0.97
    assert (photos._detail_kept(before.astype(np.float32), before.astype(np.float32)) == 1).all()


def test_a_photograph_is_bent_where_the_edit_bent_the_face(photograph):
    square = framing.Square(40, 60, 144)  # three pixels of the photograph for each of the face
    before = framing.cut(photograph, square, dataset.FER2013)
    flow = np.full((48, 48, 2), (2, -1), np.float32)
    places = np.indices((48, 48)) + np.moveaxis(flow, -1, 0)
    after = ndimage.map_coordinates(before.astype(np.float32), places, order=1, mode="nearest")
    edited = photos.put_back(photograph, square, before, after, flow)
    middle = photograph[60 + 60 + 6 : 60 + 84 + 6, 40 + 60 - 3 : 40 + 84 - 3]
    np.testing.assert_allclose(edited[120:144, 100:124].astype(int), middle, atol=1)
    np.testing.assert_array_equal(edited[:60], photograph[:60])
    still = photos.put_back(photograph, square, before, before, np.zeros_like(flow))
    np.testing.assert_array_equal(still, photograph)


def test_what_was_painted_on_a_bent_face_is_added_to_the_bent_photograph():
    flat = np.full((200, 200), 100, np.uint8)
    square, before = framing.Square(20, 20, 144), np.full((48, 48), 100, np.uint8)
    after = before.copy()
    after[20:28, 20:28] = 160
    flow = np.random.default_rng(0).normal(0, 1, (48, 48, 2)).astype(np.float32)
    edited = photos.put_back(flat, square, before, after, flow)
    np.testing.assert_array_equal(edited, photos.put_back(flat, square, before, after, STILL))
    assert edited[20 + 72, 20 + 72] == 160


def test_bands_join_without_a_trace(photograph, monkeypatch):
    square, before = framing.Square(-10.3, 20.6, 240.4), np.full((48, 48), 128, np.uint8)
    rng = np.random.default_rng(3)
    after, flow = rng.integers(60, 200, (48, 48), dtype=np.uint8), rng.normal(0, 2, (48, 48, 2)).astype(np.float32)
    whole = photos.put_back(photograph, square, before, after, flow)
    monkeypatch.setattr(photos, "_BAND", 17)
    np.testing.assert_allclose(photos.put_back(photograph, square, before, after, flow).astype(int), whole, atol=1)


def test_an_edit_in_colour_is_added_in_its_colour(photograph):
    flow = np.zeros((64, 64, 2), np.float32)
    before = np.full((64, 64, 3), 128, np.uint8)
    after = before + np.array([20, 0, 5], np.uint8)
    square = framing.Square(60, 80, 120)
    edited = photos.put_back(photograph, square, before, after, flow).astype(int) - photograph
    np.testing.assert_array_equal(edited[140, 120], [20, 0, 5])
    assert (edited[:80] == 0).all()
    gray = photograph[..., 0]
    edited = photos.put_back(gray, square, before, after, flow).astype(int) - gray
    assert edited[140, 120] == round(0.299 * 20 + 0.114 * 5)


def test_a_face_is_cut_in_colour_where_the_model_has_colours(photograph):
    spec = dataset.ImageSpec(96, 3)
    face = framing.cut(photograph, framing.Square(40, 50, 96), spec)
    np.testing.assert_array_equal(face, photograph[50:146, 40:136])
    assert framing.cut(photograph[..., 0], framing.Square(40, 50, 96), spec).shape == (96, 96, 3)
    assert (detection.smallest(dataset.FER2013), detection.smallest(spec)) == (detection.SMALLEST, 80)
