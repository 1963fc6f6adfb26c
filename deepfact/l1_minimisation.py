"""Basis pursuit, with and without noise, with certified lower bounds on the optimal value."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.sparse.linalg import LinearOperator

from deepfact.arguments import as_count, as_real_array, as_real_number, as_signed
from deepfact.l1_program import FEASIBLE, Program
from deepfact.l1_solutions import proposal
from deepfact.problem import Problem

_ACCURATE = 1e-6  # certified relative gap up to which a solution is called optimal


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
        "optimal" (each equation holds to 1e-9 of the sizes of its terms, or the residual norm is
        at most noise_level + 1e-9 norm(y), and the value is within 1e-6 of its lower bound),
        "inaccurate", "infeasible" or "failed".
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
    nonnegative: bool | None = None,
    weights: np.ndarray | None = None,
    solver: str = "HIGHS",
    max_entries: int = 20_000_000,
    *,
    signed: bool | None = None,
) -> BasisPursuitResult:
    """Minimise <weights, abs(x)> subject to A x = y, and x >= 0 where asked.

    Parameters
    ----------
    problem : Problem
        The data A and y.
    nonnegative : bool, optional
        The opposite of ``signed``; not both.
    weights : array_like of shape (N,), optional
        Positive weights (default: ones, the l1 norm).
    solver : str, optional
        Name of an installed cvxpy solver for linear programs (default: "HIGHS", whose dual simplex
        was the fastest and the most accurate of those that come with cvxpy).
    max_entries : int, optional
        Largest M * N up to which a LinearOperator is turned into a matrix (default: 2e7, that is
        160 MB).
    signed : bool, optional
        Allow any signs (default: True), or ask for x >= 0.

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
    ``lower_bound`` holds without any trust in the solver, and for every y within its rounding. Rows
    and columns are scaled by powers of two; a basis is sought from the solver's answer by steps of
    the simplex method with refined residuals. Statement S2 and section "Dual
    picture" of ``docs/statements.md``.
    """
    signed = as_signed(signed, nonnegative)
    program = _checked(problem, signed, weights, solver, max_entries, 0.0)
    return _solve(program, solver)


def bpdn(
    problem: Problem,
    noise_level: float,
    nonnegative: bool | None = None,
    weights: np.ndarray | None = None,
    solver: str = "CLARABEL",
    max_entries: int = 20_000_000,
    *,
    signed: bool | None = None,
) -> BasisPursuitResult:
    """Minimise <weights, abs(x)> subject to norm(A x - y) <= noise_level (basis pursuit denoising).

    Parameters
    ----------
    problem : Problem
        The data A and y.
    noise_level : float
        Allowed Euclidean norm of the residual, at least 0; with 0 it is `basis_pursuit`.
    nonnegative : bool, optional
        The opposite of ``signed``; not both.
    weights : array_like of shape (N,), optional
        Positive weights (default: ones, the l1 norm).
    solver : str, optional
        Name of an installed cvxpy solver for second-order cone programs (default: "CLARABEL").
    max_entries : int, optional
        Largest M * N up to which a LinearOperator is turned into a matrix (default: 2e7).
    signed : bool, optional
        Allow any signs (default: True), or ask for x >= 0.

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
    signed = as_signed(signed, nonnegative)
    program = _checked(problem, signed, weights, solver, max_entries, noise_level)
    return _solve(program, solver)


@functools.cache
def _installed_solvers():
    import cvxpy  # on first use: it takes seconds

    return cvxpy.installed_solvers()  # tries to import each one


def _checked(problem, signed, weights, solver, max_entries, noise_level) -> Program:
    """Check the arguments of the public functions and set the program up."""
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a Problem, got {type(problem).__name__}")
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
    return Program(A, problem.y, w, signed, noise_level)


def _solve(program, solver) -> BasisPursuitResult:
    M, N = program.A.shape
    if program.norm_y <= program.sigma:
        reason = "y = 0" if program.norm_y == 0 else "norm(y) <= noise_level"
        return _result(program, np.zeros(N), np.zeros(M), f"{reason}: the minimiser is 0")
    if program.raised:
        return _failed(program, "the sizes of weights and columns differ too much for float64")
    if not program.A.any():
        return _infeasible(program, program.y, 1.0)
    x, eta, words = proposal(program, solver)
    if x is None or program.violation(x) > FEASIBLE:
        # Is it the solver or the problem? The distance from y to the signals' image tells.
        r = _smallest_residual(program)
        distance = float(np.linalg.norm(r))
        if distance > program.sigma + FEASIBLE * program.norm_y:
            return _infeasible(program, r, distance / program.norm_y)
        if x is None:
            return _failed(program, words)
    return _result(program, x, eta, words)


def _smallest_residual(program) -> np.ndarray:
    """Return y - A x of least norm; 0 where it is not known to be that."""
    A, y = program.A, program.y
    if program.signed:
        x = np.linalg.lstsq(A, y, rcond=None)[0]
        return y - A @ x
    try:
        x = nnls(A, y)[0]
    except RuntimeError:  # out of iterations: claim nothing
        return np.zeros_like(y)
    # Optimality of nonnegative least squares: A^T r <= 0, and = 0 where x > 0.
    r = y - A @ x
    allowed = 1e-9 * np.linalg.norm(r) * np.linalg.norm(A, axis=0) + 1e-14 * program.norm_y
    price = A.T @ r
    optimal = np.all(price <= allowed) and np.all(np.abs(price[x > 0]) <= allowed[x > 0])
    return r if optimal else np.zeros_like(y)


def _result(program, x, eta, words) -> BasisPursuitResult:
    lower, eta = program.bound(eta)
    value = float(program.w @ np.abs(x))
    violation = program.violation(x) if program.norm_y else 0.0
    hidden = program.hidden(x, eta)
    # A value below the bound shows a residual that matters: both sides must be close.
    close = abs(value - lower) <= _ACCURATE * value and hidden <= _ACCURATE * value
    status = "optimal" if violation <= FEASIBLE and (close or value == 0) else "inaccurate"
    x, value, eta, lower = program.unscaled(x, value, eta, lower)
    if not (np.isfinite(x).all() and np.isfinite(value)):
        return _failed(program, f"{words}; the minimiser is beyond the largest double")
    residual = program.residual(x)
    words += f"; relative residual {residual:.1e}, certified gap {value - lower:.1e}"
    return BasisPursuitResult(x, value, eta, lower, value - lower, residual, status, words)


def _infeasible(program, r, distance) -> BasisPursuitResult:
    what = "signal" if program.signed else "nonnegative signal"
    words = f"no {what} reaches y: the smallest relative residual is {distance:.1e}"
    lower = 0.0 if program.signed else program.bound(r, 0.0)[0]
    r = program.unscaled_rows(r / np.linalg.norm(r))
    return BasisPursuitResult(
        np.full(program.A.shape[1], np.nan),
        np.inf,
        r / np.linalg.norm(r),
        np.inf if lower == np.inf else 0.0,
        np.nan,
        np.nan,
        "infeasible",
        words,
    )


def _failed(program, words) -> BasisPursuitResult:
    M, N = program.A.shape
    return BasisPursuitResult(
        np.full(N, np.nan), np.nan, np.zeros(M), 0.0, np.nan, np.nan, "failed", words
    )
