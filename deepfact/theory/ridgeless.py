"""Ridge and ridgeless least squares: exact risks at finite size, and deterministic equivalents.

Model: y = X beta + e with rows of X of covariance diag(lambda), Var e = sigma^2, n samples, p
features; the risk of b is the excess E (x . (b - beta))^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from deepfact.arguments import as_count, as_real_array, as_real_number


def least_squares_risk(n: int, p: int, noise_variance: float, signal: float) -> float:
    """Compute the expected risk of the least-norm least-squares fit to isotropic Gaussian data.

    sigma^2 p/(n - p - 1) for p <= n - 2, |beta|^2 (1 - n/p) + sigma^2 n/(p - n - 1) for
    p >= n + 2, and infinite in between if sigma > 0.

    Parameters
    ----------
    n, p : int
        Samples and features.
    noise_variance : float
        sigma^2 >= 0.
    signal : float
        |beta|^2 >= 0.

    Returns
    -------
    float
        The excess risk, exact at finite size.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T4 of ``docs/overparameterization.md``: Belkin, Hsu and Xu (arXiv:1903.07571), from
    the mean of the inverse Wishart law.
    """
    n, p = as_count("n", n, minimum=1), as_count("p", p, minimum=1)
    noise_variance = as_real_number("noise_variance", noise_variance, minimum=0.0)
    signal = as_real_number("signal", signal, minimum=0.0)
    bias = signal * max(0.0, 1 - n / p)
    if noise_variance == 0:
        return bias
    free = abs(n - p) - 1
    return bias + noise_variance * min(n, p) / free if free > 0 else np.inf


def weak_features_risk(n: int, q: int, noise_variance: float, used: float, unused: float) -> float:
    """Compute the expected test error of least squares on q of more isotropic Gaussian features.

    The features left out act as noise: with v = |beta_unused|^2 + sigma^2 it is
    v (1 + q/(n - q - 1)) for q <= n - 2 and |beta_used|^2 (1 - n/q) + v (1 + n/(q - n - 1)) for
    q >= n + 2.

    Parameters
    ----------
    n, q : int
        Samples and features in use.
    noise_variance : float
        sigma^2 >= 0.
    used, unused : float
        |beta|^2 on the features in use and on those left out.

    Returns
    -------
    float
        E (y - x . b)^2 at a new point.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T4 of ``docs/overparameterization.md``: Belkin, Hsu and Xu (arXiv:1903.07571).
    """
    unused = as_real_number("unused", unused, minimum=0.0)
    noise_variance = as_real_number("noise_variance", noise_variance, minimum=0.0)
    left = unused + noise_variance
    return left + least_squares_risk(n, q, left, used)


def ridge_risk_given_design(
    X: np.ndarray, penalty: float, noise_variance: float, signal: float
) -> float:
    """Compute ridge regression's risk for one X, averaged over noise and direction of beta.

    With the eigenvalues s_i of X^T X and the penalty lambda |b|^2 on |X b - y|^2,
    sum_i (lambda^2 |beta|^2/p + sigma^2 s_i)/(s_i + lambda)^2. It is least at
    lambda = p sigma^2/|beta|^2 for every X.

    Parameters
    ----------
    X : array_like of shape (n, p)
        The design, isotropic features.
    penalty : float
        lambda >= 0; 0 is the least-norm fit.
    noise_variance : float
        sigma^2 >= 0.
    signal : float
        |beta|^2 >= 0.

    Returns
    -------
    float
        The excess risk given X.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T4 of ``docs/overparameterization.md``; the optimal penalty: Nakkiran, Venkat,
    Kakade and Ma (arXiv:2003.01897).
    """
    X = as_real_array("X", X, ndim=2)
    penalty = as_real_number("penalty", penalty, minimum=0.0)
    noise_variance = as_real_number("noise_variance", noise_variance, minimum=0.0)
    signal = as_real_number("signal", signal, minimum=0.0)
    p = X.shape[1]
    s = np.linalg.svd(X, compute_uv=False) ** 2
    s = s[s > s.max() * 1e-14 * max(X.shape)] if s.any() else s[:0]
    lost = signal * (p - len(s)) / p
    terms = penalty**2 * signal / p + noise_variance * s
    return float(lost + np.sum(terms / (s + penalty) ** 2))


@dataclass(frozen=True)
class RidgeRisk:
    """The deterministic equivalent of ridge regression's risk.

    Parameters
    ----------
    kappa : float
        The effective penalty.
    bias, variance : float
        The parts of the excess risk.
    degrees_of_freedom : float
        sum l_i/(l_i + kappa): the effective number of parameters.
    """

    kappa: float
    bias: float
    variance: float
    degrees_of_freedom: float

    @property
    def risk(self) -> float:
        """The excess risk, bias and variance."""
        return self.bias + self.variance


def effective_penalty(eigenvalues: np.ndarray, n: int, penalty: float = 0.0) -> float:
    """Solve sum l_i/(l_i + kappa) + lambda/kappa = n for kappa.

    Parameters
    ----------
    eigenvalues : array_like of shape (p,)
        l_i > 0, of the features' covariance.
    n : int
        Samples.
    penalty : float, optional
        lambda >= 0 in |X b - y|^2 + lambda |b|^2 (default: 0, the least-norm fit).

    Returns
    -------
    float
        kappa >= 0; 0 for lambda = 0 and p <= n.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T5 of ``docs/overparameterization.md``: Hastie, Montanari, Rosset and Tibshirani
    (arXiv:1903.08560), Cheng and Montanari (arXiv:2210.08571).
    """
    eigenvalues, n = _spectrum(eigenvalues), as_count("n", n, minimum=1)
    penalty = as_real_number("penalty", penalty, minimum=0.0)
    if penalty == 0 and len(eigenvalues) <= n:
        return 0.0

    def excess(log_kappa):
        kappa = np.exp(log_kappa)
        return np.sum(eigenvalues / (eigenvalues + kappa)) + penalty / kappa - n

    high = np.log((eigenvalues.sum() + penalty) / n) + 1e-9  # there the left side is below n
    low = high
    while excess(low) < 0:
        low -= 5.0
    return float(np.exp(brentq(excess, low, high, xtol=1e-13, rtol=1e-14)))


def ridge_risk(
    eigenvalues: np.ndarray,
    coefficients: np.ndarray,
    n: int,
    noise_variance: float,
    penalty: float = 0.0,
) -> RidgeRisk:
    """Compute the deterministic equivalent of ridge regression's risk, for any covariance.

    With kappa of `effective_penalty` and g = (1/n) sum l_i^2/(l_i + kappa)^2, the bias is
    kappa^2 sum l_i beta_i^2/(l_i + kappa)^2/(1 - g) and the variance sigma^2 g/(1 - g).

    Parameters
    ----------
    eigenvalues : array_like of shape (p,)
        l_i > 0, of the features' covariance.
    coefficients : array_like of shape (p,)
        beta in the covariance's eigenbasis.
    n : int
        Samples.
    noise_variance : float
        sigma^2 >= 0, with the variance of what the features miss added to it.
    penalty : float, optional
        lambda >= 0 in |X b - y|^2 + lambda |b|^2 (default: 0, the least-norm fit).

    Returns
    -------
    RidgeRisk
        Infinite where n = p, lambda = 0 and sigma > 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T5 of ``docs/overparameterization.md``: Hastie, Montanari, Rosset and Tibshirani
    (arXiv:1903.08560), Cheng and Montanari (arXiv:2210.08571).
    """
    eigenvalues = _spectrum(eigenvalues)
    coefficients = as_real_array("coefficients", coefficients, ndim=1)
    if len(coefficients) != len(eigenvalues):
        raise ValueError(
            f"coefficients must have length p = {len(eigenvalues)}, got {len(coefficients)}"
        )
    noise_variance = as_real_number("noise_variance", noise_variance, minimum=0.0)
    kappa = effective_penalty(eigenvalues, n, penalty)
    share = eigenvalues / (eigenvalues + kappa)
    g = float(np.sum(share**2)) / n
    freedom = float(share.sum())
    if g >= 1:
        return RidgeRisk(kappa, 0.0, np.inf if noise_variance else 0.0, freedom)
    lost = kappa**2 * np.sum(eigenvalues * coefficients**2 / (eigenvalues + kappa) ** 2)
    return RidgeRisk(kappa, float(lost / (1 - g)), noise_variance * g / (1 - g), freedom)


@dataclass(frozen=True)
class EffectiveRanks:
    """How a spectrum splits into directions that are fitted and a tail that acts as a ridge.

    Parameters
    ----------
    k : int
        k*, the fewest leading eigenvalues after which r_k >= n.
    r : float
        r_k = sum_{i > k} l_i/l_{k+1} at k*.
    R : float
        R_k = (sum_{i > k} l_i)^2/sum_{i > k} l_i^2 at k*.
    variance : float
        k*/n + n/R: the two-term formula of the variance, in units of sigma^2.
    """

    k: int
    r: float
    R: float
    variance: float


def effective_ranks(eigenvalues: np.ndarray, n: int) -> EffectiveRanks:
    """Compute the effective ranks that decide whether interpolation is benign.

    Parameters
    ----------
    eigenvalues : array_like of shape (p,)
        l_i > 0, in any order.
    n : int
        Samples.

    Returns
    -------
    EffectiveRanks
        With the two-term formula.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If one is out of its range or no k has r_k >= n.

    Notes
    -----
    Statement T6 of ``docs/overparameterization.md``: Bartlett, Long, Lugosi and Tsigler
    (arXiv:1906.11300).
    """
    eigenvalues = np.sort(_spectrum(eigenvalues))[::-1]
    n = as_count("n", n, minimum=1)
    tail = np.cumsum(eigenvalues[::-1])[::-1]
    enough = np.flatnonzero(tail / eigenvalues >= n)
    if not len(enough):
        raise ValueError(f"n must be small enough that some r_k >= n, got {n}")
    k = int(enough[0])
    r = float(tail[k] / eigenvalues[k])
    R = float(tail[k] ** 2 / np.sum(eigenvalues[k:] ** 2))
    return EffectiveRanks(k, r, R, k / n + n / R)


def _spectrum(eigenvalues):
    eigenvalues = as_real_array("eigenvalues", eigenvalues, ndim=1)
    if eigenvalues.min() <= 0:
        raise ValueError(f"eigenvalues must be positive, got {eigenvalues.min()}")
    return eigenvalues
