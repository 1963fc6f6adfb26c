"""Fits and comparisons that several experiments share."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

__all__ = ["fitted_slope", "relative_error"]


def fitted_slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Fit a line by least squares.

    Parameters
    ----------
    x, y : array_like of shape (K,)
        At least two points with different x.

    Returns
    -------
    slope : float
        The slope.
    half_width : float
        Half the width of its 95 % confidence interval (Student's t with K - 2 degrees); NaN for
        two points.

    Raises
    ------
    ValueError
        If x and y are not vectors of one length, at least 2.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise ValueError(f"x and y must be vectors of one length >= 2, got {x.shape}, {y.shape}")
    centred = x - x.mean()
    slope = centred @ y / (centred @ centred)
    rest = y - y.mean() - slope * centred
    free = len(x) - 2
    if free == 0:
        return float(slope), np.nan
    spread = np.sqrt(rest @ rest / free / (centred @ centred))
    return float(slope), float(stdtrit(free, 0.975) * spread)


def relative_error(x: np.ndarray, reference: np.ndarray) -> float:
    """Return ||x - reference|| / ||reference||.

    Parameters
    ----------
    x, reference : ndarray of shape (N,)
        Two vectors, the second one not zero.

    Returns
    -------
    float
        The relative error.
    """
    return float(np.linalg.norm(x - reference) / np.linalg.norm(reference))
