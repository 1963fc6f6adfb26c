"""Averages of the flow against the lasso's path: T15."""

from __future__ import annotations

import numpy as np

from deepfact.dynamics.averaged_flow import averaged_flow, path_clock
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.dynamics.saddle_path import saddle_path
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.staircase import model_at
from deepfact.experiments.tables import from_rows, groups
from deepfact.lasso import lasso_gap, lasso_path
from deepfact.problem import gaussian_problem

__all__ = ["gap_slopes", "measure_average_limits", "measure_averages"]


def measure_average_limits(
    problems: list[list[int]], penalties: int, seed: int
) -> dict[str, np.ndarray]:
    """Compare averages of the limit path with the lasso's path, monotone or not.

    Parameters
    ----------
    problems : list of list of int
        M, N, s and number of Gaussian problems of each kind.
    penalties : int
        Penalties at which the paths are compared.
    seed : int
        Seed of the problems.

    Returns
    -------
    dict of str to ndarray
        A row for each problem: ``s``, ``monotone``, ``error``, the largest difference.
    """
    rows = []
    source = np.random.SeedSequence(seed)
    for M, N, s, instances in problems:
        for child in source.spawn(instances):
            problem = gaussian_problem(M, N, s, seed=child)
            lasso = lasso_path(problem)
            grid = np.geomspace(0.95 * lasso.penalties[0], lasso.penalties[-2] / 4, penalties)
            average = saddle_path(problem).average(1 / grid)
            error = np.abs(average - lasso.at(grid)).max()
            rows.append({"s": s, "monotone": lasso.monotone, "error": error})
    return from_rows(rows)


def measure_averages(
    M: int, N: int, s: int, instances: int, scales: list[list[float]], penalties: int, seed: int
) -> dict[str, np.ndarray]:
    """Certify averages of the flow, and the flow itself, as solutions of the lasso.

    Parameters
    ----------
    M, N, s : int
        Size of Gaussian problems; draws whose lasso path is not monotone are left out.
    instances : int
        How many.
    scales : list of list of float
        Depth, and at least two values of log10 alpha, falling.
    penalties : int
        Number of penalties.
    seed : int
        Seed of the problems.

    Returns
    -------
    dict of str to ndarray
        A row for each problem, depth, init scale and penalty: ``problem``, ``depth``,
        ``log10_alpha``, ``penalty`` in units of the largest that matters, the l1 norms ``l1`` and
        ``lasso_l1`` of the average and of the lasso's minimiser, duality gaps in units of
        ||y||^2/2: ``gap`` of the average and ``gap_of_flow`` of the flow at the same time; and
        ``clock``, T(alpha), by whose power -1 the gap should fall.

    Raises
    ------
    ArithmeticError
        If an average is not accurate.
    """
    rows: list[dict] = []
    source = np.random.SeedSequence(seed)
    found = 0
    while found < instances:
        problem = gaussian_problem(M, N, s, seed=source.spawn(1)[0])
        lasso = lasso_path(problem)
        if not lasso.monotone:
            continue
        largest = lasso.penalties[0]
        grid = np.geomspace(0.8 * largest, lasso.penalties[-2] / 2, penalties)
        exact = lasso.at(grid)
        unit = problem.y @ problem.y / 2
        for depth, *log10_alphas in scales:
            for log10_alpha in log10_alphas:
                model = model_at(depth, log10_alpha)
                average = averaged_flow(problem, model, grid)
                if not average.success:
                    raise ArithmeticError(average.message)
                flow = gradient_flow(problem, model, average.times)
                rows += [
                    {
                        "problem": found,
                        "depth": float(depth),
                        "log10_alpha": float(log10_alpha),
                        "penalty": grid[k] / largest,
                        "l1": np.abs(average.x[k]).sum(),
                        "lasso_l1": np.abs(exact[k]).sum(),
                        "gap": average.gap[k] / unit,
                        "gap_of_flow": lasso_gap(problem, flow.x[k], grid[k]) / unit,
                        "clock": path_clock(model),
                    }
                    for k in range(penalties)
                ]
        found += 1
    return from_rows(rows)


def gap_slopes(averages: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fit exponents of the gap in the clock, summed over problems and penalties.

    Parameters
    ----------
    averages : dict of str to ndarray
        From `measure_averages`.

    Returns
    -------
    dict of str to ndarray
        A row for each depth: ``depth``, ``slope`` and ``half_width`` for the averages, predicted
        to be -1, ``slope_of_flow``, and ``instances``, the gaps that they summarise.
    """
    rows = []
    for depth, own in groups(averages, "depth"):
        by_clock = groups(own, "clock")
        clocks = np.log([clock for clock, _ in by_clock])
        sums = [
            np.log([runs[name].sum() for _, runs in by_clock]) for name in ("gap", "gap_of_flow")
        ]
        slope, half = fitted_slope(clocks, sums[0])
        rows.append(
            {
                "depth": depth,
                "slope": slope,
                "half_width": half,
                "slope_of_flow": fitted_slope(clocks, sums[1])[0],
                "instances": len(own["gap"]),
            }
        )
    return from_rows(rows)
