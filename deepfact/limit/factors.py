"""Factorisations of A D A^T whose D spans hundreds of orders of magnitude."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dsyrk, ssyrk
from scipy.linalg.lapack import dgeqp3, dormqr, dpotrf, dpotrs, spotrf, spotrs

from deepfact.limit.curve import Curve
from deepfact.limit.state import State


def factorise(st: State, curve: Curve, slope):
    """Return the solver of A D A^T d = b, D = diag(c dp/dv), or None if that is not definite.

    Parameters
    ----------
    st : State
        Where the iteration stands.
    curve : Curve
        The model in the units of the problem.
    slope : ndarray of shape (N,)
        dx/dv.

    Returns
    -------
    callable or None
        From b to d.
    """
    slope = curve.rate * slope
    if not np.isfinite(slope).all():
        return None
    _rebase(st, slope)
    root = np.sqrt(slope)
    if st.single is not None:
        size = root.max()
        solve = _cholesky(st.single * (root / size).astype(np.float32))
        if solve is not None:
            return lambda b: solve((b / size).astype(np.float32)) / size
        st.single = None
    return _cholesky(st.A * root)


def _cholesky(rows: np.ndarray):
    """Return the solver of rows rows^T d = b in their precision, or None if not definite."""
    # BLAS and LAPACK themselves: on small problems what surrounds them costs more than their work.
    double = rows.dtype == np.float64
    syrk, potrf, potrs = (dsyrk, dpotrf, dpotrs) if double else (ssyrk, spotrf, spotrs)
    gram = syrk(1.0, rows.T, trans=1, lower=1)
    sizes = np.sqrt(np.diag(gram))
    if not (np.isfinite(sizes).all() and sizes.all()):
        return None
    gram /= sizes
    gram /= sizes[:, None]
    factor, failed = potrf(gram, lower=1, clean=0)
    return None if failed else lambda b: potrs(factor, b / sizes, lower=1)[0] / sizes


def pivoted_qr(columns):
    """Return R, the order of the columns, and the function B -> Q^T B or Q B; Q is not formed.

    Parameters
    ----------
    columns : ndarray of shape (M, n)
        The matrix.

    Returns
    -------
    R : ndarray of shape (min(M, n), n)
        The triangular factor.
    order : ndarray of int, shape (n,)
        The columns in their order.
    turn : callable
        From B to Q^T B, or to Q B with ``back=True``.
    """
    factors, pivots, tau, _, _ = dgeqp3(columns, lwork=34 * columns.shape[1] + 32)
    rank = min(columns.shape)
    factors, R = factors[:, :rank], np.triu(factors[:rank])

    def turn(B, back=False):
        how = ("R", "T" if back else "N", factors, tau, B.T)
        work = int(dormqr(*how, lwork=-1)[1][0])
        return dormqr(*how, lwork=work)[0].T

    return R, pivots - 1, turn


def _rebase(st: State, slope) -> None:
    """Rotate the rows of A once D has a gap, so that the gap's noise is exactly zero."""
    M, N = st.A.shape
    if N == 1:
        return
    order = np.argsort(-slope)
    logs = np.log(np.maximum(slope[order], 1e-300))
    size = 1 + int(np.argmax(logs[:-1] - logs[1:]))
    if logs[size - 1] - logs[size] < 7 or logs[0] - logs[size] < 18:
        return
    face = np.sort(order[:size])
    if st.face is not None and np.array_equal(face, st.face):
        return
    st.face = face
    weight = np.sqrt(slope[face] / slope.max())
    R, pivots, turn = pivoted_qr(st.A[:, face] * weight)
    diagonal = np.abs(np.diag(R)) / weight[pivots[: len(R)]]
    rank = int(np.sum(diagonal > 1e-11 * diagonal.max()))
    if rank == M:
        st.rank = None
        return
    st.A = turn(st.A)
    st.A[rank:, face] = 0.0
    st.single = None  # D spans more by now than that resolves
    st.rank, st.rest_size = rank, np.linalg.norm(st.A[rank:]) / np.sqrt(N)
    st.y, st.eta, st.error = turn(np.column_stack([st.y, st.eta, st.error])).T
    if np.linalg.norm(st.y[rank:]) < 1e-13 * np.linalg.norm(st.y):
        st.y[rank:] = 0.0
    st.turned = turn(np.eye(M) if st.turned is None else st.turned)


def rescaled(st: State, solve, old, slope):
    """Return the solver of an old factorisation, rescaled to a new slope.

    Parameters
    ----------
    st : State
        Where the iteration stands.
    solve : callable
        The solver of `factorise`.
    old : ndarray of shape (N,)
        The slope that it is for.
    slope : ndarray of shape (N,)
        dx/dv.

    Returns
    -------
    callable
        From b to d.
    """
    ratio = np.log(slope / old)
    if st.rank is None:
        root = np.full(len(st.y), np.exp(0.5 * np.median(ratio)))
    else:
        above = np.zeros(len(slope), dtype=bool)
        above[st.face] = True
        low, high = np.median(ratio[~above]), np.median(ratio[above])
        root = np.exp(0.5 * np.where(np.arange(len(st.y)) < st.rank, high, low))
    return lambda b: solve(b / root) / root
