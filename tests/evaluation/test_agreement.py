"""Krippendorff's alpha against published values and by hand."""

import numpy as np
import pytest

from emogan.evaluation import agreement

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section D: four observers, twelve units, 1..5.
PUBLISHED = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
ANSWERS = (
    np.array([[0 if one == "." else int(one) for one in line.split()] for line in PUBLISHED.split("\n")[1:-1]]) - 1
)


@pytest.mark.parametrize(("level", "expected"), [(agreement.NOMINAL, 0.743), (agreement.ORDINAL, 0.815)])
def test_alpha_is_the_published_one(level, expected):
    assert agreement.krippendorff(ANSWERS, 5, level) == pytest.approx(expected, abs=5e-4)


def test_two_viewers_by_hand():
    # Pairs 00, 00, 11, 01: of 8 answers 5 are 0 and 3 are 1. Observed 2/8, expected 2 * 5 * 3 / (8 * 7).
    answers = np.array([[0, 0, 1, 0], [0, 0, 1, 1]])
    expected = 1 - (2 / 8) / (30 / 56)
    assert agreement.krippendorff(answers, 2, agreement.NOMINAL) == pytest.approx(expected)
    assert agreement.krippendorff(answers, 2, agreement.ORDINAL) == pytest.approx(expected)  # two categories
    assert agreement.krippendorff(answers, 7, agreement.ORDINAL) == pytest.approx(expected)  # five that nobody gave


def test_near_misses_cost_less_where_categories_are_in_order():
    answers = np.array([[0, 1, 2, 3, 4], [1, 2, 3, 4, 3]])
    in_order = agreement.krippendorff(answers, 5, agreement.ORDINAL)
    assert in_order > 0.5 > 0 > agreement.krippendorff(answers, 5, agreement.NOMINAL)


def test_full_agreement_chance_and_nothing_to_compare():
    random = np.random.default_rng(0)
    one = random.integers(0, 5, 4000)
    for level in (agreement.NOMINAL, agreement.ORDINAL):
        assert agreement.krippendorff(np.stack([one, one]), 5, level) == 1
        assert agreement.krippendorff(np.stack([one, random.permutation(one)]), 5, level) == pytest.approx(0, abs=0.05)
        assert np.isnan(agreement.krippendorff(one[None], 5, level))
        assert np.isnan(agreement.krippendorff(np.zeros((2, 5), int), 5, level))
        assert np.isnan(agreement.krippendorff(np.array([[0, -1], [-1, 1]]), 5, level))


def test_what_is_no_answer_is_refused():
    with pytest.raises(ValueError, match="expected answers below 5, found 5"):
        agreement.krippendorff(np.array([[5]]), 5, agreement.NOMINAL)
    with pytest.raises(ValueError, match="expected nominal or ordinal, found 'interval'"):
        agreement.krippendorff(ANSWERS, 5, "interval")
