"""Formulas of masks against simulations and small cases that can be counted."""

from itertools import combinations

import numpy as np
import pytest

from deepfact import theory


def test_largest_deviation_of_two_and_of_many():
    """For s = 2 it is abs(g_1 - g_2)/2; for more, a simulation."""
    from scipy.special import ndtr

    from deepfact.theory.tickets import _GRID, _largest_deviation

    x = np.linspace(0.1, 3, 20)
    np.testing.assert_allclose(
        np.interp(x, _GRID, _largest_deviation(2)), 2 * ndtr(np.sqrt(2) * x) - 1, atol=1e-5
    )
    g = np.random.default_rng(0).normal(size=(200_000, 6))
    largest = (g - g.mean(axis=1, keepdims=True)).max(axis=1)
    law = np.interp(x, _GRID, _largest_deviation(6))
    seen = np.mean(largest[:, None] <= x, axis=0)
    assert np.all(np.abs(law - seen) <= 5 * np.sqrt(law * (1 - law) / 200_000) + 1e-5)


@pytest.mark.parametrize(("M", "N", "s"), [(60, 200, 5), (100, 200, 5), (30, 60, 2)])
def test_matched_filter_against_matrices(M, N, s):
    rng, trials, hits = np.random.default_rng(M), 3000, 0
    for _ in range(trials):
        y = (on := rng.normal(size=(M, s))).sum(axis=1)
        off = rng.normal(size=(M, N - s))
        hits += np.abs(on.T @ y).min() > np.abs(off.T @ y).max()
    p = theory.matched_filter_success(M, N, s)
    assert abs(hits / trials - p) <= 4 * np.sqrt(p * (1 - p) / trials) + 1 / trials


def test_independent_scores_are_another_law():
    p, q = (f(100, 200, 5) for f in (theory.matched_filter_success, _independent))
    assert p - q > 0.05
    assert _independent(4000, 200, 5) == pytest.approx(1)


def _independent(M, N, s):
    return theory.independent_scores_success(M, N, s)


def test_random_mask_by_counting():
    """Over all masks of a small problem, with the mean over Gaussian A taken exactly."""
    M, N, s, size = 5, 7, 3, 2
    losses, hits = [], 0
    for mask in combinations(range(N), size):
        missed = s - len(set(mask) & set(range(s)))
        losses.append((M - size) / M * missed)
        hits += set(mask) == set(range(2))
    assert theory.random_mask_loss(M, N, s, size) == pytest.approx(np.mean(losses))
    assert theory.random_mask_hits(N, 2, size) == pytest.approx(hits / len(losses))
    assert theory.random_mask_hits(N, 3, 2) == 0


def test_subset_sums_against_all_of_them():
    rng, n, errors = np.random.default_rng(0), 12, []
    for _ in range(400):
        sums = np.zeros(1)
        for weight in rng.uniform(-1, 1, n):
            sums = np.append(sums, sums + weight)
        errors.append(np.log(np.abs(sums - 0.5).min()))
    half = 4 * np.std(errors) / np.sqrt(len(errors)) + 0.5 / n
    assert abs(np.mean(errors) - np.log(theory.subset_sum_error(n, 0.5))) <= half


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("matched_filter_success", (10, 20, 1)),
        ("matched_filter_success", (10, 5, 5)),
        ("independent_scores_success", (0, 20, 2)),
        ("random_mask_loss", (5, 10, 3, 6)),
        ("random_mask_hits", (5, 6, 2)),
        ("subset_sum_error", (0,)),
    ],
)
def test_bad_arguments(function, arguments):
    with pytest.raises(ValueError, match="must be"):
        getattr(theory, function)(*arguments)
