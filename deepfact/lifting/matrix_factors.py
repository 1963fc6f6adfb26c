"""Fitting a matrix by a product of matrices with weight decay, and the convex problem behind it."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, minimize

from deepfact.arguments import as_real_array, as_real_number


def soft_threshold_singular_values(Y: np.ndarray, penalty: float) -> np.ndarray:
    """Minimise 1/2 |X - Y|_F^2 + lambda |X|_* over all matrices.

    Parameters
    ----------
    Y : array_like of shape (m, n)
        The data.
    penalty : float
        lambda >= 0.

    Returns
    -------
    ndarray of shape (m, n)
        Y with its singular values s replaced by max(s - lambda, 0).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``; Mazumder, Hastie and Tibshirani (2010).
    """
    Y = as_real_array("Y", Y, ndim=2)
    penalty = as_real_number("penalty", penalty, minimum=0.0)
    left, s, right = np.linalg.svd(Y, full_matrices=False)
    return (left * np.maximum(s - penalty, 0.0)) @ right


def nuclear_norm_bounds(Y: np.ndarray, X: np.ndarray, penalty: float) -> tuple[float, float]:
    """Compute 1/2 |X - Y|_F^2 + lambda |X|_* and a lower bound of its minimum.

    With R = Y - X and N = R min(1, lambda/|R|_op), feasible for the dual problem
    max <N, Y> - |N|_F^2/2 over |N|_op <= lambda.

    Parameters
    ----------
    Y : array_like of shape (m, n)
        The data.
    X : array_like of shape (m, n)
        The point.
    penalty : float
        lambda > 0.

    Returns
    -------
    value : float
        The objective at X.
    lower_bound : float
        The dual objective at N.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    Y, X = as_real_array("Y", Y, ndim=2), as_real_array("X", X, ndim=2)
    penalty = as_real_number("penalty", penalty, above=0.0)
    R = Y - X
    value = np.sum(R**2) / 2 + penalty * np.linalg.norm(X, "nuc")
    largest = np.linalg.norm(R, 2)
    dual = R * min(1.0, penalty / largest) if largest > 0 else R
    return float(value), float(np.sum(dual * Y) - np.sum(dual**2) / 2)


def fit_matrix_factors(
    Y: np.ndarray, penalty: float, factors: list[np.ndarray]
) -> tuple[float, np.ndarray]:
    """Descend on 1/2 |W_1 ... W_L - Y|_F^2 + (lambda/L) sum_l |W_l|_F^2 by L-BFGS.

    Parameters
    ----------
    Y : array_like of shape (m, n)
        The data.
    penalty : float
        lambda > 0.
    factors : list of ndarray
        The matrices at the start, at least two, that can be multiplied.

    Returns
    -------
    value : float
        The objective at the end.
    X : ndarray of shape (m, n)
        The product at the end.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    Y = as_real_array("Y", Y, ndim=2)
    penalty = as_real_number("penalty", penalty, above=0.0)
    L = len(factors)
    if L < 2:
        raise ValueError(f"factors must be at least two matrices, got {L}")
    shapes = [np.shape(factor) for factor in factors]
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

    def unpack(flat):
        parts = np.split(flat, cuts)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def value(flat):
        W = unpack(flat)
        before = [np.eye(len(Y))]
        for factor in W:
            before.append(before[-1] @ factor)
        residual = before[-1] - Y
        after, gradient = np.eye(Y.shape[1]), []
        for k in reversed(range(L)):
            slope = before[k].T @ residual @ after.T + 2 * penalty / L * W[k]
            gradient.append(slope.ravel())
            after = W[k] @ after
        J = np.sum(residual**2) / 2 + penalty / L * flat @ flat
        return J, np.concatenate(gradient[::-1])

    start = np.concatenate([np.ravel(factor) for factor in factors])
    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 30}
    found = minimize(value, start, jac=True, method="L-BFGS-B", options=options)
    return float(found.fun), np.linalg.multi_dot(unpack(found.x))


def shrunk_singular_value(s: float, penalty: float, depth: int) -> float:
    """Return the positive local minimum of (z - s)^2/2 + lambda z^{2/L} over z >= 0.

    Parameters
    ----------
    s : float
        Singular value of the data, s >= 0.
    penalty : float
        lambda > 0.
    depth : int
        Number L >= 2 of matrices.

    Returns
    -------
    float
        The minimum: s - lambda or 0 for L = 2; for L > 2 it is 0 below a threshold, where z = 0 is
        the only minimum, and jumps there to a positive value. For L > 2, z = 0 is a minimum too,
        for every s.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``. For L = 3 the threshold is 4 z_0 with
    z_0 = (2 lambda/9)^{3/4}, the value to which it jumps.
    """
    s = as_real_number("s", s, minimum=0.0)
    penalty = as_real_number("penalty", penalty, above=0.0)
    if depth == 2:
        return max(s - penalty, 0.0)
    p = 2 / depth
    # The slope z - s + lambda p z^{p-1} is convex in z and least here.
    lowest = (penalty * p * (1 - p)) ** (1 / (2 - p))

    def slope(z):
        return z - s + penalty * p * z ** (p - 1)

    if slope(lowest) >= 0:
        return 0.0
    return float(brentq(slope, lowest, s, xtol=1e-15, rtol=1e-14))
