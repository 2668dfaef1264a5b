"""Photographs read: which faces are found and chosen, what is cut out, and what is said of the others."""

import numpy as np
import pytest

from emogan.data import dataset, toyfaces
from emogan.edit import detection, framing, photo_reader
from emogan.util import images


def test_what_a_photograph_hides_is_neither_found_nor_cut(portrait, tmp_path):
    hidden = portrait.copy()
    hidden.putalpha(0)
    hidden.save(tmp_path / "in.png")
    assert photo_reader.read(tmp_path / "in.png", "detect", dataset.FER2013).squares == ()
    hidden.resize((48, 48)).save(tmp_path / "small.png")
    assert (photo_reader.read(tmp_path / "small.png", "auto", dataset.FER2013).cut() == 255).all()


def test_an_image_that_is_a_face_gets_no_other_contrast(tmp_path):
    dark = toyfaces.load("valid", 0, 1).images[0] // 4
    images.save_png(tmp_path / "face.png", dark)
    seen = photo_reader.read(tmp_path / "face.png", "auto", dataset.FER2013).seen()
    np.testing.assert_array_equal(seen.faces[0], dark)


def test_crop_says_whether_faces_are_looked_for(folder, tmp_path):
    np.save(tmp_path / "faces.npy", np.zeros((1, 48, 48), np.uint8))
    for name, answer in (("a.jpg", True), ("c.png", False), ("e.png", True)):
        assert photo_reader.holds_photos(folder / name, "auto", dataset.FER2013) == answer
    assert photo_reader.holds_photos(folder, "auto", dataset.FER2013)
    assert photo_reader.holds_photos(folder / "c.png", "detect", dataset.FER2013)
    assert not photo_reader.holds_photos(folder, "none", dataset.FER2013)
    assert not photo_reader.holds_photos(tmp_path / "faces.npy", "auto", dataset.FER2013)
    with pytest.raises(ValueError, match="--crop: expected images for detect, found"):
        photo_reader.holds_photos(tmp_path / "faces.npy", "detect", dataset.FER2013)


@pytest.mark.parametrize(
    ("text", "places"), [("all", [0, 1, 2]), ("largest", [1]), ("Largest ", [1]), ("1,3", [0, 2]), ("2", [1])]
)
def test_chosen_faces_alone_are_edited(three, text, places):
    every = photo_reader.read(three, "detect", dataset.FER2013).squares
    chosen = photo_reader.read(three, "detect", dataset.FER2013, chosen=photo_reader.selection(text))
    assert chosen.squares == tuple(every[i] for i in places)
    assert (len(every), chosen.left_out) == (3, ())


@pytest.mark.parametrize("text", ["", "biggest", "0", "-1", "1;2", "1.5", "1,,2"])
def test_other_choices_of_faces_are_refused(text):
    with pytest.raises(ValueError, match="--faces: expected all, largest, or numbers from 1 on such as 1,3, found"):
        photo_reader.selection(text)


@pytest.mark.parametrize("confidence", [-0.1, 1.5, float("nan")])
def test_confidence_is_a_share(confidence):
    with pytest.raises(ValueError, match="--min_confidence: expected a number from 0 to 1, found"):
        photo_reader.selection("all", confidence)


def test_faces_turned_away_are_named_and_edited_when_asked(portrait, tmp_path, finds):
    front, away = (
        detection.Face(framing.Square(left, 9, 90), 0.9, turned) for left, turned in ((9, False), (150, True))
    )
    finds(front, away)
    portrait.save(tmp_path / "in.png")
    photo = photo_reader.read(tmp_path / "in.png", "detect", dataset.FER2013)
    assert photo.squares == (front.square,)
    assert photo.left_out == ("face 2 is turned away, and left out; --any_pose edits such faces",)
    asked = photo_reader.read(
        tmp_path / "in.png", "detect", dataset.FER2013, chosen=photo_reader.selection("all", any_pose=True)
    )
    assert (asked.squares, asked.left_out) == ((front.square, away.square), ())
