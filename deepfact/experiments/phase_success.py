"""How often PhaseMax finds a signal, beside exact and predicted probabilities."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr
from scipy.stats import chi2

from deepfact.experiments.tables import from_rows, groups
from deepfact.lifting.phase_max import anchor_distance
from deepfact.theory.phase_retrieval import (
    anchor_cone,
    phase_max_ratio,
    phase_max_success,
    spanning_probability,
)

__all__ = [
    "INSIDE",
    "curve_excess",
    "measure_success",
    "measure_transitions",
    "probit_midpoint",
    "signal_and_anchor",
]

INSIDE = 1e-9
"""Largest distance, relative to the anchor's length, that counts as being in the cone."""


def signal_and_anchor(n: int, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the signal e_1 and a unit vector at an angle to it.

    Parameters
    ----------
    n : int
        Unknowns, at least 2.
    degrees : float
        The angle.

    Returns
    -------
    signal : ndarray of shape (n,)
        The first unit vector.
    anchor : ndarray of shape (n,)
        In the plane of the first two.
    """
    angle = np.radians(degrees)
    signal, anchor = np.zeros(n), np.zeros(n)
    signal[0] = 1.0
    anchor[:2] = np.cos(angle), np.sin(angle)
    return signal, anchor


def measure_success(
    n: int, degrees: list[float], shares: list[float], trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Count how often the anchor is in the cone, for Gaussian vectors.

    Parameters
    ----------
    n : int
        Unknowns.
    degrees : list of float
        Angles between anchor and signal.
    shares : list of float
        Measurements as multiples of n `phase_max_ratio`.
    trials : int
        Instances for each angle and number of measurements.
    seed : int
        Source of randomness: one spawned stream for each angle and number.

    Returns
    -------
    dict of str to ndarray
        ``n``, ``degrees``, ``m``, ``recovered``, ``trials``; ``predicted``, the probability by
        `phase_max_success`, at angle 0 by `spanning_probability`; ``bare``, the same
        without the cone's offset of order 1, at angle 0 with all n dimensions.
    """
    streams = iter(np.random.SeedSequence(seed).spawn(len(degrees) * len(shares)))
    rows = []
    for degree in degrees:
        signal, anchor = signal_and_anchor(n, degree)
        angle = np.radians(degree)
        for share in shares:
            rng = np.random.default_rng(next(streams))
            m = round(share * phase_max_ratio(angle) * n)
            recovered = sum(
                anchor_distance(rng.standard_normal((m, n)), signal, anchor) <= INSIDE
                for _ in range(trials)
            )
            exact = degree == 0
            rows.append(
                {
                    "n": n,
                    "degrees": degree,
                    "m": m,
                    "recovered": recovered,
                    "trials": trials,
                    "predicted": spanning_probability(m, n - 1)
                    if exact
                    else phase_max_success(m, n, angle),
                    "bare": spanning_probability(m, n) if exact else _bare(m, n, angle),
                }
            )
    return from_rows(rows)


def _bare(m, n, angle):
    """Return the prediction from the statistical dimension alone, without its offset."""
    cone = anchor_cone(angle)
    return float(ndtr((m * cone.share - (n - 2)) / np.sqrt(m * cone.variance)))


def curve_excess(own: dict[str, np.ndarray], column: str, level: float) -> float:
    """Compare counts with a predicted curve by a chi-square test.

    Parameters
    ----------
    own : dict
        The rows of `measure_success` of one angle.
    column : str
        The predicted probabilities.
    level : float
        Level of the test.

    Returns
    -------
    float
        The statistic over its quantile, less 1: negative if the curve is accepted.
    """
    p = np.clip(own[column], 1e-12, 1 - 1e-12)
    expected = own["trials"] * p
    terms = (own["recovered"] - expected) ** 2 / (expected * (1 - p))
    return float(terms.sum() / chi2.ppf(level, len(p)) - 1)


def probit_midpoint(
    m: np.ndarray, recovered: np.ndarray, trials: np.ndarray
) -> tuple[float, float]:
    """Fit P = Phi(b sqrt(m) - c/sqrt(m)) to counts by maximum likelihood.

    That is the form of the predicted curves, with d and kappa free.

    Parameters
    ----------
    m, recovered, trials : ndarray of shape (points,)
        Measurements, successes, instances.

    Returns
    -------
    midpoint : float
        c/b, at which P = 1/2.
    error : float
        Its standard error, from the Fisher information.
    """
    regressors = np.column_stack([np.sqrt(m), -1 / np.sqrt(m)])
    failed = trials - recovered

    def loss(coefficients):
        t = regressors @ coefficients
        return -(recovered @ log_ndtr(t) + failed @ log_ndtr(-t))

    b, c = minimize(loss, np.array([1.0, np.mean(m)]), method="Nelder-Mead",
                    options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000}).x  # fmt: skip
    t = regressors @ np.array([b, c])
    weight = trials * np.exp(-(t**2)) / (2 * np.pi * ndtr(t) * ndtr(-t))
    covariance = np.linalg.inv(regressors.T @ (weight[:, None] * regressors))
    gradient = np.array([-c / b**2, 1 / b])
    return float(c / b), float(np.sqrt(gradient @ covariance @ gradient))


def measure_transitions(success: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit the number of measurements at which half of the signals are recovered.

    Parameters
    ----------
    success : dict
        Of `measure_success`.

    Returns
    -------
    dict of str to ndarray
        For each angle ``degrees``, ``n``; ``midpoint`` and ``error``, fitted and its standard
        error; ``predicted``, (n - 2 + kappa)/d; ``limit``, n/d; ``cosine``, 2 (n - 1)/cos^2, half
        of what complex signals need.
    """
    rows = []
    for degree, own in groups(success, "degrees"):
        midpoint, error = probit_midpoint(own["m"], own["recovered"], own["trials"])
        angle, n = np.radians(degree), own["n"][0]
        cone = anchor_cone(angle)
        rows.append(
            {
                "degrees": degree,
                "n": n,
                "midpoint": midpoint,
                "error": error,
                "predicted": (n - 2 + cone.offset) / cone.share,
                "limit": n / cone.share,
                "cosine": 2 * (n - 1) / np.cos(angle) ** 2,
            }
        )
    return from_rows(rows)
