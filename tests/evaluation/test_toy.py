import math

import numpy as np
import pytest

from emogan import emotions
from emogan.data import toyfaces
from emogan.evaluation import toy

_SIZE = 128


class _Perfect:
    def transfer(self, faces, emotion, labels):
        return toyfaces.true_transfers("valid", 0, len(faces))


class _Identity:
    def transfer(self, faces, emotion, labels):
        return np.stack([faces] * 7)


@pytest.fixture(scope="module")
def identity_scores():
    return toy.score(_Identity(), "valid", 0, _SIZE, _SIZE)


def test_perfect_model_is_infinitely_near():
    scores = toy.score(_Perfect(), "valid", 0, 14, _SIZE)
    assert scores["psnr"]["model"]["all"] == scores["psnr"]["model"]["other_labels"] == math.inf
    assert math.isfinite(scores["psnr"]["mean_face"]["all"])


def test_model_that_changes_nothing_scores_as_the_input(identity_scores):
    assert identity_scores["psnr"]["model"] == identity_scores["psnr"]["input"]


def test_the_input_is_nearest_where_nothing_has_to_change(identity_scores):
    answer = identity_scores["psnr"]["input"]
    assert answer["other_labels"] < answer["all"]
    assert set(answer["per_target"]) == set(emotions.EMOTIONS)
    assert answer["all"] == pytest.approx(np.mean(list(answer["per_target"].values())))


def test_table_has_a_line_for_every_target(identity_scores):
    text = toy.to_text(identity_scores)
    assert len(text.splitlines()) == 2 + 2 + 7
    assert f"{identity_scores['psnr']['mean_face']['all']:.2f}" in text


def test_psnr_equals_the_value_by_hand():
    truth = np.zeros((1, 2, 4, 4), np.uint8)
    made = truth.copy()
    made[0, 0] = 51  # a fifth of the range: 20 log10(5) dB
    made[0, 1, 0, 0] = 255  # one of 16 pixels: 10 log10(16) dB
    np.testing.assert_allclose(toy.psnr(made, truth), [[13.9794, 12.0412]], atol=1e-4)


def test_emotion_without_a_training_face_is_refused():
    with pytest.raises(ValueError, match="expected training faces of every emotion, found none that are"):
        toy.score(_Identity(), "valid", 0, 14, 3)
