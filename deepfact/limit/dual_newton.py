"""The limit by damped Newton steps on the smooth convex dual: for any mirror map."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, qr, solve_triangular

_MOST_STEPS = 200  # most steps of Newton's method on the dual
_ROUNDING = 1e-14  # rounding of A x, relative to |A||x|


@np.errstate(all="ignore")  # what is not finite ends the iteration
def dual_newton(scaled, model) -> tuple[np.ndarray, np.ndarray, int, bool]:
    """Minimise Phi(nu) = sum F*(A^T nu) - <y, nu>.

    Parameters
    ----------
    scaled : ScaledProblem
        The problem.
    model : MirrorMap
        The parametrisation.

    Returns
    -------
    x : ndarray of shape (N,)
        X(A^T nu).
    eta : ndarray of shape (r,)
        The dual variable of the scaled independent rows.
    steps : int
        Factorisations.
    converged : bool
        Whether A x = y is met.

    Notes
    -----
    Section "Dual picture" of ``docs/statements.md``.
    """
    A = scaled.rows.reduced
    if not np.all(scaled.d == 1):
        A = A / scaled.d  # the columns are the model's
    y = np.ldexp(scaled.target, -scaled.exponent)
    size = np.linalg.norm(y)
    unit = size or 1.0
    eta, w = np.zeros(len(y)), np.zeros(A.shape[1])
    x = model.signal(w)
    if np.all(scaled.d == 1):  # the whole answer where X is the identity
        guess, there = np.ldexp(scaled.least_dual, -scaled.exponent), scaled.signal(scaled.least)
        # Shorter ones too: there may be no domain so far out, and no slope at 0 to start with.
        for share in 0.5 ** np.arange(0, 60, 4):
            signal = model.signal(share * there)
            if np.linalg.norm(A @ signal - y) < np.linalg.norm(A @ x - y):
                eta, w, x = share * guess, share * there, signal
    best, size_of_A = np.inf, None
    for step in range(_MOST_STEPS):
        error = y - A @ x
        off = np.linalg.norm(error) / unit
        if off < 1e-15 or (off < 1e-11 and off > 0.1 * best):
            return x, eta, step + 1, True
        if off > 0.1 * best:  # as far as rounding of A x lets it, which y may be far below?
            size_of_A = np.abs(A) if size_of_A is None else size_of_A
            if off <= _ROUNDING * np.linalg.norm(size_of_A @ np.abs(x)) / unit:
                return x, eta, step + 1, True
        best = min(best, off)
        slope = model.signal_derivative(w)
        d = _direction(A, slope, error)
        if d is None:
            return x, eta, step + 1, False
        change, pay, length = A.T @ d, float(error @ d), 1.0
        while True:  # the objective's derivative along the line is increasing
            moved = model.signal(w + length * change)
            end = float((A @ moved - y) @ d)
            if abs(end) <= (1 - length / 8) * abs(pay) or length < 1e-12:
                break
            length /= 2
        if not np.isfinite(end):
            return x, eta, step + 1, False
        eta, w, x = eta + length * d, w + length * change, moved
    return x, eta, _MOST_STEPS, False


def _direction(A, slope, error):
    """Return d with A diag(slope) A^T d = error, or None."""
    if not (np.isfinite(slope).all() and slope.max() > 0):
        return None
    gram = (A * slope) @ A.T
    try:
        factor = cho_factor(gram, lower=True, check_finite=False)
        pivots = np.diag(factor[0])
        if pivots.min() > 1e-4 * pivots.max():
            return cho_solve(factor, error, check_finite=False)
    except (LinAlgError, ValueError):
        pass
    R = qr((A * np.sqrt(slope)).T, mode="r", check_finite=False)[0][: len(A)]
    pivots = np.abs(np.diag(R))
    if not (len(R) == len(A) and pivots.min() > 1e-15 * pivots.max()):
        return None
    u = solve_triangular(R, error, trans="T", check_finite=False)
    return solve_triangular(R, u, check_finite=False)
