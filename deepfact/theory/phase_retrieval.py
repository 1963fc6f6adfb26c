"""When PhaseMax recovers a signal from Gaussian magnitudes: exact, and predicted, probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import bdtrc, ndtr

from deepfact.arguments import as_count, as_real_number

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_FARTHEST = 12.0  # beyond, the normal density is below 1e-31


def spanning_probability(m: int, dimension: int) -> float:
    """Return the probability that m random vectors span a space with nonnegative coefficients.

    1 - 2^{-(m-1)} sum_{k < d} C(m - 1, k), for vectors whose law is symmetric and has no atoms on
    hyperplanes. PhaseMax with the signal itself as its anchor succeeds with the probability for
    d = n - 1.

    Parameters
    ----------
    m : int
        Number of vectors.
    dimension : int
        d >= 1.

    Returns
    -------
    float
        The probability.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``; Wendel (1962).
    """
    m, dimension = as_count("m", m, minimum=1), as_count("dimension", dimension, minimum=1)
    # The sum is the distribution function of a binomial law with m - 1 trials.
    return 0.0 if dimension >= m else float(bdtrc(dimension - 1, m - 1, 0.5))


@dataclass(frozen=True)
class AnchorCone:
    """What decides on PhaseMax's success with m measurements: m ``share`` - ``offset`` and n - 2.

    Parameters
    ----------
    share : float
        d, so that the cone of nonnegative combinations that the anchor needs has the statistical
        dimension m d - ``offset``.
    offset : float
        kappa, its correction of order 1.
    variance : float
        Variance of the cone's intrinsic volumes for each measurement.
    """

    share: float
    offset: float
    variance: float


@lru_cache(maxsize=64)
def anchor_cone(angle: float) -> AnchorCone:
    """Compute the cone {l >= 0, <l, c> = 0} with c_i = w_i - tan(theta) |g_i|, w and g normal.

    d = min_tau E X_+^2 with X = z + tau (w - tan(theta) |g|), z normal.

    Parameters
    ----------
    angle : float
        theta in [0, pi/2), between the anchor and the signal.

    Returns
    -------
    AnchorCone
        At angle 0: 1/2, 1, 1/4.

    Raises
    ------
    TypeError, ValueError
        If the angle is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    angle = as_real_number("angle", angle, minimum=0.0)
    if angle >= np.pi / 2:
        raise ValueError(f"angle must be below pi/2, got {angle}")
    t = np.tan(angle)
    bounds = (0.0, 10.0)
    options = {"xatol": 1e-10}
    found = minimize_scalar(lambda tau: _means(tau, t)[0], bounds, bounds=bounds,
                            method="bounded", options=options)  # fmt: skip
    tau = found.x if angle > 0 else 0.0
    second, fourth, bend, slope = _means(tau, t)
    return AnchorCone(second, slope / bend, fourth - second**2 - 2 * second)


def phase_max_ratio(angle: float) -> float:
    """Return m/n at which PhaseMax begins to succeed, for real Gaussian measurements.

    Parameters
    ----------
    angle : float
        theta in [0, pi/2), between the anchor and the signal.

    Returns
    -------
    float
        1/d of `anchor_cone`: 2 at angle 0, larger for worse anchors.

    Raises
    ------
    TypeError, ValueError
        If the angle is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``; the limit was first found by Dhifallah,
    Thrampoulidis and Lu (arXiv:1710.05234), by another way.
    """
    return 1 / anchor_cone(angle).share


def phase_max_success(m: int, n: int, angle: float) -> float:
    """Predict the probability that PhaseMax recovers a signal from m real Gaussian magnitudes.

    Phi((m d - kappa - (n - 2))/sigma) with sigma^2 = m v, d, kappa, v of `anchor_cone`.

    Parameters
    ----------
    m, n : int
        Measurements and unknowns.
    angle : float
        theta in [0, pi/2), between the anchor and the signal.

    Returns
    -------
    float
        The probability, up to O(1/sqrt(n)); nothing is fitted. `spanning_probability` is exact at
        angle 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    m, n = as_count("m", m, minimum=1), as_count("n", n, minimum=2)
    cone = anchor_cone(angle)
    spread = np.sqrt(max(m * cone.variance, 1e-12))
    return float(ndtr((m * cone.share - cone.offset - (n - 2)) / spread))


def _means(tau, t):
    """Return E X_+^2, E X_+^4, E c^2 1(X > 0), E X_+^2 c^2 for X = z + tau c, c = w - t |g|.

    With a = sqrt(1 + tau^2) and a normal Z, X = a (Z - b) with b = tau t |g|/a, and c given Z and g
    has the mean tau Z/a - t |g| and the variance 1/a^2. Moments of Z beyond b are explicit; the
    integral over g is by quadrature.
    """
    g = _FARTHEST * (_NODES + 1) / 2
    weights = _FARTHEST / 2 * _WEIGHTS * 2 * np.exp(-(g**2) / 2) / np.sqrt(2 * np.pi)
    a = np.sqrt(1 + tau * tau)
    b = tau * t * g / a
    density = np.exp(-(b**2) / 2) / np.sqrt(2 * np.pi)
    moments = [ndtr(-b), density]
    for k in range(2, 5):
        moments.append(b ** (k - 1) * density + (k - 1) * moments[k - 2])
    one, z1, z2, z3, z4 = moments
    square = z2 - 2 * b * z1 + b**2 * one
    fourth = z4 - 4 * b * z3 + 6 * b**2 * z2 - 4 * b**3 * z1 + b**4 * one
    r, q = tau / a, t * g
    rest = q**2 + 1 / a**2
    bend = r**2 * z2 - 2 * r * q * z1 + rest * one
    slope = (
        r**2 * (z4 - 2 * b * z3 + b**2 * z2)
        - 2 * r * q * (z3 - 2 * b * z2 + b**2 * z1)
        + rest * square
    )
    means = (a**2 * square, a**4 * fourth, bend, a**2 * slope)
    return tuple(float(weights @ mean) for mean in means)
