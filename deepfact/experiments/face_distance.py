"""How far a limit at a finite init scale can be from the maximiser on the face: bound of S8."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.optimize import linprog

from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.faces import Face
from deepfact.problem import Problem

RANK = 1e-9
"""Columns whose smallest singular value is below this are dependent: the matrices are integer."""


def basis_inverses(columns: np.ndarray) -> np.ndarray:
    """Invert every basis of the span of some columns.

    Parameters
    ----------
    columns : ndarray of shape (M, n)
        The columns, of rank r.

    Returns
    -------
    ndarray of shape (K, r, M)
        For each of the K linearly independent choices of r columns the pseudoinverse, which takes
        a vector of the span to its coefficients.
    """
    rank = np.linalg.matrix_rank(columns, tol=RANK)
    chosen = (columns[:, list(basis)] for basis in combinations(range(columns.shape[1]), rank))
    return np.array([np.linalg.pinv(A) for A in chosen if np.linalg.matrix_rank(A, RANK) == rank])


def distance_bound(
    problem: Problem, face: Face, inverses: np.ndarray, model: DeepFactorization, x: np.ndarray
) -> float:
    """Bound the distance of a limit from the maximiser of its criterion on the face (S8).

    Parameters
    ----------
    problem : Problem
        The problem.
    face : Face
        Its l1-minimisers.
    inverses : ndarray of shape (K, r, M)
        From `basis_inverses` of the columns that live on the face.
    model : DeepFactorization
        The model, whose products the signal is a difference of.
    x : ndarray of shape (N,)
        The limit.

    Returns
    -------
    float
        max_B ||A_B^-1 A_off x_off||_inf + max x_off, where ``off`` are the products that no
        minimiser uses and B runs over the bases of the others.
    """
    signs = np.sign(face.point)
    off = [
        np.where(signs == sign, 0.0, np.exp(log_product))
        for sign, log_product in zip((1, -1), model.log_products_by_sign(x), strict=False)
    ]
    moved = problem.dense() @ (off[0] - off[1] if model.signed else off[0])
    return float(np.max(np.abs(inverses @ moved)) + np.max(off))


def has_positive_point(problem: Problem) -> bool:
    """Tell whether some solution has positive entries only, by a linear program.

    Parameters
    ----------
    problem : Problem
        A small problem with a nonnegative solution.

    Returns
    -------
    bool
        Whether the largest t with A z = y, z >= t, t <= 1 is positive.
    """
    A = problem.dense()
    M, N = A.shape
    found = linprog(
        np.append(np.zeros(N), -1.0),
        A_ub=np.column_stack([-np.eye(N), np.ones(N)]),
        b_ub=np.zeros(N),
        A_eq=np.column_stack([A, np.zeros(M)]),
        b_eq=problem.y,
        bounds=[(0, None)] * N + [(None, 1)],
    )
    return bool(found.success and found.x[-1] > RANK)
