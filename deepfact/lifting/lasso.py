"""The lasso: value and certified lower bound of a point, and the minimiser on given columns."""

from __future__ import annotations

import numpy as np

from deepfact.arguments import as_real_array, as_real_number, check_problem
from deepfact.problem import Problem


def lasso_bounds(problem: Problem, x: np.ndarray, penalty: float) -> tuple[float, float]:
    """Compute the lasso's value at x and a lower bound of its minimum.

    With r = y - A x and nu = r min(1, lambda/|A^T r|_inf), which is feasible for the dual problem
    max <nu, y> - |nu|^2/2 over |A^T nu|_inf <= lambda.

    Parameters
    ----------
    problem : Problem
        The data A and y.
    x : array_like of shape (N,)
        The point.
    penalty : float
        lambda > 0 in 1/2 |A x - y|^2 + lambda |x|_1.

    Returns
    -------
    value : float
        The objective at x.
    lower_bound : float
        The dual objective at nu, at most the minimum.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    check_problem(problem)
    x = as_real_array("x", x, ndim=1)
    penalty = as_real_number("penalty", penalty, above=0.0)
    r = problem.y - problem.dense() @ x
    value = r @ r / 2 + penalty * np.sum(np.abs(x))
    largest = np.max(np.abs(problem.dense().T @ r))
    nu = r * min(1.0, penalty / largest) if largest > 0 else r
    return float(value), float(nu @ problem.y - nu @ nu / 2)


def lasso_minimiser(
    problem: Problem, penalty: float, columns: np.ndarray | None = None
) -> np.ndarray:
    """Minimise 1/2 |A x - y|^2 + lambda |x|_1 over vectors that vanish off some columns.

    Parameters
    ----------
    problem : Problem
        The data A and y.
    penalty : float
        lambda > 0.
    columns : array_like of int, optional
        The columns (default: all).

    Returns
    -------
    ndarray of shape (N,)
        The minimiser: cvxpy's, with the equations of its signs solved again on its support.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of its range.
    RuntimeError
        If the signs found are not those of a minimiser.

    Notes
    -----
    Statement T1 of ``docs/overparameterization.md``.
    """
    import cvxpy as cp

    check_problem(problem)
    penalty = as_real_number("penalty", penalty, above=0.0)
    columns = np.arange(problem.N) if columns is None else np.asarray(columns)
    A, y = problem.dense()[:, columns], problem.y
    z = cp.Variable(len(columns))
    objective = cp.sum_squares(A @ z - y) / 2 + penalty * cp.norm1(z)
    cp.Problem(cp.Minimize(objective)).solve(solver="CLARABEL")
    # The solver's answer has the right signs but for entries and slacks near its tolerance: those
    # are mended one after another, with exact equations on the support.
    signs = np.sign(z.value) * (np.abs(z.value) > 1e-6 * np.max(np.abs(z.value)))
    for _ in range(10 * len(columns)):
        exact = np.zeros(len(columns))
        active = signs != 0
        B = A[:, active]
        exact[active] = np.linalg.solve(B.T @ B, B.T @ y - penalty * signs[active])
        correlation = A.T @ (y - A @ exact)
        violation = np.where(active, 0.0, np.abs(correlation) - penalty)
        if np.any(exact * signs < 0):
            signs[exact * signs < 0] = 0.0
        elif np.max(violation) > 1e-12 * penalty:
            worst = np.argmax(violation)
            signs[worst] = np.sign(correlation[worst])
        else:
            x = np.zeros(problem.N)
            x[columns] = exact
            return x
    raise RuntimeError("the signs of the lasso's minimiser were not found")
