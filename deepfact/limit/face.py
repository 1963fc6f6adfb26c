"""Products on the support to all digits: the equations of a face of signals.

Where a slack 1 - theta v is below the rounding of v = k A^T nu, the dual variable does not hold it.
Let T be these products, B their columns (with the branch's sign) and c their rates. Then nu exists
if and only if (1 - sigma_T)/c lies in the range of B^T, that is

    Z^T (1 - sigma_T(p))/c = 0,     Z a basis of the null space of B,     (L9)
    B p_T = y - A x_rest.                                                 (L10)

Where B has independent columns (L10) alone determines p_T. Where it has not, the flow's products
maximise sum p^(2/L)/k over (L10): (L9) is solved by Newton steps within the null space, in which
sigma = (a/p)^theta keeps its relative accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

TIGHT = 0.1  # slacks below this are variables of their own
_DEPENDENT = 1e-10  # pivots below this part of the largest: the columns depend on each other
_NOTHING = 1e-13  # sums of 1/c along null vectors below this part of their terms are rounding
_ROUNDING = 1e-15  # rounding of such sums otherwise, relative to their terms
_NEGLIGIBLE = 1e-10  # products below this part of the largest have no say in a solved problem
_SMALL = 1e-6  # the same of products whose slack the dual variable holds
_HELD = 1e-3  # slacks above this are held by the dual variable
_CLOSED = 1e-6  # slacks below this belong to the face where the solver was lost


@dataclass(frozen=True)
class FaceResult:
    """Products after Newton steps on the equations of the face.

    Parameters
    ----------
    p : ndarray of shape (branches, N)
        Products; those off the face as they were.
    tight : ndarray of bool, shape (branches, N)
        The face.
    moved : bool
        Whether products have changed.
    left : float
        The last step, relative to the largest product: what is still not known.
    """

    p: np.ndarray
    tight: np.ndarray
    moved: bool
    left: float


def solve_face(
    A: np.ndarray,
    y: np.ndarray,
    p: np.ndarray,
    sigma: np.ndarray,
    log_a: float | np.ndarray,
    rate: float | np.ndarray,
    theta: float,
    solved: bool,
) -> FaceResult:
    """Solve (L9) and (L10) for the products whose slacks the dual variable does not hold.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Independent rows.
    y : ndarray of shape (M,)
        Measurements.
    p, sigma : ndarray of shape (branches, N)
        Products and slacks; the second branch is the signed model's q.
    log_a, rate : float or ndarray of shape (N,)
        Logarithm of the initial products and their rates k, relative to the largest.
    theta : float
        Deformation 1 - 2/L in (0, 1].
    solved : bool
        Whether the products satisfy (L10); otherwise only the slacks are believed, and say which
        products are the face.

    Returns
    -------
    FaceResult
        With ``left`` infinite where no step decreases.

    Notes
    -----
    ``docs/limit.md`` and section "Numerics" of ``docs/statements.md``; derived here.
    """
    N = A.shape[1]
    log_a, rate = np.broadcast_to(log_a, N), np.broadcast_to(rate, N)
    part = np.where(sigma < _HELD, _NEGLIGIBLE, _SMALL)
    tight = sigma < _CLOSED
    if solved:
        tight |= (sigma < TIGHT) & (p > part * p.max())
    branch, columns = np.nonzero(tight)
    if len(columns) == 0:
        return FaceResult(p, tight, False, 0.0 if solved else np.inf)
    signs = np.where(branch == 0, 1.0, -1.0)
    B = A[:, columns] * signs
    value = p[branch, columns]
    if not solved:
        rest = np.where(tight, 0.0, p)
        missing = y - A @ (rest[0] - rest[1] if len(p) == 2 else rest[0])
        value = _feasible(B, missing, np.maximum(value, 1e-3 * value.max()))
        if value is None:
            return FaceResult(p, tight, False, np.inf)
    full, R, _ = qr(B.T, pivoting=True, check_finite=False)
    pivots = np.abs(np.diag(R))
    Z = full[:, int(np.sum(pivots > _DEPENDENT * pivots[0])) :]
    left = 0.0
    if Z.shape[1]:
        value, left = _along(Z, value, rate[columns], log_a[columns], theta)
    out = p.copy()
    out[branch, columns] = value
    return FaceResult(out, tight, bool(Z.shape[1]) or not solved, left)


def _feasible(B, y, p):
    """Return positive products with B p = y near p, or None where none is found."""
    for _ in range(30):
        missing = y - B @ p
        if not np.isfinite(missing).all():
            return None
        step = p * np.linalg.lstsq(B * p, missing, rcond=1e-13)[0]
        length = min(1.0, 0.9 / max(float(np.max(-step / p)), 1e-300))
        p = p + length * step
        if length == 1.0 and np.linalg.norm(y - B @ p) <= 1e-12 * np.linalg.norm(y):
            return p
    return None


def _along(Z, p, c, log_a, theta):
    """Take Newton steps along the null space; return the products and the last step's size."""
    size = 1 / c
    ones = Z.T @ size
    terms = np.abs(Z).T @ size
    # Z is known to rounding of 1, whatever its entries: with unequal rates that matters.
    exact = np.abs(ones) <= _NOTHING * terms
    doubt = np.where(exact, 0.0, _ROUNDING * np.linalg.norm(size))
    ones = np.where(exact, 0.0, ones)
    left, before = np.inf, np.inf
    for _ in range(60):
        sigma = np.exp(theta * (log_a - np.log(p)))
        curvature = np.sqrt(sigma / (c * p))
        # (L11) as least squares, for what is above the diagonal spans many orders
        rows = Z * curvature[:, None]
        order = np.argsort(-curvature)
        Q, R = np.linalg.qr(rows[order])
        if not np.all(np.abs(np.diag(R)) > 0):
            return p, np.inf
        pull = Q.T @ np.sqrt(sigma * p / c)[order]
        if ones.any():
            pull = pull - np.linalg.solve(R.T, ones)
        step = Z @ np.linalg.solve(R, pull / theta)
        if not np.isfinite(step).all():
            return p, np.inf
        relative = step / p
        left = float(np.abs(step).max() / p.max())
        length = min(1.0, 0.9 / max(float(np.max(-relative)), 1e-300))
        p = p + length * step
        # A small product first grows by its own size, in steps that are small for the others.
        if np.abs(relative).max() < 0.1 and (left <= 1e-15 or 1e-3 > left >= 0.5 * before):
            break
        before = left if length == 1.0 else np.inf
    doubt = doubt + _ROUNDING * np.linalg.norm(np.exp(theta * (log_a - np.log(p))) / c)
    unknown = Z @ np.linalg.solve(R, np.linalg.solve(R.T, doubt / theta))
    return p, max(left, float(np.abs(unknown).max() / p.max()))
