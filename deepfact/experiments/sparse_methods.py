"""Other methods for sparse recovery, in short: OMP, IHT, FISTA for the lasso, reweighted l1."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lstsq

from deepfact.l1_minimisation import basis_pursuit
from deepfact.problem import Problem
from deepfact.statuses import require

__all__ = [
    "fista_lasso",
    "iterative_hard_thresholding",
    "orthogonal_matching_pursuit",
    "reweighted_l1",
]


def orthogonal_matching_pursuit(A: np.ndarray, y: np.ndarray, s: int) -> np.ndarray:
    """Add s columns one by one, each the one most correlated with what is not yet fitted.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    y : ndarray of shape (M,)
        The measurements.
    s : int
        The number of columns, which the method must be told.

    Returns
    -------
    ndarray of shape (N,)
        The least-squares fit on the chosen columns; fewer than s if the fit is exact before.

    Notes
    -----
    Section "Neighbours" of ``docs/statements.md``, [TG07].
    """
    x, chosen, rest = np.zeros(A.shape[1]), [], y
    length = np.linalg.norm(A, axis=0)
    for _ in range(s):
        if np.linalg.norm(rest) <= 1e-12 * np.linalg.norm(y):
            break
        fit = np.abs(rest @ A) / length
        fit[chosen] = -1.0
        chosen.append(int(np.argmax(fit)))
        values = lstsq(A[:, chosen], y)[0]
        rest = y - A[:, chosen] @ values
    if chosen:
        x[chosen] = values
    return x


def iterative_hard_thresholding(
    A: np.ndarray, y: np.ndarray, s: int, iterations: int = 300
) -> np.ndarray:
    """Take gradient steps and keep the s largest entries after each.

    The step is the best one on the entries kept, so that no bound on norm(A) is asked for. A step
    that changes these entries is shortened until the loss is sure to fall.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    y : ndarray of shape (M,)
        The measurements.
    s : int
        The number of entries kept, which the method must be told.
    iterations : int, optional
        Largest number of steps (default: 300); fewer if the fit is exact before.

    Returns
    -------
    ndarray of shape (N,)
        The last iterate.

    Notes
    -----
    Section "Neighbours" of ``docs/statements.md``, [BD10].
    """

    def keep(z):
        kept = np.argpartition(np.abs(z), -s)[-s:]
        out = np.zeros_like(z)
        out[kept] = z[kept]
        return out, np.sort(kept)

    x = np.zeros(A.shape[1])
    support = keep(y @ A)[1]
    for _ in range(iterations):
        rest = y - A @ x
        if np.linalg.norm(rest) <= 1e-9 * np.linalg.norm(y):
            break
        gradient = rest @ A
        on = A[:, support] @ gradient[support]
        size = on @ on
        step = (gradient[support] @ gradient[support]) / size if size > 0 else 1.0
        new, kept = keep(x + step * gradient)
        while not np.array_equal(kept, support):
            change = new - x
            moved = A @ change
            if step * (moved @ moved) <= 0.99 * (change @ change):
                break
            step /= 2
            new, kept = keep(x + step * gradient)
        x, support = new, kept
    return x


def fista_lasso(
    A: np.ndarray, y: np.ndarray, penalty: float = 1e-5, stages: int = 5, iterations: int = 1000
) -> np.ndarray:
    """Minimise 1/2 norm(A x - y)^2 + lambda norm(x, 1) for a small lambda by FISTA.

    The penalty falls to its end in equal ratios, each stage starting from the last one's iterate.
    Momentum starts anew where it points uphill.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    y : ndarray of shape (M,)
        The measurements.
    penalty : float, optional
        The last lambda over norm(A^T y, inf), from which on the minimiser is 0 (default: 1e-5).
    stages : int, optional
        Values of lambda (default: 5).
    iterations : int, optional
        Largest number of steps for each (default: 1000).

    Returns
    -------
    ndarray of shape (N,)
        The last iterate.

    Notes
    -----
    Section "Neighbours" of ``docs/statements.md``, [BT09].
    """
    step = 1 / np.linalg.norm(A, 2) ** 2
    x = np.zeros(A.shape[1])
    for share in penalty ** (np.arange(1, stages + 1) / stages):
        level = step * share * np.max(np.abs(y @ A))
        ahead, momentum = x, 1.0
        for _ in range(iterations):
            z = ahead + step * ((y - A @ ahead) @ A)
            new = np.sign(z) * np.maximum(np.abs(z) - level, 0.0)
            change = new - x
            if (ahead - new) @ change > 0:
                momentum = 1.0
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            ahead = new + (momentum - 1) / following * change
            x, momentum = new, following
            if np.max(np.abs(change)) <= 1e-9 * max(np.max(np.abs(x)), 1e-300):
                break
    return x


def reweighted_l1(problem: Problem, rounds: int = 4, floor: float = 0.1) -> np.ndarray:
    """Minimise l1 norms with the weights 1/(abs(x_i) + floor) of the minimiser before.

    Parameters
    ----------
    problem : Problem
        The problem.
    rounds : int, optional
        Number of reweighted programs after basis pursuit (default: 4).
    floor : float, optional
        What keeps the weights finite (default: 0.1, for nonzeros of size 1).

    Returns
    -------
    ndarray of shape (N,)
        The last minimiser.

    Raises
    ------
    RuntimeError
        If a program is not solved.

    Notes
    -----
    Section "Neighbours" of ``docs/statements.md``, [CWB08].
    """
    x = require(basis_pursuit(problem)).x
    for _ in range(rounds):
        new = require(basis_pursuit(problem, weights=1 / (np.abs(x) + floor))).x
        still = np.max(np.abs(new - x)) <= 1e-6 * np.max(np.abs(x))
        x = new
        if still:
            break
    return x
