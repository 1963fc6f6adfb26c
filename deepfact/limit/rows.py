"""The rows of A: scaled by powers of two, reduced to independent ones, and their pseudo-inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dpotrs

CONSISTENT = 1e-10  # part of |A||x| + |y| up to which a row of A x = y counts as met
BELOW = 1e-4  # rows this far below the signal are met where they are to rounding of the signal
_EVEN = 4.0  # norms of rows and columns within this factor of each other are left as they are
_SMALL = 1e-15  # rows off by less than this part of y are met, without a look at |A||x|
_CLEAR = 1e-3  # ratio of Cholesky's pivots above which A A^T stands for A


def power_of_two(sizes: np.ndarray) -> np.ndarray:
    """Return the powers of two nearest to positive sizes, 1 for what is not positive.

    Parameters
    ----------
    sizes : ndarray
        Of any shape.

    Returns
    -------
    ndarray
        Multiplying or dividing by them is exact.
    """
    sizes = np.asarray(sizes, dtype=np.float64)
    return np.ldexp(1.0, np.round(np.log2(np.where(sizes > 0, sizes, 1.0))).astype(int))


def equilibrate(
    A: np.ndarray, columns: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scale rows, and columns if allowed, to norms near 1; leave an even matrix as it is.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Any matrix.
    columns : bool, optional
        Whether columns may be scaled (default: True).

    Returns
    -------
    B : ndarray of shape (M, N)
        r_i A_ij d_j.
    r, d : ndarray of shape (M,) and (N,)
        Powers of two.
    norms : ndarray of shape (N,)
        Of B's columns.
    """
    r, d = np.ones(len(A)), np.ones(A.shape[1])
    largest = max(A.max(), -A.min())
    B = A
    if not 1e-30 < largest < 1e30:  # squares must neither overflow nor vanish
        unit = power_of_two(largest)
        B, r = A / unit, r / unit
    for _ in range(4):
        by_row = np.sqrt(np.einsum("mn,mn->m", B, B))
        norms = np.sqrt(np.einsum("mn,mn->n", B, B))
        if _is_even(by_row) and (not columns or _is_even(norms)):
            break
        # Largest entries first: norms of what is far below them may underflow.
        by_row = power_of_two(np.abs(B).max(axis=1))
        B, r = B / by_row[:, None], r / by_row
        if columns:
            by_column = power_of_two(np.sqrt(np.einsum("mn,mn->n", B, B)))
            B, d = B / by_column, d / by_column
    return B, r, d, np.sqrt(np.einsum("mn,mn->n", B, B)) if B is not A else norms


def _is_even(sizes: np.ndarray) -> bool:
    sizes = sizes[sizes > 0]
    return len(sizes) == 0 or sizes.max() <= _EVEN * sizes.min()


@dataclass(frozen=True, eq=False)
class Rows:
    """Independent rows of a matrix and what is needed to solve with them.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix, its rows of similar norms.
    kept : ndarray of shape (r,)
        Indices of independent rows.
    reduced : ndarray of shape (r, N)
        These rows.
    cholesky : ndarray or None
        Cholesky factor of A A^T where that is safe.
    factors : tuple or None
        Q and R of the reduced rows' transpose, elsewhere.
    """

    A: np.ndarray
    kept: np.ndarray
    reduced: np.ndarray
    cholesky: np.ndarray | None
    factors: tuple[np.ndarray, np.ndarray] | None

    def solve(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least-norm x with A x = y on the kept rows, and nu with x = A^T nu there.

        Parameters
        ----------
        y : ndarray of shape (r,)
            Right side on the kept rows.

        Returns
        -------
        x : ndarray of shape (N,)
            With one step of refinement.
        nu : ndarray of shape (r,)
            The dual variable.
        """
        x, nu = np.zeros(self.A.shape[1]), np.zeros(len(self.kept))
        missing = y
        for _ in range(2):
            if self.factors is not None:
                Q, R = self.factors
                u = solve_triangular(R, missing, trans="T", check_finite=False)
                x = x + Q @ u
                nu = nu + solve_triangular(R, u, check_finite=False)
            else:
                step = dpotrs(self.cholesky, missing, lower=1)[0]
                x, nu = x + self.reduced.T @ step, nu + step
            missing = y - self.reduced @ x
        return x, nu

    def extend(self, nu: np.ndarray) -> np.ndarray:
        """Return a dual variable of all rows from one of the kept rows.

        Parameters
        ----------
        nu : ndarray of shape (r,)
            On the kept rows.

        Returns
        -------
        ndarray of shape (M,)
            0 on the others.
        """
        if len(self.kept) == len(self.A):
            return nu
        full = np.zeros(len(self.A))
        full[self.kept] = nu
        return full


def independent_rows(A: np.ndarray) -> Rows:
    """Choose independent rows, by one rule for every solver.

    Rows count as dependent where pivoted QR factors of A^T have pivots below rounding,
    max(M, N) units of 8 eps, relative to the largest.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Matrix with rows of similar norms (see `equilibrate`).

    Returns
    -------
    Rows
        With all rows where they are independent.
    """
    M, N = A.shape
    if M <= N:
        factor, failed = dpotrf(dsyrk(1.0, A.T, trans=1, lower=1), lower=1, clean=0)
        pivots = np.diag(factor)
        if not failed and pivots.min() > _CLEAR * pivots.max():
            return Rows(A, np.arange(M), A, factor, None)
    Q, R, order = qr(A.T, mode="economic", pivoting=True, check_finite=False)
    pivots = np.abs(np.diag(R))
    rank = int(np.sum(pivots > 8 * np.finfo(np.float64).eps * max(M, N) * pivots[0]))
    kept = np.sort(order[:rank])
    if rank == 0:
        return Rows(A, kept, A[:0], None, (np.zeros((N, 0)), np.zeros((0, 0))))
    Q, R = qr(A[kept].T, mode="economic", check_finite=False)
    return Rows(A, kept, np.ascontiguousarray(A[kept]), None, (Q, R))


def row_residual(
    A: np.ndarray, x: np.ndarray, y: np.ndarray, size: np.ndarray | None = None
) -> float:
    """Return the largest |A x - y|_i / (|A||x| + |y|)_i, or less where that is below 1e-15.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Matrix.
    x : ndarray of shape (N,)
        Signal.
    y : ndarray of shape (M,)
        Measurements.
    size : ndarray of shape (M,), optional
        What stands for |y|_i (default: that).

    Returns
    -------
    float
        0 for rows that are 0 = 0.
    """
    off, size = np.abs(A @ x - y), np.abs(y if size is None else size)
    # |A| is a copy: only for rows in which y does not decide already.
    open_rows = np.flatnonzero(off > _SMALL * size)
    size[open_rows] += np.abs(A[open_rows]) @ np.abs(x)
    return float(np.max(np.divide(off, size, out=np.zeros_like(off), where=size > 0), initial=0.0))


def row_stable_least_squares(A: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minimise ||A z - y|| for rows of any sizes.

    In rows far above the others y - A z is far below rounding of y: it is a projection of y, by
    reflections that are stable row by row where large rows come first.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        Matrix.
    y : ndarray of shape (M,)
        Right side.

    Returns
    -------
    z : ndarray of shape (N,)
        A minimiser.
    missing : ndarray of shape (M,)
        y - A z.
    """
    order = np.argsort(-np.abs(A).max(axis=1))
    Q, R, columns = qr(A[order], pivoting=True)
    pivots = np.abs(np.diag(R))
    rank = int(np.sum(pivots > 1e-13 * pivots[0]))
    image = Q.T @ y[order]
    z, missing = np.zeros(A.shape[1]), np.zeros(len(y))
    z[columns[:rank]] = solve_triangular(R[:rank, :rank], image[:rank])
    missing[order] = Q[:, rank:] @ image[rank:]
    return z, missing
