"""Linear systems with an operator that is known by its products: conjugate gradients."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

MAX_ITERATIONS = 200  # most iterations for one system
_SLOW = 30  # iterations after which columns of A are drawn for a better preconditioner
_COUPLED = 20.0  # columns with entries of the diagonal below this times squared length are drawn
_BY_COLUMNS, _SMALL = 1000, 1e-9  # most columns of a Gram matrix; least E of more columns
_MAX_FACTOR = 2000  # most rows of a matrix that is factorised as a preconditioner


def conjugate_gradients(A, diagonal, mean, b, done):
    """Solve (diagonal + A^T A) x = b.

    The preconditioner is a diagonal first. Where that is slow, A^T A between the columns whose
    entry of the diagonal is small is known exactly, from columns that are drawn once.

    Parameters
    ----------
    A : Equilibrated
        The operator, of shape (M, N).
    diagonal : ndarray of shape (N,)
        Positive.
    mean : float
        About the squared length of a column.
    b : ndarray of shape (N,)
        The right-hand side.
    done : callable
        Of the residual and of its squared length in the preconditioner's norm: whether to stop.

    Returns
    -------
    tuple of ndarray
        x, A x and A^T A x.
    """
    solution = np.zeros_like(b), np.zeros(A.shape[0]), np.zeros_like(b)
    rest = b.copy()
    inverse = 1 / (diagonal + mean)
    if not A.slow and _iterate(A, diagonal, inverse.__mul__, solution, rest, done, _SLOW):
        return solution
    A.slow = True
    precondition = _precondition(A, diagonal, mean)
    _iterate(A, diagonal, precondition or inverse.__mul__, solution, rest, done, MAX_ITERATIONS)
    return solution


def _precondition(A, diagonal, mean):
    """Return a solver for diagonal + A^T A, coupled where the diagonal is small, or None."""
    M = A.shape[0]
    chosen = np.flatnonzero(diagonal < _COUPLED * mean)
    if not 0 < min(M, len(chosen)) <= _MAX_FACTOR:
        return None
    B = A.take(chosen)
    if B is None:
        return None
    inner = diagonal[chosen]
    by_rows = len(chosen) > max(M, _BY_COLUMNS)
    # (E + B B^T)^-1 = E^-1 - E^-1 B (1 + B^T E^-1 B)^-1 B^T E^-1 cancels where E is small. Such
    # entries of E are dwarfed by B B^T and may be raised: this is a preconditioner.
    root = 1 / np.sqrt(np.maximum(inner, _SMALL))
    if by_rows:
        scaled = (
            root[:, None] * B if isinstance(B, np.ndarray) else B.multiply(root[:, None]).tocsr()
        )
        gram, shift = scaled.T @ scaled, np.ones(M)
    else:
        gram, shift = B @ B.T, inner
    gram = gram if isinstance(gram, np.ndarray) else gram.toarray()
    gram[np.diag_indices(len(gram))] += shift
    size = 1 / np.sqrt(np.diag(gram))
    gram *= size
    gram *= size[:, None]
    try:
        factor = cho_factor(gram, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return None
    inverse = 1 / (diagonal + mean)

    def solve(rest):
        z, part = inverse * rest, rest[chosen]
        if by_rows:
            part = root * part
            part -= scaled @ (
                size * cho_solve(factor, size * (scaled.T @ part), check_finite=False)
            )
            z[chosen] = root * part
        else:
            z[chosen] = size * cho_solve(factor, size * part, check_finite=False)
        return z

    return solve


def _iterate(A, diagonal, precondition, solution, rest, done, most) -> bool:
    """Take steps of conjugate gradients in place until ``done``; return whether it was."""
    x, Ax, AtAx = solution
    q = precondition(rest)
    energy = rest @ q
    for _ in range(most):
        if done(rest, energy):
            return True
        Aq = A.forward(q)
        AtAq = A.adjoint(Aq)
        both = diagonal * q
        both += AtAq
        t = energy / (q @ both)
        both *= t
        rest -= both
        x += t * q
        Ax += t * Aq
        AtAx += t * AtAq
        z = precondition(rest)
        energy, before = rest @ z, energy
        q *= energy / before
        q += z
    return done(rest, energy)


def least_norm(A, y, tolerance, max_iterations=500):
    """Solve A x = y with the least Euclidean norm, by conjugate gradients on A A^T.

    Parameters
    ----------
    A : Products
        The operator, of shape (M, N).
    y : ndarray of shape (M,)
        In the range of A.
    tolerance : float
        Of ||A x - y||, relative to ||y||.
    max_iterations : int, optional
        Steps at most, of two products each (default: 500).

    Returns
    -------
    tuple
        x = A^T nu, nu, and whether the tolerance was reached.
    """
    nu, rest = 0 * y, y
    x, q, g = 0.0, y, A.adjoint(y)
    for _ in range(max_iterations):
        if not np.linalg.norm(rest) > tolerance * np.linalg.norm(y):
            break
        t = (rest @ rest) / (g @ g)
        nu, x = nu + t * q, x + t * g
        rest, before = rest - t * A.forward(g), rest
        turn = (rest @ rest) / (before @ before)
        q = rest + turn * q
        g = A.adjoint(q)
    return x + 0 * g, nu, bool(np.linalg.norm(rest) <= tolerance * np.linalg.norm(y))
