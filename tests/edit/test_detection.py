"""Faces in photographs: found, and framed as FER2013 frames them."""

import dataclasses
import pathlib
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import skimage

from emogan.edit import detection as faces
from emogan.edit import framing

# Eileen Collins, in the public domain, ships with scikit-image; her face as found by eye: eyes, mouth.
ASTRONAUT = pathlib.Path(skimage.__file__).parent / "data" / "astronaut.png"
EYES, MOUTH = (224, 103), (223, 141)


@pytest.fixture(scope="module")
def astronaut():
    """uint8 [512, 512, 3]."""
    return np.asarray(PIL.Image.open(ASTRONAUT).convert("RGB"))


def detection(left, top, width, height, landmarks):
    return faces.Detection((left, top, width, height), np.array(landmarks, float), 1.0)


def only(pixels):
    """Returns the square of the one face."""
    (face,) = faces.find(pixels)
    assert face.confidence >= faces.MIN_CONFIDENCE
    assert not face.turned
    return face.square


def test_the_face_of_a_portrait_is_framed_as_fer2013_frames_faces(astronaut):
    square = only(astronaut)
    # Quartiles of FER2013 in docs/photos.md.
    assert -0.133 < (EYES[1] - square.top) / square.side - 0.5 < -0.085
    assert 0.208 < (MOUTH[1] - square.top) / square.side - 0.5 < 0.272
    assert abs((EYES[0] - square.left) / square.side - 0.5) < 0.05


def test_gray_photographs_have_the_same_face(astronaut):
    gray = np.asarray(PIL.Image.fromarray(astronaut).convert("L"))
    square, other = only(astronaut), only(gray)
    assert abs(square.left - other.left) < 5
    assert abs(square.side - other.side) < 5


def test_large_photographs_are_searched_in_small_and_answered_in_large(astronaut):
    square, large = only(astronaut), only(astronaut.repeat(5, axis=0).repeat(5, axis=1))
    assert abs(large.side / 5 - square.side) < 5
    assert abs(large.left / 5 - square.left) < 5


def test_every_face_is_found_from_left_to_right(astronaut):
    found = faces.find(np.concatenate([astronaut, astronaut[:, ::-1]], axis=1))
    assert len(found) == 2
    assert found[0].square.left < 512 < found[1].square.left


@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png", "brick.png"])
def test_pictures_without_a_face_have_none(name):
    assert faces.find(np.asarray(PIL.Image.open(ASTRONAUT.with_name(name)).convert("RGB"))) == []


@pytest.mark.parametrize("shape", [(1, 1), (5, 700), (19, 19, 3), (3000, 7, 3)])
def test_strips_and_specks_have_no_face(shape):
    assert faces.find(np.full(shape, 128, np.uint8)) == []


@pytest.mark.parametrize(
    "pixels", [np.zeros((9, 9), np.float32), np.zeros((9, 9, 4), np.uint8), np.zeros((0, 9, 3), np.uint8)]
)
def test_other_pixels_are_refused(pixels):
    with pytest.raises(ValueError, match=r"expected a photograph uint8 \[H, W\] or \[H, W, 3\], found"):
        faces.find(pixels)


def test_a_face_that_fills_a_large_photograph_is_found(astronaut):
    large = PIL.Image.fromarray(astronaut[30:200, 140:310]).resize((2400, 2400), PIL.Image.Resampling.BICUBIC)
    square = only(np.asarray(large))
    assert 1000 < square.side < 2400


def test_less_confidence_finds_more(astronaut):
    noisy = np.random.default_rng(0).integers(0, 256, astronaut.shape, dtype=np.uint8) // 2 + astronaut // 2
    found = faces.find(noisy, 0.0)
    assert len(found) >= len(faces.find(noisy, 0.99))
    assert faces.find(astronaut, 0.999) == []
    assert all(0.0 < face.confidence <= 1.0 for face in found)


@pytest.mark.parametrize(
    ("nose", "turn"), [((50, 60), 0.0), ((50, 90), 0.0), ((70, 60), 0.5), ((30, 60), 0.5), ((110, 60), 1.5)]
)
def test_a_turn_is_how_far_the_nose_lies_off_the_middle_of_the_eyes(nose, turn):
    landmarks = [(30, 40), (70, 40), nose, (35, 80), (65, 80)]
    assert detection(0, 0, 100, 100, landmarks).turn == pytest.approx(turn)
    tilted = np.array(landmarks) @ [[0.8, 0.6], [-0.6, 0.8]]  # a rotation
    assert detection(0, 0, 100, 100, tilted).turn == pytest.approx(turn)


def test_size_comes_from_the_box_and_place_from_the_landmarks():
    side = 100 / faces.BOX_SIZE  # the square root of 50 * 200 is 100
    square = faces.frame(detection(0, 0, 50, 200, [(30, 70)] * 5))
    assert square.side == pytest.approx(side)
    assert square.left == pytest.approx(30 - side / 2)
    assert square.top == pytest.approx(70 - faces.LANDMARKS_BELOW * side - side / 2)


@pytest.mark.parametrize("angle", [-150.0, -31.0, 0.0, 17.0, 90.0])
def test_the_tilt_is_by_what_the_landmarks_are_turned(angle):
    turn = np.deg2rad(angle)
    turned = np.array(faces.LANDMARKS) @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    assert detection(0, 0, 100, 100, 40 * turned + [300, 80]).tilt == pytest.approx(angle)


@pytest.mark.parametrize("angle", [-40, -20, 25, 45])
def test_a_tilted_face_has_a_tilted_square(astronaut, angle):
    large = np.pad(astronaut, ((200, 200), (200, 200), (0, 0)), mode="edge")
    level = only(large)
    assert level.angle == 0
    image = PIL.Image.fromarray(large).rotate(-angle, PIL.Image.Resampling.BICUBIC, center=level.middle)
    square = only(np.asarray(image))
    own = faces.detect(large)[0].tilt  # not enough to be turned
    assert square.angle == pytest.approx(angle + own, abs=7)  # the landmarks themselves are as uncertain
    assert np.hypot(*np.subtract(square.middle, level.middle)) < 0.06 * level.side
    assert square.side == pytest.approx(level.side, rel=0.06)


def seen(middle, side, tilt, nose=0.0):
    """What the detector says of a face with this square and tilt, and its nose that far to the side."""
    turn = np.deg2rad(tilt)
    points = side * np.array(faces.LANDMARKS)
    points[2, 0] += side * nose
    points = (points - points.mean(axis=0)) @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    below = faces.LANDMARKS_BELOW * side * np.array([-np.sin(turn), np.cos(turn)])
    return detection(0, 0, faces.BOX_SIZE * side, faces.BOX_SIZE * side, points + middle + below)


@pytest.mark.parametrize("far", [1, 10])  # times as large: then it is looked at shrunk
@pytest.mark.parametrize(("read", "share"), [(3.0, 0.0), (5.0, 0.25), (20.0, 1.0), (-20.0, 1.0), (179.0, 1.0)])
def test_a_tilted_face_is_looked_at_again_where_it_stands_upright(monkeypatch, read, share, far):
    pixels, answers = np.zeros((400 * far, 400 * far, 3), np.uint8), []

    def detect(part, *sides):
        if part is pixels:
            return [seen((200.0 * far, 180.0 * far), 100.0 * far, read)]
        middle, side = np.array(part.shape[1::-1]) / 2, len(part) / 2  # the part is two sides wide
        away, tilt, nose = ((0.06, -0.03), 10.0, 0.0) if not answers else ((0, 0), 1.0, 0.2)
        answers.append(seen(middle + side * np.array(away), side, tilt, nose))
        return [seen(middle + side * np.array([0.9, 0]), side, 0.0), answers[-1]]  # the first is another face

    monkeypatch.setattr(faces, "detect", detect)
    (face,) = faces.find(pixels)
    if share == 0:
        assert (answers, face.turned) == ([], False)
        assert (face.square.angle, face.square.side) == pytest.approx((0, 100 * far))
        return
    assert len(answers) == 2
    assert face.turned  # as it was seen last
    expected = read + answers[0].tilt + answers[1].tilt
    assert face.square.angle == pytest.approx(share * ((expected + 180) % 360 - 180))
    turn = np.deg2rad(read)
    away = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [0.06, -0.03]
    assert face.square.middle == pytest.approx(far * (np.array([200, 180]) + 100 * share * away), abs=0.3 * far)
    assert face.square.side == pytest.approx(100 * far, rel=0.01)


@pytest.mark.parametrize(
    ("answers", "expected"), [([], 20.0), ([("far", 5.0)], 20.0), ([("doubtful", 5.0)], 20.0), ([("near", 12.0)], 56.0)]
)
def test_looks_end_where_they_find_nothing_or_after_three(monkeypatch, answers, expected):
    pixels = np.zeros((400, 400), np.uint8)

    def detect(part, *sides):
        if part is pixels:
            return [seen((200.0, 180.0), 100.0, 20.0)]
        side, middle = len(part) / 2, len(part) / 2
        found = [(seen((middle + side * (what == "far"), middle), side, tilt), what) for what, tilt in answers]
        return [dataclasses.replace(one, confidence=0.5 if what == "doubtful" else 1.0) for one, what in found]

    monkeypatch.setattr(faces, "detect", detect)
    (face,) = faces.find(pixels)
    assert face.square.angle == pytest.approx(expected)
    assert face.confidence == 1.0  # of the first look


def test_two_answers_that_become_one_face_upright_are_one(monkeypatch):
    pixels = np.zeros((400, 400), np.uint8)
    first = [seen((x, 180.0), 100.0, 20.0) for x in (200.0, 240.0)]  # further apart than a third of a side
    again = [[seen((110.0, 100.0), 100.0, 0.0)], [seen((80.0, 100.0), 100.0, 0.0)]]
    monkeypatch.setattr(faces, "detect", lambda part, *sides: first if part is pixels else again.pop(0))
    assert len(faces.find(pixels)) == 1
    assert again == []


def test_a_face_found_twice_is_one():
    one, other, far = (faces.Face(framing.Square(*place)) for place in ((0, 0, 90), (10, 10, 100), (60, 0, 90)))
    assert faces._distinct([one, other, far], lambda face: face.square) == [one, far]


def test_without_the_extra_a_line_says_what_to_install():
    script = """
import sys, numpy
sys.modules["cv2"] = None
from emogan.edit import detection
try:
    detection.find(numpy.zeros((50, 50), numpy.uint8))
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("expected OpenCV to find faces in photographs, found none (")
    assert done.stdout.endswith('pip install "emogan[photos]"\n')
    assert done.stdout.count("\n") == 1
