"""Which of several l1-minimisers the flow selects: statement S8."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_depth, as_real_array
from deepfact.theory.scales import log_of


def selection_criterion(x: np.ndarray, depth: float) -> float:
    """Return what the flow's limit maximises among l1-minimisers as the init scale vanishes.

    Parameters
    ----------
    x : array_like of shape (N,)
        An l1-minimiser.
    depth : float
        Number L of factors: any real number >= 2, or ``numpy.inf``.

    Returns
    -------
    float
        L = 2: the entropy -sum abs(x_i) log abs(x_i); L > 2: sum abs(x_i)^(2/L); infinite depth:
        sum log abs(x_i), over all entries given (-inf if one is zero; leave out the coordinates in
        which every minimiser is zero).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement S8 of ``docs/statements.md``; the dependence on depth is due to Wind, Antun and
    Hansen, arXiv:2307.07410.
    """
    size = np.abs(as_real_array("x", x, ndim=1))
    depth = as_depth(depth)
    if np.isinf(depth):
        return float(np.sum(log_of(size)))
    if depth == 2:
        return -float(np.sum(size * log_of(np.where(size > 0, size, 1.0))))
    return float(np.sum(size ** (2 / depth)))
