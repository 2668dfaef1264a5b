"""Distances of features against cases worked out by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import pairwise

from emogan.evaluation import distances


def gaussian(seed, count=500, dims=6):
    return np.random.default_rng(seed).normal(size=(count, dims))


def with_moments(mean, covariance):
    return distances.Moments(100, np.array(mean, float), np.array(covariance, float))


def test_frechet_distance_of_one_dimension_is_worked_out_by_hand():
    # (3 - 1)^2 + (sqrt(9) - sqrt(4))^2
    assert distances.frechet(with_moments([1], [[4]]), with_moments([3], [[9]])) == pytest.approx(5.0)


def test_frechet_distance_of_two_known_gaussians_that_do_not_commute():
    # For C1 = I it is |m|^2 + sum (1 - sqrt(eigenvalue of C2))^2; [[2, 1], [1, 2]] has eigenvalues 1 and 3.
    one, other = with_moments([0, 0], np.eye(2)), with_moments([1, 2], [[2, 1], [1, 2]])
    assert distances.frechet(one, other) == pytest.approx(5 + (1 - np.sqrt(3)) ** 2)
    a, b = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[5.0, 0.0], [0.0, 1.0]])
    # tr((AB)^(1/2)) of a 2x2 product is sqrt(tr(AB) + 2 sqrt(det(AB))).
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    found = distances.frechet(with_moments([0, 0], a), with_moments([0, 0], b))
    assert found == pytest.approx(4 + 6 - 2 * root)


def test_frechet_distance_of_singular_covariances_is_exact():
    flat = with_moments([0, 0], [[1, 0], [0, 0]])
    assert distances.frechet(flat, flat) == pytest.approx(0.0, abs=1e-12)
    assert distances.frechet(flat, with_moments([0, 0], [[0, 0], [0, 1]])) == pytest.approx(2.0)


@pytest.mark.parametrize("size", [1, 7, 500])
def test_moments_do_not_depend_on_the_batches(size):
    features = gaussian(0) + 1e4  # a large mean, which float32 or a sum of squares would not survive
    found = distances.moments(features[i : i + size] for i in range(0, len(features), size))
    np.testing.assert_allclose(found.mean, features.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(features.T), rtol=1e-8, atol=1e-10)
    assert found.count == 500


def test_kernel_distance_is_that_of_scikit_learn():
    one, other = gaussian(1, 40), gaussian(2, 50) + 0.3
    k = lambda a, b: pairwise.polynomial_kernel(a, b, degree=3)  # noqa: E731 - its gamma is 1 / D, its offset 1
    within = [(k(x, x).sum() - np.trace(k(x, x))) / (len(x) * (len(x) - 1)) for x in (one, other)]
    assert distances.kernel(one, other) == pytest.approx(sum(within) - 2 * k(one, other).mean(), rel=1e-10)


def test_kernel_distance_of_one_distribution_is_unbiased():
    found = [distances.kernel(gaussian(2 * i, 50), gaussian(2 * i + 1, 50)) for i in range(100)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error
    assert min(found) < 0 < max(found)


def test_kernel_distance_in_blocks_is_that_in_one(monkeypatch):
    one, other = gaussian(1, 40), gaussian(2, 50)
    whole = distances.kernel(one, other)
    monkeypatch.setattr(distances, "_BLOCK", 7)
    assert distances.kernel(one, other) == pytest.approx(whole, rel=1e-12)


def test_manifolds_on_a_line_are_worked_out_by_hand():
    real, fake = np.array([[0.0], [1.0], [3.0], [10.0]]), np.array([[0.5], [4.0], [5.5], [30.0]])
    found = distances.manifolds(real, fake, k=1, k_density=2)
    # Radii of real for k = 1: 1, 1, 2, 7; so 0.5, 4 and 5.5 (within 7 of 10) are in, and 30 is not.
    assert found.precision == 3 / 4
    # Radii of fake for k = 1: 3.5, 1.5, 1.5, 24.5; so 0, 1, 3 are within 0.5's, 10 within 30's.
    assert found.recall == 1.0
    # Radii of real for k = 2: 3, 2, 3, 9. 0.5 lies in three balls, 4 in 3's and 10's, 5.5 in 3's and 10's, 30 in none.
    assert found.density == pytest.approx((3 + 2 + 2 + 0) / 4 / 2)
    # Nearest fakes at 0.5, 0.5, 1, 4.5: all within.
    assert found.coverage == 1.0


def test_manifolds_of_sets_far_apart_share_nothing():
    found = distances.manifolds(gaussian(0, 30), gaussian(1, 30) + 100)
    assert found == (0.0, 0.0, 0.0, 0.0)


def test_manifolds_of_a_set_with_itself():
    found = distances.manifolds(gaussian(0, 30), gaussian(0, 30))
    assert (found.precision, found.recall, found.coverage) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("function", [distances.kernel, distances.manifolds])
def test_features_that_are_not_finite_are_refused(function):
    bad = gaussian(0, 30)
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match="expected finite features, found 1 that are not"):
        function(gaussian(1, 30), bad)


def test_too_few_features_are_refused():
    with pytest.raises(ValueError, match="at least 2 features for their covariance, found 1"):
        distances.moments([gaussian(0, 1)])
    with pytest.raises(ValueError, match="at least 2 features of each, found 1 and 30"):
        distances.kernel(gaussian(0, 1), gaussian(1, 30))
    with pytest.raises(ValueError, match="more than 5 features of each, found 30 and 5"):
        distances.manifolds(gaussian(0, 30), gaussian(1, 5))
