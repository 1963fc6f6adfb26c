"""The flow's limit in many digits, and what rounding of the data can change in it.

The limit is the only x = X(A^T nu) with A x = t (strict convexity), so that Newton steps may begin
anywhere: they begin at the answer to be judged and, where that leads nowhere, at a large init
scale. Mirror maps are written down anew: nothing here comes from the package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flint import fmpq

from tests.fuzz.exact import (
    basis_pursuit,
    equilibrated,
    floats,
    least_squares,
    pivots,
    rational_matrix,
    take,
    vanishing_columns,
)
from tests.fuzz.newton import MARGIN, UNIT, Flow, Newton, NoReferenceError

__all__ = ["MARGIN", "Flow", "NoReferenceError", "Reference", "backward_error", "reference"]


@dataclass(frozen=True)
class Reference:
    """The limit, and how much of it the stored data determine.

    ``uncertainty`` bounds, to first order, what relative changes of 2^-53 in each entry of A, y
    and in alpha change in x.
    """

    x: np.ndarray
    uncertainty: np.ndarray
    feasible: bool  # A x = y has a (nonnegative) solution in exact arithmetic
    robust: bool  # as feasible for every y and A within rounding: "infeasible" would be wrong
    missing: float  # backward_error of x
    minimum: fmpq  # exact Q; of the projected measurements where there is no solution
    minimum_uncertainty: float  # <abs(y), abs(dual)> 2^-53: what rounding of y can change in Q
    log_scale: float  # log of a


def reference(A, y, flow: Flow, start: tuple | None = None) -> Reference:
    """Return the limit of the flow on A x = y; raises NoReferenceError where that fails.

    ``start`` is (x, dual variable), where Newton's method begins.
    """
    A, y = np.asarray(A, dtype=np.float64), np.asarray(y, dtype=np.float64)
    least = least_squares(A, y, flow.positive)
    E = rational_matrix(A)
    optimum = basis_pursuit(E, least.target, least.z, flow.positive)
    with np.errstate(all="ignore"):
        shift = float(UNIT * (np.abs(y) @ np.abs(floats(optimum.dual))))
    if flow.depth == 1:
        x, uncertainty = _least_norm(A, y, E, least.target)
        inside = True
    else:
        x, uncertainty, inside = _on_columns(A, y, E, least, flow, start)
    missing = backward_error(A, y, x)
    off = backward_error(A, floats(least.target.entries()), x)
    if off > 1e-11:  # init scales so far above x ask for more digits
        raise NoReferenceError(f"too few digits: A x is off by {off:.0e}")
    if least.smallest < 1e-11:  # rounding decides whether these columns may be used at all
        uncertainty = np.full(len(x), np.inf)
    log_alpha = np.max(flow.log_alpha)
    return Reference(
        x=x,
        uncertainty=np.where(np.isnan(uncertainty), np.inf, uncertainty),
        feasible=least.feasible,
        robust=least.feasible and inside and _spread(A, len(pivots(E))) < 1e12,
        missing=missing,
        minimum=optimum.value,
        minimum_uncertainty=shift,
        log_scale=float(log_alpha if np.isinf(flow.depth) else flow.depth * log_alpha),
    )


def backward_error(A, y, x) -> float:
    """Return max r abs(A x - y) / max r (abs(A) abs(x) + abs(y)), r equilibrating the rows.

    In extended precision. An entry that is 0 up to rounding is held against the others; if y = 0,
    all are held against the largest entry, columns equilibrated.
    """
    _, r, c = equilibrated(A)
    A, x = A.astype(np.longdouble), np.asarray(x).astype(np.longdouble)
    with np.errstate(all="ignore"):
        missing = np.max(r * np.abs(A @ x - y))
        size = np.max(r * (np.abs(A) @ np.abs(x) + np.abs(y)))
        size = size if np.any(y) else np.max(np.abs(x) / c)
        return 0.0 if missing == 0 else float(missing / size)


def _spread(A, rank):
    """Return the ratio of the equilibrated matrix's first to its rank-th singular value."""
    sizes = np.linalg.svd(equilibrated(A)[0], compute_uv=False)
    return float(sizes[0] / max(sizes[rank - 1], 1e-300)) if rank else 1.0


def _least_norm(A, y, E, target):
    rows = pivots(E.transpose())
    if not rows:
        return np.zeros(E.ncols()), np.zeros(E.ncols())
    R, t = take(E, rows=rows), take(target, rows=rows)
    gram = R * R.transpose()
    nu = gram.solve(t)
    x = floats((R.transpose() * nu).entries())
    G = R.transpose() * gram.inv()
    G = floats(G.entries()).reshape(E.ncols(), len(rows))
    B, nu = A[rows], floats(nu.entries())
    P = np.abs(np.eye(E.ncols()) - G @ B)
    data = np.abs(B) @ np.abs(x) + np.abs(y[rows])
    return x, UNIT * (np.abs(G) @ data + P @ (np.abs(B).T @ np.abs(nu)))


def _on_columns(A, y, E, least, flow, start):
    """Return (x, uncertainty, inside); x = 0 where the loss's gradient does not vanish."""
    N, target, columns, start_z = E.ncols(), least.target, least.columns, least.z
    extra = np.zeros(N)  # what rounding may put into columns that vanish
    kept = columns
    try:
        part, unsure, inside = _interior(A, y, E, target, kept, flow, start)
    except NoReferenceError:
        gone, eta = [], None
        if flow.positive and columns:
            try:
                gone, eta = vanishing_columns(
                    take(E, columns=columns), target, [start_z[j] for j in columns]
                )
            except (ArithmeticError, ZeroDivisionError) as error:
                raise NoReferenceError(str(error)) from error
        if gone and np.isinf(flow.depth):
            raise NoReferenceError("no projection: F(0) is infinite") from None
        kept = [j for k, j in enumerate(columns) if k not in gone]
        try:
            if not gone:
                raise NoReferenceError
            part, unsure, inside = _interior(A, y, E, target, kept, flow, start)
        except NoReferenceError:
            part, unsure, inside = _interior(A, y, E, target, kept, flow, start, patient=True)
        if gone:
            inside = False
            with np.errstate(all="ignore"):
                size = np.abs(A) @ np.abs(part) + np.abs(y)
                price = A[:, [columns[k] for k in gone]].T @ eta
                rounding = UNIT * (size @ np.abs(eta))
                extra[[columns[k] for k in gone]] = rounding / np.maximum(price, 1e-300)
            unsure = unsure + extra
            if kept:  # moved mass is made up for by the kept columns
                unsure[kept] += _amplified(A, kept, extra)
    return part, unsure, inside


def _amplified(A, kept, extra):
    moved = np.linalg.norm(np.abs(A) @ extra)
    norms = np.linalg.norm(A[:, kept], axis=0)
    return moved * _condition(A[:, kept]) / np.where(norms > 0, norms, np.inf)


def _condition(A):
    """Return the condition number of A with columns of equal norms, on its numerical range."""
    norms = np.linalg.norm(A, axis=0)
    sizes = np.linalg.svd(A / np.where(norms > 0, norms, 1.0), compute_uv=False)
    if not sizes.size or sizes[0] == 0:
        return 1.0
    return float(sizes[0] / sizes[sizes > 1e-13 * sizes[0]].min())


def _interior(A, y, E, target, columns, flow, start, patient=False):
    N = E.ncols()
    x, uncertainty = np.zeros(N), np.zeros(N)
    if not columns:
        return x, uncertainty, True
    S = take(E, columns=columns)
    rows = pivots(S.transpose())
    log_alpha = np.broadcast_to(np.asarray(flow.log_alpha, dtype=np.float64), N)[columns]
    if not rows:  # all of these columns are 0: they stay where they begin
        newton = Newton(np.zeros((0, len(columns))), [], flow, log_alpha)
        part, unsure, inside = *newton.at_start(), True
    else:
        t = take(target, rows=rows).entries()
        B = A[np.ix_(rows, columns)]
        newton = Newton(B, t, flow, log_alpha)
        first = None
        if start is not None:
            first = np.asarray(start[0])[columns], A[:, columns].T @ np.asarray(start[1])
        # Where y is out of reach, rounding of A turns the range that y is projected onto.
        distance = np.linalg.norm(floats((rational_matrix(y) - target).entries()))
        turned = distance * _condition(A[:, columns]) if distance else 0.0
        part, unsure, inside = newton.solve(first, np.abs(y[rows]) + turned, patient)
    x[columns] = part
    uncertainty[columns] = unsure
    return x, uncertainty, inside
