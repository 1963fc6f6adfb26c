"""Limits of one problem for a sequence of init scales, each from those before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepfact.limit.curve import Curve, scaled_curve
from deepfact.limit.first_guess import extrapolated
from deepfact.limit.interior_point import InteriorPointResult, account, interior_point
from deepfact.limit.newton import follow
from deepfact.limit.slacks import HELD
from deepfact.limit.state import State


@np.errstate(all="ignore")
def interior_point_path(
    A: np.ndarray,
    y: np.ndarray,
    min_norm: np.ndarray,
    log_products: Sequence[float | np.ndarray],
    rate: float | np.ndarray,
    theta: float,
    signed: bool,
) -> list[InteriorPointResult]:
    """Solve ``interior_point``'s equations for a sequence of init scales, each from those before.

    The dual k nu and the signal are extrapolated in log a, and Newton steps mend the rest with the
    last factorisation as long as it serves, which is rescaled: on the support D grows like
    a^(-theta), off it like a. Where that fails, with a new one; where that fails too, the scale is
    solved by ``interior_point``.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Matrix of full row rank.
    y : ndarray of shape (M,)
        Measurements in the range of A, not zero.
    min_norm : ndarray of shape (N,)
        The solution of A x = y of least Euclidean norm.
    log_products : sequence of float or ndarray of shape (N,)
        log a, each near the one before.
    rate : float or ndarray of shape (N,)
        k divided by its largest entry, the same for all scales.
    theta : float
        Deformation 1 - 2/L in [0, 1].
    signed : bool
        Signed or positive model.

    Returns
    -------
    list of InteriorPointResult
        One for each scale, in the order given.

    Notes
    -----
    Source: section "Dual picture" of ``docs/statements.md``; derived here.
    """
    scale = np.abs(min_norm).max()
    st = State(A, y / scale, *np.zeros((4, 1, 1)), *np.zeros((2, len(y))))
    results: list[InteriorPointResult] = []
    known: list[tuple] = []  # log a, products and dual of the two scales before
    last = None  # the last factorisation and its slope
    for log_product in log_products:
        curve = scaled_curve(log_product, scale, rate, theta, signed)
        found = None
        if known:
            guesses = (extrapolated(A, curve, part) for part in (known, known[-1:]))
            found, count, last = follow(st, curve, guesses, last)
        if found is None:
            result = interior_point(A, y, min_norm, log_product, rate, theta, signed)
            found = _products(A, curve, result.x / scale, result.eta)
        else:
            result = account(found, scale, curve, count, True)
            found = found.p, found.eta
        results.append(result)
        known = [*known[-1:], (float(np.mean(curve.log_a)), *found)] if result.converged else []
    return results


def _products(A, curve: Curve, x: np.ndarray, eta: np.ndarray):
    """Return the products of a limit and its dual."""
    v = curve.signs * (curve.rate * (A.T @ eta))
    sigma = 1.0 - curve.theta * v
    p = curve.on(v, sigma)
    if curve.theta * np.min(curve.log_a) <= HELD:
        p = np.where(sigma < 0.1, np.maximum(curve.signs * x, np.exp(curve.log_a)), p)
    return p, eta
