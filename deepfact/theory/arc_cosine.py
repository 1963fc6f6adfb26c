"""The kernel of a wide two-layer ReLU net, and gradient descent as the kernel predicts it."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_count, as_real_array, as_real_number


def relu_kernel(X: np.ndarray) -> np.ndarray:
    """Compute the kernel of the first layer of an infinitely wide two-layer ReLU net.

    H_ij = x_i . x_j (pi - arccos(x_i . x_j))/(2 pi), the mean over normal w of x_i . x_j where both
    w . x_i and w . x_j are positive.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs, rows of norm 1.

    Returns
    -------
    ndarray of shape (n, n)
        H.

    Raises
    ------
    TypeError, ValueError
        If X holds no real numbers or a row is not of norm 1.

    Notes
    -----
    Statement T3 of ``docs/overparameterization.md``: Du, Zhai, Poczos and Singh (arXiv:1810.02054).
    """
    X = as_real_array("X", X, ndim=2)
    if np.max(np.abs(np.linalg.norm(X, axis=1) - 1)) > 1e-12:
        raise ValueError("X must have rows of norm 1")
    inner = np.clip(X @ X.T, -1.0, 1.0)
    return inner * (np.pi - np.arccos(inner)) / (2 * np.pi)


def kernel_residuals(H: np.ndarray, y: np.ndarray, step_size: float, iterations: int) -> np.ndarray:
    """Compute the residuals of gradient descent with the kernel H, from the output 0.

    (I - eta H)^k (-y) for k = 0, ..., K.

    Parameters
    ----------
    H : array_like of shape (n, n)
        Kernel, symmetric.
    y : array_like of shape (n,)
        Labels.
    step_size : float
        eta > 0.
    iterations : int
        K >= 0.

    Returns
    -------
    ndarray of shape (K + 1, n)
        The residuals, outputs minus labels.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T3 of ``docs/overparameterization.md``: Arora, Du, Hu, Li and Wang (arXiv:1901.08584).
    """
    values, vectors, y = _modes(H, y)
    eta = as_real_number("step_size", step_size, above=0.0)
    k = np.arange(as_count("iterations", iterations, minimum=0) + 1)
    return -((1 - eta * values) ** k[:, None] * (y @ vectors)) @ vectors.T


def kernel_distance(H: np.ndarray, y: np.ndarray, step_size: float, iterations: int) -> float:
    """Compute how far the weights move in K steps of gradient descent with the kernel H.

    The square is sum_i (1 - (1 - eta lambda_i)^K)^2 (v_i . y)^2/lambda_i, which tends to
    y . H^(-1) y.

    Parameters
    ----------
    H : array_like of shape (n, n)
        Kernel, symmetric and positive definite.
    y : array_like of shape (n,)
        Labels.
    step_size : float
        eta > 0.
    iterations : int
        K >= 0.

    Returns
    -------
    float
        The distance from the start.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T3 of ``docs/overparameterization.md``.
    """
    values, vectors, y = _modes(H, y)
    eta = as_real_number("step_size", step_size, above=0.0)
    K = as_count("iterations", iterations, minimum=0)
    if values[0] <= 0:
        raise ValueError(f"H must be positive definite, got the eigenvalue {values[0]}")
    reached = (1 - (1 - eta * values) ** K) * (y @ vectors)
    return float(np.sqrt(np.sum(reached**2 / values)))


def _modes(H, y):
    H, y = as_real_array("H", H, ndim=2), as_real_array("y", y, ndim=1)
    if H.shape != (len(y), len(y)):
        raise ValueError(f"H must have shape ({len(y)}, {len(y)}), got {H.shape}")
    return *np.linalg.eigh(H), y
