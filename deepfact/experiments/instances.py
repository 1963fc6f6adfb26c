"""Random instances and models that several experiments share."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from deepfact.deep_factorization import DeepFactorization
from deepfact.problem import Problem, gaussian_problem

__all__ = ["draw_problem", "model_of_depth"]


def model_of_depth(depth: float, start: float, signed: bool = True) -> DeepFactorization:
    """Return the model whose products all start at the same value, whatever the depth.

    Parameters
    ----------
    depth : float
        Number L of factors; 1 and infinity are allowed.
    start : float
        alpha^L, the product of factors at time 0.
    signed : bool, optional
        Signed (default: True) or positive model.

    Returns
    -------
    DeepFactorization
        With alpha = start^(1/L); at infinite depth mu = start.
    """
    root = 1.0 if np.isinf(depth) else depth
    return DeepFactorization(depth, log_alpha=np.log(start) / root, signed=signed)


def draw_problem(M: int, N: int, s: int, signed: bool, rng: np.random.Generator) -> Problem:
    """Draw a Gaussian problem; a nonnegative one is drawn again if no solution is positive.

    Without a positive solution the log-barrier path of the nonnegative problem does not exist. In
    general position the solution is then unique (statement S6).

    Parameters
    ----------
    M, N, s : int
        Size and number of nonzeros.
    signed : bool
        Signed or nonnegative signals.
    rng : Generator
        Source of randomness.

    Returns
    -------
    Problem
        The problem.
    """
    while True:
        problem = gaussian_problem(M, N, s, seed=rng, signed=signed)
        if signed:
            return problem
        # The largest t such that A z = y with all z_i >= t; t is free, z >= 0 besides.
        columns = np.column_stack([problem.dense(), problem.dense().sum(axis=1)])
        cost = np.append(np.zeros(N), -1.0)
        room = linprog(cost, A_eq=columns, b_eq=problem.y, bounds=[(0, None)] * N + [(None, 1.0)])
        if room.status == 0 and -room.fun > 1e-6:
            return problem
