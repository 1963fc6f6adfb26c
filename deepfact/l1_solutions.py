"""Solutions of the program of basis pursuit: solvers' answers, and what linear algebra adds.

A solver knows which entries are nonzero and which conditions are tight, to its tolerance; signal
and dual vector then follow to full accuracy.
"""

from __future__ import annotations

import functools
import math
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from scipy.linalg import LinAlgError, lu_factor, lu_solve, qr, solve_triangular

_FINISHED = 1e-11  # relative gap at which no better basis is sought
_PIVOTS = 300  # most steps of the simplex method from the solver's answer ...
_FLOPS = 1e9  # ... and most of its work: factorisations of M^3 each


def proposal(program, solver):
    """Return the best primal and dual vectors found and the solver's word.

    Parameters
    ----------
    program : Program
        The scaled program, with y not 0 and A not 0.
    solver : str
        Name of an installed cvxpy solver.

    Returns
    -------
    tuple
        The signal (None where there is none), the dual vector, both of the scaled program, and
        words of the solver.
    """
    x, duals, words = _by_solver(program, program.A, program.y, solver)
    if x is None:
        candidates, duals = [], [np.zeros(len(program.y))]
    else:
        candidates = [x]
    best = _best(program, candidates, duals)
    if x is not None and not program.sigma:
        tight = _on_tight(program, best[1])
        if tight is not None:
            duals.append(tight)
            best = _best(program, candidates, duals)
    if x is not None:
        for tolerance in (1e-12, 1e-10, 1e-8, 1e-6, 1e-4):
            support = np.abs(x) > tolerance * np.max(np.abs(x))
            found = _on_support(program, x, best[1], support)
            if found is not None:
                candidates.append(found[0])
                duals.append(found[1])
                best = _best(program, candidates, duals)
            if best[2] <= _FINISHED:
                return best[0], best[1], words
    if program.sigma or best[2] <= _FINISHED:
        return best[0], best[1], words
    # Independent rows; a basis, from there by the simplex method; orthonormal rows at last.
    _, triangle, order = qr(program.A.T, mode="economic", pivoting=True)
    sizes = np.abs(np.diag(triangle))
    rows = np.sort(order[: np.count_nonzero(sizes > 1e-14 * sizes[0])])
    if x is not None:
        _add(_simplex(program, rows, x, best[1]), candidates, duals)
        best = _best(program, candidates, duals)
        if best[2] <= _FINISHED:
            return best[0], best[1], words
    basis, triangle = qr(program.A[rows].T, mode="economic")
    y = solve_triangular(triangle, program.y[rows], trans="T")
    again, others, _ = _by_solver(program, basis.T, y, solver)
    if again is not None:
        eta = np.zeros(len(program.y))
        for other in others:
            lifted = np.zeros(len(program.y))
            lifted[rows] = solve_triangular(triangle, other)
            duals.append(lifted)
        eta = _best(program, [*candidates, again], duals)[1]
        candidates.append(again)
        _add(_simplex(program, rows, again, eta), candidates, duals)
    best = _best(program, candidates, duals)
    return best[0], best[1], words


def _add(found, candidates, duals):
    if found is not None:
        candidates.append(found[0])
        duals.append(found[1])


def _best(program, candidates, duals):
    """Return the best of the candidates (or None), of the duals, and the badness of the former."""
    eta = max(duals, key=lambda e: program.bound(e)[0])
    bound = program.bound(eta)[0]
    if not candidates:
        return None, eta, np.inf
    x = min(candidates, key=lambda x: program.badness(x, bound))
    return x, eta, program.badness(x, bound)


@functools.cache
def _silence_highs():
    """Let HiGHS (from 1.16) print its banner, once a process and whatever its options, unseen."""
    import highspy

    try:
        stdout = os.dup(1)
    except OSError:  # a process without a standard output
        return
    if sys.stdout is not None:
        sys.stdout.flush()
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            highspy.Highs()
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)


def _by_solver(program, A, y, solver):
    """Return x, dual vectors and the solver's word for the program with this A and y."""
    import cvxpy as cp  # on first use: it takes seconds

    M, N = A.shape
    split = program.signed
    B = np.hstack([A, -A]) if split else A
    size = float(program.w.max())
    cost = np.concatenate([program.w, program.w]) if split else program.w
    p = cp.Variable(B.shape[1], nonneg=True)
    constraint = cp.SOC(program.sigma, B @ p - y) if program.sigma else B @ p == y
    convex = cp.Problem(cp.Minimize((cost / size) @ p), [constraint])
    options = {}
    if solver == "HIGHS":
        _silence_highs()
        # Presolve finds nothing in a dense matrix, and costs as much as the simplex method.
        options["highs_options"] = {
            "presolve": "off",
            "log_to_console": False,
            "primal_feasibility_tolerance": 1e-10,
            "dual_feasibility_tolerance": 1e-10,
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            convex.solve(solver=solver, **options)
        except (cp.error.SolverError, ValueError, ArithmeticError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0]
            return None, [], f"{solver} ended without a solution: {reason}"
    words = f"{solver}: {convex.status}"
    if p.value is None or not np.isfinite(p.value).all():
        return None, [], words
    q = np.maximum(p.value, 0.0)
    x = q[:N] - q[N:] if split else q
    duals = [np.zeros(M)]
    if program.sigma:
        duals.append(y - A @ x)
    elif constraint.dual_value is not None:
        nu = np.asarray(constraint.dual_value, dtype=np.float64).ravel() * size
        if np.isfinite(nu).all():
            duals += [nu, -nu]
    return x, duals, words


def _on_support(program, x, eta, support):
    """Return x and eta from a support and the signs of x; entries that turn sign are left out.

    None where the columns are dependent or nothing is left.
    """
    sign = np.sign(x)
    for _ in range(30):
        if not 0 < np.count_nonzero(support) <= len(program.y):
            return None
        target = program.w[support] * sign[support]
        Q, R = qr(program.A[:, support], mode="economic")
        diagonal = np.abs(np.diag(R))
        if diagonal.min() <= 1e-13 * diagonal.max():
            return None
        new, dual = np.zeros_like(x), eta
        if program.sigma:  # A_S^T r = t target, norm(r) = sigma
            lift = solve_triangular(R, target, trans="T")
            outside = program.y - Q @ (Q.T @ program.y)
            outside -= Q @ (Q.T @ outside)  # what rounding left inside would be divided by t
            room = program.sigma**2 - float(outside @ outside)
            if room <= 0:
                return None
            t = math.sqrt(room) / float(np.linalg.norm(lift))
            new[support] = solve_triangular(R, Q.T @ program.y - t * lift)
            dual = (outside + t * (Q @ lift)) / t
        else:
            for _ in range(3):  # later steps remove the rounding errors of the first
                new[support] += solve_triangular(R, Q.T @ program.missing(new))
                rest = target - program.A[:, support].T @ dual
                dual = dual + Q @ solve_triangular(R, rest, trans="T")
        turned = support & (new * sign < 0)
        price = program.A.T @ dual / program.w
        excess = np.abs(price) if program.signed else price
        wanted = ~support & (excess > 1 + 1e-9)
        if not program.sigma:
            return None if np.any(turned) else (new, dual)
        if not np.any(turned) and not np.any(wanted):
            return new, dual
        # An active set: one column in, or those out whose sign has turned.
        if np.any(turned):
            support = support & ~turned
        else:
            j = int(np.argmax(np.where(wanted, excess, 0.0)))
            support = support.copy()
            support[j], sign[j] = True, np.sign(price[j])
    return new, dual


def _on_tight(program, eta):
    """Return eta with its nearly tight conditions exactly tight (None where they depend)."""
    price = program.A.T @ eta / program.w
    reach = np.abs(price) if program.signed else price
    tight = reach > (1 - 1e-7) * np.max(reach)
    if np.max(reach) <= 0 or np.count_nonzero(tight) > len(eta):
        return None
    target = program.w[tight] * np.sign(price[tight])
    eta = eta / np.max(reach)
    Q, R = qr(program.A[:, tight], mode="economic")
    diagonal = np.abs(np.diag(R))
    if diagonal.min() <= 1e-13 * diagonal.max():
        return None
    for _ in range(3):  # later steps remove the rounding errors of the first
        rest = target - program.A[:, tight].T @ eta
        eta = eta + Q @ solve_triangular(R, rest, trans="T")
    return eta


def _simplex(program, rows, x, eta):
    """Return x and eta of a basis found by the simplex method that begins near x (None: none)."""
    A, y, w = program.A[rows], program.y[rows], program.w
    slack = w - (np.abs(A.T @ eta[rows]) if program.signed else A.T @ eta[rows])
    order = np.lexsort((slack / w, -np.abs(x)))
    basis = _independent(A, order)
    if len(basis) < len(rows):
        return None
    sign = None
    for _ in range(int(min(_PIVOTS, 1 + _FLOPS / len(rows) ** 3))):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                factor = lu_factor(A[:, basis])
        except (LinAlgError, RuntimeWarning, ValueError):
            return None
        value = _refined(factor, A[:, basis], y)
        if sign is None:
            sign = np.where(value < 0, -1.0, 1.0)
            noise = 1e-12 * np.max(np.abs(value))
            if not program.signed:
                if np.any(value < -1e-7 * np.max(np.abs(value))):
                    return None
                sign[:] = 1.0
            else:  # an entry of 0 takes the sign that suits the dual vector at hand
                small = np.abs(value) <= noise
                price = A[:, basis].T @ eta[rows]
                sign = np.where(small & (price < 0), -1.0, np.where(small, 1.0, sign))
        dual = _refined(factor, A[:, basis], w[basis] * sign, transposed=True)
        price = (A.T @ dual) / w
        price[basis] = 0.0
        reach = np.abs(price) if program.signed else price
        entering = int(np.argmax(reach))
        if reach[entering] <= 1 + 1e-12:
            new, full = np.zeros(len(w)), np.zeros(len(program.y))
            if not program.signed:
                value = np.maximum(value, 0.0)
            new[basis], full[rows] = value, dual
            return new, full
        s = 1.0 if price[entering] > 0 else -1.0
        move = s * sign * lu_solve(factor, A[:, entering])
        held = np.maximum(sign * value, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(move > 1e-11 * np.max(np.abs(move)), held / move, np.inf)
        if not np.isfinite(steps.min()):
            return None
        out = int(np.argmin(steps))
        basis[out], sign[out] = entering, s
    return None


def _independent(A, order):
    """Return as many columns as A has rows, independent, the first of ``order`` preferred."""
    M = len(A)
    Q, chosen = np.zeros((M, 0)), []
    for j in order:
        column = A[:, j]
        rest = column - Q @ (Q.T @ column)
        rest = rest - Q @ (Q.T @ rest)
        size = np.linalg.norm(rest)
        if size > 1e-12 * np.linalg.norm(column) and size > 0:
            Q = np.column_stack([Q, rest / size])
            chosen.append(int(j))
            if len(chosen) == M:
                break
    return np.array(chosen)


def _refined(factor, B, target, transposed=False):
    """Return the solution of B z = target (B^T z = target) with residuals in extended precision."""
    wide = (B.T if transposed else B).astype(np.longdouble)
    z = lu_solve(factor, target, trans=int(transposed))
    for _ in range(3):
        rest = (target - wide @ z).astype(np.float64)
        z = z + lu_solve(factor, rest, trans=int(transposed))
    return z
