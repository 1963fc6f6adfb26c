"""Least weighted l1 norms with a weight for each sign of a coordinate."""

from __future__ import annotations

import numpy as np

from deepfact.l1_minimisation import basis_pursuit
from deepfact.problem import Problem


def signed_weighted_minimiser(
    A: np.ndarray, y: np.ndarray, plus: np.ndarray, minus: np.ndarray
) -> tuple[np.ndarray, float]:
    """Minimise sum plus_i max(x_i, 0) + minus_i max(-x_i, 0) subject to A x = y.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    y : ndarray of shape (M,)
        The measurements.
    plus, minus : ndarray of shape (N,)
        Positive weights; infinite where that sign is ruled out.

    Returns
    -------
    x : ndarray of shape (N,)
        The minimiser.
    value : float
        The least value.

    Raises
    ------
    RuntimeError
        If the linear program is not solved.
    """
    weights = np.concatenate([plus, minus])
    allowed = np.isfinite(weights)
    columns = np.hstack([A, -A])[:, allowed]
    best = basis_pursuit(Problem(columns, y), signed=False, weights=weights[allowed])
    if best.status not in ("optimal", "inaccurate"):
        raise RuntimeError(f"basis pursuit: {best.message}")
    parts = np.zeros(len(weights))
    parts[allowed] = best.x
    return parts[: len(plus)] - parts[len(plus) :], best.value
