"""What else recovers sparse signals, and descent as one would run it: S11, S12 and S14."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.experiments.factor_descent import (
    measure_batches,
    measure_descents,
    measure_momentum,
)
from deepfact.experiments.neighbours_figure import figure, figure_data
from deepfact.experiments.recovery_neighbours import (
    fit_transitions,
    measure_designs,
    measure_methods,
    measure_scales,
)
from deepfact.experiments.tables import from_rows, groups, select

__all__ = [
    "checks",
    "describe_batches",
    "describe_descents",
    "describe_momentum",
    "describe_recovery",
    "figure",
    "figure_data",
    "iteration_slopes",
    "measure_batches",
    "measure_descents",
    "measure_designs",
    "measure_methods",
    "measure_momentum",
    "measure_scales",
]


def describe_recovery(
    methods: dict[str, np.ndarray], designs: dict[str, np.ndarray], scales: dict[str, np.ndarray]
) -> str:
    """Write the 50 % points of methods, designs and init scales as lines of text.

    Parameters
    ----------
    methods, designs, scales : dict
        Of `measure_methods`, `measure_designs` and `measure_scales`.

    Returns
    -------
    str
        Three headers and a line for each case.
    """

    def lines(table, names, label):
        fits = fit_transitions(table, *names)
        return [
            f"  {label(*case):30s} {middle:6.1f} +- {error:.1f}"
            for *case, middle, error in zip(
                *(fits[name] for name in (*names, "midpoint", "midpoint_error")), strict=True
            )
        ]

    predicted = fit_transitions(methods, "method")["predicted"][0]
    text = [
        f"50 % points, N = {methods['unknowns'][0]}, s = {methods['nonzeros'][0]};"
        f" N delta(s/N) = {predicted:.1f}; flow: L = 3, alpha = {methods['alpha'][0]:g}"
    ]
    text += lines(methods, ["method"], str)
    text += [f"columns with the correlation {designs['correlation'][0]:g} of neighbours, nonzeros"]
    text += lines(designs, ["place", "method"], "{}, {}".format)
    text += [f"flows, N = {scales['unknowns'][0]}, s = {scales['nonzeros'][0]}"]
    label = "L = {:g}, alpha = 1e{:g}".format
    return "\n".join(text + lines(scales, ["depth", "log10_alpha"], label))


def iteration_slopes(descents: dict[str, np.ndarray], largest: float = 0.01) -> dict:
    """Fit how the iterations of descent grow as the init scale falls, beside S11.

    Parameters
    ----------
    descents : dict
        Of `measure_descents`.
    largest : float, optional
        Largest init scale that takes part (default: 0.01).

    Returns
    -------
    dict of str to ndarray
        A row for each depth and problem: ``depth``, ``trial``; ``slope`` of log iterations until
        the signal is found in log(1/alpha) between the largest and the least alpha;
        ``predicted``, of the times of S11 for a product of size 1, and ``other``, the same for
        the other depth, 2 or 3.
    """

    def law(depth, alphas):
        times = np.log(1 / alphas) if depth == 2 else (alphas ** (2 - depth) - 1) / (depth - 2)
        return float(np.diff(np.log(times))[0] / -np.diff(np.log(alphas))[0])

    rows = []
    small = select(descents, where=descents["alpha"] <= largest * (1 + 1e-9))
    for depth, trial, own in groups(small, "depth", "trial"):
        ends = np.array([np.argmax(own["alpha"]), np.argmin(own["alpha"])])
        alphas, counts = own["alpha"][ends], own["found"][ends]
        rows.append(
            {
                "depth": depth,
                "trial": trial,
                "slope": float(np.diff(np.log(counts))[0] / -np.diff(np.log(alphas))[0]),
                "predicted": law(depth, alphas),
                "other": law(5 - depth, alphas),
            }
        )
    return from_rows(rows)


def describe_descents(descents: dict[str, np.ndarray]) -> str:
    """Write iterations and errors of descent beside the limits as lines of text.

    Parameters
    ----------
    descents : dict
        Of `measure_descents`.

    Returns
    -------
    str
        A header and a line for each depth and init scale, with medians over the problems.
    """
    lines = [
        f"descent at {descents['fraction'][0]:g} of the largest stable step, until the relative"
        f" residual is {descents['tolerance'][0]:g} (medians)",
        f"  L  alpha   iterations until each nonzero has {descents['grown'][0]:g} of its size"
        "    to the end   error     error of the limit",
    ]
    for depth, alpha, own in groups(descents, "depth", "alpha"):
        stopped = "" if np.all(own["status"] == "converged") else "  (some out of iterations)"
        lines.append(
            f"  {depth:d}  {alpha:<6g} {np.median(own['found']):45.0f} "
            f"{np.median(own['iterations']):17.0f}   {np.median(own['error']):.1e}   "
            f"{np.median(own['limit_error']):.1e}{stopped}"
        )
    return "\n".join(lines)


def describe_momentum(momentum: dict[str, np.ndarray]) -> str:
    """Write how the limit moves as the friction 1 - beta is halved as lines of text.

    Parameters
    ----------
    momentum : dict
        Of `measure_momentum`.

    Returns
    -------
    str
        A header and a line for each rule and value.
    """
    lines = ["gap to the least l1 norm for frictions 1 - beta that are halved"]
    names = {"lambda": "step/(1 - beta)^2", "speed": "step/(1 - beta), "}
    for rule, value, own in groups(momentum, "rule", "value"):
        gaps = ", ".join(f"{gap:.3f}" for gap in own["gap"])
        lines.append(f"  {names[rule]:18s} fixed, {value:4g} at first: {gaps}")
    return "\n".join(lines)


def describe_batches(batches: dict[str, np.ndarray]) -> str:
    """Write how far the noise of batches lowers the start as lines of text.

    Parameters
    ----------
    batches : dict
        Of `measure_batches`.

    Returns
    -------
    str
        A header and a line for each depth and batch size.
    """
    lines = [
        f"log10(alpha/alpha_eff) off the support at alpha = {batches['alpha'][0]:g} (medians),"
        " and the error of the signal"
    ]
    for depth, batch, own in groups(batches, "depth", "batch"):
        lines.append(
            f"  L = {depth}, B = {batch:3d}: {np.median(own['median']):.1e}"
            f"   error {np.median(own['error']):.1e}"
        )
    return "\n".join(lines)


def checks(
    methods: dict[str, np.ndarray],
    designs: dict[str, np.ndarray],
    scales: dict[str, np.ndarray],
    descents: dict[str, np.ndarray],
    momentum: dict[str, np.ndarray],
    batches: dict[str, np.ndarray],
    share: float = 0.01,
) -> list[Claim]:
    """Return what the neighbours say about S11, S12 and S14.

    Parameters
    ----------
    methods, designs, scales, descents, momentum, batches : dict
        Of `measure_methods`, `measure_designs`, `measure_scales`, `measure_descents`,
        `measure_momentum` and `measure_batches`.
    share : float, optional
        Share of instances on which flow and basis pursuit may disagree (default: 0.01, and 3
        standard errors of that share).

    Returns
    -------
    list of Claim
        Agreement and 50 % points of the methods, correlated designs, init scales, iterations,
        the effective start at depths 2 and 3 (two rows), momentum; each with its rival.
    """
    fits = fit_transitions(methods, "method")
    convex = select(fits, where=np.isin(fits["method"], ["flow", "basis pursuit", "lasso"]))
    exact, greedy = (select(methods, method=name) for name in ("basis pursuit", "OMP"))
    cells = fit_transitions(designs, "place", "method")
    pairs = select(designs, method="basis pursuit")
    own = fit_transitions(scales, "depth", "log10_alpha")
    sane = own["log10_alpha"] == np.max(own["log10_alpha"][own["log10_alpha"] <= -4])
    slopes = iteration_slopes(descents)
    ratio = {}
    for rule, _, each in groups(momentum, "rule", "value"):
        changes = each["change"][1:]
        ratio.setdefault(rule, []).extend(changes[:-1] / changes[1:])
    noise = [
        np.median(select(batches, depth=3, batch=size)["median"])
        / np.median(select(batches, depth=2, batch=size)["median"])
        for size in np.unique(batches["batch"])
    ]
    return [
        Claim(
            "S14",
            "flow (L = 3) and basis pursuit recover the same Gaussian instances but for"
            f" {100 * share:g} % (+ 3 standard errors; margin: this - share)",
            [_allowed(share, exact) - exact["differ"].sum() / exact["trials"].sum()],
            "so do flow and OMP",
            [_allowed(share, greedy) - greedy["differ"].sum() / greedy["trials"].sum()],
            instances=int(exact["trials"].sum()),
        ),
        Claim(
            "S14",
            "50 % points of flow (L = 3), basis pursuit and the lasso by FISTA: |measured -"
            " N delta(s/N)| within 3 standard errors + 1 (margin relative)",
            convex["margin"],
            "those of OMP and reweighted l1 too",
            select(fits, where=np.isin(fits["method"], ["OMP", "reweighted l1"]))["margin"],
            instances=int(exact["trials"].sum()),
        ),
        Claim(
            "S14",
            "flow (L = 3) and basis pursuit recover the same instances from correlated columns but"
            f" for {100 * share:g} % (+ 3 standard errors; margin: this - share)",
            [
                _allowed(share, at) - at["differ"].sum() / at["trials"].sum()
                for _, at in groups(pairs, "place")
            ],
            "and from N delta(s/N) on, wherever the nonzeros are (margin as for the 50 % point)",
            select(cells, method="flow")["margin"],
            instances=int(pairs["trials"].sum()),
        ),
        Claim(
            "S14",
            f"50 % point of depth 3 at alpha = 1e{own['log10_alpha'][sane][0]:g}: |measured -"
            " N delta(s/N)| within 3 standard errors + 1 (margin relative)",
            select(own, depth=3, where=sane)["margin"],
            "that of depth 2 at the same alpha too",
            np.nan_to_num(select(own, depth=2, where=sane)["margin"], nan=-np.inf),
            instances=int(select(scales, depth=3)["trials"].sum()),
        ),
        Claim(
            "S11",
            "iterations of descent until it has found the signal grow like 1/alpha at L = 3, like"
            " log(1/alpha) at L = 2: |slope of logarithms - predicted| (margin: 0.1 - this)",
            0.1 - np.abs(slopes["slope"] - slopes["predicted"]),
            "each depth by the law of the other",
            0.1 - np.abs(slopes["slope"] - slopes["other"]),
        ),
        Claim(
            "S12",
            "descent on batches of rows starts as if lower, in each coordinate at depths 2 and 3"
            " (margin: least log10(alpha/alpha_eff))",
            batches["least"],
            "alpha_eff = alpha as in the flow, up to 0.01 % (margin in log10)",
            4e-5 - batches["most"],
        ),
        Claim(
            "S12",
            "the noise of batches lowers the start off the support less at depth 3: median of"
            " log(alpha/alpha_eff) over that at depth 2 (margin: 0.1 - this)",
            0.1 - np.array(noise),
            "by the same factor, up to 2",
            1 - np.abs(np.log2(noise)),
            instances=len(batches["batch"]),
        ),
        Claim(
            "S12",
            "momentum with lambda = step/(1 - beta)^2 fixed: halving 1 - beta makes its effect on"
            " the limit smaller by a factor of at least 1.5 (margin: factor - 1.5)",
            np.array(ratio["lambda"]) - 1.5,
            "with step/(1 - beta) fixed",
            np.array(ratio["speed"]) - 1.5,
        ),
    ]


def _allowed(share, table):
    """Return a share and 3 standard errors of its estimate from all rows."""
    return share + 3 * np.sqrt(share * (1 - share) / table["trials"].sum())
