"""Basis pursuit: flow_limit at tiny alpha against linear programs, SPGL1 and the Lasso.

The instances have the true signal as their only minimiser (checked by a dual certificate), so that
the error of every solver is its distance to that. Each solver runs at its defaults and at tighter
tolerances, which makes a curve of error against time.
"""

import math
import warnings

import cvxpy as cp
import numpy as np
from scipy.optimize import linprog
from tqdm import tqdm

import deepfact as df
from benchmarks.limits import gaussian, relative_error
from benchmarks.measure import alternate, fill, has, in_own_process, summary

COLUMNS = (
    "N", "M", "s", "instance", "solver", "setting", "status", "seconds", "seconds_min",
    "seconds_max", "repeats", "solver_seconds", "error", "residual", "iterations", "own_status",
    "dual_margin", "peak_MiB",
)  # fmt: skip


def unique_minimiser_margin(problem, dual):
    """Return 1 - max |A^T eta| off the support of x_true for A^T eta = sign(x_true) on it.

    If that is positive, and the columns of the support are independent, then x_true is the only
    minimiser of the l1-norm: any other feasible z = x_true + d has
    ||z||_1 >= ||x_true||_1 + margin ||d off the support||_1. Otherwise return -1.
    """
    support = problem.x_true != 0
    columns = problem.A[:, support]
    if np.linalg.matrix_rank(columns) < columns.shape[1]:
        return -1.0
    signs = np.sign(problem.x_true[support])
    eta = dual / np.abs(problem.A.T @ dual).max()
    eta = eta + np.linalg.lstsq(columns.T, signs - columns.T @ eta, rcond=None)[0]
    return float(1.0 - np.abs(problem.A.T @ eta)[~support].max())


def flow_limit(problem, alpha):
    """Solve by the limit of the flow with two factors."""
    limit = df.flow_limit(problem, df.DeepFactorization(2, alpha))
    return limit.x, {
        "iterations": limit.iterations,
        "own_status": limit.status,
        "dual_margin": unique_minimiser_margin(problem, limit.dual),
    }


def by_cvxpy(problem, solver, split, **options):
    """Solve by cvxpy: min ||x||_1, or min 1^T (u + v) over u, v >= 0 with x = u - v."""
    if split:
        both = cp.Variable(2 * problem.N, nonneg=True)
        x = both[: problem.N] - both[problem.N :]
        matrix = np.hstack([problem.A, -problem.A])
        program = cp.Problem(cp.Minimize(cp.sum(both)), [matrix @ both == problem.y])
    else:
        x = cp.Variable(problem.N)
        program = cp.Problem(cp.Minimize(cp.norm1(x)), [problem.A @ x == problem.y])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "inaccurate" is recorded as the status
        program.solve(solver=solver, **options)
    stats = program.solver_stats
    parts = (stats.setup_time, stats.solve_time)
    return np.asarray(x.value), {
        "solver_seconds": sum(part for part in parts if part) or None,
        "iterations": stats.num_iters,
        "own_status": program.status,
    }


def clarabel(problem, tolerance=None, split=False):
    """Interior-point method."""
    options = {"max_threads": 1}
    if tolerance:
        options |= dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tolerance)
    return by_cvxpy(problem, "CLARABEL", split, **options)


def highs(problem, tolerance=None, split=False):
    """Solve by the simplex method, the default of HiGHS."""
    options = {"threads": 1}
    if tolerance:
        names = ("primal_feasibility_tolerance", "dual_feasibility_tolerance")
        options |= dict.fromkeys(names, tolerance)
    return by_cvxpy(problem, "HIGHS", split, **options)


def scs(problem, tolerance=None, split=False):
    """Operator splitting."""
    options = {"max_iters": 10**6} if tolerance else {}
    if tolerance:
        options |= {"eps_abs": tolerance, "eps_rel": tolerance}
    return by_cvxpy(problem, "SCS", split, **options)


def scipy_highs(problem, method, tolerance=None):
    """HiGHS as scipy calls it, with x = u - v."""
    options = {}
    if tolerance:
        options = {
            "primal_feasibility_tolerance": tolerance,
            "dual_feasibility_tolerance": tolerance,
        }
    found = linprog(
        np.ones(2 * problem.N),
        A_eq=np.hstack([problem.A, -problem.A]),
        b_eq=problem.y,
        method=method,
        options=options,
    )
    x = found.x[: problem.N] - found.x[problem.N :]
    return x, {"iterations": found.nit, "own_status": found.status}


def spgl1(problem, tolerance=None):
    """Spectral projected gradients along the Pareto curve; iterations: products with A and A^T."""
    from spgl1 import spg_bp

    options = {}
    if tolerance:
        options = dict.fromkeys(("bp_tol", "ls_tol", "opt_tol", "dec_tol"), tolerance)
        options |= {"iter_lim": 10**6}
    x, _, _, info = spg_bp(problem.A, problem.y, **options)
    return x, {"iterations": info["nprodA"] + info["nprodAt"], "own_status": info["stat"]}


def celer(problem, fraction, tolerance=1e-4):
    """Solve the Lasso (working sets) at a fraction of the parameter from which on x = 0.

    It is another problem: its solution is that of basis pursuit only for the fraction to 0.
    """
    from celer import Lasso

    largest = np.abs(problem.A.T @ problem.y).max() / problem.M
    lasso = Lasso(alpha=fraction * largest, tol=tolerance, fit_intercept=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a tolerance not met shows in the error
        lasso.fit(np.asfortranarray(problem.A), problem.y)
    return lasso.coef_, {"iterations": int(lasso.n_iter_)}


# Settings from loose to tight: what follows one that is over the limit, in its group, is not run.
# The tight tolerances are the smallest at which the solvers still ended.
SOLVERS = {
    "flow_limit": [
        [(f"alpha={alpha:g}", flow_limit, {"alpha": alpha})] for alpha in (1e-4, 1e-8, 1e-12, 1e-16)
    ],
    "cvxpy CLARABEL": [
        [("default", clarabel, {}), ("1e-12", clarabel, {"tolerance": 1e-12})],
        [
            ("split", clarabel, {"split": True}),
            ("split 1e-12", clarabel, {"split": True, "tolerance": 1e-12}),
        ],
    ],
    "cvxpy HIGHS": [
        [("default", highs, {}), ("1e-10", highs, {"tolerance": 1e-10})],
        [
            ("split", highs, {"split": True}),
            ("split 1e-10", highs, {"split": True, "tolerance": 1e-10}),
        ],
    ],
    "cvxpy SCS": [
        [
            ("default", scs, {}),
            ("1e-9", scs, {"tolerance": 1e-9}),
            ("1e-12", scs, {"tolerance": 1e-12}),
        ],
    ],
    "scipy linprog": [
        [
            ("simplex", scipy_highs, {"method": "highs-ds"}),
            ("simplex 1e-10", scipy_highs, {"method": "highs-ds", "tolerance": 1e-10}),
        ],
        [("interior point", scipy_highs, {"method": "highs-ipm"})],
    ],
    "SPGL1": [
        [
            ("default", spgl1, {}),
            ("1e-6", spgl1, {"tolerance": 1e-6}),
            ("1e-9", spgl1, {"tolerance": 1e-9}),
        ],
    ],
    "celer Lasso": [
        [
            (f"{fraction:g}", celer, {"fraction": fraction, "tolerance": 1e-4 * fraction})
            for fraction in (1e-2, 1e-4, 1e-6)
        ],
    ],
}
NEEDS = {"SPGL1": "spgl1", "celer Lasso": "celer"}


def settings_of(solver):
    """Return the settings of a solver by name: function and keyword arguments."""
    return {name: (f, options) for group in SOLVERS[solver] for name, f, options in group}


def measure(N, instance, solver, setting, repeats):
    """Time one solver at one setting."""
    function, options = settings_of(solver)[setting]
    problem = gaussian(N, instance)
    function(gaussian(50, 0), **options)  # loads what is loaded once
    values, seconds = alternate({"solve": lambda: function(problem, **options)}, repeats, budget=2)
    x, more = values["solve"]
    residual = np.linalg.norm(problem.A @ x - problem.y) / np.linalg.norm(problem.y)
    return (
        summary(seconds["solve"])
        | {"error": relative_error(x, problem), "residual": float(residual)}
        | {key: value for key, value in more.items() if value is not None}
    )


def rows(unknowns, instances, solvers, repeats, limit):
    """Return a row for each size, instance, solver and setting; of solvers installed."""
    chosen = [name for name in solvers if name not in NEEDS or has(NEEDS[name])]
    tasks = [
        (N, instance, solver, group)
        for N, count in zip(unknowns, instances, strict=True)
        for instance in range(count)
        for solver in chosen
        for group in SOLVERS[solver]
    ]
    table = []
    for N, instance, solver, group in tqdm(tasks, disable=None, desc="solvers"):
        over = False
        for setting, _, _ in group:
            task = {"N": N, "instance": instance, "solver": solver, "setting": setting}
            if over:
                found = {"status": "not run"}
            else:
                found = in_own_process("solvers", "measure", task | {"repeats": repeats}, limit)
            over = over or found["status"] == "over limit"
            if found["status"] == "over limit":
                found["seconds_min"] = limit
            sizes = {"M": N // 5, "s": max(1, math.floor(N / 50))}
            table.append(fill(COLUMNS, task | sizes | found))
    return table
