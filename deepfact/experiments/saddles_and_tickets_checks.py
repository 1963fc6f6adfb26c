"""What the measurements say about saddles and tickets, each with a rival."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.experiments.lasso_averages import gap_slopes
from deepfact.experiments.mask_times import time_slopes
from deepfact.experiments.retraining import sign_slopes
from deepfact.experiments.tables import groups, select

__all__ = ["checks"]

SLOPE = 0.1
"""How far a fitted exponent may be from a predicted one."""
SIGMAS = 4.0
"""How many standard errors a mean may be from a predicted one."""


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


def checks(tables: dict[str, dict[str, np.ndarray]]) -> list[Claim]:
    """Return what the tables say about T8 and T15.

    Parameters
    ----------
    tables : dict of dict
        ``plateaus``, ``ends``, ``limits``, ``averages``, ``times``, ``pruning``, ``masks``,
        ``retrained``, ``signs`` and ``sums``, from `saddles_and_tickets.measure_paths`,
        `measure_masks` and `measure_tickets`.

    Returns
    -------
    list of Claim
        Those of T15, then those of T8, each with its rival.
    """
    return [
        *_paths(*(tables[name] for name in ("plateaus", "ends", "times", "limits", "averages"))),
        *_masks(*(tables[name] for name in ("times", "pruning", "masks"))),
        *_tickets(*(tables[name] for name in ("retrained", "signs", "sums"))),
    ]
