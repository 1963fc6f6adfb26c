"""Faces of l1-minimisers, found and maximised on by solvers that know nothing of flows (S8)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import brentq, linprog

from deepfact.problem import Problem

LARGEST_SCALE = 1e4
"""Entries below 1e-4 on the whole face count as zero: linear programs are far more accurate."""


@dataclass(frozen=True, eq=False)
class Face:
    """The face of l1-minimisers: z = point + directions t with signs * z >= 0.

    Parameters
    ----------
    point : ndarray of shape (N,)
        A minimiser whose support is the largest of all.
    support : ndarray of shape (S,)
        That support.
    directions : ndarray of shape (N, d)
        Orthonormal basis of the kernel of A, restricted to the support: the face has dimension d.
    """

    point: np.ndarray
    support: np.ndarray
    directions: np.ndarray

    @property
    def dimension(self) -> int:
        """The dimension d of the face."""
        return self.directions.shape[1]


def minimal_face(problem: Problem, signed: bool) -> Face:
    """Find all l1-minimisers of a small problem by two linear programs.

    Parameters
    ----------
    problem : Problem
        A x = y, feasible (for x >= 0 in the positive model).
    signed : bool
        Signed or positive model.

    Returns
    -------
    Face
        The face of minimisers.

    Raises
    ------
    ValueError
        If there is no feasible point.

    Notes
    -----
    The second program finds the largest support: in homogeneous form, p = tau z with tau >= 1, it
    maximises sum min(p_i, 1) over the cone of minimisers; there each p_i that can be positive is
    at least 1.
    """
    A, y = problem.dense(), problem.y
    B = np.hstack([A, -A]) if signed else A
    M, n = B.shape
    first = linprog(np.ones(n), A_eq=B, b_eq=y)
    if not first.success:
        raise ValueError(f"problem must have a feasible point: {first.message}")
    # Unknowns p, s, tau: B p = tau y, sum p <= tau Q, s <= p.
    room = first.fun * (1 + 1e-10) + 1e-12
    identity = np.eye(n)
    second = linprog(
        np.concatenate([np.zeros(n), -np.ones(n), [0.0]]),
        A_ub=np.vstack(
            [
                np.column_stack([-identity, identity, np.zeros(n)]),
                np.concatenate([np.ones(n), np.zeros(n), [-room]]),
            ]
        ),
        b_ub=np.zeros(n + 1),
        A_eq=np.column_stack([B, np.zeros((M, n)), -y]),
        b_eq=np.zeros(M),
        bounds=[(0, None)] * n + [(0, 1)] * n + [(1, LARGEST_SCALE)],
    )
    p = np.where(second.x[n : 2 * n] > 0.5, second.x[:n] / second.x[-1], 0.0)
    point = p[: A.shape[1]] - p[A.shape[1] :] if signed else p
    support = np.flatnonzero(point)
    point[support] += np.linalg.lstsq(A[:, support], y - A @ point, rcond=None)[0]
    directions = np.zeros((A.shape[1], 0))
    if len(support):
        kernel = null_space(A[:, support], rcond=1e-10)
        directions = np.zeros((A.shape[1], kernel.shape[1]))
        directions[support] = kernel
    return Face(point, support, directions)


def maximise_on_face(face: Face, depth: float) -> np.ndarray:
    """Maximise the criterion of S8 over a face with cvxpy and CLARABEL; Newton steps refine.

    Parameters
    ----------
    face : Face
        The face of minimisers.
    depth : float
        L = 2: entropy; L > 2: sum abs(z)^(2/L); infinite: sum log abs(z).

    Returns
    -------
    ndarray of shape (N,)
        The maximiser.
    """
    import cvxpy as cp  # takes a second to import

    signs = np.sign(face.point[face.support])
    t = cp.Variable(face.dimension)
    size = np.abs(face.point[face.support]) + (signs[:, None] * face.directions[face.support]) @ t
    if depth == 2:
        criterion = cp.sum(cp.entr(size))
    elif np.isinf(depth):
        criterion = cp.sum(cp.log(size))
    else:
        criterion = cp.sum(cp.power(size, 2 / depth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "may be inaccurate": Newton's method sees to that
        cp.Problem(cp.Maximize(criterion)).solve(solver="CLARABEL")
    z = np.abs(face.point + face.directions @ t.value)[face.support]
    D = signs[:, None] * face.directions[face.support]
    exponent = 2 / depth - 1 if depth > 2 else -1.0
    for _ in range(20):
        slope = z**exponent if depth > 2 else -np.log(z)
        curvature = z ** (exponent - 1) if depth > 2 else 1 / z
        step = D @ np.linalg.solve((D.T * curvature) @ D, D.T @ slope)
        step /= abs(exponent) if depth > 2 else 1.0
        if not np.all(z + step > 0):
            break
        z = z + step
    maximiser = np.zeros(len(face.point))
    maximiser[face.support] = signs * z
    return maximiser


def integer_problem(
    M: int, N: int, s: int, signed: bool, seed: int | np.random.SeedSequence
) -> tuple[Problem, Face]:
    """Draw problems with entries -1, 0, 1 until one has more than one l1-minimiser.

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns, nonzeros of the signal (integers from 1 to 4, with random signs in
        the signed model).
    signed : bool
        Signed or positive model.
    seed : int or SeedSequence
        Source of randomness.

    Returns
    -------
    problem : Problem
        The problem.
    face : Face
        Its minimisers, a face of dimension at least 1.

    Raises
    ------
    RuntimeError
        If 1000 problems have a unique minimiser each.
    """
    rng = np.random.default_rng(seed)
    for _ in range(1000):
        A = rng.integers(-1, 2, size=(M, N)).astype(float)
        x = np.zeros(N)
        x[rng.choice(N, size=s, replace=False)] = rng.integers(1, 5, size=s)
        if signed:
            x *= rng.choice([-1.0, 1.0], size=N)
        problem = Problem(A, A @ x)
        if not problem.y.any() or np.linalg.matrix_rank(A) < M:
            continue
        face = minimal_face(problem, signed)
        if face.dimension:
            return problem, face
    raise RuntimeError("1000 problems had a unique minimiser each: choose another size")


def mean_column_problem(ratio: float) -> Problem:
    """Return the problem whose minimisers are a segment: columns e_1, e_2 and their mean.

    Parameters
    ----------
    ratio : float
        y = (1, ratio), 0 < ratio <= 1.

    Returns
    -------
    Problem
        Its nonnegative solutions x = (1 - t, ratio - t, 2 t), 0 <= t <= ratio, have one l1 norm.
    """
    return Problem(np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]), np.array([1.0, ratio]))


def mean_column_position(ratio: float, depth: float) -> float:
    """Return the predicted t/ratio: x_3 is the mean of x_1 and x_2 with exponent -(1 - 2/L).

    Parameters
    ----------
    ratio : float
        As in `mean_column_problem`.
    depth : float
        Number L of factors.

    Returns
    -------
    float
        Position on the segment, between 0 (only e_1 and e_2) and 1 (as much of the mean as can be).
    """
    theta = 1 - 2 / depth

    def excess(t):
        one, two = 1 - t, ratio - t
        if theta == 0:
            return 2 * t - np.sqrt(one * two)
        return 2 * t - ((one**-theta + two**-theta) / 2) ** (-1 / theta)

    return brentq(excess, 0.0, ratio * (1 - 1e-12), xtol=1e-15) / ratio
