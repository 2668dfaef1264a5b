"""The noise scale, beside values worked out by hand."""

import pytest
from benchmarking import noise_scale


def test_signal_and_noise_are_found_again():
    # |G|^2 = 2 and tr(Sigma) = 48: gradients of 4 examples have 2 + 48 / 4 on average, of 16 examples 2 + 48 / 16.
    found = noise_scale.simple(14.0, 4, 5.0, 16)
    assert found == {"signal": pytest.approx(2), "noise": pytest.approx(48), "b_simple": pytest.approx(24)}


def test_where_noise_is_all_that_is_seen_no_batch_is_large_enough():
    assert noise_scale.simple(16.0, 1, 1.0, 16)["b_simple"] == float("inf")
