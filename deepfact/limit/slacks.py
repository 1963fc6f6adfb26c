"""Slacks on the support, which are far below the spacing of doubles near 1."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dtrtrs

from deepfact.limit.curve import Curve
from deepfact.limit.factors import pivoted_qr
from deepfact.limit.state import State

HELD = -7.0  # log of the slack above which the dual variable holds it well enough


def project_slacks(st: State, curve: Curve) -> None:
    """Restore the linear relations between the slacks of a face of many solutions.

    On the support sigma = 1 - theta v lies in the span of the rows of A as soon as 1 does. Rounding
    at the size of 1 breaks that, and where the columns depend on each other the products then
    answer to the noise instead of the relations.

    Parameters
    ----------
    st : State
        Where the iteration stands.
    curve : Curve
        The model in the units of the problem.
    """
    if st.sigma.min() > 1e-4:
        return
    branch = np.argmin(st.sigma, axis=0)
    tight = np.flatnonzero(st.sigma.min(axis=0) < 1e-3)
    if st.tight is None or not np.array_equal(tight, st.tight):
        st.tight, st.row_space = tight, None
        if len(tight) > 1:
            sign = np.where(branch[tight] == 0, 1.0, -1.0)
            columns = st.A[:, tight] * sign * np.broadcast_to(curve.rate, branch.shape)[tight]
            R, _, turn = pivoted_qr(columns.T)
            sizes = np.abs(np.diag(R))
            basis = turn(np.eye(len(tight)))[: len(R)][sizes > 1e-11 * sizes[0]].T
            ones = np.ones(len(tight))
            off = np.linalg.norm(ones - basis @ (basis.T @ ones))
            if basis.shape[1] < len(tight) and off < 1e-12 * np.sqrt(len(tight)):
                st.row_space = basis
    if st.row_space is not None:
        slack = st.sigma[branch[tight], tight]
        projected = st.row_space @ (st.row_space.T @ slack)
        st.sigma[branch[tight], tight] = np.where(projected > 0, projected, slack)


def resolved(st: State, curve: Curve) -> bool:
    """Return whether the products on the support are determined by now.

    Independent columns are, by A x = y alone. Between columns that depend on each other the slacks
    decide, which must then be near the curve for Newton steps to finish.

    Parameters
    ----------
    st : State
        Where the iteration stands.
    curve : Curve
        The model in the units of the problem.

    Returns
    -------
    bool
        Whether they are.
    """
    support = (st.sigma < 0.1) & (st.p > 1e-10 * st.p.max())
    st.settled = bool(np.all(st.s < 1e-2 * curve.lag(st.p), where=support))
    if st.settled:
        return True
    columns = st.A[:, support.any(axis=0)]
    if columns.shape[1] > columns.shape[0]:
        return False
    sizes = np.abs(np.diag(pivoted_qr(columns)[0]))
    return bool(sizes[-1] > 1e-8 * sizes[0])


def with_slacks_on_curve(A, curve: Curve, point, free):
    """Move the dual so that the slacks of the free products are those on the curve.

    Possible where their columns are independent; returns None otherwise.

    Parameters
    ----------
    A : ndarray of shape (M, N)
        The matrix.
    curve : Curve
        The model in the units of the problem.
    point : tuple of ndarray
        p, v, sigma and eta.
    free : ndarray of bool, shape (branches, N)
        Products that are variables of their own.

    Returns
    -------
    tuple of ndarray or None
        The point that was moved.
    """
    p, v, sigma, eta = point
    on_curve = curve.lag(p)
    columns = np.flatnonzero(free.any(axis=0))
    if len(columns) == 0:
        return point
    branch = np.argmax(free[:, columns], axis=0)
    rate = (curve.signs[:, 0][branch]) * np.broadcast_to(curve.rate, A.shape[1:])[columns]
    if len(columns) > len(A):
        return None
    R, order, turn = pivoted_qr(A[:, columns] * rate)
    sizes = np.abs(np.diag(R))
    if not sizes[-1] > 1e-8 * sizes[0]:
        return None
    excess = (sigma - on_curve)[branch, columns] / curve.theta
    d_eta = np.zeros((len(A), 1))
    d_eta[: len(R), 0] = dtrtrs(R, excess[order], trans=1)[0]
    d_eta = turn(d_eta, back=True)[:, 0]
    dv = curve.signs * (curve.rate * (A.T @ d_eta))
    moved = np.where(free, on_curve, sigma - curve.theta * dv)
    return None if np.any(moved <= 0) else (p, v + dv, moved, eta + d_eta)
