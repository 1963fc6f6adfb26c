"""Recovery by other methods, from correlated designs, and for every init scale: statement S14."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.recovery_table import TOLERANCE
from deepfact.experiments.sparse_methods import (
    fista_lasso,
    iterative_hard_thresholding,
    orthogonal_matching_pursuit,
    reweighted_l1,
)
from deepfact.experiments.tables import from_rows, groups
from deepfact.experiments.transition_fits import has_transition, probit_fit, threshold_tolerance
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem
from deepfact.statuses import require
from deepfact.theory import recovery_threshold

__all__ = [
    "PLACES",
    "correlated_problem",
    "fit_transitions",
    "measure_designs",
    "measure_methods",
    "measure_scales",
]

PLACES = ("scattered", "block", "block of one sign")
"""Where the nonzeros of `correlated_problem` are."""

METHODS = ("flow", "basis pursuit", "lasso", "reweighted l1", "OMP", "IHT")


def _near(x, problem) -> bool:
    error = np.linalg.norm(x - problem.x_true)
    return bool(error <= TOLERANCE * np.linalg.norm(problem.x_true))


def _rows(counts, trials, **cell) -> list[dict]:
    """Return a row for each method: how many it recovered, on how many it and the flow differ."""
    return [
        {
            **cell,
            "method": method,
            "trials": trials,
            "recovered": int(found.sum()),
            "differ": int(np.sum(found != counts["flow"])),
        }
        for method, found in counts.items()
    ]


def measure_methods(
    unknowns: int, nonzeros: int, measurements: list[int], trials: int, alpha: float, seed: int
) -> dict[str, np.ndarray]:
    """Count what six methods recover on the same Gaussian instances.

    Parameters
    ----------
    unknowns, nonzeros : int
        N and s.
    measurements : list of int
        Values of M.
    trials : int
        Instances of each.
    alpha : float
        Init scale of the flow of depth 3.
    seed : int
        Seed; each instance has its own stream.

    Returns
    -------
    dict of str to ndarray
        A row for each M and method: ``unknowns``, ``nonzeros``, ``measurements``, ``alpha``,
        ``method``, ``trials``, ``recovered``, and ``differ``, on how many it and the flow do.

    Raises
    ------
    RuntimeError
        If a limit or a linear program is not found.
    """
    rows = []
    model = DeepFactorization(3, alpha)
    for M in measurements:
        counts = {method: np.zeros(trials, dtype=bool) for method in METHODS}
        for trial in range(trials):
            stream = np.random.SeedSequence(seed, spawn_key=(1, M, trial))
            problem = gaussian_problem(M, unknowns, nonzeros, seed=stream)
            A, y = problem.dense(), problem.y
            signals = (
                require(flow_limit(problem, model)).x,
                require(basis_pursuit(problem)).x,
                fista_lasso(A, y),
                reweighted_l1(problem),
                orthogonal_matching_pursuit(A, y, nonzeros),
                iterative_hard_thresholding(A, y, nonzeros),
            )
            for method, x in zip(METHODS, signals, strict=True):
                counts[method][trial] = _near(x, problem)
        cell = {"unknowns": unknowns, "nonzeros": nonzeros, "measurements": M, "alpha": alpha}
        rows += _rows(counts, trials, **cell)
    return from_rows(rows)


def correlated_problem(
    M: int, N: int, s: int, correlation: float, place: str, seed: int | np.random.SeedSequence
) -> Problem:
    """Draw a Gaussian problem whose columns i and j have the correlation r^abs(i - j).

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns, nonzeros.
    correlation : float
        r, 0 <= r < 1, that of neighbouring columns.
    place : str
        One of `PLACES`: nonzeros "scattered" as in `gaussian_problem`, moved to a "block" of
        neighbours, or made a "block of one sign".
    seed : int or SeedSequence
        Source of randomness.

    Returns
    -------
    Problem
        With rows of A from an autoregression; for r = 0 and scattered nonzeros the same as
        `gaussian_problem`.
    """
    plain = gaussian_problem(M, N, s, seed=seed)
    A, x = plain.dense().copy(), plain.x_true
    for j in range(1, N):
        A[:, j] = correlation * A[:, j - 1] + np.sqrt(1 - correlation**2) * A[:, j]
    if place != "scattered":
        values, first = x[x != 0], (N - s) // 2
        x = np.zeros(N)
        x[first : first + s] = np.abs(values) if place == "block of one sign" else values
    return Problem(A, A @ x, x)


def measure_designs(
    unknowns: int,
    nonzeros: int,
    measurements: list[int],
    correlation: float,
    trials: int,
    alpha: float,
    seed: int,
) -> dict[str, np.ndarray]:
    """Count what the flow of depth 3 and basis pursuit recover from correlated columns.

    Parameters
    ----------
    unknowns, nonzeros : int
        N and s.
    measurements : list of int
        Values of M.
    correlation : float
        That of neighbouring columns, see `correlated_problem`.
    trials : int
        Instances of each.
    alpha : float
        Init scale of the flow.
    seed : int
        Seed; each instance has its own stream.

    Returns
    -------
    dict of str to ndarray
        A row for each of `PLACES`, M and method, "flow" or "basis pursuit": ``place``,
        ``correlation`` and the columns of `measure_methods`.

    Raises
    ------
    RuntimeError
        If a limit or a linear program is not found.
    """
    rows = []
    model = DeepFactorization(3, alpha)
    for place in PLACES:
        for M in measurements:
            counts = {method: np.zeros(trials, dtype=bool) for method in METHODS[:2]}
            for trial in range(trials):
                stream = np.random.SeedSequence(seed, spawn_key=(2, M, trial))
                problem = correlated_problem(M, unknowns, nonzeros, correlation, place, stream)
                counts["flow"][trial] = _near(require(flow_limit(problem, model)).x, problem)
                exact = require(basis_pursuit(problem)).x
                counts["basis pursuit"][trial] = _near(exact, problem)
            cell = {"place": place, "correlation": correlation, "unknowns": unknowns}
            rows += _rows(counts, trials, **cell, nonzeros=nonzeros, measurements=M, alpha=alpha)
    return from_rows(rows)


def measure_scales(
    unknowns: int,
    nonzeros: int,
    measurements: list[int],
    trials: int,
    log10_alphas: dict[int, list[float]],
    seed: int,
) -> dict[str, np.ndarray]:
    """Count what flows recover, for every number of measurements and init scale.

    Parameters
    ----------
    unknowns, nonzeros : int
        N and s.
    measurements : list of int
        Values of M.
    trials : int
        Instances of each.
    log10_alphas : dict of int to list of float
        For each depth the init scales.
    seed : int
        Seed; each instance has its own stream, the same for all init scales.

    Returns
    -------
    dict of str to ndarray
        A row for each depth, init scale and M: ``depth``, ``log10_alpha``, ``unknowns``,
        ``nonzeros``, ``measurements``, ``trials``, ``recovered``.

    Raises
    ------
    RuntimeError
        If a limit is not found.
    """
    rows = []
    for M in measurements:
        streams = [np.random.SeedSequence(seed, spawn_key=(3, M, k)) for k in range(trials)]
        problems = [gaussian_problem(M, unknowns, nonzeros, seed=stream) for stream in streams]
        for depth, scales in log10_alphas.items():
            for scale in scales:
                model = DeepFactorization(depth, log_alpha=scale * np.log(10))
                found = [_near(require(flow_limit(each, model)).x, each) for each in problems]
                rows.append(
                    {
                        "depth": depth,
                        "log10_alpha": float(scale),
                        "unknowns": unknowns,
                        "nonzeros": nonzeros,
                        "measurements": M,
                        "trials": trials,
                        "recovered": sum(found),
                    }
                )
    return from_rows(rows)


def fit_transitions(table: dict[str, np.ndarray], *names: str) -> dict[str, np.ndarray]:
    """Fit the 50 % point of each case of a table of this file.

    Parameters
    ----------
    table : dict
        Of `measure_methods`, `measure_designs` or `measure_scales`.
    *names : str
        The columns that tell the cases apart.

    Returns
    -------
    dict of str to ndarray
        A row for each case: its columns, ``midpoint`` and ``midpoint_error`` of
        `transition_fits.probit_fit` (NaN where the counts fix no curve), ``predicted``,
        N delta(s/N), and ``margin``, 1 minus the deviation over
        `transition_fits.threshold_tolerance`.
    """
    rows = []
    for *case, own in groups(table, *names):
        counts = own["measurements"], own["recovered"], own["trials"]
        middle, error = np.nan, np.nan
        if has_transition(*counts):
            fit = probit_fit(*counts)
            middle, error = fit.midpoint, fit.midpoint_error
        predicted = recovery_threshold(int(own["nonzeros"][0]), int(own["unknowns"][0]))
        margin = 1 - abs(middle - predicted) / threshold_tolerance(error)
        rows.append(
            {
                **dict(zip(names, case, strict=True)),
                "midpoint": middle,
                "midpoint_error": error,
                "predicted": predicted,
                "margin": margin,
            }
        )
    return from_rows(rows)
