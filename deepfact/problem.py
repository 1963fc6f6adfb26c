"""Underdetermined linear problems y = A x and seeded generators of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.fft import dct, idct
from scipy.sparse import csr_array, issparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from deepfact.arguments import as_count, as_real_array, as_real_number, as_signed

DENSE_ENTRIES = 2**24  # of a sparse matrix or an operator that becomes an array: 128 MiB
_SAME = 1e-6  # part of a product by which an operator's matrix may differ from the operator


@dataclass(frozen=True, eq=False)
class Problem:
    """A linear problem: recover x in R^N from y = A x in R^M.

    Arrays are copied, unless they are read-only float64 arrays already, and are kept read-only:
    what the caller later does to his own arrays changes no problem. Problems are equal if A, y and
    x_true are; operators, if they are the same object.

    Parameters
    ----------
    A : array_like, sparse matrix or linear operator, of shape (M, N)
        The measurement matrix. Arrays are converted to float64, and so is a sparse matrix of up
        to 2^24 entries, zeros counted; a larger one becomes a LinearOperator. An operator is a
        scipy.sparse.linalg.LinearOperator or whatever its ``aslinearoperator`` takes: an object
        with ``shape``, ``matvec`` and ``rmatvec``, such as those of pylops.
    y : array_like of shape (M,)
        The measurements.
    x_true : array_like of shape (N,), optional
        The vector behind the measurements, where it is known (default: None).

    Raises
    ------
    TypeError
        If ``A``, ``y`` or ``x_true`` is not real and numeric.
    ValueError
        If one of them is empty, not finite, masked, or of a shape that does not fit the others.

    Notes
    -----
    The model and its conventions: section "Conventions" of ``docs/statements.md``.
    """

    A: np.ndarray | LinearOperator
    y: np.ndarray
    x_true: np.ndarray | None = None
    precision: float = field(init=False, repr=False, default=float(np.finfo(np.float64).eps))

    def __post_init__(self) -> None:
        precision = max(_unit(self.A), _unit(self.y))
        A = _as_matrix_or_operator(self.A)
        y = _kept("y", self.y, ndim=1)
        if len(y) != A.shape[0]:
            raise ValueError(f"y must have length M = {A.shape[0]} (the rows of A), got {len(y)}")
        x_true = self.x_true
        if x_true is not None:
            x_true = _kept("x_true", x_true, ndim=1)
            if len(x_true) != A.shape[1]:
                raise ValueError(
                    f"x_true must have length N = {A.shape[1]} (the columns of A), "
                    f"got {len(x_true)}"
                )
        object.__setattr__(self, "A", A)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "x_true", x_true)
        object.__setattr__(self, "precision", precision)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Problem):
            return NotImplemented
        if isinstance(self.A, np.ndarray) and isinstance(other.A, np.ndarray):
            same = np.array_equal(self.A, other.A)
        else:
            same = self.A is other.A
        if (self.x_true is None) != (other.x_true is None):
            return False
        known = self.x_true is None or np.array_equal(self.x_true, other.x_true)
        return bool(same and known and np.array_equal(self.y, other.y))

    def __hash__(self) -> int:
        return hash((self.M, self.N, *self.y[:8].tolist()))

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
            The matrix; read-only where ``A`` is an array.

        Raises
        ------
        ValueError
            If the operator's ``rmatvec`` is not the adjoint of its ``matvec``.
        """
        if not isinstance(self.A, LinearOperator):
            return self.A
        if self.M <= self.N:  # the shorter side is the cheaper one to probe
            try:
                A = np.ascontiguousarray(self.A.rmatmat(np.eye(self.M)).T)
            except (NotImplementedError, TypeError):  # no adjoint was given
                pass
            else:
                x = np.random.default_rng(0).standard_normal(self.N)
                by_matrix, image = A @ x, self.A.matvec(x)
                if np.linalg.norm(by_matrix - image) > _SAME * np.linalg.norm(image):
                    raise ValueError(
                        "A must have rmatvec as the adjoint of matvec: for a random vector x the "
                        f"product A x has norm {np.linalg.norm(image):.6g}, and "
                        f"{np.linalg.norm(by_matrix):.6g} by the adjoint"
                    )
                return A
        return np.asarray(self.A.matmat(np.eye(self.N)))


def _unit(value) -> float:
    """Return the rounding unit of the numbers as they are given, at least that of float64."""
    dtype = getattr(value, "dtype", None)
    single = isinstance(dtype, np.dtype) and dtype.kind == "f"
    return float(max(np.finfo(dtype if single else np.float64).eps, np.finfo(np.float64).eps))


def _kept(name, value, ndim) -> np.ndarray:
    """Return a read-only float64 array that nobody else writes to."""
    array = as_real_array(name, value, ndim=ndim)
    shared = isinstance(value, np.ndarray) and np.shares_memory(array, value)
    if shared and (array.flags.writeable or array.base is not None):
        array = array.copy()
    array.flags.writeable = False
    return array


def _as_matrix_or_operator(A) -> np.ndarray | LinearOperator:
    if issparse(A):
        if A.dtype.kind not in "buif":
            raise TypeError(f"A must hold real numbers, got dtype {A.dtype}")
        if A.ndim != 2 or min(A.shape) < 1:
            raise ValueError(f"A must have at least one row and one column, got shape {A.shape}")
        matrix = csr_array(A, dtype=np.float64, copy=True)
        matrix.sum_duplicates()
        if not np.isfinite(matrix.data).all():
            raise ValueError("A must be finite, got NaN or infinite entries")
        if A.shape[0] * A.shape[1] > DENSE_ENTRIES:
            return aslinearoperator(matrix)
        A = matrix.toarray()
    elif not isinstance(A, np.ndarray) and hasattr(A, "shape") and hasattr(A, "matvec"):
        if len(A.shape) != 2 or min(A.shape) < 1:
            raise ValueError(f"A must have at least one row and one column, got shape {A.shape}")
        dtype = getattr(A, "dtype", None)
        if dtype is not None and np.issubdtype(dtype, np.complexfloating):
            raise TypeError(f"A must be real, got a LinearOperator of dtype {dtype}")
        return aslinearoperator(A)
    elif callable(A) or (hasattr(A, "__matmul__") and not hasattr(A, "__array__")):
        raise TypeError(
            f"A must be a matrix or a linear operator, got {type(A).__name__}: wrap products by "
            "scipy.sparse.linalg.LinearOperator or aslinearoperator"
        )
    return _kept("A", A, ndim=2)


def gaussian_problem(
    M: int,
    N: int,
    s: int,
    seed: int | np.random.SeedSequence | np.random.Generator = 0,
    nonnegative: bool | None = None,
    noise: float = 0.0,
    *,
    signed: bool | None = None,
) -> Problem:
    """Draw a problem with A_ij ~ N(0, 1/M) and an s-sparse vector.

    Parameters
    ----------
    M, N : int
        Number of measurements and of unknowns, both at least 1.
    s : int
        Number of nonzeros of ``x_true``, 0 <= s <= N; their places are uniform, their values
        standard normal (absolute values of such for a nonnegative vector).
    seed : int, SeedSequence or Generator, optional
        Source of randomness (default: 0). Equal seeds give equal problems.
    nonnegative : bool, optional
        The opposite of ``signed``; not both.
    noise : float, optional
        Standard deviation of the normal noise on each measurement (default: 0, none).
    signed : bool, optional
        Draw a vector of any signs (default: True), or a nonnegative one.

    Returns
    -------
    Problem
        With ``y = A @ x_true + e``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.
    """
    signed = as_signed(signed, nonnegative)
    rng = _check_and_seed(M, N, s, seed, noise)
    A = rng.standard_normal((M, N)) / np.sqrt(M)
    return _measure(A, N, s, rng, signed, noise)


def rademacher_problem(
    M: int,
    N: int,
    s: int,
    seed: int | np.random.SeedSequence | np.random.Generator = 0,
    nonnegative: bool | None = None,
    noise: float = 0.0,
    *,
    signed: bool | None = None,
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
        The opposite of ``signed``; not both.
    noise : float, optional
        Standard deviation of the normal noise on each measurement (default: 0, none).
    signed : bool, optional
        Draw a vector of any signs (default: True), or a nonnegative one.

    Returns
    -------
    Problem
        With ``y = A @ x_true + e``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.
    """
    signed = as_signed(signed, nonnegative)
    rng = _check_and_seed(M, N, s, seed, noise)
    A = (2.0 * rng.integers(0, 2, size=(M, N)) - 1.0) / np.sqrt(M)
    return _measure(A, N, s, rng, signed, noise)


def dct_problem(
    M: int,
    N: int,
    s: int,
    seed: int | np.random.SeedSequence | np.random.Generator = 0,
    nonnegative: bool | None = None,
    noise: float = 0.0,
    *,
    signed: bool | None = None,
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
        The opposite of ``signed``; not both.
    noise : float, optional
        Standard deviation of the normal noise on each measurement (default: 0, none).
    signed : bool, optional
        Draw a vector of any signs (default: True), or a nonnegative one.

    Returns
    -------
    Problem
        ``A`` is a LinearOperator with A A^T = (N/M) I; a product costs O(N log N).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range, or M > N.
    """
    signed = as_signed(signed, nonnegative)
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
    return _measure(A, N, s, rng, signed, noise)


def _check_and_seed(M, N, s, seed, noise) -> np.random.Generator:
    as_count("M", M, minimum=1)
    as_count("N", N, minimum=1)
    as_count("s", s, minimum=0)
    if s > N:
        raise ValueError(f"s must be at most N = {N} (nonzeros among N entries), got {s}")
    as_real_number("noise", noise, minimum=0.0)
    return np.random.default_rng(seed)


def _measure(A, N, s, rng, signed, noise) -> Problem:
    x = np.zeros(N)
    values = rng.standard_normal(s)
    x[rng.choice(N, size=s, replace=False)] = values if signed else np.abs(values)
    y = A @ x
    return Problem(A, y + noise * rng.standard_normal(len(y)) if noise else y, x)
