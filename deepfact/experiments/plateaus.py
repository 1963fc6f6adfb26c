"""Plateaus of the residual, and how they scale with the init scale: part of statement S11."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.dynamics.near_limit import slowest_mode
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.refined_gap import log_late_rate_near_minimiser
from deepfact.experiments.tables import from_rows, join
from deepfact.l1_minimisation import basis_pursuit
from deepfact.problem import Problem, gaussian_problem

__all__ = [
    "follow_plateau",
    "measure_late_rates",
    "measure_plateaus",
    "predicted_exponents",
    "rate_exponent",
]


def predicted_exponents(problem: Problem, depth: float) -> tuple[float, float]:
    """Return the exponents of alpha in the late rate and the residual's height (S11).

    Parameters
    ----------
    problem : Problem
        A problem whose l1-minimiser is unique and nondegenerate.
    depth : float
        Number L of factors, finite.

    Returns
    -------
    tuple of float
        The exponents; at depth 2 they depend on the problem.
    """
    if depth > 2:
        return theory.plateau_exponents(depth)
    best = basis_pursuit(problem)
    x = np.where(np.abs(best.x) > 1e-8 * np.abs(best.x).max(), best.x, 0.0)
    return theory.plateau_exponents(depth, 1 - theory.l1_error_exponent(problem, x) / 2)


def rate_exponent(
    problem: Problem, depth: float, log10_alphas: list[float]
) -> tuple[float, float, float]:
    """Fit the exponent of the late rate to exact limits.

    Parameters
    ----------
    problem : Problem
        The problem.
    depth : float
        Number L of factors, finite.
    log10_alphas : list of float
        Init scales as log10 of alpha.

    Returns
    -------
    slope, half_width, predicted : float
        Fitted exponent, half its 95 % confidence interval, predicted exponent.
    """
    logs = np.asarray(log10_alphas, dtype=float) * np.log(10)
    values = [
        np.log(slowest_mode(problem, DeepFactorization(depth, log_alpha=value))[0])
        for value in logs
    ]
    return *fitted_slope(logs, np.array(values)), predicted_exponents(problem, depth)[0]


def follow_plateau(
    problem: Problem, depth: float, log10_alpha: float, points: int = 60
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Integrate a signed flow until its slowest residual direction has decayed.

    Parameters
    ----------
    problem : Problem
        A problem whose l1-minimiser is unique and has fewer than M nonzeros.
    depth : float
        Number L of factors, finite.
    log10_alpha : float
        Init scale as log10 of alpha.
    points : int, optional
        Number of times (default: 60).

    Returns
    -------
    run : dict
        ``depth``, ``alpha``; ``rate``, the late rate predicted from the limit, the least
        eigenvalue of A diag(X') A^T; ``measured_rate``, at which the slowest part of the residual
        decays at the end; ``height``, the relative residual at time 1/rate; ``status``.
    curve : dict of str to ndarray of shape (points + 3,)
        ``time`` and ``residual`` = norm(y - A x(t))/norm(y).
    """
    model = DeepFactorization(depth, log_alpha=log10_alpha * np.log(10))
    slow, direction = slowest_mode(problem, model)
    late = np.array([1.0, 4.0, 6.0]) / slow
    times = np.sort(np.concatenate([np.geomspace(1e-1, 12 / slow, points), late]))
    path = gradient_flow(problem, model, times=times)
    vectors = problem.y - path.x @ problem.dense().T
    residual = np.linalg.norm(vectors, axis=1) / np.linalg.norm(problem.y)
    at = np.searchsorted(times, late)
    part = np.abs(vectors[at] @ direction)
    run = {
        "depth": float(depth),
        "alpha": 10.0**log10_alpha,
        "rate": slow,
        "measured_rate": np.log(part[1] / part[2]) / (late[2] - late[1]),
        "height": residual[at[0]],
        "status": path.status,
    }
    return run, {"time": times, "residual": residual}


def measure_plateaus(
    size: tuple[int, int, int],
    problems: int,
    scales: dict[float, list[float]],
    limit_scales: dict[float, list[float]],
    seed: int,
    points: int = 60,
) -> dict[str, dict[str, np.ndarray]]:
    """Follow plateaus on random problems from several init scales, and fit their exponents.

    Parameters
    ----------
    size : tuple of int
        M, N and s of Gaussian problems, s < M.
    problems : int
        Number of problems.
    scales : dict of float to list of float
        For each depth the init scales of the trajectories, as log10 of alpha; all but the first are
        used for the exponent of the height.
    limit_scales : dict of float to list of float
        For each depth the init scales of the limits that the exponent of the late rate is fitted
        to.
    seed : int
        Seed; each problem has its own stream.
    points : int, optional
        Number of times (default: 60).

    Returns
    -------
    dict of str to dict
        ``runs``: ``problem`` and the numbers of `follow_plateau`. ``curves``: ``problem``,
        ``depth``, ``alpha``, ``time``, ``residual``. ``exponents``, a row for each problem and
        depth: ``rate`` and ``height``, the fitted exponents of alpha, their ``rate_half`` and
        ``height_half`` 95 % intervals, and the predictions ``rate_predicted``,
        ``height_predicted``.
    """
    runs, curves, exponents = [], [], []
    for number, stream in enumerate(np.random.SeedSequence([seed, 2]).spawn(problems)):
        problem = gaussian_problem(*size, seed=stream)
        for depth, log10_alphas in scales.items():
            own = []
            for log10_alpha in log10_alphas:
                run, curve = follow_plateau(problem, depth, log10_alpha, points)
                own.append({"problem": number, **run})
                fixed = {"problem": number, "depth": float(depth), "alpha": run["alpha"]}
                same = {k: np.full(len(curve["time"]), v) for k, v in fixed.items()}
                curves.append({**same, **curve})
            runs += own
            fitted, half, predicted = rate_exponent(problem, depth, limit_scales[depth])
            heights = fitted_slope(
                np.log([run["alpha"] for run in own[1:]]),
                np.log([run["height"] for run in own[1:]]),
            )
            exponents.append(
                {
                    "problem": number,
                    "depth": float(depth),
                    "rate": fitted,
                    "rate_half": half,
                    "rate_predicted": predicted,
                    "height": heights[0],
                    "height_half": heights[1],
                    "height_predicted": predicted_exponents(problem, depth)[1],
                }
            )
    return {"runs": from_rows(runs), "curves": join(*curves), "exponents": from_rows(exponents)}


def measure_late_rates(
    size: tuple[int, int, int], problems: int, log10_alphas: list[float], seed: int
) -> dict[str, np.ndarray]:
    """Compute late rates at depth 2 from init scales far below the smallest double.

    Parameters
    ----------
    size : tuple of int
        M, N and s of Gaussian problems, s < M, with few enough nonzeros for l1 recovery.
    problems : int
        Number of problems, the first ones of which are those of `measure_plateaus`.
    log10_alphas : list of float
        Two init scales as log10 of alpha, the smaller one last.
    seed : int
        Seed; each problem has its own stream.

    Returns
    -------
    dict of str to ndarray
        A row for each problem: ``problem``; ``slope`` of log late rate in log alpha between the two
        scales (NaN if a limit was not found), and ``predicted`` = 2 (1 - rho), rho the least
        possible one.
    """
    rows = []
    logs = np.log(10) * np.asarray(log10_alphas, dtype=float)
    for number, stream in enumerate(np.random.SeedSequence([seed, 2]).spawn(problems)):
        problem = gaussian_problem(*size, seed=stream)
        x = problem.x_true
        asymptote = theory.first_order_correction(problem, x, 2)
        first, last = (
            log_late_rate_near_minimiser(
                problem, x, asymptote.certificate, DeepFactorization(2, log_alpha=float(value))
            )
            for value in logs
        )
        rows.append(
            {
                "problem": number,
                "slope": (last - first) / (logs[1] - logs[0]),
                "predicted": asymptote.exponent,
            }
        )
    return from_rows(rows)
