"""What --emotion says: one, all, or an interpolation between two."""

import numpy as np
import pytest
from support import tiny_models

import emogan
from emogan import config as config_lib
from emogan.data import toyfaces
from emogan.edit import emotion_spec


@pytest.fixture(scope="module")
def model(trained_workdir):
    return emogan.load(trained_workdir)


@pytest.fixture(scope="module")
def faces():
    return toyfaces.load("valid", 0, 2).images[:2]


def test_one_emotion_is_one_picture_and_all_are_one_each(model, faces):
    one, every = (emotion_spec.apply(model, faces, emotion, 2) for emotion in ("happy", "ALL "))
    assert one.shape == (1, 2, 48, 48)
    assert every.shape == (7, 2, 48, 48)
    np.testing.assert_array_equal(every[3], one[0])
    assert emotion_spec.names(model, "happiness") == ("happy",)
    assert emotion_spec.names(model, "all") == emogan.EMOTIONS


def test_a_way_goes_in_even_steps_from_the_one_face_to_the_other(model, faces):
    way = emotion_spec.apply(model, faces, "neutral : happy", 5)
    assert way.dtype == np.uint8
    first, last = (model.faces(faces, name) for name in ("neutral", "happy"))
    np.testing.assert_array_equal(way[0], first)
    np.testing.assert_array_equal(way[4], last)
    assert np.abs(way[1] - (0.75 * first + 0.25 * last)).max() <= 0.5
    assert emotion_spec.names(model, "neutral : happy") == ("neutral to happy",)


def test_only_an_encoder_that_is_told_what_a_face_wears_is_refused():
    for phases in ("joint", "gan,encoder"):
        config = config_lib.Config(phases=phases, model=config_lib.ModelConfig(width=4, encoder_labels=True))
        model = tiny_models.make(config, emogan.EMOTIONS, {}, {})
        if phases == "joint":  # whose E has no use for it
            emotion_spec.check(model, "happy", 2)
            continue
        with pytest.raises(ValueError, match=r"expected a run whose encoder is E\(x\)"):
            emotion_spec.check(model, "happy", 2)


def test_the_ends_of_an_animation_are_held():
    assert emotion_spec.durations(2) == [emotion_spec.ENDS, emotion_spec.ENDS]
    assert emotion_spec.durations(4) == [emotion_spec.ENDS, emotion_spec.FRAME, emotion_spec.FRAME, emotion_spec.ENDS]


@pytest.mark.parametrize(
    ("emotion", "frames", "line"),
    [
        ("neutral:", 24, "--emotion: expected a name, all, or FROM:TO, found 'neutral:'"),
        ("sad:happy:sad", 24, "--emotion: expected a name, all, or FROM:TO"),
        ("sad:cheerful", 24, "expected an emotion out of .* found 'cheerful'"),
        ("sad:all", 24, "expected an emotion out of .* found 'all'"),
        ("sad:happy", 1, "--frames: expected 2 to 240, found 1"),
        ("sad:happy", 241, "--frames: expected 2 to 240, found 241"),
    ],
)
def test_what_is_no_emotion_is_told(model, emotion, frames, line):
    with pytest.raises(ValueError, match=line):
        emotion_spec.check(model, emotion, frames)


def test_a_way_of_a_flow_goes_through_blends_of_the_two_emotions(faces):
    asked = []

    class Blending:
        blends, class_names, label = True, emogan.EMOTIONS, staticmethod(emogan.EMOTIONS.index)

        def source(self, faces):
            return np.zeros(len(faces), np.int32)

        def faces(self, faces, emotion, labels, strength):
            assert len(labels) == len(faces)
            asked.append(emotion)
            return faces

    way = emotion_spec.apply(Blending(), faces, "sad:happy", 3)
    assert way.shape == (3, *faces.shape)
    np.testing.assert_array_equal(way, np.stack([faces] * 3))
    sad, happy = emogan.EMOTIONS.index("sad"), emogan.EMOTIONS.index("happy")
    expected = np.eye(7)[[sad, happy]]
    np.testing.assert_allclose(asked[0], np.stack([expected[0], expected.mean(0), expected[1]]).repeat(2, axis=0))
