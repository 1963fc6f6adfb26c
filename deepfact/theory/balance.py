"""Balance of factors: what gradient flow conserves, and what one step of descent makes of it."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_real_array, as_real_number


def imbalances(factors: np.ndarray) -> np.ndarray:
    """Compute u_i^2 - u_j^2 for all pairs of factors: constants of the gradient flow.

    Parameters
    ----------
    factors : array_like of shape (L, N)
        L factors of one product of length N.

    Returns
    -------
    ndarray of shape (L, L, N)
        (u_i - u_j)(u_i + u_j).

    Raises
    ------
    TypeError, ValueError
        If factors are no real numbers of that shape.

    Notes
    -----
    Statement T10 of ``docs/overparameterization.md``.
    """
    u = as_real_array("factors", factors, ndim=2)
    return (u[:, None] - u[None]) * (u[:, None] + u[None])


def imbalance_factors(
    factors: np.ndarray, gradient: np.ndarray, step_size: float, weight_decay: float = 0.0
) -> np.ndarray:
    """Compute what one descent step multiplies u_i^2 - u_j^2 by, exactly and for any gradient.

    The step is u_i <- (1 - eta lambda) u_i - eta g prod_{k != i} u_k, g the loss's gradient in the
    product, of all data or of any batch; the imbalance of i and j is multiplied by
    (1 - eta lambda)^2 - eta^2 g^2 prod_{k != i, j} u_k^2.

    Parameters
    ----------
    factors : array_like of shape (L, N)
        L >= 2 factors of one product of length N, before the step.
    gradient : array_like of shape (N,)
        g.
    step_size : float
        eta > 0.
    weight_decay : float, optional
        lambda >= 0 of the penalty (lambda/2) sum u_i^2 (default: 0).

    Returns
    -------
    ndarray of shape (L, L, N)
        Symmetric; ones where i = j.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T10 of ``docs/overparameterization.md``. The pair moves by a multiple of a
    hyperbolic rotation, (u_i, u_j) <- (s u_i - t u_j, s u_j - t u_i).
    """
    u, g = as_real_array("factors", factors, ndim=2), as_real_array("gradient", gradient, ndim=1)
    if len(u) < 2 or u.shape[1] != len(g):
        raise ValueError(f"factors must have shape (L >= 2, {len(g)}), got {u.shape}")
    eta = as_real_number("step_size", step_size, above=0.0)
    shrink = 1 - eta * as_real_number("weight_decay", weight_decay, minimum=0.0)
    L = len(u)
    result = np.ones((L, L, len(g)))
    for i in range(L):
        for j in range(L):
            if i != j:
                others = np.prod(np.delete(u, [i, j], axis=0), axis=0)
                result[i, j] = shrink**2 - (eta * g * others) ** 2
    return result


def layer_balance_gain(
    inner: np.ndarray, outer: np.ndarray, gradient: np.ndarray, step_size: float
) -> np.ndarray:
    """Compute what one descent step adds to W_1 W_1^T - W_2^T W_2 of two layers, exactly.

    With G the loss's gradient in W_2 W_1, of all data or of any batch, the steps
    W_1 <- W_1 - eta W_2^T G and W_2 <- W_2 - eta G W_1^T add
    eta^2 (W_2^T G G^T W_2 - W_1 G^T G W_1^T).

    Parameters
    ----------
    inner : array_like of shape (h, d)
        W_1.
    outer : array_like of shape (k, h)
        W_2.
    gradient : array_like of shape (k, d)
        G.
    step_size : float
        eta > 0.

    Returns
    -------
    ndarray of shape (h, h)
        The gain, symmetric.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T10 of ``docs/overparameterization.md``.
    """
    inner, outer = as_real_array("inner", inner, ndim=2), as_real_array("outer", outer, ndim=2)
    gradient = as_real_array("gradient", gradient, ndim=2)
    eta = as_real_number("step_size", step_size, above=0.0)
    if outer.shape[1] != inner.shape[0] or gradient.shape != (outer.shape[0], inner.shape[1]):
        raise ValueError(
            f"gradient must have the shape of outer @ inner, got {gradient.shape} for "
            f"{outer.shape} and {inner.shape}"
        )
    left, right = outer.T @ gradient, gradient @ inner.T
    return eta**2 * (left @ left.T - right.T @ right)
