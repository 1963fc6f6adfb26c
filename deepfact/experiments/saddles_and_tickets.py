"""Saddles, the lasso by averaging, and lottery tickets: statements T8 and T15."""

from __future__ import annotations

import numpy as np

from deepfact.experiments.lasso_averages import (
    gap_slopes,
    measure_average_limits,
    measure_averages,
)
from deepfact.experiments.mask_times import (
    draw_problems,
    measure_early_bird,
    measure_mask_times,
    time_slopes,
)
from deepfact.experiments.pruning import measure_pruning, measure_random_masks
from deepfact.experiments.retraining import measure_retraining, measure_wrong_signs, sign_slopes
from deepfact.experiments.saddles_and_tickets_checks import checks
from deepfact.experiments.saddles_and_tickets_figure import figure, figure_data
from deepfact.experiments.staircase import measure_ends, measure_plateaus, measure_staircase
from deepfact.experiments.subset_sums import measure_subset_sums
from deepfact.experiments.tables import groups
from deepfact.problem import Problem

__all__ = [
    "checks",
    "describe_masks",
    "describe_paths",
    "describe_tickets",
    "figure",
    "figure_data",
    "leaving_problem",
    "measure_masks",
    "measure_paths",
    "measure_pruning",
    "measure_random_masks",
    "measure_tickets",
]


def leaving_problem() -> Problem:
    """Return a problem of two measurements in which the first coordinate to enter leaves again.

    Returns
    -------
    Problem
        Its path can be worked out by hand: plateaus (4/5, 0, 0, 0), (0, 0, 7/5, 0) and
        (0, 0, 10/7, -10/49), from tau = 1, 4 and 4 + 80/49 on.
    """
    return Problem([[1, 0.5, 0.7, 0], [0.5, 1, 0.1, 0.7]], [1.0, 0.0])


def measure_paths(
    models: list[list[float]],
    points: int,
    plateau_problems: tuple[int, int, int, int],
    plateau_scales: list[list[float]],
    end_problems: tuple[int, int, int, int],
    lasso_problems: list[list[int]],
    average_problems: tuple[int, int, int, int],
    average_scales: list[list[float]],
    penalties: list[int],
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Measure what T15 says: plateaus, ends of paths, and averages.

    Parameters
    ----------
    models : list of list of float
        Depth and log10 alpha of the flows beside the staircase of `leaving_problem`.
    points : int
        Times of each of these.
    plateau_problems : list of int
        M, N, s and number of problems, as all such lists.
    plateau_scales : list of list of float
        Depth, and values of log10 alpha, falling.
    end_problems : list of int
        Problems whose paths' ends are compared.
    lasso_problems : list of list of int
        Problems whose limit path is averaged.
    average_problems : list of int
        Problems whose flow is averaged.
    average_scales : list of list of float
        Depth, and values of log10 alpha, falling.
    penalties : list of int
        How many for averages of the flow, and of limit paths.
    seed : int
        Seed.

    Returns
    -------
    dict of dict
        ``staircase``, ``plateaus``, ``ends``, ``limits`` and ``averages``.
    """
    few, many = penalties
    return {
        "staircase": measure_staircase(leaving_problem(), models, points),
        "plateaus": measure_plateaus(*plateau_problems, plateau_scales, seed),
        "ends": measure_ends(*end_problems, seed),
        "limits": measure_average_limits(lasso_problems, many, seed),
        "averages": measure_averages(*average_problems, average_scales, few, seed),
    }


def measure_masks(
    problems: list[int],
    scales: list[list[float]],
    early_model: tuple[float, float],
    points: int,
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Measure when masks are final.

    Parameters
    ----------
    problems : list of int
        M, N, s and number of problems.
    scales : list of list of float
        Depth, and values of log10 alpha, falling.
    early_model : list of float
        Depth and log10 alpha of the flow whose loss is followed.
    points : int
        Times of each flow.
    seed : int
        Seed.

    Returns
    -------
    dict of dict
        ``times``, with the number of ``draws`` in each row, and ``early``.
    """
    M, N, s, instances = problems
    found, draws = draw_problems(M, N, s, instances, seed)
    times = measure_mask_times(found, s, scales, points)
    return {
        "times": {**times, "draws": np.full(len(times["mask"]), draws)},
        "early": measure_early_bird(found[0], s, *early_model, points),
    }


def measure_tickets(
    problems: tuple[int, int, int, int],
    scales: list[list[float]],
    starts: list[float],
    sign_problems: tuple[int, int, int],
    imbalance: float,
    sign_log10_alphas: list[float],
    numbers: list[int],
    target: float,
    trials: int,
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Measure tickets that are trained again, that start with wrong signs, or that are only chosen.

    Parameters
    ----------
    problems : list of int
        M, N, s and number of problems whose tickets are trained again.
    scales : list of list of float
        Depth, and values of log10 alpha, falling.
    starts : list of float
        Values of alpha from which tickets are trained again.
    sign_problems : list of int
        M, s and number of problems with wrong signs.
    imbalance : float
        c of `measure_wrong_signs`.
    sign_log10_alphas : list of float
        Values of log10 alpha, falling.
    numbers : list of int
        Numbers of random weights.
    target : float
        What subsets of them should sum to.
    trials : int
        Draws of each number of weights.
    seed : int
        Seed.

    Returns
    -------
    dict of dict
        ``retrained``, ``signs`` and ``sums``.
    """
    return {
        "retrained": measure_retraining(*problems, scales, starts, seed),
        "signs": measure_wrong_signs(*sign_problems, imbalance, sign_log10_alphas, seed),
        "sums": measure_subset_sums(numbers, target, trials, seed),
    }


def describe_paths(tables: dict[str, dict[str, np.ndarray]]) -> str:
    """Write what was found about paths and averages.

    Parameters
    ----------
    tables : dict of dict
        From `measure_paths`.

    Returns
    -------
    str
        A line for each result.
    """
    ends, limits = tables["ends"], tables["limits"]
    lines = [
        f"L = {depth:g}: {len(own['slope'])} plateaus, exponents fitted "
        f"{own['slope'].min():.4f} to {own['slope'].max():.4f}, "
        f"worst relative error {np.abs(own['slope'] / own['predicted'] - 1).max():.1e}"
        for depth, own in groups(tables["plateaus"], "depth")
    ]
    greedy = int(np.sum(ends["greedy"] > 1e-6))
    count = len(ends["path"])
    lines += [
        f"ends: {count} paths at the l1-minimiser to {ends['path'].max():.1e}; "
        f"{int(ends['left'].sum())} coordinates left on the way; "
        f"greedy selection elsewhere in {greedy} of {count}",
    ]
    for monotone, own in sorted(groups(limits, "monotone"), reverse=True, key=lambda one: one[0]):
        kind = "monotone" if monotone else "other"
        lines.append(
            f"{len(own['error'])} {kind} lasso paths: averages of the limit path are off by "
            f"{own['error'].min():.1e} to {own['error'].max():.1e}"
        )
    fits = gap_slopes(tables["averages"])
    lines += [
        f"L = {depth:g}: exponent of the average's gap in T {own['slope'][0]:.3f}, "
        f"of the flow's own {own['slope_of_flow'][0]:.3f}"
        for depth, own in groups(fits, "depth")
    ]
    return "\n".join(lines)


def describe_masks(tables: dict[str, dict[str, np.ndarray]]) -> str:
    """Write when masks were final, and at which loss.

    Parameters
    ----------
    tables : dict of dict
        From `measure_masks`.

    Returns
    -------
    str
        A line for each depth and event, and for the losses.
    """
    times = tables["times"]
    draws = times["draws"][0]
    lines = [
        f"L = {depth:g}, {event:4s}: exponent {own['slope'][0]:.4f}, "
        f"predicted {own['predicted'][0]:g}"
        for depth, event, own in groups(time_slopes(times), "depth", "event")
    ]
    for depth, runs in groups(times, "depth"):
        steps = groups(runs, "log10_alpha")
        errors = [np.median(np.abs(own["mask"] - own["tau_mask"])) for _, own in steps]
        shown = ", ".join(
            f"{error:.1e} at 1e{scale:g}" for (scale, _), error in zip(steps, errors, strict=True)
        )
        lines.append(f"L = {depth:g}, median error of the mask's time: {shown}")
    share, waits = times["plateau"] / times["start"], times["tau_mask"] / times["tau_jump"]
    found = len(np.unique(times["problem"]))
    lines.append(
        f"{found} of {draws} problems: mask final at {waits.min():.2f} to {waits.max():.2f} of the "
        f"last jump's time, at {share.min():.1e} to {share.max():.1e} of the first loss"
    )
    return "\n".join(lines)


def describe_tickets(tables: dict[str, dict[str, np.ndarray]]) -> str:
    """Write what tickets give that are random, trained again, wrong in sign, or only chosen.

    Parameters
    ----------
    tables : dict of dict
        From `measure_tickets`, and ``masks`` from `measure_random_masks`.

    Returns
    -------
    str
        A line for each result.
    """
    signs = tables["signs"]
    lines = [
        f"random mask of {size}: loss {own['loss'][0]:.3f} +- {own['error'][0]:.3f}, "
        f"predicted {own['predicted'][0]:.3f}"
        for size, own in groups(tables["masks"], "size")
    ]
    lines += [
        f"L = {depth:g}: ticket and full flow differ with exponent {own['slope'].min():.3f} to "
        f"{own['slope'].max():.3f}, predicted {own['predicted'].min():.3f} to "
        f"{own['predicted'].max():.3f}"
        for depth, own in groups(tables["retrained"], "depth")
    ]
    late = signs["predicted"] / signs["right"]
    lines.append(
        f"wrong signs: {late.min():.2f} to {late.max():.2f} times as late, error's exponent "
        f"{sign_slopes(signs)['slope'][0]:.4f}"
    )
    lines += [
        f"{n} weights: typical error {np.exp(own['log'][0]):.2e} +- {100 * own['error'][0]:.1f} %, "
        f"predicted {np.exp(own['predicted'][0]):.2e}"
        for n, own in groups(tables["sums"], "n")
    ]
    return "\n".join(lines)
