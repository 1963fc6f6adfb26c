"""Saddles, the lasso by averaging, and lottery tickets: statements T8 and T15."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
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
from deepfact.experiments.saddles_and_tickets_figure import figure, figure_data
from deepfact.experiments.staircase import measure_ends, measure_plateaus, measure_staircase
from deepfact.experiments.subset_sums import measure_subset_sums
from deepfact.experiments.tables import groups, select
from deepfact.problem import Problem

__all__ = [
    "checks",
    "describe_masks",
    "describe_paths",
    "describe_tickets",
    "draw_problems",
    "figure",
    "figure_data",
    "leaving_problem",
    "measure_average_limits",
    "measure_averages",
    "measure_early_bird",
    "measure_ends",
    "measure_mask_times",
    "measure_plateaus",
    "measure_pruning",
    "measure_random_masks",
    "measure_retraining",
    "measure_staircase",
    "measure_subset_sums",
    "measure_wrong_signs",
]

SLOPE = 0.1
"""How far a fitted exponent may be from a predicted one."""
SIGMAS = 4.0
"""How many standard errors a mean may be from a predicted one."""


def leaving_problem() -> Problem:
    """Return a problem of two measurements in which the first coordinate to enter leaves again.

    Returns
    -------
    Problem
        Its path can be worked out by hand: plateaus (4/5, 0, 0, 0), (0, 0, 7/5, 0) and
        (0, 0, 10/7, -10/49), from tau = 1, 4 and 4 + 80/49 on.
    """
    return Problem([[1, 0.5, 0.7, 0], [0.5, 1, 0.1, 0.7]], [1.0, 0.0])


def describe_paths(
    plateaus: dict[str, np.ndarray],
    ends: dict[str, np.ndarray],
    limits: dict[str, np.ndarray],
    averages: dict[str, np.ndarray],
) -> str:
    """Write what was found about paths and averages.

    Parameters
    ----------
    plateaus, ends, limits, averages : dict of str to ndarray
        From `measure_plateaus`, `measure_ends`, `measure_average_limits` and `measure_averages`.

    Returns
    -------
    str
        A line for each result.
    """
    lines = [
        f"L = {depth:g}: {len(own['slope'])} plateaus, exponents fitted "
        f"{own['slope'].min():.4f} to {own['slope'].max():.4f}, "
        f"worst relative error {np.abs(own['slope'] / own['predicted'] - 1).max():.1e}"
        for depth, own in groups(plateaus, "depth")
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
    fits = gap_slopes(averages)
    lines += [
        f"L = {depth:g}: exponent of the average's gap in T {own['slope'][0]:.3f}, "
        f"of the flow's own {own['slope_of_flow'][0]:.3f}"
        for depth, own in groups(fits, "depth")
    ]
    return "\n".join(lines)


def describe_masks(times: dict[str, np.ndarray], draws: int) -> str:
    """Write when masks were final, and at which loss.

    Parameters
    ----------
    times : dict of str to ndarray
        From `measure_mask_times`.
    draws : int
        From `draw_problems`.

    Returns
    -------
    str
        A line for each depth and event, and for the losses.
    """
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


def describe_tickets(
    masks: dict[str, np.ndarray],
    retrained: dict[str, np.ndarray],
    signs: dict[str, np.ndarray],
    sums: dict[str, np.ndarray],
) -> str:
    """Write what tickets give that are random, trained again, wrong in sign, or only chosen.

    Parameters
    ----------
    masks, retrained, signs, sums : dict of str to ndarray
        From `measure_random_masks`, `measure_retraining`, `measure_wrong_signs` and
        `measure_subset_sums`.

    Returns
    -------
    str
        A line for each result.
    """
    lines = [
        f"random mask of {size}: loss {own['loss'][0]:.3f} +- {own['error'][0]:.3f}, "
        f"predicted {own['predicted'][0]:.3f}"
        for size, own in groups(masks, "size")
    ]
    lines += [
        f"L = {depth:g}: ticket and full flow differ with exponent {own['slope'].min():.3f} to "
        f"{own['slope'].max():.3f}, predicted {own['predicted'].min():.3f} to "
        f"{own['predicted'].max():.3f}"
        for depth, own in groups(retrained, "depth")
    ]
    late = signs["predicted"] / signs["right"]
    lines.append(
        f"wrong signs: {late.min():.2f} to {late.max():.2f} times as late, error's exponent "
        f"{sign_slopes(signs)['slope'][0]:.4f}"
    )
    lines += [
        f"{n} weights: typical error {np.exp(own['log'][0]):.2e} +- {100 * own['error'][0]:.1f} %, "
        f"predicted {np.exp(own['predicted'][0]):.2e}"
        for n, own in groups(sums, "n")
    ]
    return "\n".join(lines)


def _paths(plateaus, ends, times, limits, averages):
    """Return the claims about T15."""
    slopes, fits = time_slopes(times), gap_slopes(averages)
    jumps = select(slopes, event="jump")
    monotone = limits["monotone"].astype(bool)
    relative = plateaus["slope"] / plateaus["predicted"]
    return [
        Claim(
            "T15",
            "the flow comes near each plateau with its exponent of alpha: L, L (L-2)/(2L-2) where "
            "a score is held at its threshold, at L = 2 that of inactive scores or of relaxation; "
            "margin 0.1 - relative error of the fitted exponent",
            SLOPE - np.abs(relative - 1),
            "with the exponent L - 2 of the jumps' times; at L = 2 that of inactive scores alone",
            SLOPE - np.abs(plateaus["slope"] / plateaus["rival"] - 1),
        ),
        Claim(
            "T15",
            "the path ends at the minimiser of the l1 norm; margin 1e-9 - relative distance",
            1e-9 - ends["path"],
            "so does greedy forward selection",
            1e-9 - ends["greedy"],
        ),
        Claim(
            "T15",
            "the flow's last jump is at tau T(alpha), up to an error like 1/log(1/alpha), or "
            "alpha^(L-2); margin 0.1 - error of the fitted exponent",
            SLOPE - np.abs(jumps["slope"] - jumps["predicted"]),
            "the scores begin anew after each jump",
            SLOPE - np.abs(jumps["rival"] - jumps["predicted"]),
            int(jumps["instances"].sum()),
        ),
        Claim(
            "T15",
            "where the lasso's path is monotone, averages of the limit path are that path; "
            "margin 1e-10 - largest difference",
            1e-10 - limits["error"][monotone],
            "they are for every problem",
            1e-10 - limits["error"],
        ),
        Claim(
            "T15",
            "averages of the flow solve a monotone lasso up to a certified gap like 1/log(1/alpha) "
            "or alpha^(L-2); margin 0.1 - error of the fitted exponent",
            SLOPE - np.abs(fits["slope"] + 1),
            "so does the flow itself",
            SLOPE - np.abs(fits["slope_of_flow"] + 1),
            int(fits["instances"].sum()),
        ),
    ]


def _masks(times, pruning, masks):
    """Return the claims about masks."""
    found = select(time_slopes(times), event="mask")
    smallest = {depth: own["log10_alpha"].min() for depth, own in groups(times, "depth")}
    last = np.array([smallest[depth] for depth in times["depth"]]) == times["log10_alpha"]
    low = select(times, where=last)
    loss = low["loss"]
    return [
        Claim(
            "T8",
            "the mask is final from tau_mask T(alpha) on, up to an error like 1/log(1/alpha), or "
            "alpha^(L-2); margin 0.1 - error of the fitted exponent",
            SLOPE - np.abs(found["slope"] - found["predicted"]),
            "it is final with the last jump",
            SLOPE - np.abs(found["rival"] - found["predicted"]),
            int(found["instances"].sum()),
        ),
        Claim(
            "T8",
            "then the loss is still that of the path's plateau; margin 0.05 - relative error",
            0.05 - np.abs(loss / low["plateau"] - 1),
            "it has fallen to the next plateau",
            0.05 - np.abs(1 - low["next"] / loss),
        ),
        Claim(
            "T8",
            "pruning at the start succeeds with the matched filter's probability; margin that to "
            "the nearer end of the binomial interval",
            np.minimum(
                pruning["high"] - pruning["predicted"], pruning["predicted"] - pruning["low"]
            ),
            "with that of independent scores",
            np.minimum(
                pruning["high"] - pruning["independent"], pruning["independent"] - pruning["low"]
            ),
        ),
        Claim(
            "T8",
            "random masks of k leave the loss (1 - k/M) s (1 - k/N) on average; "
            "margin 4 - error in standard errors",
            SIGMAS - np.abs(masks["loss"] - masks["predicted"]) / masks["error"],
            "they leave what they miss, s (1 - k/N)",
            SIGMAS - np.abs(masks["loss"] - masks["unfitted"]) / masks["error"],
        ),
    ]


def _tickets(retrained, signs, sums):
    """Return the claims about tickets that are trained again, or never."""
    slope = sign_slopes(signs)
    allowed = SIGMAS * sums["error"] + 0.5 / sums["n"]
    return [
        Claim(
            "T8",
            "the right ticket, rewound to alpha, ends where the full flow does up to the exponent "
            "of S7; margin 0.1 - relative error of the fitted exponent",
            SLOPE - np.abs(retrained["slope"] / retrained["predicted"] - 1),
            "up to the exponent L - 2 of the guarantee",
            SLOPE - np.abs(retrained["slope"] - retrained["guarantee"]) / retrained["predicted"],
        ),
        Claim(
            "T8",
            "the right ticket ends at the signal from any start; margin 1e-8 - relative distance",
            1e-8 - retrained["rewound"],
            "a ticket with one coordinate exchanged fits the data, too",
            1e-8 - retrained["one_wrong"],
        ),
        Claim(
            "T8",
            "one product keeps a wrong sign: least squares with the signs of the start; "
            "margin 1e-8 - relative distance",
            1e-8 - retrained["constrained"],
            "the sign is repaired and the data are fitted",
            1e-8 - retrained["unrepaired"],
        ),
        Claim(
            "T8",
            "unequal pairs repair wrong signs at the time of the path with thresholds 1 and "
            "2c - 1, up to an error like 1/log(1/alpha); margin 0.1 - error of the exponent",
            SLOPE - np.abs(slope["slope"] + 1),
            "at the time of the right signs",
            SLOPE - np.abs(slope["rival"] + 1),
            int(slope["instances"][0]),
        ),
        Claim(
            "T8",
            "the best of all sums of n random weights has the predicted typical error; margin "
            "4 standard errors + 1/(2n) - error of the mean logarithm",
            allowed - np.abs(sums["log"] - sums["predicted"]),
            "the mean density of sums decides",
            allowed - np.abs(sums["log"] - sums["averaged"]),
        ),
    ]


def checks(
    plateaus: dict[str, np.ndarray],
    ends: dict[str, np.ndarray],
    limits: dict[str, np.ndarray],
    averages: dict[str, np.ndarray],
    times: dict[str, np.ndarray],
    pruning: dict[str, np.ndarray],
    masks: dict[str, np.ndarray],
    retrained: dict[str, np.ndarray],
    signs: dict[str, np.ndarray],
    sums: dict[str, np.ndarray],
) -> list[Claim]:
    """Return what the tables say about T8 and T15.

    Parameters
    ----------
    plateaus, ends : dict of str to ndarray
        From `measure_plateaus` and `measure_ends`.
    limits, averages : dict of str to ndarray
        From `measure_average_limits` and `measure_averages`.
    times : dict of str to ndarray
        From `measure_mask_times`.
    pruning, masks : dict of str to ndarray
        From `measure_pruning` and `measure_random_masks`.
    retrained, signs, sums : dict of str to ndarray
        From `measure_retraining`, `measure_wrong_signs` and `measure_subset_sums`.

    Returns
    -------
    list of Claim
        Those of T15, then those of T8, each with its rival.
    """
    return [
        *_paths(plateaus, ends, times, limits, averages),
        *_masks(times, pruning, masks),
        *_tickets(retrained, signs, sums),
    ]
