"""PhaseMax and convex nets (statement T1 of docs/overparameterization.md)."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from deepfact.checks import Claim
from deepfact.experiments.phase_duality import measure_dual_errors, measure_duality
from deepfact.experiments.phase_retrieval_figure import figure, figure_data
from deepfact.experiments.phase_success import (
    INSIDE,
    curve_excess,
    measure_success,
    measure_transitions,
)
from deepfact.experiments.relu_nets import measure_nets, measure_shares
from deepfact.experiments.tables import groups, join, select

__all__ = [
    "checks",
    "describe_duality",
    "describe_nets",
    "describe_success",
    "figure",
    "figure_data",
    "measure_dual_errors",
    "measure_duality",
    "measure_nets",
    "measure_shares",
    "measure_success",
    "measure_transitions",
    "net_checks",
]

EQUAL = 1e-6
"""Allowed relative error of values and vectors found by linear and cone programs."""
SLOPE = 0.02
"""Allowed error of a fitted exponent."""
CONSTANT = 0.01
"""Allowed relative error of a predicted constant at the smallest init scale."""
LEVEL = 0.999
"""Level of the tests of predicted probabilities."""


def describe_duality(duality: dict[str, np.ndarray], errors: dict[str, np.ndarray]) -> str:
    """Write how often the signal was found, and the rates of the flow's dual variable.

    Parameters
    ----------
    duality, errors : dict
        Of `measure_duality` and `measure_dual_errors`.

    Returns
    -------
    str
        A line for each number of measurements and each depth.
    """
    lines = []
    for m, own in groups(duality, "m"):
        inside = own["distance"] <= INSIDE
        lines.append(
            f"m = {m}, n = {own['n'][0]}: {inside.sum()} of {len(inside)} anchors in the cone, "
            f"{np.sum(own['error'] <= EQUAL)} signals found"
        )
    for depth, own in groups(errors, "depth"):
        last = _smallest(own)
        ratio = last["error"] / last["predicted"]
        lines.append(
            f"L = {depth}: slopes {own['slope'].min():.4f} to {own['slope'].max():.4f}, predicted "
            f"{own['rate'][0]}; error / predicted at the end {ratio.min():.5f} to {ratio.max():.5f}"
        )
    return "\n".join(lines)


def describe_success(success: dict[str, np.ndarray], transitions: dict[str, np.ndarray]) -> str:
    """Write the fitted transitions beside the predicted ones.

    Parameters
    ----------
    success, transitions : dict
        Of `measure_success` and `measure_transitions`.

    Returns
    -------
    str
        A line for each angle.
    """
    lines = [f"n = {success['n'][0]}", "angle  m at 50 %, fitted  predicted   m/n in the limit"]
    names = ("degrees", "midpoint", "error", "predicted", "limit", "n")
    rows = zip(*(transitions[name] for name in names), strict=True)
    for degrees, midpoint, error, predicted, limit, n in rows:
        lines.append(
            f"{degrees:5g}  {midpoint:8.2f} +- {error:5.2f}  {predicted:9.2f}  {limit / n:16.4f}"
        )
    return "\n".join(lines)


def describe_nets(
    runs: dict[str, np.ndarray], optima: dict[str, np.ndarray], shares: dict[str, np.ndarray]
) -> str:
    """Write the certified optima and the share of runs that reach them.

    Parameters
    ----------
    runs, optima : dict
        Of `measure_nets`.
    shares : dict
        Of `measure_shares`.

    Returns
    -------
    str
        A line for each data set and each width.
    """
    lines = [
        f"data set {draw}: optimum {value:.6f}, relative gap {gap:.1e}, {neurons} neurons"
        for draw, value, gap, neurons in zip(
            *(optima[k] for k in ("draw", "value", "gap", "neurons")), strict=True
        )
    ]
    for width, share, lower, upper in zip(
        *(shares[k] for k in ("width", "share", "lower", "upper")), strict=True
    ):
        own = select(runs, width=width)
        lines.append(
            f"width {width:3d}: {share:.2f} of {len(own['width'])} runs reach it "
            f"[{lower:.2f}, {upper:.2f}], least excess {own['excess'].min():.1e}"
        )
    return "\n".join(lines)


def checks(
    duality: dict[str, np.ndarray],
    errors: dict[str, np.ndarray],
    success: dict[str, np.ndarray],
    transitions: dict[str, np.ndarray],
) -> list[Claim]:
    """Judge the duality, the flow's dual variable, and the success probabilities.

    Parameters
    ----------
    duality, errors : dict
        Of `measure_duality` and `measure_dual_errors`.
    success, transitions : dict
        Of `measure_success` and `measure_transitions`.

    Returns
    -------
    list of Claim
        The rows, in order.
    """
    return [*_duality_claims(duality, errors), *_success_claims(success, transitions)]


def _smallest(errors):
    """Return the rows of the smallest init scale."""
    return select(errors, where=errors["alpha"] == errors["alpha"].min())


def _duality_claims(duality, errors):
    relative = np.abs(duality["value"] / duality["upper"] - 1)
    slack = duality["upper"] / duality["lower"] - 1
    found = EQUAL - duality["error"]
    inside = duality["distance"] <= INSIDE
    enough = duality["m"] >= 2 * duality["n"] - 1
    deep = errors["depth"] > 2
    last = join(*(_smallest(own) for _, own in groups(errors, "depth")))
    return [
        Claim(
            "T1",
            "PhaseMax has the value of basis pursuit, min |z|_1 over B z = g; margin: "
            f"{EQUAL:g} minus the relative difference and the certified gap",
            EQUAL - relative - slack,
            "its value is that of the signal, <g, x0>",
            EQUAL - np.abs(duality["value"] / duality["signal"] - 1),
        ),
        Claim(
            "T1",
            "PhaseMax finds the signal if and only if the anchor is in the cone of s_i a_i; "
            f"margin: {EQUAL:g} minus the error, or the reverse",
            np.where(inside, found, -found),
            "if and only if m >= 2n - 1, where magnitudes determine a signal",
            np.where(enough, found, -found),
        ),
        Claim(
            "T1",
            "nu/|B^T nu|_inf of the flow's limit tends to the signal like alpha^(L-2), like "
            f"1/log(1/alpha) for L = 2; margin: {SLOPE:g} minus the error of the fitted exponent",
            SLOPE - np.abs(errors["slope"] - errors["rate"]),
            "like alpha^L, the rate of the l1 gap (L > 2)",
            SLOPE - np.abs(errors["slope"] - errors["depth"])[deep],
        ),
        Claim(
            "T1",
            "the constant is that of the l1-minimiser selected by S8; margin: "
            f"{CONSTANT:g} minus |error/predicted - 1| at the smallest alpha",
            CONSTANT - np.abs(last["error"] / last["predicted"] - 1),
            "it is that of a basic l1-minimiser",
            CONSTANT - np.abs(last["error"] / last["vertex"] - 1),
        ),
    ]


def _success_claims(success, transitions):
    exact = select(success, degrees=0)
    others = [own for degrees, own in groups(success, "degrees") if degrees > 0]
    allowed = ndtri((1 + LEVEL) / 2) * transitions["error"]
    tilted = transitions["degrees"] > 0
    n, trials = exact["n"][0], exact["trials"][0]
    return [
        Claim(
            "T1",
            f"anchor = signal, n = {n}: successes follow Wendel's probability in n - 1 dimensions; "
            f"margin: 1 minus chi^2 over its {100 * LEVEL:g} % quantile",
            [-curve_excess(exact, "predicted", LEVEL)],
            "in n dimensions",
            [-curve_excess(exact, "bare", LEVEL)],
            len(exact["m"]) * int(trials),
        ),
        Claim(
            "T1",
            f"other anchors, n = {n}: successes follow Phi((m d - kappa - n + 2)/sigma), nothing "
            f"fitted; margin: 1 minus chi^2 over its {100 * LEVEL:g} % quantile, worst angle",
            [-curve_excess(own, "predicted", LEVEL) for own in others],
            "the same with the statistical dimension m d alone, kappa = 0",
            [-curve_excess(own, "bare", LEVEL) for own in others],
            sum(len(own["m"]) for own in others) * int(trials),
        ),
        Claim(
            "T1",
            "half of the signals are found at m = (n - 2 + kappa)/d; margin: half the "
            f"{100 * LEVEL:g} % interval of the fitted m minus its distance, over n",
            (allowed - np.abs(transitions["midpoint"] - transitions["predicted"])) / n,
            "at 2 (n - 1)/cos^2, half of the threshold for complex signals",
            ((allowed - np.abs(transitions["midpoint"] - transitions["cosine"])) / n)[tilted],
        ),
    ]


def net_checks(
    runs: dict[str, np.ndarray],
    optima: dict[str, np.ndarray],
    shares: dict[str, np.ndarray],
    reached: float,
) -> list[Claim]:
    """Judge the convex program's certificate and the runs of gradient descent.

    Parameters
    ----------
    runs, optima : dict
        Of `measure_nets`.
    shares : dict
        Of `measure_shares`.
    reached : float
        Relative excess that counts as reaching the optimum.

    Returns
    -------
    list of Claim
        The rows, in order.
    """
    neurons = optima["neurons"][np.searchsorted(optima["draw"], runs["draw"])]
    able = runs["width"] >= neurons
    first = np.flatnonzero(shares["width"] >= optima["neurons"].max())[0]
    narrow, wide = shares["width"][first], shares["width"][-1]
    return [
        Claim(
            "T1",
            "the convex program gives a net with a proof that none of any width is better; margin: "
            f"{EQUAL:g} minus the certified gap over the value",
            EQUAL - optima["gap"],
            "it has the same value without the constraints that tie gates to weights",
            EQUAL - np.abs(optima["gated"] - 1),
        ),
        Claim(
            "T1",
            "no run of gradient descent ends below the certified bound; margin: value minus bound, "
            "over the optimum",
            runs["above"],
            f"each ends at the optimum (excess <= {reached:g}) if its width is at least the "
            "optimum's",
            (reached - runs["excess"])[able],
        ),
        Claim(
            "T1",
            f"more runs reach the optimum at width {wide} than at width {narrow}, which suffices "
            "to represent it; margin: distance of the 95 % intervals",
            [shares["lower"][-1] - shares["upper"][first]],
            "as many do: the intervals overlap",
            [shares["upper"][first] - shares["lower"][-1]],
            len(runs["width"]),
        ),
    ]
