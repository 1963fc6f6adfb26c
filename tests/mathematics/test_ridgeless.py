"""Risks of least squares and ridge: exact formulas by averaging, equivalents by simulation."""

import numpy as np
import pytest

from deepfact.theory.ridgeless import (
    effective_penalty,
    effective_ranks,
    least_squares_risk,
    ridge_risk,
    ridge_risk_given_design,
    weak_features_risk,
)


@pytest.mark.parametrize(("n", "p"), [(30, 10), (10, 30), (12, 18), (24, 16)])
def test_finite_size_risk_is_the_mean_over_designs(n, p):
    """The noise and the direction of beta are averaged exactly, X by sampling."""
    rng = np.random.default_rng(n)
    draws = [ridge_risk_given_design(rng.standard_normal((n, p)), 0, 0.5, 2.0) for _ in range(2000)]
    error = np.std(draws, ddof=1) / np.sqrt(len(draws))
    exact = least_squares_risk(n, p, 0.5, 2.0)
    assert abs(np.mean(draws) - exact) <= 4 * error
    assert error <= 0.02 * exact


def test_the_peak_is_infinite():
    assert least_squares_risk(10, 10, 0.1, 1.0) == np.inf
    assert least_squares_risk(10, 11, 0.1, 1.0) == np.inf
    assert least_squares_risk(10, 12, 0.1, 1.0) == pytest.approx(1 / 6 + 0.1 * 10)
    assert least_squares_risk(10, 10, 0.0, 1.0) == 0


def test_weak_features_are_noise():
    assert weak_features_risk(20, 5, 0.1, 2.0, 0.4) == pytest.approx(0.5 * (1 + 5 / 14))
    wide = 2.0 * 0.5 + 0.5 * (1 + 20 / 19)
    assert weak_features_risk(20, 40, 0.1, 2.0, 0.4) == pytest.approx(wide)


@pytest.mark.parametrize("seed", range(20))
def test_the_optimal_penalty_removes_the_peak_in_every_realisation(seed):
    rng = np.random.default_rng(seed)
    p, noise, signal = 15, 0.3, 1.2
    X = rng.standard_normal((30, p))
    best = p * noise / signal
    risks = [ridge_risk_given_design(X[:n], best, noise, signal) for n in range(1, 31)]
    assert np.all(np.diff(risks) < 0)
    for penalty in (0.5 * best, 0.9 * best, 1.1 * best, 2 * best):
        assert ridge_risk_given_design(X, penalty, noise, signal) > risks[-1]
    closed = [noise * np.trace(np.linalg.inv(X[:n].T @ X[:n] + best * np.eye(p))) for n in (5, 30)]
    np.testing.assert_allclose([risks[4], risks[29]], closed, rtol=1e-12)


@pytest.mark.parametrize("penalty", [0.0, 3.0])
@pytest.mark.parametrize("shape", ["power", "spikes", "flat"])
def test_deterministic_equivalents(shape, penalty):
    n, p, noise = 100, 300, 0.5
    i = np.arange(1, p + 1)
    eigenvalues = {
        "power": i**-0.7,
        "spikes": np.where(i <= 10, 10.0, 0.3),
        "flat": np.ones(p),
    }[shape]
    beta = np.full(p, 1 / np.sqrt(p))
    predicted = ridge_risk(eigenvalues, beta, n, noise, penalty)
    rng = np.random.default_rng(0)
    bias, variance = [], []
    for _ in range(60):
        X = rng.standard_normal((n, p)) * np.sqrt(eigenvalues)
        G = np.linalg.inv(X @ X.T + penalty * np.eye(n))
        hat = X.T @ G
        # averaged over independent signs of beta: the mean is diagonal
        left = np.eye(p) - hat @ X
        bias.append(np.sum(eigenvalues[:, None] * left**2 * beta**2))
        variance.append(noise * np.sum(eigenvalues[:, None] * hat**2))
    assert np.mean(bias) == pytest.approx(predicted.bias, rel=0.02)
    assert np.mean(variance) == pytest.approx(predicted.variance, rel=0.03)
    assert predicted.degrees_of_freedom <= n + 1e-9


def test_kappa_solves_its_equation():
    eigenvalues = np.arange(1, 51) ** -1.5
    for penalty in (0.0, 1e-6, 1.0, 1e4):
        kappa = effective_penalty(eigenvalues, 20, penalty)
        assert np.sum(eigenvalues / (eigenvalues + kappa)) + penalty / kappa == pytest.approx(20)
    assert effective_penalty(eigenvalues, 50) == 0


def test_isotropic_equivalents_are_the_limits_of_the_exact_risks():
    n, p = 4000, 9000
    beta = np.full(p, np.sqrt(2.0 / p))
    predicted = ridge_risk(np.ones(p), beta, n, 0.5)
    assert predicted.risk == pytest.approx(least_squares_risk(n, p, 0.5, 2.0), rel=1e-3)


def test_effective_ranks_of_spikes_on_a_flat_tail():
    eigenvalues = np.concatenate([np.full(5, 100.0), np.full(1000, 0.01)])
    ranks = effective_ranks(eigenvalues, 50)
    assert (ranks.k, ranks.variance) == (5, pytest.approx(5 / 50 + 50 / 1000))
    with pytest.raises(ValueError, match="r_k"):
        effective_ranks(np.ones(10), 50)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: least_squares_risk(0, 3, 0.1, 1.0), "n must"),
        (lambda: least_squares_risk(3, 3, -0.1, 1.0), "noise_variance"),
        (lambda: effective_penalty([1.0, 0.0], 1), "eigenvalues"),
        (lambda: ridge_risk([1.0, 2.0], [1.0], 1, 0.1), "coefficients"),
        (lambda: ridge_risk_given_design(np.eye(2), -1.0, 0.1, 1.0), "penalty"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
