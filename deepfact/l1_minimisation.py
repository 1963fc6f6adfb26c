"""Basis pursuit, with and without noise, with certified lower bounds on the optimal value."""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.optimize import nnls
from scipy.sparse.linalg import LinearOperator

from deepfact.arguments import as_count, as_real_array, as_real_number
from deepfact.problem import Problem

_FEASIBLE = 1e-9  # relative residual up to which A x = y is taken to hold
_EPS = np.finfo(np.float64).eps
_TINY = np.finfo(np.float64).smallest_subnormal
_installed_solvers = functools.cache(cp.installed_solvers)  # tries to import each one


@dataclass(frozen=True, eq=False)
class BasisPursuitResult:
    """The outcome of `basis_pursuit` or `bpdn`.

    Parameters
    ----------
    x : ndarray of shape (N,)
        The minimiser; NaN where there is none to report (status "infeasible" or "failed").
    value : float
        <weights, abs(x)>: infinite for an infeasible problem, NaN for a failed one.
    dual : ndarray of shape (M,)
        A vector eta that is feasible for the dual problem, rounding included. For an infeasible
        problem: the unit vector along the smallest residual r, which separates y from what the
        signals can reach (A^T r = 0 or, for nonnegative signals, A^T r <= 0).
    lower_bound : float
        Value of the dual problem at ``dual``, rounded down: never above the optimal value of the
        problem with exactly these A, y and weights. It is 0 where nothing better is known.
    gap : float
        ``value - lower_bound``; NaN where there is no minimiser.
    residual : float
        Relative residual norm(A x - y)/norm(y) (0 for y = 0; NaN where there is no minimiser).
    status : str
        "optimal", "inaccurate", "infeasible" or "failed".
    message : str
        The reason for the status, in words.

    Notes
    -----
    ``value`` belongs to a point that meets the constraint only to within ``residual``, so the gap
    of a solution exact to rounding can be negative by a few units of rounding.
    """

    x: np.ndarray
    value: float
    dual: np.ndarray
    lower_bound: float
    gap: float
    residual: float
    status: str
    message: str

    @property
    def success(self) -> bool:
        """Whether the status is "optimal"."""
        return self.status == "optimal"


def basis_pursuit(
    problem: Problem,
    nonnegative: bool = False,
    weights: np.ndarray | None = None,
    solver: str = "HIGHS",
    max_entries: int = 20_000_000,
) -> BasisPursuitResult:
    """Minimise <weights, abs(x)> subject to A x = y, and x >= 0 where asked.

    Parameters
    ----------
    problem : Problem
        The data A and y.
    nonnegative : bool, optional
        Ask for x >= 0 (default: False).
    weights : array_like of shape (N,), optional
        Positive weights (default: ones, the l1 norm).
    solver : str, optional
        Name of an installed cvxpy solver for linear programs (default: "HIGHS", whose dual simplex
        was the fastest and the most accurate of those that come with cvxpy).
    max_entries : int, optional
        Largest M * N up to which a LinearOperator is turned into a matrix (default: 2e7, that is
        160 MB).

    Returns
    -------
    BasisPursuitResult
        The minimiser with its certificate.

    Raises
    ------
    TypeError
        If an argument is not of the kind named above.
    ValueError
        If ``weights`` has another length than N or an entry that is not positive and finite, the
        solver is not installed, or ``problem.A`` is a LinearOperator too large to be a matrix.

    Notes
    -----
    The dual problem is max <y, eta> subject to abs(A^T eta) <= weights (nonnegative signals:
    A^T eta <= weights). The solver's dual vector is divided by a bound on its violation that
    includes the rounding errors of A^T eta, and <y, eta> is reduced by a bound on its own; so
    ``lower_bound`` holds without any trust in the solver. Where least squares on the support found
    gives a better primal or dual vector, that one is returned. Statement S2 and section "Dual
    picture" of ``docs/statements.md``.
    """
    program = _Program.checked(problem, nonnegative, weights, solver, max_entries)
    return program.solve(0.0)


def bpdn(
    problem: Problem,
    noise_level: float,
    nonnegative: bool = False,
    weights: np.ndarray | None = None,
    solver: str = "CLARABEL",
    max_entries: int = 20_000_000,
) -> BasisPursuitResult:
    """Minimise <weights, abs(x)> subject to norm(A x - y) <= noise_level (basis pursuit denoising).

    Parameters
    ----------
    problem : Problem
        The data A and y.
    noise_level : float
        Allowed Euclidean norm of the residual, at least 0; with 0 it is `basis_pursuit`.
    nonnegative : bool, optional
        Ask for x >= 0 (default: False).
    weights : array_like of shape (N,), optional
        Positive weights (default: ones, the l1 norm).
    solver : str, optional
        Name of an installed cvxpy solver for second-order cone programs (default: "CLARABEL").
    max_entries : int, optional
        Largest M * N up to which a LinearOperator is turned into a matrix (default: 2e7).

    Returns
    -------
    BasisPursuitResult
        The minimiser with its certificate.

    Raises
    ------
    TypeError
        If an argument is not of the kind named above.
    ValueError
        As in `basis_pursuit`, or if ``noise_level`` is negative or not finite.

    Notes
    -----
    The dual problem is max <y, eta> - noise_level norm(eta) subject to abs(A^T eta) <= weights; the
    lower bound is made rigorous as in `basis_pursuit`. Compared with the flow, which needs no noise
    level, in statement S5 of ``docs/statements.md``.
    """
    noise_level = as_real_number("noise_level", noise_level, minimum=0.0)
    program = _Program.checked(problem, nonnegative, weights, solver, max_entries)
    return program.solve(noise_level)


class _Program:
    """min <w, |x|> s.t. ||A x - y|| <= sigma, scaled by powers of two (so without rounding)."""

    def __init__(self, A, y, w, nonnegative, solver):
        self.exponents = tuple(int(np.frexp(np.max(np.abs(v)))[1]) for v in (A, y, w))
        kA, ky, kw = self.exponents
        self.A, self.y, self.w = np.ldexp(A, -kA), np.ldexp(y, -ky), np.ldexp(w, -kw)
        self.abs_A = np.abs(self.A)
        self.nonnegative, self.solver = nonnegative, solver
        self.norm_y = float(np.linalg.norm(self.y))

    @classmethod
    def checked(cls, problem, nonnegative, weights, solver, max_entries):
        """Check the arguments of the public functions and set the program up."""
        if not isinstance(problem, Problem):
            raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")
        if not isinstance(nonnegative, (bool, np.bool_)):
            raise TypeError(f"nonnegative must be True or False, got {nonnegative!r}")
        if not isinstance(solver, str):
            raise TypeError(f"solver must be the name of a cvxpy solver, got {solver!r}")
        if solver not in _installed_solvers():
            raise ValueError(f"solver must be one of {_installed_solvers()}, got {solver!r}")
        max_entries = as_count("max_entries", max_entries, minimum=1)
        if isinstance(problem.A, LinearOperator) and problem.M * problem.N > max_entries:
            raise ValueError(
                f"problem.A is a LinearOperator of shape {problem.A.shape}; as a matrix it would "
                f"have {problem.M * problem.N} entries, more than max_entries = {max_entries}"
            )
        w = np.ones(problem.N)
        if weights is not None:
            w = as_real_array("weights", weights, ndim=1)
            if len(w) != problem.N:
                raise ValueError(f"weights must have length N = {problem.N}, got {len(w)}")
            if w.min() <= 0:
                raise ValueError(f"weights must be positive, got {w.min()}")
        A = as_real_array("problem.A", problem.dense(), ndim=2)
        return cls(A, problem.y, w, bool(nonnegative), solver)

    def solve(self, noise_level) -> BasisPursuitResult:
        ky = self.exponents[1]
        sigma = float(np.ldexp(noise_level, -ky)) if self.norm_y else 0.0
        M, N = self.A.shape
        if self.norm_y <= sigma:
            reason = "y = 0" if self.norm_y == 0 else "norm(y) <= noise_level"
            return self.result(np.zeros(N), np.zeros(M), sigma, f"{reason}: the minimiser is 0")
        if not self.A.any():
            return self.infeasible(self.y, 1.0)
        x, eta, words = self.run(sigma)
        if x is None or self.violation(x, sigma) > _FEASIBLE:
            # Is it the solver or the problem? The distance from y to the signals' image tells.
            r = self.smallest_residual()
            distance = float(np.linalg.norm(r))
            if distance > sigma + _FEASIBLE * self.norm_y:
                return self.infeasible(r, distance / self.norm_y)
            if x is None:
                return self.failed(words)
        return self.result(x, eta, sigma, words)

    def run(self, sigma):
        """Return the best primal and dual vectors (None where none) and the solver's word."""
        M, N = self.A.shape
        split = not self.nonnegative
        B = np.hstack([self.A, -self.A]) if split else self.A
        cost = np.concatenate([self.w, self.w]) if split else self.w
        p = cp.Variable(B.shape[1], nonneg=True)
        constraint = cp.SOC(sigma, B @ p - self.y) if sigma else B @ p == self.y
        program = cp.Problem(cp.Minimize(cost @ p), [constraint])
        # Presolve finds nothing in a dense matrix, and costs as much as the simplex method.
        options = {"highs_options": {"presolve": "off"}} if self.solver == "HIGHS" else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                program.solve(solver=self.solver, **options)
            except (cp.error.SolverError, ValueError, ArithmeticError) as error:
                return None, None, f"{self.solver} failed: {error}"
        words = f"{self.solver}: {program.status}"
        if p.value is None or not np.isfinite(p.value).all():
            return None, None, words
        q = np.maximum(p.value, 0.0)
        x = q[:N] - q[N:] if split else q
        duals = [np.zeros(M)]
        if sigma:
            duals.append(self.y - self.A @ x)
        elif constraint.dual_value is not None:
            nu = np.asarray(constraint.dual_value, dtype=np.float64).ravel()
            if np.isfinite(nu).all():
                duals += [nu, -nu]
        candidates = [x]
        # From the exact support the solution follows by linear algebra, to full accuracy.
        for tolerance in (1e-10, 1e-6):
            polished = self.polish(
                x, max(duals, key=lambda e: self.bound(e, sigma)[0]), tolerance, sigma
            )
            if polished is not None:
                candidates.append(polished[0])
                duals.append(polished[1])
        eta = max(duals, key=lambda e: self.bound(e, sigma)[0])
        bound = self.bound(eta, sigma)[0]

        def badness(x):
            excess = float(self.w @ np.abs(x)) - bound
            return self.violation(x, sigma) + abs(excess) / max(bound, _TINY)

        return min(candidates, key=badness), eta, words

    def polish(self, x, eta, tolerance, sigma):
        """Return x and eta from the support and the signs of x, or None where that is no basis."""
        support = np.abs(x) > tolerance * np.max(np.abs(x))
        M = len(self.y)
        if not 0 < np.count_nonzero(support) <= M:
            return None
        target = self.w[support] * np.sign(x[support])
        Q, R = qr(self.A[:, support], mode="economic")
        diagonal = np.abs(np.diag(R))
        if diagonal.min() <= 1e-12 * diagonal.max():
            return None
        new = np.zeros_like(x)
        if sigma:  # A_S^T r = t target, norm(r) = sigma
            lift = solve_triangular(R, target, trans="T")
            outside = self.y - Q @ (Q.T @ self.y)
            room = sigma**2 - float(outside @ outside)
            if room <= 0:
                return None
            t = math.sqrt(room) / float(np.linalg.norm(lift))
            new[support] = solve_triangular(R, Q.T @ self.y - t * lift)
            eta = (outside + t * (Q @ lift)) / t
        else:
            for _ in range(2):  # the second step removes the rounding errors of the first
                r = self.y - self.A @ new
                new[support] += solve_triangular(R, Q.T @ r)
                missing = target - self.A[:, support].T @ eta
                eta = eta + Q @ solve_triangular(R, missing, trans="T")
        if np.any(new[support] * target < 0):
            return None
        return new, eta

    def violation(self, x, sigma) -> float:
        excess = float(np.linalg.norm(self.A @ x - self.y)) - sigma
        return max(excess, 0.0) / self.norm_y

    def bound(self, eta, sigma):
        """Return a lower bound on the optimal value and the feasible dual vector behind it.

        (M + 3) eps times the sum of absolute values is twice the a-priori bound on the error of a
        sum of M products in any order; the spare half covers the rounding of the bound itself and
        the scaling of eta.
        """
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
        if product <= 0:
            return 0.0, np.zeros(M)
        if scale <= 0:  # A^T eta <= 0 < <y, eta>: no nonnegative signal at all
            return np.inf, eta
        scale = max(scale, 1e-200)  # a larger one is feasible too, and nothing overflows
        return product / scale * (1 - 4 * _EPS), eta / scale * (1 - 2 * _EPS)

    def smallest_residual(self) -> np.ndarray:
        if self.nonnegative:
            try:
                x = nnls(self.A, self.y)[0]
            except RuntimeError:  # out of iterations: claim nothing
                return np.zeros_like(self.y)
        else:
            x = np.linalg.lstsq(self.A, self.y, rcond=None)[0]
        return self.y - self.A @ x

    def result(self, x, eta, sigma, words) -> BasisPursuitResult:
        kA, ky, kw = self.exponents
        lower, eta = self.bound(eta, sigma)
        violation = self.violation(x, sigma) if self.norm_y else 0.0
        residual = float(np.linalg.norm(self.A @ x - self.y)) / self.norm_y if self.norm_y else 0.0
        value = float(self.w @ np.abs(x))
        with np.errstate(over="ignore", under="ignore"):
            x = np.ldexp(x, ky - kA)
            eta = np.ldexp(eta, kw - kA)
            scaled_gap = value - lower
            value, gap = (float(np.ldexp(v, kw + ky - kA)) for v in (value, scaled_gap))
            scaled_lower = float(np.ldexp(lower, kw + ky - kA))
        if 0 < scaled_lower < np.finfo(np.float64).tiny:  # a subnormal number may be rounded up
            scaled_lower = max(0.0, float(np.nextafter(scaled_lower, 0.0)))
        if not (np.isfinite(x).all() and np.isfinite(value)):
            return self.failed(f"{words}; the minimiser is beyond the largest double")
        close = scaled_gap <= 1e-6 * float(np.ldexp(value, -(kw + ky - kA))) if value else True
        status = "optimal" if violation <= _FEASIBLE and close else "inaccurate"
        words += f"; relative residual {residual:.1e}, certified gap {gap:.1e}"
        return BasisPursuitResult(
            x, value, eta, scaled_lower, value - scaled_lower, residual, status, words
        )

    def infeasible(self, r, distance) -> BasisPursuitResult:
        what = "nonnegative signal" if self.nonnegative else "signal"
        words = f"no {what} reaches y: the smallest relative residual is {distance:.1e}"
        N = self.A.shape[1]
        lower = self.bound(r, 0.0)[0] if self.nonnegative else 0.0
        return BasisPursuitResult(
            np.full(N, np.nan),
            np.inf,
            r / np.linalg.norm(r),
            np.inf if lower == np.inf else 0.0,
            np.nan,
            np.nan,
            "infeasible",
            words,
        )

    def failed(self, words) -> BasisPursuitResult:
        M, N = self.A.shape
        return BasisPursuitResult(
            np.full(N, np.nan), np.nan, np.zeros(M), 0.0, np.nan, np.nan, "failed", words
        )
