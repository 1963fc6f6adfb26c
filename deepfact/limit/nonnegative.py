"""What nonnegativity leaves: the nearest point of the cone, and coordinates that always vanish."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog, nnls

from deepfact.limit.rows import CONSISTENT, row_residual, row_stable_least_squares

_ZERO = 1e-7  # entries whose power is below this part of the largest one's count as 0
_DIAMETER = 1e-10  # entries below this count as 0 where the others do not answer to them
_OPTIMAL = 1e-9  # pull of the nearest point's error below this part of its terms is 0
_EVEN = 1e3  # ratio of rows up to which rounding of y in one is not felt in another
_CLOSE = 1e-6  # where the nearest point is this near, relative to y, rounding of y counts
_RANK = 1e-10  # singular values below this part of the largest are rounding
_PRIME = 2**31 - 1  # ranks are counted modulo this prime


def nearest_point(A: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute y - A z for a minimiser of ||A z - y|| over z >= 0, and prove that it is one.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Matrix with columns of similar norms.
    y : ndarray of shape (M,)
        Right side.

    Returns
    -------
    missing : ndarray of shape (M,)
        y - A z; 0 where A z = y within rounding, or where optimality could not be proved.
    free : ndarray of bool, shape (N,)
        Which entries may be positive in a minimiser: those where A^T (A z - y) = 0.

    Notes
    -----
    scipy's nnls may return what is no minimiser, or not end, on matrices with dependent rows (its
    issue 25389): hence the conditions of optimality, A^T (A z - y) >= 0, and = 0 where z > 0.
    """
    unit, size = np.abs(A).max() or 1.0, np.abs(y).max() or 1.0
    A, y = A / unit, y / size
    norms = np.linalg.norm(A, axis=0)
    norms = np.where(norms > 0, norms, 1.0)
    rows = np.abs(A).max(axis=1)
    even = rows.max() <= _EVEN * rows[rows > 0].min()
    for scale in (np.ones_like(norms), norms):  # on ties one start may cycle where another does not
        try:
            z, _ = nnls(A / scale, y)
        except RuntimeError:  # out of iterations
            z = np.zeros(A.shape[1])
        z, missing = _polished(A / norms, y, z * norms / scale)
        z = z / norms
        distance = np.linalg.norm(missing)
        pull = A.T @ missing
        allowed = _OPTIMAL * (np.abs(A).T @ np.abs(missing))
        if even or distance <= _CLOSE * np.linalg.norm(y):  # known to rounding of y
            allowed = allowed + 1e-15 * (np.abs(A).T @ (np.abs(A) @ z + np.abs(y)))
        if np.all(pull <= allowed) and np.all(np.abs(pull)[z > 0] <= allowed[z > 0]):
            near = row_residual(A, z, y) <= CONSISTENT
            near = near or distance <= CONSISTENT * np.linalg.norm(y)
            return missing * (0.0 if near else size), pull >= -allowed
    return np.zeros(len(y)), pull >= -allowed


def _polished(A, y, z):
    """Go on from nnls, which works with A^T A, by Lawson and Hanson's steps in A itself."""
    support, missing = z > 0, y
    for _ in range(3 * A.shape[1]):
        while support.any():
            goal = np.zeros(len(z))
            goal[support], missing = row_stable_least_squares(A[:, support], y)
            falling = support & (goal <= 0)
            if not falling.any():
                z = goal
                break
            share = np.full(len(z), np.inf)
            share[falling] = z[falling] / (z[falling] - goal[falling])
            out = int(np.argmin(share))
            z = np.where(support, z + share[out] * (goal - z), 0.0)
            z[out], support[out], missing = 0.0, False, y
        pull = np.where(support, 0.0, A.T @ missing)
        new = int(np.argmax(pull))
        if pull[new] <= 1e-13 * (np.abs(A[:, new]) @ np.abs(missing)):
            break
        support[new] = True
    return z, missing


def always_zero(B: np.ndarray, y: np.ndarray, unit: np.ndarray, power: float) -> np.ndarray:
    """Return which coordinates vanish on all of {z >= 0 : B z = y}.

    Such a set has a certificate, a vector m with B^T m >= 0, positive on the set, and <y, m> = 0.
    In floating point it leaves entries of the set as large as rounding of y, and dual variables as
    large as the flow gives such entries. The other coordinates do not answer to these where their
    columns have rank below M exactly, for then m can be orthogonal to them exactly.

    Parameters
    ----------
    B : ndarray of shape (M, N)
        Independent rows.
    y : ndarray of shape (M,)
        Right side.
    unit : ndarray of shape (N,)
        What an entry 1 of z is worth in the signal.
    power : float
        2/L: the flow weighs small entries by their powers, so that elsewhere an entry must be the
        nearer to 0 to count as 0, the deeper the flow is.

    Returns
    -------
    ndarray of bool, shape (N,)
        All False where the certificate does not hold.
    """
    M, N = B.shape
    if M == 0:
        return np.zeros(N, dtype=bool)
    eye = np.eye(N)
    nothing = np.zeros(N, dtype=bool)
    for tolerance in (1e-10, 1e-7):  # HiGHS may end with an unknown status where it asks too much
        found = linprog(
            np.concatenate([np.zeros(N), -np.ones(N), [0.0]]),
            A_ub=np.hstack([-eye, eye, np.zeros((N, 1))]),
            b_ub=np.zeros(N),
            A_eq=np.hstack([B, np.zeros((M, N)), -y[:, None]]),
            b_eq=np.zeros(M),
            bounds=[(0, None)] * N + [(0, 1)] * N + [(1, None)],
            method="highs",
            options={
                "primal_feasibility_tolerance": tolerance,
                "dual_feasibility_tolerance": tolerance,
            },
        )
        if found.status == 0:
            break
    else:
        return nothing
    zero = found.x[N : 2 * N] < 0.5
    # The program's m is orthogonal to the other columns as far as its solver's tolerance only.
    rest = B[:, ~zero]
    Q, sizes, _ = np.linalg.svd(rest, full_matrices=False)
    rank = int(np.sum(sizes > _RANK * sizes.max(initial=0.0)))
    m = -found.eqlin.marginals
    for _ in range(2):
        m = m - Q[:, :rank] @ (Q[:, :rank].T @ m)
    pull = B.T @ m
    # For any solution z, <y, m> = <z, B^T m>: so much can an entry of the set be, at most.
    z = found.x[:N] / found.x[-1]
    paid = abs(y @ m) + 1e-15 * (np.abs(y) @ np.abs(m)) + z.max() * np.maximum(-pull, 0.0).sum()
    most = paid * np.max(unit, where=zero, initial=0.0)
    largest = np.max(z * unit)
    # y = 0 may leave nothing at all: then B^T m > 0 says so by Gordan's alternative.
    part = most / largest if largest > 0 else 0.0
    small = part**power <= _ZERO if largest > 0 else np.all(pull > 0)
    if not small and part <= _DIAMETER:
        small = rank == rest.shape[1] or (rank < M and exact_rank(rest) == rank)
    return zero if small and np.all(pull[zero] >= 0.9) else nothing


def exact_rank(B: np.ndarray) -> int:
    """Compute the rank of a matrix of binary fractions without rounding.

    Parameters
    ----------
    B : ndarray of shape (M, N)
        Finite numbers.

    Returns
    -------
    int
        The rank modulo a large prime: the rank itself but for one matrix in a billion, for which
        it is less.
    """
    mantissas, exponents = np.frexp(B)
    rows = np.ldexp(mantissas, 53).astype(np.int64) % _PRIME
    twos = np.array([pow(2, int(e), _PRIME) for e in range(exponents.max() - exponents.min() + 1)])
    rows = rows * twos[exponents - exponents.min()] % _PRIME
    rank = 0
    for column in range(rows.shape[1]):
        found = np.flatnonzero(rows[rank:, column])
        if len(found) == 0:
            continue
        rows[[rank, rank + found[0]]] = rows[[rank + found[0], rank]]
        rows[rank] = rows[rank] * pow(int(rows[rank, column]), -1, _PRIME) % _PRIME
        below = rows[rank + 1 :]
        below -= below[:, [column]] * rows[rank] % _PRIME
        below %= _PRIME
        rank += 1
        if rank == len(rows):
            break
    return rank
