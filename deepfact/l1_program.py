"""The convex program of basis pursuit, scaled; proposals of its solution and bounds on its value.

Rows (where A x = y must hold exactly) and columns are scaled by powers of two, so that no entry is
rounded and the solvers' absolute tolerances mean the same everywhere.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from scipy.linalg import LinAlgError, lu_factor, lu_solve, qr, solve_triangular

FEASIBLE = 1e-9  # relative residual of each row up to which A x = y is taken to hold
_FINISHED = 1e-11  # relative gap at which no better basis is sought
_PIVOTS = 300  # steps of the simplex method from the solver's answer
_EPS = np.finfo(np.float64).eps
_TINY = np.finfo(np.float64).smallest_subnormal


class Program:
    """min <w, |x|> s.t. ||A x - y|| <= sigma, scaled: A = rows A_0 columns, x_0 = columns x."""

    def __init__(self, A, y, w, nonnegative, noise_level):
        self.original = A, y
        self.nonnegative = nonnegative
        self.rows, self.columns = _equilibrium(A, separately=noise_level == 0)
        self.kA = _top(A, self.rows[:, None] + self.columns)
        self.ky, self.kw = _top(y, self.rows), _top(w, self.columns)
        self.A = np.ldexp(A, self.rows[:, None] + self.columns - self.kA)
        self.y = np.ldexp(y, self.rows - self.ky)
        self.w = np.maximum(np.ldexp(w, self.columns - self.kw), 1e-290)
        self.abs_A = np.abs(self.A)
        self.norm_y = float(np.linalg.norm(self.y))
        row = int(self.rows[0]) if noise_level else 0
        self.sigma = float(np.ldexp(noise_level, row - self.ky)) if self.norm_y else 0.0

    def unscaled(self, x, value, eta, lower):
        """Return signal, value, dual vector and lower bound in the caller's units."""
        with np.errstate(over="ignore", under="ignore"):
            x = np.ldexp(x, self.columns + (self.ky - self.kA))
            shift = self.kw + self.ky - self.kA
            value, bound = float(np.ldexp(value, shift)), float(np.ldexp(lower, shift))
            eta = self.unscaled_rows(np.ldexp(eta, self.kw - self.kA))
        if 0 < bound < np.finfo(np.float64).tiny:  # a subnormal number may be rounded up
            bound = max(0.0, float(np.nextafter(bound, 0.0)))
        return x, value, eta, bound

    def unscaled_rows(self, eta):
        """Return a vector of the dual space in the units of the caller's rows."""
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(eta, self.rows)

    def residual(self, x) -> float:
        """Return norm(A x - y)/norm(y) for the caller's A, y and x (0 for y = 0)."""
        A, y = self.original
        size = np.max(np.abs(y))
        if size == 0:
            return 0.0
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return float(np.linalg.norm((A @ x - y) / size) / np.linalg.norm(y / size))

    def missing(self, x):
        """Return y - A x, to more digits than float64 where the machine has them."""
        support = np.flatnonzero(x)
        wide = self.A[:, support].astype(np.longdouble)
        return (self.y - wide @ x[support]).astype(np.float64)

    def violation(self, x) -> float:
        """Return by how much x misses the constraint, relative to what its terms add up to."""
        r = np.abs(self.missing(x))
        if self.sigma:
            return max(float(np.linalg.norm(r)) - self.sigma, 0.0) / self.norm_y
        size = self.abs_A @ np.abs(x) + np.abs(self.y)
        # A row of rounding errors alone is held against the others.
        allowed = size + 16 * (len(self.y) + 3) * _EPS / FEASIBLE * np.max(size)
        return float(np.max(r / allowed))

    def hidden(self, x, eta) -> float:
        """Return what the residual of x may hide in the value, by the dual vector."""
        if self.sigma:
            return 0.0
        return float(np.abs(self.missing(x)) @ np.abs(eta))

    def bound(self, eta, sigma=None):
        """Return a lower bound on the optimal value and the feasible dual vector behind it.

        (M + 3) eps times the sum of absolute values is twice the a-priori bound on the error of a
        sum of M products in any order; the spare half covers the rounding of the bound itself, the
        scaling of eta, and y within its own rounding.
        """
        sigma = self.sigma if sigma is None else sigma
        M = len(eta)
        c = self.A.T @ eta
        error = (M + 3) * _EPS * (self.abs_A.T @ np.abs(eta)) + M * _TINY
        reach = c + error if self.nonnegative else np.abs(c) + error
        scale = float(np.max(reach / self.w)) * (1 + 4 * _EPS)
        size = float(np.abs(self.y) @ np.abs(eta))
        product = float(self.y @ eta) - (M + 3) * _EPS * size - M * _TINY
        if sigma:
            norm = float(np.linalg.norm(eta)) * (1 + (M + 3) * _EPS)
            product -= sigma * norm * (1 + 4 * _EPS)
        if not product > 0:
            return 0.0, np.zeros(M)
        if scale <= 0:  # A^T eta <= 0 < <y, eta>: no nonnegative signal at all
            return np.inf, eta
        scale = max(scale, 1e-200)  # a larger one is feasible too, and nothing overflows
        return product / scale * (1 - 4 * _EPS), eta / scale * (1 - 2 * _EPS)

    def badness(self, x, bound) -> float:
        """Return violation and relative gap of x, together."""
        excess = float(self.w @ np.abs(x)) - bound
        return self.violation(x) + abs(excess) / max(bound, _TINY)


def _top(values, exponents) -> int:
    """Return the exponent of the largest of values * 2^exponents, without forming them."""
    mantissa, own = np.frexp(values)
    return int(np.max(np.where(mantissa != 0, own + exponents, -(2**20)))) if mantissa.any() else 0


def _equilibrium(A, separately):
    """Return exponents of rows and columns; of rows all equal where not ``separately``."""
    size = np.abs(A)
    used = size > 0
    with np.errstate(divide="ignore"):
        log = np.where(used, np.log2(np.where(used, size, 1.0)), -np.inf)
    rows, columns = np.zeros(A.shape[0]), np.zeros(A.shape[1])
    for _ in range(3):
        if separately:
            top = np.max(log + columns, axis=1)
            rows = np.where(np.isfinite(top), -np.round(top), 0.0)
        top = np.max(log + rows[:, None], axis=0)
        columns = np.where(np.isfinite(top), -np.round(top), 0.0)
    return rows.astype(int), columns.astype(int)


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


def _by_solver(program, A, y, solver):
    """Return x, dual vectors and the solver's word for the program with this A and y."""
    import cvxpy as cp  # on first use: it takes seconds

    M, N = A.shape
    split = not program.nonnegative
    B = np.hstack([A, -A]) if split else A
    size = float(program.w.max())
    cost = np.concatenate([program.w, program.w]) if split else program.w
    p = cp.Variable(B.shape[1], nonneg=True)
    constraint = cp.SOC(program.sigma, B @ p - y) if program.sigma else B @ p == y
    convex = cp.Problem(cp.Minimize((cost / size) @ p), [constraint])
    options = {}
    if solver == "HIGHS":
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
        excess = price if program.nonnegative else np.abs(price)
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


def _simplex(program, rows, x, eta):
    """Return x and eta of a basis found by the simplex method that begins near x (None: none)."""
    A, y, w = program.A[rows], program.y[rows], program.w
    slack = w - (A.T @ eta[rows] if program.nonnegative else np.abs(A.T @ eta[rows]))
    order = np.lexsort((slack / w, -np.abs(x)))
    basis = _independent(A, order)
    if len(basis) < len(rows):
        return None
    sign = None
    for _ in range(_PIVOTS):
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
            if program.nonnegative:
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
        reach = price if program.nonnegative else np.abs(price)
        entering = int(np.argmax(reach))
        if reach[entering] <= 1 + 1e-12:
            new, full = np.zeros(len(w)), np.zeros(len(program.y))
            if program.nonnegative:
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
