"""Detectability: visible traces are found, those of single pixels and the person are not, and halves share no face."""

import dataclasses

import jax
import numpy as np
import pytest

from emogan import config as config_lib
from emogan.data import augment, dataset
from emogan.evaluation import detectability, methods
from emogan.evaluation import real_faces as faces_lib
from emogan.util import images

pytestmark = pytest.mark.slow

TINY = config_lib.ClassifierConfig(width=2, epochs=3, batch_size=32, learning_rate=0.05, ema_decay=0.9)
KEY = jax.random.key(0)


class Painter:
    """Edits that are the face itself under a white bar across the eyes."""

    def faces(self, faces, emotion, labels):
        assert emotion == "all"
        painted = faces.copy()
        painted[:, 16:22, 8:40] = 255
        return np.stack([painted] * 7)


def test_order_is_worked_out_by_hand():
    found = detectability.order(np.array([0.0, 1.0]), np.array([2.0, 1.0, -1.0]))
    np.testing.assert_array_equal(found, [[1, 1, 0], [1, 0.5, 0]])
    assert found.mean() == pytest.approx(3.5 / 6)


def test_weights_count_faces_and_their_edits_together():
    one = detectability._Comparison(
        detectability.order(np.array([0.0, 1.0]), np.array([2.0, 1.0, -1.0])), np.array([0, 1]), np.array([2, 2, 3])
    )
    assert one.auc(np.ones(4)) == pytest.approx(3.5 / 6)
    assert one.auc(np.array([1.0, 3.0, 1.0, 2.0])) == pytest.approx((2 + 3 * 1.5) / (4 * 4))
    assert np.isnan(one.auc(np.array([1.0, 1.0, 0.0, 0.0])))


def test_halves_have_each_emotion_and_no_photograph_in_common(train_data):
    own = train_data.images[:100]
    copies = np.clip(own.astype(int) + 3, 0, 255).astype(np.uint8)  # the same photographs, a little brighter
    both = dataset.Dataset(np.concatenate([own, copies]), np.tile(train_data.labels[:100], 2))
    half = detectability.halve(both, np.random.default_rng(0))
    np.testing.assert_array_equal(half[:100], half[100:])
    for label in np.unique(both.labels):
        of_label = half[both.labels == label]
        assert abs(of_label.sum() - (~of_label).sum()) <= 2
    assert (half != detectability.halve(both, np.random.default_rng(1))).any()


def test_training_set_has_as_many_edits_as_real_faces_of_each_emotion_out_of_one_half(toy):
    model = methods.of_model("painter", "", Painter(), toy)
    made, half = detectability._made(model, toy), np.arange(len(toy.held_out)) % 2 == 0
    assert (made.emotion != toy.held_out.labels[made.face]).all()
    # Each picture's brightness is its place and kind, so that one can see what was taken.
    names = dataclasses.replace(
        toy.held_out, images=np.broadcast_to(np.arange(210, dtype=np.uint8)[:, None, None], (210, 48, 48)).copy()
    )
    named = dataclasses.replace(made, pictures=names.images[made.face])
    found = detectability._balanced(names, named, list(range(7)), half, np.random.default_rng(0))
    place, kind = found.images[:, 0, 0].astype(int), found.labels
    assert half[place].all()
    assert (kind == 0).sum() == (kind == 1).sum()
    counts = np.bincount(names.labels[place[kind == 0]], minlength=7)
    wanted = np.sqrt(np.bincount(names.labels, minlength=7))
    np.testing.assert_allclose(counts, 3 * 105 * wanted / wanted.sum(), atol=0.51)


def test_painted_faces_are_found_and_real_ones_are_not(toy):
    judge = detectability.Detectability(TINY)
    real, *others = methods.references(toy)
    painted = judge.run(methods.of_model("painter", "", Painter(), toy), toy, KEY)
    assert painted["detectability"].value > 0.9
    assert len(painted) == 7  # of disgusted faces there are too few
    assert min(score.value for score in painted.values()) > 0.8
    assert painted["detectability"].error < 0.1  # 0 where no real face is taken for an edit
    same = judge.run(real, toy, KEY)
    assert same["detectability"].value == pytest.approx(0.5, abs=0.12)
    assert 0 < same["detectability"].error < 0.1
    assert [judge.run(one, toy, KEY) for one in others] == [{}, {}, {}]
    assert judge.run(methods.of_model("painter", "", Painter(), toy), toy, None) == painted


def test_too_few_faces_of_an_emotion_leave_it_out(toy, train_data, toy_judge):
    few = faces_lib.Faces(
        dataset.Dataset(toy.held_out.images[:20], toy.held_out.labels[:20], "toyfaces", "valid"),
        train_data,
        toy_judge,
        toy.descriptor,
    )
    model = methods.of_model("painter", "", Painter(), few)
    assert detectability.Detectability(TINY).run(model, few, KEY) == {}
    happy = np.flatnonzero(toy.held_out.labels != 3)
    asked = methods.of_edits(
        "happy alone",
        Painter().faces(toy.held_out.images[happy], "all", None)[3],
        np.full(len(happy), 3),
        happy,
        toy,
    )
    assert set(detectability.Detectability(TINY).run(asked, toy, KEY)) == {"detectability_happy"}


def test_a_faint_pattern_of_pixels_is_below_the_grain():
    face = np.full((1, 48, 48), 128, np.uint8)
    checked = face + (np.indices((48, 48)).sum(0) % 2).astype(np.uint8)  # one grey level on every second pixel
    keys = jax.random.split(KEY, 1)
    seen = [augment.without_fine_detail(images.to_float(faces), keys) for faces in (face, checked)]
    pattern = np.asarray(seen[1] - seen[0])
    assert pattern.std() < 0.03 / 10
