"""Fits of a transition to recovery counts, their intervals, and how far theory lets them lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtri
from scipy.stats import beta

__all__ = ["ProbitFit", "binomial_interval", "has_transition", "probit_fit", "threshold_tolerance"]


@dataclass(frozen=True)
class ProbitFit:
    """P(recovery) = Phi((M - midpoint)/width), fitted by maximum likelihood.

    Parameters
    ----------
    midpoint, midpoint_error : float
        The 50 % point and its standard error.
    width, width_error : float
        Standard deviation of the normal law and its standard error.
    """

    midpoint: float
    midpoint_error: float
    width: float
    width_error: float


def has_transition(M: np.ndarray, recovered: np.ndarray, trials: np.ndarray) -> bool:
    """Return whether the counts determine the width of a transition.

    Parameters
    ----------
    M : ndarray of shape (points,)
        Measurements.
    recovered, trials : ndarray of shape (points,)
        Successes and instances.

    Returns
    -------
    bool
        Whether there is a success at a smaller M than some failure.
    """
    some, failed = M[recovered > 0], M[recovered < trials]
    return bool(len(some) and len(failed) and some.min() < failed.max())


def probit_fit(M: np.ndarray, recovered: np.ndarray, trials: np.ndarray) -> ProbitFit:
    """Fit the distribution function of a normal law to recovery counts.

    The predicted curve is one (S14). A logistic curve has heavier tails: fitted to the same counts
    it returns another width.

    Parameters
    ----------
    M : ndarray of shape (points,)
        Measurements.
    recovered, trials : ndarray of shape (points,)
        Successes and instances.

    Returns
    -------
    ProbitFit
        With standard errors from the Fisher information.

    Raises
    ------
    ValueError
        If every cell with a success lies at or above every cell with a failure: a curve of width
        zero fits such counts, and no other is the likeliest.

    Notes
    -----
    Statement S14 of ``docs/statements.md``.
    """
    M, recovered, trials = (np.asarray(v, dtype=np.float64) for v in (M, recovered, trials))
    if not has_transition(M, recovered, trials):
        raise ValueError("recovered must have a success at a smaller M than some failure")
    centre, spread = M.mean(), max(float(np.ptp(M)), 1.0)
    z = (M - centre) / spread

    def loss(b):
        t = b[0] + b[1] * z
        return -np.sum(recovered * log_ndtr(t) + (trials - recovered) * log_ndtr(-t))

    def slope(b):
        t = b[0] + b[1] * z
        density = -(t**2) / 2 - np.log(2 * np.pi) / 2
        rise = recovered * np.exp(density - log_ndtr(t))
        fall = (trials - recovered) * np.exp(density - log_ndtr(-t))
        return -np.array([np.sum(rise - fall), (rise - fall) @ z])

    b = minimize(loss, np.array([0.0, 5.0]), jac=slope, method="BFGS").x
    t = b[0] + b[1] * z
    weight = trials * np.exp(-(t**2) - np.log(2 * np.pi) - log_ndtr(t) - log_ndtr(-t))
    information = np.array([[weight.sum(), weight @ z], [weight @ z, weight @ z**2]])
    covariance = np.linalg.inv(information)
    gradient = spread * np.array([-1 / b[1], b[0] / b[1] ** 2])
    width = spread / b[1]
    return ProbitFit(
        midpoint=float(centre - width * b[0]),
        midpoint_error=float(np.sqrt(gradient @ covariance @ gradient)),
        width=float(width),
        width_error=float(width / abs(b[1]) * np.sqrt(covariance[1, 1])),
    )


def binomial_interval(
    recovered: np.ndarray, trials: np.ndarray, level: float = 0.95, method: str = "exact"
) -> tuple[np.ndarray, np.ndarray]:
    """Return a confidence interval of a success probability.

    Parameters
    ----------
    recovered, trials : ndarray
        Successes and instances.
    level : float, optional
        Confidence level (default: 0.95).
    method : str, optional
        "exact", the interval of Clopper and Pearson, which has at least this level (default), or
        "wilson", that of Wilson, which has it on average.

    Returns
    -------
    tuple of ndarray
        Lower and upper ends.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    recovered, trials = np.asarray(recovered), np.asarray(trials)
    tail = (1 - level) / 2
    if method == "wilson":
        z, share = ndtri(1 - tail), recovered / trials
        centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
        root = np.sqrt((share * (1 - share) + z**2 / (4 * trials)) / trials)
        half = z / (1 + z**2 / trials) * root
        lower, upper = centre - half, centre + half
        return np.where(recovered == 0, 0.0, lower), np.where(recovered == trials, 1.0, upper)
    if method != "exact":
        raise ValueError(f'method must be "exact" or "wilson", got {method!r}')
    lower = beta.ppf(tail, np.maximum(recovered, 0.5), trials - recovered + 1)
    upper = beta.ppf(1 - tail, recovered + 1, np.maximum(trials - recovered, 0.5))
    return np.where(recovered == 0, 0.0, lower), np.where(recovered == trials, 1.0, upper)


def threshold_tolerance(error: float) -> float:
    """Return how far the measured 50 % point may lie from N delta(s/N).

    Three standard errors of the fit, and one measurement for rounding. The proven bound on what N
    delta(s/N) exceeds the statistical dimension by, 2 sqrt(N/s) (Amelunxen, Lotz, McCoy, Tropp
    2014), is far from what happens, and not needed.

    Parameters
    ----------
    error : float
        Standard error of the fitted 50 % point.

    Returns
    -------
    float
        In measurements.

    Notes
    -----
    Statement S14 of ``docs/statements.md``.
    """
    return float(3 * error + 1)
