"""Overparameterised flows at any init scale: a guaranteed linear rate, and how far factors move."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_depth, as_real_array, as_real_number


def guaranteed_rate(A: np.ndarray, depth: float, alpha: float) -> float:
    """Compute a rate at which the signed model's loss decreases from any time on, at any scale.

    The loss obeys l(t) <= l(0) exp(-4 L alpha^(2L-2) lambda_min(A A^T) t).

    Parameters
    ----------
    A : array_like of shape (M, N)
        Measurements; with dependent rows the rate is 0.
    depth : float
        Finite number L >= 2 of factors.
    alpha : float
        Init scale, positive.

    Returns
    -------
    float
        4 L alpha^(2L-2) lambda_min(A A^T).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T3 of ``docs/overparameterization.md``. The positive model has no such rate.
    """
    A, depth, alpha = as_real_array("A", A, ndim=2), as_depth(depth), _scale(alpha)
    if np.isinf(depth):
        raise ValueError("depth must be finite")
    least = np.linalg.svd(A, compute_uv=False)[-1] if A.shape[0] <= A.shape[1] else 0.0
    return float(4 * depth * alpha ** (2 * depth - 2) * least**2)


def lazy_distance(least_squares: np.ndarray, depth: float, alpha: float) -> float:
    """Compute how far all 2L factors of the signed model move, for large init scales.

    |x_LS|/((2L)^(1/2) alpha^(L-1)), up to a relative error of order alpha^(-2L).

    Parameters
    ----------
    least_squares : array_like of shape (N,)
        x_LS = A^+ y.
    depth : float
        Finite number L >= 2 of factors.
    alpha : float
        Init scale, positive.

    Returns
    -------
    float
        The Euclidean distance of the factors' limit to their start.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T3 of ``docs/overparameterization.md``.
    """
    x = as_real_array("least_squares", least_squares, ndim=1)
    depth, alpha = as_depth(depth), _scale(alpha)
    return float(np.linalg.norm(x) / (np.sqrt(2 * depth) * alpha ** (depth - 1)))


def _scale(alpha):
    return as_real_number("alpha", alpha, above=0.0)
