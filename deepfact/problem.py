"""Underdetermined linear problems y = A x and seeded generators of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import dct, idct
from scipy.sparse.linalg import LinearOperator

from deepfact.arguments import as_count, as_real_array, as_real_number


@dataclass(frozen=True, eq=False)
class Problem:
    """A linear problem: recover x in R^N from y = A x in R^M.

    Parameters
    ----------
    A : array_like of shape (M, N) or scipy.sparse.linalg.LinearOperator
        The measurement matrix. Arrays are converted to float64.
    y : array_like of shape (M,)
        The measurements.
    x_true : array_like of shape (N,), optional
        The vector behind the measurements, where it is known (default: None).

    Raises
    ------
    TypeError
        If ``A``, ``y`` or ``x_true`` is not real and numeric.
    ValueError
        If one of them is empty, not finite, or of a shape that does not fit the others.

    Notes
    -----
    The model and its conventions: section "Conventions" of ``docs/statements.md``.
    """

    A: np.ndarray | LinearOperator
    y: np.ndarray
    x_true: np.ndarray | None = None

    def __post_init__(self) -> None:
        A = self.A
        if isinstance(A, LinearOperator):
            if A.dtype is not None and np.issubdtype(A.dtype, np.complexfloating):
                raise TypeError(f"A must be real, got a LinearOperator of dtype {A.dtype}")
            if min(A.shape) < 1:
                raise ValueError(f"A must have at least one row and one column, got {A.shape}")
        else:
            A = as_real_array("A", A, ndim=2)
        y = as_real_array("y", self.y, ndim=1)
        if len(y) != A.shape[0]:
            raise ValueError(f"y must have length M = {A.shape[0]} (the rows of A), got {len(y)}")
        x_true = self.x_true
        if x_true is not None:
            x_true = as_real_array("x_true", x_true, ndim=1)
            if len(x_true) != A.shape[1]:
                raise ValueError(
                    f"x_true must have length N = {A.shape[1]} (the columns of A), "
                    f"got {len(x_true)}"
                )
        object.__setattr__(self, "A", A)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "x_true", x_true)

    @property
    def M(self) -> int:
        """Number of measurements."""
        return self.A.shape[0]

    @property
    def N(self) -> int:
        """Number of unknowns."""
        return self.A.shape[1]

    def dense(self) -> np.ndarray:
        """Return A as an (M, N) array; a LinearOperator is applied to the identity.

        Returns
        -------
        ndarray of shape (M, N)
            The matrix (the array itself where ``A`` is one: do not write to it).
        """
        if isinstance(self.A, LinearOperator):
            if self.M <= self.N:  # the shorter side is the cheaper one to probe
                try:
                    return np.ascontiguousarray(self.A.rmatmat(np.eye(self.M)).T)
                except (NotImplementedError, TypeError):  # no adjoint was given
                    pass
            return np.asarray(self.A.matmat(np.eye(self.N)))
        return self.A


def gaussian_problem(
    M: int,
    N: int,
    s: int,
    seed: int | np.random.SeedSequence | np.random.Generator = 0,
    nonnegative: bool = False,
    noise: float = 0.0,
) -> Problem:
    """Draw a problem with A_ij ~ N(0, 1/M) and an s-sparse vector.

    Parameters
    ----------
    M, N : int
        Number of measurements and of unknowns, both at least 1.
    s : int
        Number of nonzeros of ``x_true``, 0 <= s <= N; their places are uniform, their values
        standard normal (absolute values of such with ``nonnegative``).
    seed : int, SeedSequence or Generator, optional
        Source of randomness (default: 0). Equal seeds give equal problems.
    nonnegative : bool, optional
        Draw a nonnegative vector (default: False).
    noise : float, optional
        Standard deviation of the normal noise on each measurement (default: 0, none).

    Returns
    -------
    Problem
        With ``y = A @ x_true + e``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.
    """
    rng = _check_and_seed(M, N, s, seed, noise)
    A = rng.standard_normal((M, N)) / np.sqrt(M)
    return _measure(A, N, s, rng, nonnegative, noise)


def rademacher_problem(
    M: int,
    N: int,
    s: int,
    seed: int | np.random.SeedSequence | np.random.Generator = 0,
    nonnegative: bool = False,
    noise: float = 0.0,
) -> Problem:
    """Draw a problem with A_ij = +-1/sqrt(M) at random and an s-sparse vector.

    Parameters
    ----------
    M, N : int
        Number of measurements and of unknowns, both at least 1.
    s : int
        Number of nonzeros of ``x_true``, 0 <= s <= N (as in `gaussian_problem`).
    seed : int, SeedSequence or Generator, optional
        Source of randomness (default: 0).
    nonnegative : bool, optional
        Draw a nonnegative vector (default: False).
    noise : float, optional
        Standard deviation of the normal noise on each measurement (default: 0, none).

    Returns
    -------
    Problem
        With ``y = A @ x_true + e``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.
    """
    rng = _check_and_seed(M, N, s, seed, noise)
    A = (2.0 * rng.integers(0, 2, size=(M, N)) - 1.0) / np.sqrt(M)
    return _measure(A, N, s, rng, nonnegative, noise)


def dct_problem(
    M: int,
    N: int,
    s: int,
    seed: int | np.random.SeedSequence | np.random.Generator = 0,
    nonnegative: bool = False,
    noise: float = 0.0,
) -> Problem:
    """Draw a matrix-free problem: M random rows of the orthonormal N-point DCT, times sqrt(N/M).

    Parameters
    ----------
    M, N : int
        Number of measurements and of unknowns, 1 <= M <= N.
    s : int
        Number of nonzeros of ``x_true``, 0 <= s <= N (as in `gaussian_problem`).
    seed : int, SeedSequence or Generator, optional
        Source of randomness (default: 0).
    nonnegative : bool, optional
        Draw a nonnegative vector (default: False).
    noise : float, optional
        Standard deviation of the normal noise on each measurement (default: 0, none).

    Returns
    -------
    Problem
        ``A`` is a LinearOperator with A A^T = (N/M) I; a product costs O(N log N).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range, or M > N.
    """
    rng = _check_and_seed(M, N, s, seed, noise)
    if M > N:
        raise ValueError(f"M must be at most N = {N}, for a DCT has only N rows, got {M}")
    rows = np.sort(rng.choice(N, size=M, replace=False))
    scale = np.sqrt(N / M)

    def forward(x: np.ndarray) -> np.ndarray:
        return scale * dct(x, norm="ortho", axis=0)[rows]

    def adjoint(r: np.ndarray) -> np.ndarray:
        full = np.zeros((N, *r.shape[1:]))
        full[rows] = r
        return scale * idct(full, norm="ortho", axis=0)

    A = LinearOperator(
        (M, N), matvec=forward, rmatvec=adjoint, matmat=forward, rmatmat=adjoint, dtype=np.float64
    )
    return _measure(A, N, s, rng, nonnegative, noise)


def _check_and_seed(M, N, s, seed, noise) -> np.random.Generator:
    as_count("M", M, minimum=1)
    as_count("N", N, minimum=1)
    as_count("s", s, minimum=0)
    if s > N:
        raise ValueError(f"s must be at most N = {N} (nonzeros among N entries), got {s}")
    as_real_number("noise", noise, minimum=0.0)
    return np.random.default_rng(seed)


def _measure(A, N, s, rng, nonnegative, noise) -> Problem:
    x = np.zeros(N)
    values = rng.standard_normal(s)
    x[rng.choice(N, size=s, replace=False)] = np.abs(values) if nonnegative else values
    y = A @ x
    return Problem(A, y + noise * rng.standard_normal(len(y)) if noise else y, x)
