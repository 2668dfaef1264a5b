"""Means, balanced means and their errors, by hand and against theory."""

import dataclasses

import numpy as np
import pytest

from emogan.evaluation import scores, tables


def test_means_are_worked_out_by_hand():
    assert scores.mean_score([1, 0, 0, 1]).value == 0.5
    found = scores.balanced_score(np.array([1, 1, 1, 0]), np.array([0, 0, 0, 5]))
    assert found.value == 0.5  # the mean of 1 and 0, not 3 of 4


def test_error_of_a_mean_is_that_of_theory():
    values = np.random.default_rng(0).normal(size=400)
    assert scores.mean_score(values).error == pytest.approx(values.std() / 20, rel=0.2)
    assert scores.balanced_score(values, np.arange(400) % 4).error == pytest.approx(values.std() / 20, rel=0.2)


def test_values_of_one_face_count_as_one_face():
    values = np.repeat(np.random.default_rng(0).normal(size=100), 7)
    cluster = np.repeat(np.arange(100), 7)
    found = scores.mean_score(values, cluster)
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std() / 10, rel=0.2)
    assert scores.mean_score(values).error < found.error / 2


def test_infinite_values_have_no_error():
    assert scores.mean_score([np.inf, np.inf]) == scores.Score(np.inf)


def test_ratio_to_nothing_is_not_available():
    assert scores.ratio(scores.Score(1.0, 0.1), scores.Score(2.0)) == scores.Score(0.5, 0.05)
    found = scores.ratio(scores.Score(0.0, 0.1), scores.Score(0.0, 0.0))
    assert tables.format_score("edit_accuracy_ratio", dataclasses.asdict(found)) == "n/a"


def test_errors_are_the_same_every_time():
    values = np.random.default_rng(0).normal(size=50)
    assert scores.mean_score(values) == scores.mean_score(values)


def test_every_metric_says_what_it_is():
    for name, metric in scores.METRICS.items():
        assert metric.about.endswith("."), name
        assert metric.better in ("higher", "lower", ""), name
