"""Deep linear nets with scalar output: the motion of their end-to-end vector, and its limit.

The net is w^T = W_K ... W_1 with K layers, balanced: W_{j+1}^T W_{j+1} = W_j W_j^T. Gradient flow
on the layers moves w by a field that no loss has for its gradient, and that is a mirror flow in
another clock.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import norm  # unlike numpy's, it does not square tiny numbers
from scipy.optimize import brentq

from deepfact.arguments import as_count, as_real_array


def end_to_end_velocity(w: np.ndarray, gradient: np.ndarray, depth: int) -> np.ndarray:
    """Compute the velocity of the end-to-end vector of a balanced net under gradient flow.

    F(w) = -|w|^(2-2/K) (g + (K-1) P_w g), g the loss's gradient at w and P_w the projection on w.

    Parameters
    ----------
    w : array_like of shape (d,) or (P, d)
        The end-to-end vector, not zero unless K = 1, or P of them.
    gradient : array_like of the same shape
        g.
    depth : int
        Number K >= 1 of layers.

    Returns
    -------
    ndarray of the same shape
        w'.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T2 of ``docs/overparameterization.md``: Arora, Cohen and Hazan (arXiv:1802.06509).
    """
    w, gradient, depth, size = _points(w, gradient, depth)
    if depth == 1:
        return -gradient
    along = (depth - 1) * np.sum(w * gradient, axis=-1, keepdims=True) / size**2
    return -(size ** (2 - 2 / depth)) * (gradient + along * w)


def end_to_end_curl(
    w: np.ndarray, gradient: np.ndarray, hessian: np.ndarray, depth: int
) -> np.ndarray:
    """Compute the curl of `end_to_end_velocity`: entry (i, j) is d_i F_j - d_j F_i.

    |w|^(-2/K) [(K - 3 + 2/K)(w_i g_j - w_j g_i) - (K-1)((Hw)_i w_j - (Hw)_j w_i)], H the loss's
    Hessian at w. It vanishes for K = 1; a gradient field's would everywhere.

    Parameters
    ----------
    w : array_like of shape (d,) or (P, d)
        The end-to-end vector, not zero unless K = 1, or P of them.
    gradient : array_like of the same shape
        g.
    hessian : array_like of shape (d, d) or (P, d, d)
        H, symmetric.
    depth : int
        Number K >= 1 of layers.

    Returns
    -------
    ndarray of the shape of ``hessian``
        The curl, antisymmetric.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T2 of ``docs/overparameterization.md``.
    """
    w, gradient, depth, size = _points(w, gradient, depth)
    hessian = _hessian(hessian, w.shape)
    if depth == 1:
        return np.zeros_like(hessian)
    first = w[..., :, None] * gradient[..., None, :]
    second = (hessian @ w[..., None]) * w[..., None, :]
    field = (depth - 3 + 2 / depth) * (first - first.swapaxes(-1, -2))
    field -= (depth - 1) * (second - second.swapaxes(-1, -2))
    return size[..., None] ** (-2 / depth) * field


def end_to_end_dual(w: np.ndarray, depth: int) -> np.ndarray:
    """Compute the dual variable |w|^(1/K-1) w, the gradient of K/(K+1) |w|^(1+1/K).

    It moves by -|w|^(1-1/K) g: along the loss's negative gradient, in another clock.

    Parameters
    ----------
    w : array_like of shape (d,)
        The end-to-end vector.
    depth : int
        Number K >= 1 of layers.

    Returns
    -------
    ndarray of shape (d,)
        The dual variable.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T2 of ``docs/overparameterization.md``; K = 2: Azulay et al. (arXiv:2102.09769).
    """
    w, depth = as_real_array("w", w, ndim=1), as_count("depth", depth, minimum=1)
    size = norm(w)
    return w * size ** (1 / depth - 1) if size > 0 else w


def balanced_limit(A: np.ndarray, y: np.ndarray, start: np.ndarray, depth: int) -> np.ndarray:
    """Compute where a balanced net that interpolates A w = y ends, without integration in time.

    The limit is w_LS + t u with w_LS = A^+ y, u the unit vector along the part of the start w_0
    that A does not see, b that part's share of |w_0|, and t the root of
    t = b |w_0|^(1/K) (|w_LS|^2 + t^2)^((1-1/K)/2).

    Parameters
    ----------
    A : array_like of shape (M, d)
        Measurements, with linearly independent rows.
    y : array_like of shape (M,)
        Data.
    start : array_like of shape (d,)
        The end-to-end vector w_0 at the start, not zero.
    depth : int
        Number K >= 1 of layers.

    Returns
    -------
    ndarray of shape (d,)
        The limit, if the flow converges to an interpolating w other than 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T2 of ``docs/overparameterization.md``.
    """
    A, y = as_real_array("A", A, ndim=2), as_real_array("y", y, ndim=1)
    start, depth = as_real_array("start", start, ndim=1), as_count("depth", depth, minimum=1)
    if A.shape != (len(y), len(start)):
        raise ValueError(f"A must have shape ({len(y)}, {len(start)}), got {A.shape}")
    size = norm(start)
    if size == 0:
        raise ValueError("start must not be zero: the flow never leaves 0")
    inverse = np.linalg.pinv(A)
    least = inverse @ y
    hidden = start / size - inverse @ (A @ start) / size
    share = norm(hidden)
    if share <= 1e-15:
        return least
    scale, power = norm(least), (1 - 1 / depth) / 2
    if scale == 0:
        return hidden * size * share ** (depth - 1)

    def excess(z):  # increasing in z = log(t/|w_LS|), by 1/K at least
        left = z + np.log(scale / share) - np.log(size) / depth
        return left - power * (2 * np.log(scale) + np.logaddexp(0.0, 2 * z))

    low, high = -1.0, 1.0
    while excess(low) > 0:
        low *= 2
    while excess(high) < 0:
        high *= 2
    t = scale * np.exp(brentq(excess, low, high, xtol=1e-15, rtol=1e-14))
    return least + t * hidden / share


def condition_with_depth(
    hessian: np.ndarray, minimiser: np.ndarray, depth: int, diagonal: bool = False
) -> float:
    """Compute the condition number that gradient descent on the factors sees near a minimiser.

    That of M^(1/2) H M^(1/2), where M = I + (K-1) P_w for a balanced net with scalar output and
    M = diag(|x_i|^(2-2/L)) for an entrywise product of L factors of equal size.

    Parameters
    ----------
    hessian : array_like of shape (d, d)
        The loss's Hessian H at the minimiser, positive definite.
    minimiser : array_like of shape (d,)
        w or x; not zero, for an entrywise product in no entry.
    depth : int
        Number K or L >= 1 of factors.
    diagonal : bool, optional
        Entrywise product (default: False, a net).

    Returns
    -------
    float
        kappa', between kappa/cond(M) and kappa cond(M); cond(M) = K for a net.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T2 of ``docs/overparameterization.md``.
    """
    minimiser, depth = as_real_array("minimiser", minimiser, ndim=1), as_count("depth", depth, 1)
    hessian = _hessian(hessian, minimiser.shape)
    size = np.abs(minimiser) if diagonal else norm(minimiser)
    if np.min(size) == 0 and depth > 1:
        raise ValueError("minimiser must not be zero")
    if diagonal:
        root = np.diag(size ** (1 - 1 / depth))
    else:
        along = minimiser / size if depth > 1 else minimiser
        root = np.eye(len(minimiser)) + (np.sqrt(depth) - 1) * np.outer(along, along)
    values = np.linalg.eigvalsh(root @ hessian @ root)
    if values[0] <= 0:
        raise ValueError(f"hessian must be positive definite, got the eigenvalue {values[0]}")
    return float(values[-1] / values[0])


def _points(w, gradient, depth):
    """Check points, gradients there and the depth; return them with the points' norms (..., 1)."""
    w = as_real_array("w", w, ndim=2 if np.ndim(w) == 2 else 1)
    gradient = as_real_array("gradient", gradient, ndim=w.ndim)
    depth = as_count("depth", depth, minimum=1)
    if w.shape != gradient.shape:
        raise ValueError(f"gradient must have the shape {w.shape} of w, got {gradient.shape}")
    size = norm(w, axis=-1, keepdims=True)
    if np.min(size) == 0 and depth > 1:
        raise ValueError("w must not be zero")
    return w, gradient, depth, size


def _hessian(hessian, shape):
    hessian = as_real_array("hessian", hessian, ndim=len(shape) + 1)
    if hessian.shape != (*shape, shape[-1]):
        raise ValueError(f"hessian must have shape {(*shape, shape[-1])}, got {hessian.shape}")
    if np.max(np.abs(hessian - hessian.swapaxes(-1, -2))) > 1e-10 * np.max(np.abs(hessian)):
        raise ValueError("hessian must be symmetric")
    return hessian
