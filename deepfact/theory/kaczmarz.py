"""Randomised Kaczmarz, stochastic gradient descent with a constant step: exact mean errors."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_count, as_real_array


def kaczmarz_errors(A: np.ndarray, y: np.ndarray, iterations: int) -> np.ndarray:
    """Compute E|x_k - A^+ y|^2 of randomised Kaczmarz from x_0 = 0, exactly.

    Row i is drawn with probability |a_i|^2/|A|_F^2, and x moves to the nearest point with
    a_i . x = y_i. The second moments of the error follow a linear recursion.

    Parameters
    ----------
    A : array_like of shape (M, N)
        Rows, none of them 0.
    y : array_like of shape (M,)
        Data; where A x = y has no solution, the errors tend to a floor.
    iterations : int
        K >= 0.

    Returns
    -------
    ndarray of shape (K + 1,)
        The mean squared errors.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T3 of ``docs/overparameterization.md``: Wang, Agaskar and Lu (arXiv:1502.00190).
    """
    rows, weights, moves, start = _setting(A, y)
    K = as_count("iterations", iterations, minimum=0)
    gram = (rows.T * weights) @ rows
    noise = (rows.T * (weights * moves**2)) @ rows
    second, mean = np.outer(start, start), start
    errors = [np.trace(second)]
    for _ in range(K):
        along = np.sum((rows @ second) * rows, axis=1)
        # The cross terms of the error and the row's move: (I - P_i) e times the move along a_i.
        cross = np.outer(mean, (weights * moves) @ rows)
        cross -= (rows.T * (weights * moves * (rows @ mean))) @ rows
        second = second - gram @ second - second @ gram + (rows.T * (weights * along)) @ rows
        second += noise + cross + cross.T
        mean = mean - gram @ mean
        errors.append(np.trace(second))
    return np.array(errors)


def kaczmarz_floor(A: np.ndarray, y: np.ndarray) -> float:
    """Compute the limit of E|x_k - A^+ y|^2, the floor that inconsistent data leave.

    It lies between |r|^2/smax^2 and |r|^2/smin^2, r = y - A A^+ y, over nonzero singular values.

    Parameters
    ----------
    A : array_like of shape (M, N)
        Rows, none of them 0; N at most a few dozen.
    y : array_like of shape (M,)
        Data.

    Returns
    -------
    float
        The floor; 0 where A x = y has a solution, up to rounding.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T3 of ``docs/overparameterization.md``: Wang, Agaskar and Lu (arXiv:1502.00190).
    """
    rows, weights, moves, _ = _setting(A, y)
    # In the range of A^T, where all errors are; the mean error has died out there.
    basis = np.linalg.svd(rows, full_matrices=False)[2][: np.linalg.matrix_rank(rows)]
    rows = rows @ basis.T
    n = rows.shape[1]
    gram = (rows.T * weights) @ rows
    pairs = np.einsum("ki,kj->kij", rows, rows).reshape(len(rows), -1)
    loss = np.kron(gram, np.eye(n)) + np.kron(np.eye(n), gram) - (pairs.T * weights) @ pairs
    second = np.linalg.solve(loss, pairs.T @ (weights * moves**2))
    return float(np.trace(second.reshape(n, n)))


def _setting(A, y):
    """Return unit rows, their probabilities, the moves by the residual, and the first error."""
    A, y = as_real_array("A", A, ndim=2), as_real_array("y", y, ndim=1)
    if len(A) != len(y):
        raise ValueError(f"y must have length M = {len(A)}, got {len(y)}")
    sizes = np.linalg.norm(A, axis=1)
    if np.min(sizes) == 0:
        raise ValueError("A must have no row that is 0")
    solution = np.linalg.lstsq(A, y, rcond=None)[0]
    return A / sizes[:, None], sizes**2 / np.sum(sizes**2), (y - A @ solution) / sizes, -solution
