"""The largest gap over the difference delta of columns, and where it is attained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar


def worst_delta(
    gap: Callable[[float], float], grid: np.ndarray, accuracy: float = 1e-4
) -> tuple[float, float]:
    """Maximise a gap over delta: on a grid of log delta, then around its best point.

    Parameters
    ----------
    gap : callable
        The gap as a function of log delta; NaN where it is not known.
    grid : ndarray
        Values of log delta, ascending.
    accuracy : float, optional
        That of log delta (default: 1e-4).

    Returns
    -------
    gap, delta : float
        The largest gap and where it is attained.

    Raises
    ------
    ValueError
        If no gap of the grid is known.
    """
    best = int(np.nanargmax([gap(value) for value in grid]))
    found = minimize_scalar(
        lambda value: -gap(value),
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]),
        method="bounded",
        options={"xatol": accuracy},
    )
    return -float(found.fun), float(np.exp(found.x))
