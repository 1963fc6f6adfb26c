"""How near a limit is to the solution of least l2 norm: D5 of the dual picture."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_depth, as_log_alpha, as_real_array
from deepfact.theory.scales import exponential, log_of, log_product


def kernel_distance_bound(
    x: np.ndarray,
    depth: float,
    alpha: float | None = None,
    *,
    log_alpha: float | None = None,
) -> float:
    """Bound the distance of a limit of the signed model to the solution of least l2 norm.

    The bound is (1 + theta)(1 + 2 theta)/24 (sum x_i^6)^(1/2) / a^2, with a = alpha^L.

    Parameters
    ----------
    x : array_like of shape (N,)
        The limit.
    depth : float
        Number L of factors, at least 2; infinity is one.
    alpha : float, optional
        Init scale, positive; at infinite depth mu = lim alpha^L. Either this or its logarithm.
    log_alpha : float, optional
        Natural logarithm of the init scale (default: that of alpha).

    Returns
    -------
    float
        The bound on ||x - A^+ y||_2. It says little unless the entries of x are below a.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement D5, section "Dual picture" of ``docs/statements.md``.
    """
    x = as_real_array("x", x, ndim=1)
    depth = as_depth(depth)
    theta = 1.0 - 2.0 / depth
    log_a = log_product(depth, as_log_alpha(alpha, log_alpha))
    size = np.max(np.abs(x))
    with np.errstate(under="ignore"):
        sixth = np.sum((np.abs(x) / (size or 1.0)) ** 6)
    log_bound = np.log((1 + theta) * (1 + 2 * theta) / 24) + 3 * log_of(size)
    return exponential(log_bound + log_of(sixth) / 2 - 2 * log_a, log=False)
