"""Faces followed from frame to frame."""

import numpy as np
import pytest

from emogan.edit import tracks
from emogan.edit.detection import Face
from emogan.edit.framing import Square

RATE = 25.0


def face(left, top=50.0, side=60.0, turned=False):
    return Face(Square(left, top, side), 0.95, turned)


def follow(found, **options):
    return tracks.follow(found, RATE, 40.0, **options)


def test_two_faces_that_move_are_two_tracks_from_left_to_right():
    found = [[face(300 - 2.0 * i), face(10 + 2.0 * i)] for i in range(50)]
    one, other = follow(found)
    assert (one.start, other.start, len(one), len(other)) == (0, 0, 50, 50)
    assert one.squares[0].left < 60 < other.squares[0].left
    assert one.squares[-1].left == pytest.approx(108, abs=6)


def test_places_that_tremble_become_smooth():
    random = np.random.default_rng(0)
    (track,) = follow([[face(100 + random.normal(0, 3), side=60 + random.normal(0, 3))] for _ in range(100)])
    lefts = np.array([square.left for square in track.squares])
    assert np.abs(np.diff(lefts)).max() < 1.5
    assert abs(lefts.mean() - 100) < 1


def test_a_steady_face_keeps_its_place():
    (track,) = follow([[face(100)]] * 30)
    for square in track.squares:
        assert (square.left, square.top, square.side) == pytest.approx((100, 50, 60))


def test_a_face_that_is_lost_for_a_moment_is_one_track_and_for_longer_two():
    moment = [[face(100 + i)] if not 20 <= i < 27 else [] for i in range(60)]
    (track,) = follow(moment)
    assert len(track) == 60
    assert track.squares[23].left == pytest.approx(123, abs=1)
    longer = [[face(100)] if not 20 <= i < 40 else [] for i in range(60)]
    assert [(one.start, len(one)) for one in follow(longer)] == [(0, 20), (40, 20)]


def test_edits_come_and_go_softly():
    (track,) = follow([[face(100)] if 10 <= i < 50 else [] for i in range(60)])
    assert track.start == 10
    assert 0 < track.weights[0] < 0.5
    assert 0 < track.weights[-1] < 0.5
    assert (track.weights[8:-8] == 1).all()
    assert np.abs(np.diff(track.weights)).max() <= 1 / (tracks.FADE * RATE) + 1e-6


def test_faces_turned_away_or_too_small_are_not_edited():
    turning = [[face(100, turned=20 <= i < 40)] for i in range(60)]
    (track,) = follow(turning)
    assert (track.weights[20:40] == 0).all()
    assert track.weights[5] == track.weights[55] == 1
    (track,) = follow(turning, any_pose=True)
    assert track.weights[30] == 1
    (track,) = follow([[face(100, side=60 - i)] for i in range(50)])
    assert track.weights[10] == 1
    assert (track.weights[25:] == 0).all()


def test_tilts_are_followed_the_short_way_and_as_smoothly():
    tilts = [170.0 + i for i in range(40)]
    found = [[Face(Square(100, 50, 60, (tilt + 180) % 360 - 180), 0.95)] for tilt in tilts]
    (track,) = follow(found)
    angles = np.unwrap([square.angle for square in track.squares], period=360)
    assert angles[5:-5] == pytest.approx(np.array(tilts)[5:-5], abs=0.1)
    random = np.random.default_rng(0)
    (track,) = follow([[Face(Square(100, 50, 60, 20 + random.normal(0, 3)), 0.95)] for _ in range(100)])
    assert np.abs(np.diff([square.angle for square in track.squares])).max() < 1.5
    (track,) = follow([[Face(Square(100, 50, 60, 20.0 * (i < 20)), 0.95)] for i in range(60)])
    assert track.squares[10].angle == pytest.approx(20, abs=1)
    assert {square.angle for square in track.squares[30:]} == {0.0}


def test_an_edit_that_would_only_flash_is_not_shown():
    turns = [[face(100, turned=not (10 <= i < 19 or 40 <= i < 52))] for i in range(80)]
    (track,) = follow(turns)
    assert np.flatnonzero(track.weights).tolist() == list(range(40, 52))
    (track,) = follow([[face(100, turned=not 0 <= i < 9)] for i in range(80)])
    assert not track.weights.any()


def test_what_is_seen_for_a_moment_is_no_face_but_in_a_video_as_short():
    assert follow([[face(100)] if i == 30 else [] for i in range(60)]) == []
    assert len(follow([[face(100)]])) == 1


def test_a_face_elsewhere_or_of_another_size_is_another():
    assert len(follow([[face(100)]] * 10 + [[face(300)]] * 10)) == 2
    assert len(follow([[face(100)]] * 10 + [[face(90, 40, 120)]] * 10)) == 2


def test_the_largest_covers_most():
    found = [[face(10, side=60), face(300, side=90)] if i < 40 else [face(10, side=60)] for i in range(50)]
    every = follow(found)
    assert [track.squares[0].left for track in tracks.largest(every)] == [pytest.approx(300)]
    assert tracks.largest([]) == []


def test_an_edit_of_a_face_that_is_always_there_does_not_fade_at_the_ends_of_the_video():
    (track,) = follow([[face(100)]] * 30)
    assert (track.weights == 1).all()
    (track,) = follow([[face(100)] if i < 20 else [] for i in range(30)])
    assert track.weights[0] == 1
    assert track.weights[-1] < 0.5
