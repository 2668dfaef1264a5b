"""Edits as a set beside real faces."""

import jax
import numpy as np
import pytest

from emogan.evaluation import edit_sets, methods

KEY = jax.random.key(0)


def test_exchanged_labels_are_the_same_ones_in_other_places():
    labels = np.repeat(np.arange(4), [30, 2, 15, 13])
    found = [edit_sets.exchange(labels, np.random.default_rng(seed)) for seed in range(3)]
    for wanted in found:
        np.testing.assert_array_equal(np.sort(wanted), labels)
        assert (wanted != labels).all()
    assert (found[0] != found[1]).any()


def test_a_majority_cannot_be_exchanged():
    assert edit_sets.exchange(np.array([0, 0, 0, 1, 2]), np.random.default_rng(0)) is None
    assert edit_sets.exchange(np.array([0, 0, 1, 1]), np.random.default_rng(0)).tolist() == [1, 1, 0, 0]


def test_halves_have_the_same_labels_and_no_face_twice():
    labels = np.repeat(np.arange(4), [30, 2, 15, 13])[np.random.default_rng(0).permutation(60)]
    one, other = edit_sets.halve(labels, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(np.concatenate([one, other])), np.arange(60))
    assert np.abs(np.bincount(labels[one]) - np.bincount(labels[other])).max() <= 1
    assert set(one) != set(edit_sets.halve(labels, np.random.default_rng(2))[0])


def test_the_unchanged_input_is_as_far_as_real_faces_are_and_no_nearer(entered, toy):
    found = edit_sets.EditSets().run(entered["unchanged"], toy, KEY)
    assert found["edit_frechet_ratio"].value == pytest.approx(1)
    assert found["edit_frechet"].value > 0


def test_perfect_edits_are_near_the_floor_and_noise_is_far(entered, toy):
    evaluator = edit_sets.EditSets()
    found = {name: evaluator.run(entered[name], toy, KEY) for name in ("perfect", "stranger", "mean face", "noise")}
    distances = {name: scores["edit_frechet"].value for name, scores in found.items()}
    assert distances["perfect"] < 0.5 * distances["mean face"] < 0.5 * distances["noise"]
    assert distances["stranger"] == pytest.approx(distances["perfect"], rel=0.5)  # a set knows no persons
    ratios = [scores["edit_frechet_ratio"].value for scores in found.values()]
    np.testing.assert_allclose(np.array(ratios) / ratios[0], np.array(list(distances.values())) / distances["perfect"])
    assert found["perfect"]["edit_frechet_ratio"].error > 0


def test_edits_to_some_labels_only_are_no_set(entered, toy):
    edits = entered["perfect"].edits
    kept = edits.target > 0
    some = methods.of_edits("some", edits.pictures[kept], edits.target[kept], edits.source[kept], toy)
    assert edit_sets.EditSets().run(some, toy, KEY) == {}
    assert edit_sets.EditSets().run(methods.references(toy)[0], toy, KEY) == {}
