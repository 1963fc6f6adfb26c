"""Linear algebra and linear programs over the rationals: float64 data are rational numbers.

Floating point proposes (a support, a basis), rational arithmetic proves or goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flint import fmpq, fmpq_mat
from scipy.optimize import linprog, nnls

ZERO = fmpq(0)


def rational(value: float) -> fmpq:
    """Return the rational number that a float64 is."""
    return fmpq(*float(value).as_integer_ratio())


def rational_matrix(A) -> fmpq_mat:
    """Return a float64 matrix, or a vector as one column, over the rationals."""
    A = np.asarray(A, dtype=np.float64)
    A = A[:, None] if A.ndim == 1 else A
    return fmpq_mat(*A.shape, [rational(v) for v in A.ravel()])


def column(values) -> fmpq_mat:
    """Return a list of rational numbers as a column."""
    return fmpq_mat(len(values), 1, list(values))


def take(A: fmpq_mat, rows=None, columns=None) -> fmpq_mat:
    """Return the submatrix of these rows and columns (None: all)."""
    rows = range(A.nrows()) if rows is None else rows
    columns = range(A.ncols()) if columns is None else columns
    return fmpq_mat(len(rows), len(columns), [A[i, j] for i in rows for j in columns])


def pivots(A: fmpq_mat) -> list[int]:
    """Return the first columns of A that are independent and span its range."""
    if not A.nrows() or not A.ncols():
        return []
    R, rank = A.rref()
    found, j = [], 0
    for i in range(rank):
        while R[i, j] == 0:
            j += 1
        found.append(j)
    return found


def floats(values) -> np.ndarray:
    """Return rational numbers, rounded to float64; 0 or infinite beyond its range."""
    return np.array([_to_float(v) for v in values])


def _to_float(v: fmpq) -> float:
    p, q = int(v.p), int(v.q)
    try:
        return p / q
    except OverflowError:
        return np.inf if p > 0 else -np.inf


def equilibrated(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (r A c, r, c) with r, c powers of two; largest entries of rows and columns near 1."""
    B = np.abs(np.asarray(A, dtype=np.float64))
    r, c = np.ones(B.shape[0]), np.ones(B.shape[1])
    for _ in range(4):
        size = np.sqrt((B**2).max(axis=1)) if B.size else r
        f = np.exp2(-np.round(np.log2(np.where(size > 0, size, 1.0))))
        B, r = B * f[:, None], r * f
        size = B.max(axis=0)
        f = np.exp2(-np.round(np.log2(np.where(size > 0, size, 1.0))))
        B, c = B * f, c * f
    return A * r[:, None] * c, r, c


@dataclass(frozen=True)
class LeastSquares:
    """Exact minimisers of norm(A z - y), over all z or over z >= 0."""

    z: list  # one minimiser
    target: fmpq_mat  # A z, the same for every minimiser
    feasible: bool  # whether A z = y
    columns: list[int]  # where the loss's gradient vanishes: all others are 0 in every minimiser
    smallest: float  # smallest gradient beyond, relative to norm(A_j) norm(A z - y); inf: none


def least_squares(A: np.ndarray, y: np.ndarray, positive: bool) -> LeastSquares:
    """Return the exact least-squares problem's solution; Lawson and Hanson's method for z >= 0."""
    E, f = rational_matrix(A), rational_matrix(y)
    N = E.ncols()
    if not positive:
        z = [ZERO] * N
        support = pivots(E)
        if support:
            part = _normal_solution(E, f, support)
            for k, j in enumerate(support):
                z[j] = part[k, 0]
        target = E * column(z)
        return LeastSquares(z, target, target == f, list(range(N)), np.inf)
    z = _nonnegative(E, f, _guess_support(A, y))
    target = E * column(z)
    residual = f - target
    gradient = (E.transpose() * residual).entries()  # <= 0 at a minimiser
    columns = [j for j in range(N) if gradient[j] == 0]
    off = [j for j in range(N) if gradient[j] != 0]
    smallest = np.inf
    if off:
        distance = np.linalg.norm(floats(residual.entries()))
        with np.errstate(all="ignore"):
            sizes = np.linalg.norm(A[:, off], axis=0) * distance
            smallest = float(np.nanmin(-floats([gradient[j] for j in off]) / sizes))
    return LeastSquares(z, target, residual == 0 * residual, columns, smallest)


def _normal_solution(E, f, support):
    S = take(E, columns=support)
    return (S.transpose() * S).solve(S.transpose() * f)


def _guess_support(A, y):
    B, r, _ = equilibrated(A)
    size = np.max(np.abs(r * y))
    if size == 0:
        return []
    try:
        z, _ = nnls(B, r * y / size)
    except RuntimeError:
        return []
    return [int(j) for j in np.argsort(-z) if z[j] > 0]


def _nonnegative(E, f, guess):
    """Return the exact minimiser of norm(E z - f) over z >= 0."""
    N = E.ncols()
    z, support = [ZERO] * N, []
    if guess:
        guess = [guess[k] for k in pivots(take(E, columns=guess))]
        part = _normal_solution(E, f, guess)
        if all(part[k, 0] > 0 for k in range(len(guess))):
            support = list(guess)
            for k, j in enumerate(support):
                z[j] = part[k, 0]
    for _ in range(500):
        gradient = (E.transpose() * (f - E * column(z))).entries()
        entering = [j for j in range(N) if j not in support and gradient[j] > 0]
        if not entering:
            return z
        # The gradient's sign, not its size, decides: any choice lowers the loss.
        support.append(max(entering, key=lambda j: gradient[j]))
        while True:
            part = _normal_solution(E, f, support)
            short = [k for k in range(len(support)) if part[k, 0] <= 0]
            if not short:
                break
            step = min(
                z[support[k]] / (z[support[k]] - part[k, 0])
                for k in short
                if z[support[k]] - part[k, 0] != 0
            )
            for k, j in enumerate(support):
                z[j] = z[j] + step * (part[k, 0] - z[j])
            for j in [j for j in support if z[j] <= 0]:
                z[j] = ZERO
                support.remove(j)
        z = [ZERO] * N
        for k, j in enumerate(support):
            z[j] = part[k, 0]
    raise ArithmeticError("exact nonnegative least squares did not end")


@dataclass(frozen=True)
class BasisPursuit:
    """The exact optimum of min norm_1(x) subject to A x = t (x >= 0)."""

    value: fmpq
    x: list
    dual: list  # <t, dual> = value, abs(A^T dual) <= 1 (positive: A^T dual <= 1)


def basis_pursuit(E: fmpq_mat, target: fmpq_mat, start: list, positive: bool) -> BasisPursuit:
    """Return the exact minimum of the l1 norm; ``start`` is any feasible point of the program."""
    rows = pivots(E.transpose())
    N = E.ncols()
    if not rows:
        return BasisPursuit(ZERO, [ZERO] * N, [ZERO] * E.nrows())
    R, t = take(E, rows=rows), take(target, rows=rows)
    basis = _proposed_basis(R, t, positive)
    solution = take(R, columns=basis).solve(t).entries()
    if positive and any(v < 0 for v in solution):
        basis = _vertex_basis(R, start)
    if not positive:  # x = p - q with columns A, -A
        R = fmpq_mat(
            len(rows),
            2 * N,
            [s * R[i, j] for i in range(len(rows)) for s in (1, -1) for j in range(N)],
        )
        basis = [j if v >= 0 else j + N for j, v in zip(basis, solution, strict=True)]
    x, dual, ray = simplex(R, t, [fmpq(1)] * R.ncols(), basis)
    if ray is not None:
        raise ArithmeticError("a sum of absolute values is unbounded below")
    value = sum(x, ZERO)
    if not positive:
        x = [x[j] - x[j + N] for j in range(N)]
    full = [ZERO] * E.nrows()
    for k, i in enumerate(rows):
        full[i] = dual[k]
    return BasisPursuit(value, x, full)


def simplex(R: fmpq_mat, t: fmpq_mat, cost: list, basis: list[int]):
    """Minimise <cost, x> over R x = t, x >= 0, from a feasible basis; Bland's rule: no cycles.

    Returns (x, dual, None), or (x, dual, ray) where the program is unbounded along ray >= 0.
    """
    N, basis = R.ncols(), list(basis)
    for _ in range(5000):
        B = take(R, columns=basis)
        values = B.solve(t).entries()
        dual = B.transpose().solve(column([cost[j] for j in basis]))
        price = (R.transpose() * dual).entries()
        x = [ZERO] * N
        for j, v in zip(basis, values, strict=True):
            x[j] = v
        entering = next((j for j in range(N) if price[j] > cost[j]), None)
        if entering is None:
            return x, dual.entries(), None
        move = B.solve(take(R, columns=[entering])).entries()
        ratios = [(values[k] / move[k], basis[k], k) for k in range(len(basis)) if move[k] > 0]
        if not ratios:
            ray = [ZERO] * N
            ray[entering] = fmpq(1)
            for j, v in zip(basis, move, strict=True):
                ray[j] = -v
            return x, dual.entries(), ray
        basis[min(ratios)[2]] = entering
    raise ArithmeticError("the exact simplex method did not end")


def _proposed_basis(R, t, positive):
    """Return a basis that floating point holds for optimal."""
    A = np.array([[_to_float(R[i, j]) for j in range(R.ncols())] for i in range(R.nrows())])
    y = floats(t.entries())
    B, r, c = equilibrated(A)
    y = y * r
    size = np.max(np.abs(y)) or 1.0
    cost = c / c.max()
    order = list(range(R.ncols()))
    if np.all(np.isfinite(y)) and np.all(np.isfinite(B)):
        both = B if positive else np.hstack([B, -B])
        costs = cost if positive else np.tile(cost, 2)
        found = linprog(costs, A_eq=both, b_eq=y / size, method="highs-ds")
        if found.status == 0:
            x = found.x if positive else np.maximum(*np.split(found.x, 2))
            reduced = cost - B.T @ found.eqlin.marginals
            if not positive:
                reduced = np.minimum(reduced, cost + B.T @ found.eqlin.marginals)
            order = sorted(order, key=lambda j: (-x[j], abs(reduced[j])))
    return [order[k] for k in pivots(take(R, columns=order))]


def _vertex_basis(R, start):
    """Return a basis with a nonnegative solution, from a feasible point that may be no vertex."""
    x = list(start)
    while True:
        support = [j for j in range(R.ncols()) if x[j] > 0]
        kept = [support[k] for k in pivots(take(R, columns=support))] if support else []
        if len(kept) == len(support):
            break
        # Move along a null vector of the support's columns until an entry vanishes.
        extra = next(j for j in support if j not in kept)
        weights = _combination(R, kept, extra)
        direction = dict(zip(kept, [-w for w in weights], strict=True)) | {extra: fmpq(1)}
        if all(v >= 0 for v in direction.values()):
            direction = {j: -v for j, v in direction.items()}
        step = min(x[j] / -v for j, v in direction.items() if v < 0)
        for j, v in direction.items():
            x[j] = x[j] + step * v
    order = support + [j for j in range(R.ncols()) if j not in support]
    return [order[k] for k in pivots(take(R, columns=order))]


def _combination(R, kept, extra):
    S = take(R, columns=kept)
    gram = S.transpose() * S
    return gram.solve(S.transpose() * take(R, columns=[extra])).entries()


def vanishing_columns(
    E: fmpq_mat, target: fmpq_mat, start: list
) -> tuple[list[int], np.ndarray | None]:
    """Return the columns that are 0 in every z >= 0 with E z = target, and eta that shows it.

    A^T eta is at least 1 in the columns returned, 0 in all others, and <target, eta> = 0. The
    largest sum over the columns that were 0 so far is found until it is 0.
    """
    rows = pivots(E.transpose())
    if not rows:
        return [], None
    R, t = take(E, rows=rows), take(target, rows=rows)
    N = R.ncols()
    basis = _vertex_basis(R, start)
    unknown = [j for j in range(N) if not start[j] > 0]
    while unknown:
        cost = [fmpq(-1) if j in unknown else ZERO for j in range(N)]
        x, dual, ray = simplex(R, t, cost, basis)
        seen = [j for j in unknown if x[j] > 0 or (ray is not None and ray[j] > 0)]
        if not seen:
            full = np.zeros(E.nrows())
            full[rows] = -floats(dual)
            return unknown, full
        unknown = [j for j in unknown if j not in seen]
    return [], None
