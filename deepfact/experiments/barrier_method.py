"""A textbook barrier method for basis pursuit's dual, to compare infinite depth with."""

from __future__ import annotations

import numpy as np

from deepfact.problem import Problem

__all__ = ["barrier_path"]


def barrier_path(
    problem: Problem, mus: np.ndarray, signed: bool = True, tolerance: float = 1e-12
) -> np.ndarray:
    """Follow the log-barrier path of the dual of basis pursuit by a textbook barrier method.

    Maximises <y, eta> + mu sum [log(1 - b) + log(1 + b)], b = A^T eta (nonnegative signals: the
    first logarithm only), with Newton's method and backtracking from the previous point. It shares
    no code with `flow_limit`.

    Parameters
    ----------
    problem : Problem
        The problem.
    mus : ndarray of shape (K,)
        Decreasing barrier parameters.
    signed : bool, optional
        Signed (default: True) or nonnegative signals.
    tolerance : float, optional
        Newton decrement, relative to mu, at which a point is accepted (default: 1e-12).

    Returns
    -------
    ndarray of shape (K, N)
        The primal points mu [1/(1 - b) - 1/(1 + b)] (nonnegative signals: mu/(1 - b)).
    """
    A, y = problem.dense(), problem.y
    eta = np.zeros(problem.M)

    def value(eta, mu):
        b = A.T @ eta
        if b.max() >= 1 or (signed and b.min() <= -1):
            return -np.inf
        return y @ eta + mu * np.sum(np.log1p(-b) + (np.log1p(b) if signed else 0.0))

    rows = []
    for mu in mus:
        for _ in range(200):
            b = A.T @ eta
            x = mu / (1 - b) - (mu / (1 + b) if signed else 0.0)
            curvature = mu / (1 - b) ** 2 + (mu / (1 + b) ** 2 if signed else 0.0)
            gradient = y - A @ x
            step = np.linalg.solve((A * curvature) @ A.T, gradient)
            decrement = gradient @ step
            if decrement <= tolerance**2 * mu:
                break
            length = 1.0
            while decrement > 1e-8 * mu and (
                value(eta + length * step, mu) < value(eta, mu) + 0.1 * length * decrement
            ):
                length /= 2
            eta = eta + length * step
        rows.append(x)
    return np.array(rows)
