"""First guesses of a limit from other limits of the same problem."""

from __future__ import annotations

import numpy as np

from deepfact.limit.curve import Curve
from deepfact.limit.slacks import HELD, with_slacks_on_curve
from deepfact.limit.state import FLOOR


def extrapolated(A, curve: Curve, known):
    """Return the point extrapolated in log a, None if it is not in the domain, and what is free.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    curve : Curve
        The model in the units of the problem.
    known : list of tuple
        Mean of log a, products and dual variable of scales before.

    Returns
    -------
    point : tuple of ndarray or None
        p, v, sigma and eta.
    free : ndarray of bool, shape (branches, N)
        Products that are variables of their own.
    """
    theta = curve.theta
    weights = _extrapolation([time for time, *_ in known], float(np.mean(curve.log_a)))
    p = np.exp(sum(weight * np.log(p) for weight, (_, p, _) in zip(weights, known, strict=True)))
    eta = sum(weight * eta for weight, (*_, eta) in zip(weights, known, strict=True))
    v = curve.signs * (curve.rate * (A.T @ eta))
    sigma = 1.0 - theta * v
    tight = sigma < 0.1
    free = tight | (p > 1e-2 * p.max())
    return _inside(A, curve, (p, v, sigma, eta), tight), free


def from_limit(A, curve: Curve, x, dual):
    """Return the point that another model's limit suggests, None if it is not in the domain.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    curve : Curve
        The model in the units of the problem.
    x : ndarray of shape (N,)
        The other limit.
    dual : ndarray of shape (M,)
        Its dual variable, in any unit.

    Returns
    -------
    point : tuple of ndarray or None
        p, v, sigma and eta.
    free : ndarray of bool, shape (branches, N)
        Products that are variables of their own.
    """
    theta = curve.theta
    p = np.maximum(curve.signs * x, 0.0)
    # The M largest at most: the columns of more than that depend on each other.
    free = p > max(1e-5 * p.max(), np.sort(p, axis=None)[::-1][min(len(A), p.size - 1)])
    p = np.maximum(p, FLOOR)
    v = curve.signs * (curve.rate * (A.T @ dual))
    top = np.unravel_index(np.argmax(v), v.shape)
    log_ratio = np.log(p.max()) - np.broadcast_to(curve.log_a, x.shape)[top[1]]
    height = log_ratio if theta == 0 else -np.expm1(-theta * log_ratio) / theta
    share = height / v[top]
    v, eta = share * v, share * dual
    return _inside(A, curve, (p, v, 1.0 - theta * v, eta), free), free


def _inside(A, curve: Curve, point, tight):
    """Return the point with slacks that the dual variable holds, or None outside the domain."""
    if curve.theta * np.min(curve.log_a) <= HELD:
        point = with_slacks_on_curve(A, curve, point, tight)
    return None if point is None or np.any(point[2] <= 0) else point


def _extrapolation(times: list[float], time: float) -> list[float]:
    """Return Lagrange's weights."""
    return [float(np.prod([(time - b) / (a - b) for b in times if b != a])) for a in times]
