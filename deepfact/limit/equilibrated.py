"""An operator known by its products, with rows and columns of about equal length.

Lengths are read off a sparse matrix; of any other operator, off products with normal random
vectors, for (A^T u)_i has variance ||A e_i||^2. Scaling is by powers of two, columns that are zero
are left out, and an operator whose rows and columns are of about equal length is left as it is.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

_UNEVEN = 0.3  # relative variance of squared lengths above which one scales
_PROBES = 8  # random vectors that probe an uneven operator, for each side and sweep
_SWEEPS = 3  # sweeps over rows and columns
_ADJOINT = 1e-6  # <A x, r> = <x, A^T r> up to this part of ||A x|| ||r||
_EMPTY = 1e-14  # columns below this part of the longest are zero
_MAX_ENTRIES = 2**24  # most entries of the columns that are drawn: 128 MiB


class Products:
    """A and its adjoint, their number of applications, and ||A|| as far as seen.

    Parameters
    ----------
    A : LinearOperator of shape (M, N)
        With an adjoint.

    Raises
    ------
    ValueError
        If A has no adjoint.
    """

    def __init__(self, A: LinearOperator) -> None:
        self.A, self.count, self.norm = A, 0, 0.0
        matrix = getattr(A, "A", None)
        self.matrix = matrix.tocsc() if issparse(matrix) else None

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return A x."""
        self.count += 1
        Ax, length = self.A.matvec(x), np.linalg.norm(x)
        self.norm = max(self.norm, float(np.linalg.norm(Ax) / length) if length > 0 else 0.0)
        return Ax

    def adjoint(self, r: np.ndarray) -> np.ndarray:
        """Return A^T r."""
        self.count += 1
        try:
            return self.A.rmatvec(r)
        except NotImplementedError:
            raise ValueError("problem.A must have an adjoint: give rmatvec") from None


class Equilibrated:
    """diag(rows) A diag(columns), without columns that are zero.

    Parameters
    ----------
    products : Products
        The operator.

    Raises
    ------
    ValueError
        If A has no adjoint, or rmatvec is not the adjoint of matvec.
    """

    def __init__(self, products: Products) -> None:
        self.products = products
        M, self.full = products.A.shape
        self.kept = np.arange(self.full)
        self.rows, self.columns = np.ones(M), np.ones(self.full)
        self._scale()
        self.kept = np.flatnonzero(self.columns)
        self.columns = self.columns[self.kept]
        self.shape = M, len(self.kept)
        self._as_it_is = np.sum(self.columns == 1.0) == self.full and np.all(self.rows == 1.0)
        self.log_columns = np.log(self.columns)
        self.drawn = 0  # products spent on single columns
        self.slow = False  # whether conjugate gradients were slow once
        self._place = np.full(self.shape[1], -1)
        self._columns, self._sparse = np.empty((0, M)), None
        if products.matrix is not None:
            scaled = products.matrix[:, self.kept].T.multiply(self.columns[:, None])
            self._sparse = scaled.multiply(self.rows).tocsr()

    @property
    def work(self) -> int:
        """Products, but for those that drew columns."""
        return self.products.count - self.drawn

    def forward(self, z: np.ndarray) -> np.ndarray:
        """Return the scaled operator's product with z."""
        if self._as_it_is:
            return self.products.forward(z)
        return self.rows * self.products.forward(self.put(np.zeros(self.full), z))

    def adjoint(self, r: np.ndarray) -> np.ndarray:
        """Return the product of the scaled operator's adjoint with r."""
        if self._as_it_is:
            return self.products.adjoint(r)
        return self.columns * self.products.adjoint(self.rows * r)[self.kept]

    def put(self, start: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return the unscaled vector: z on the columns that are kept, ``start`` on others."""
        x = start.copy()
        x[self.kept] = self.columns * z
        return x

    def restrict(self, values) -> np.ndarray:
        """Return the entries of a vector or scalar that belong to columns that are kept."""
        return np.broadcast_to(values, self.full)[self.kept]

    def take(self, chosen: np.ndarray):
        """Return some columns as rows of a matrix, None if they cost more than was spent so far.

        Parameters
        ----------
        chosen : ndarray of int
            Which columns.

        Returns
        -------
        ndarray or sparse array of shape (len(chosen), M), or None
            Each is drawn once.
        """
        if self._sparse is not None:
            return self._sparse[chosen]
        M = self.shape[0]
        new = chosen[self._place[chosen] < 0]
        have = len(self._columns)
        if have + len(new) > min(_MAX_ENTRIES // M, self.work):  # at most half of all products
            return None
        if len(new):
            self._place[new] = have + np.arange(len(new))
            self._columns = np.vstack([self._columns, self._draw(new)])
        return self._columns[self._place[chosen]]

    def _draw(self, new) -> np.ndarray:
        unit, columns = np.zeros(self.shape[1]), np.empty((len(new), self.shape[0]))
        for row, i in zip(columns, new, strict=True):
            unit[i] = 1.0
            row[:] = self.forward(unit)
            unit[i] = 0.0
        self.drawn += len(new)
        return columns

    def _scale(self) -> None:
        """Find rows and columns; check the adjoint."""
        if self.products.matrix is not None:
            squares = self.products.matrix.multiply(self.products.matrix)
            row, column = squares.dot, squares.T.dot
            uneven = (
                _variance(column(self.rows)) > _UNEVEN or _variance(row(self.columns)) > _UNEVEN
            )
            empty = column(self.rows) == 0
        else:
            rng = np.random.default_rng(0)
            M, N = self.products.A.shape

            def row(columns, probes=_PROBES):
                z = np.sqrt(columns)[:, None] * rng.standard_normal((N, probes))
                return np.mean([self.products.forward(each) ** 2 for each in z.T], axis=0)

            def column(rows, probes=_PROBES):
                u = np.sqrt(rows)[:, None] * rng.standard_normal((M, probes))
                return np.mean([self.products.adjoint(each) ** 2 for each in u.T], axis=0)

            z, u = rng.standard_normal(N), rng.standard_normal(M)
            Az, Atu = self.products.forward(z), self.products.adjoint(u)
            off = abs(Az @ u - z @ Atu)
            if off > _ADJOINT * np.linalg.norm(Az) * np.linalg.norm(u):
                raise ValueError(
                    "problem.A must have rmatvec as the adjoint of matvec: <A x, r> and <x, A^T r> "
                    f"are {Az @ u:.6g} and {z @ Atu:.6g} for random x and r"
                )
            empty = np.abs(Atu) <= _EMPTY * np.abs(Atu).max()
            # the square of a normal variable has relative variance 2
            lengths = (_variance(each**2) for each in (Az, Atu))
            uneven = any(variance > 2 + 3 * _UNEVEN for variance in lengths)
        if uneven:
            r, c = self.rows, self.columns
            for _ in range(_SWEEPS):
                r = _inverse(row(c))
                c = _inverse(column(r))
            self.rows, self.columns = (np.exp2(np.round(0.5 * np.log2(each))) for each in (r, c))
        self.columns = np.where(empty, 0.0, self.columns)


def _variance(values) -> float:
    """Return the relative variance, 0 of a zero vector."""
    mean = values.mean()
    return float(np.mean((values / mean - 1) ** 2)) if mean > 0 else 0.0


def _inverse(squares) -> np.ndarray:
    """Return the reciprocals, 1 where an entry is 0."""
    return 1 / np.where(squares > 0, squares, 1.0)
