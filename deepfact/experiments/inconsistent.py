"""Problems that no nonnegative signal solves, and their minimisers by active sets: for S9."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog, nnls

from deepfact.problem import Problem

KINDS = ("outside the cone", "outside the range", "dependent columns")
"""Ensembles of `inconsistent_problem`."""


def nonnegative_least_squares(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Minimise norm(A z - y) over z >= 0 with `scipy.optimize.nnls`, on a basis of A's range.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix, of any rank.
    y : ndarray of shape (M,)
        The measurements.

    Returns
    -------
    ndarray of shape (N,)
        A minimiser.

    Raises
    ------
    RuntimeError
        If the result does not meet the optimality conditions.

    Notes
    -----
    On matrices with dependent rows nnls itself may return a point that is no minimiser, with no
    warning (scipy 1.17.1; compare issue 25389 of scipy). Hence the basis, and the conditions.
    """
    U, sizes, _ = np.linalg.svd(A, full_matrices=False)
    U = U[:, sizes > 1e-10 * sizes[0]]
    z = nnls(U.T @ A, U.T @ y)[0]
    if optimality_error(A, y, z) > 1e-9:
        raise RuntimeError("scipy.optimize.nnls did not find a minimiser")
    return z


def optimality_error(A: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
    """Return how far z >= 0 is from the optimality conditions of nonnegative least squares.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    y : ndarray of shape (M,)
        The measurements.
    z : ndarray of shape (N,)
        A nonnegative signal.

    Returns
    -------
    float
        With g = A^T (A z - y), the larger of max(-g_i/norm(column i))/norm(y) and
        abs(<g, z>)/norm(y)^2.
    """
    size = np.linalg.norm(y)
    g = A.T @ (A @ z - y)
    return float(max(np.max(-g / np.linalg.norm(A, axis=0)) / size, abs(g @ z) / size**2))


def inconsistent_problem(
    kind: str, M: int, N: int, seed: int | np.random.SeedSequence
) -> tuple[Problem, np.ndarray]:
    """Draw a problem that no nonnegative signal solves, and solve it by active sets.

    Parameters
    ----------
    kind : str
        "outside the cone": Gaussian A and y, one minimiser of the loss; "outside the range": rank
        M/2, y is the image of a sparse nonnegative signal and a part that A cannot reach, many
        minimisers; "dependent columns": as the first, with a quarter of the columns repeated and
        another quarter replaced by sums of two others, many minimisers.
    M, N : int
        Measurements and unknowns.
    seed : int or SeedSequence
        Source of randomness.

    Returns
    -------
    problem : Problem
        The problem.
    nearest : ndarray of shape (N,)
        A minimiser of the loss over z >= 0, from `nonnegative_least_squares`.

    Raises
    ------
    ValueError
        If `kind` is none of the three.
    RuntimeError
        If 100 problems have a nonnegative solution each.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    rng = np.random.default_rng(seed)
    for _ in range(100):
        A = rng.standard_normal((M, N)) / np.sqrt(M)
        y = rng.standard_normal(M) / np.sqrt(M)
        if kind == "outside the range":
            basis = np.linalg.qr(rng.standard_normal((M, M)))[0]
            half = M // 2
            A = basis[:, :half] @ (basis[:, :half].T @ A)
            signal = np.zeros(N)
            chosen = rng.choice(N, size=max(2, half // 2), replace=False)
            signal[chosen] = rng.uniform(0.5, 1.5, size=len(chosen))
            y = A @ signal + 0.5 * basis[:, half:] @ (basis[:, half:].T @ y)
        elif kind == "dependent columns":
            quarter = N // 4
            first = A[:, : N - 2 * quarter]
            repeated = rng.choice(first.shape[1], size=quarter)
            pairs = rng.choice(first.shape[1], size=(2, quarter))
            A = np.hstack([first, first[:, repeated], first[:, pairs[0]] + first[:, pairs[1]]])
        nearest = nonnegative_least_squares(A, y)
        if np.linalg.norm(A @ nearest - y) > 1e-3 * np.linalg.norm(y) and nearest.any():
            return Problem(A, y), nearest
    raise RuntimeError("100 problems had a nonnegative solution each: choose fewer unknowns")


def minimiser_set(problem: Problem, nearest: np.ndarray) -> np.ndarray:
    """Return which coordinates minimisers of the loss over z >= 0 may use.

    Parameters
    ----------
    problem : Problem
        The problem.
    nearest : ndarray of shape (N,)
        One minimiser.

    Returns
    -------
    ndarray of bool, shape (N,)
        Where the gradient of the loss vanishes: Z = {z >= 0 : A z = A nearest, z = 0 elsewhere}.
    """
    A = problem.dense()
    residual = A @ nearest - problem.y
    size = np.linalg.norm(A, axis=0) * np.linalg.norm(residual)
    return A.T @ residual <= 1e-9 * size


def vertices(
    problem: Problem, nearest: np.ndarray, count: int, seed: int | np.random.SeedSequence
) -> np.ndarray:
    """Return vertices of the set of minimisers: of least l1 norm first, then in random directions.

    Parameters
    ----------
    problem : Problem
        The problem.
    nearest : ndarray of shape (N,)
        One minimiser of the loss.
    count : int
        Number of random directions.
    seed : int or SeedSequence
        Source of randomness.

    Returns
    -------
    ndarray of shape (count + 1, N)
        The vertices.

    Raises
    ------
    RuntimeError
        If a linear program is not solved.
    """
    rng = np.random.default_rng(seed)
    used = minimiser_set(problem, nearest)
    A = problem.dense()[:, used]
    # As many equations as the rank: linear programs are then free of rounding in redundant rows.
    _, sizes, V = np.linalg.svd(A, full_matrices=False)
    rank = int(np.sum(sizes > 1e-10 * sizes[0]))
    image = V[:rank] @ nearest[used]
    costs = [np.ones(A.shape[1]), *(rng.uniform(0.1, 1.0, A.shape[1]) for _ in range(count))]
    found = np.zeros((len(costs), problem.N))
    for k, cost in enumerate(costs):
        result = linprog(cost, A_eq=V[:rank], b_eq=image)
        if not result.success:
            raise RuntimeError(f"linear program: {result.message}")
        found[k, used] = np.maximum(result.x, 0.0)
    return found
