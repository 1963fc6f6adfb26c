"""Descent against flow: statements S10, S11 and S12."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.experiments.descent_figure import figure, figure_data
from deepfact.experiments.escape import measure_escapes
from deepfact.experiments.plateaus import measure_late_rates, measure_plateaus
from deepfact.experiments.stability import fit_orders, measure_orders, measure_stability
from deepfact.experiments.stochastic_descent import measure_stochastic
from deepfact.experiments.tables import groups, select

__all__ = [
    "checks",
    "describe_escapes",
    "describe_late_rates",
    "describe_plateaus",
    "describe_stability",
    "describe_stochastic",
    "figure",
    "figure_data",
    "measure_escapes",
    "measure_late_rates",
    "measure_orders",
    "measure_plateaus",
    "measure_stability",
    "measure_stochastic",
]


def describe_stability(orders: dict[str, np.ndarray], stability: dict[str, np.ndarray]) -> str:
    """Write the fitted orders and how close the stable steps are as lines of text.

    Parameters
    ----------
    orders : dict
        Of `measure_orders`.
    stability : dict
        Of `measure_stability`.

    Returns
    -------
    str
        A header, a line for each depth, and three on stability.
    """
    lines = ["depth   order fitted   95 % interval"]
    fits = fit_orders(orders)
    for depth, order, half in zip(fits["depth"], fits["order"], fits["half_width"], strict=True):
        lines.append(f"{depth:5d}   {order:12.3f}   {order - half:.3f} to {order + half:.3f}")
    predicted = stability["predicted"]
    deviation = np.abs(stability["measured"] / predicted - 1)
    lines += [
        "",
        f"largest stable step, {len(deviation)} runs: measured and predicted differ",
        f"by at most {deviation.max():.2%}, while the prediction ranges",
        f"from {predicted.min():.2g} to {predicted.max():.2g}",
    ]
    return "\n".join(lines)


def describe_escapes(escape: dict[str, np.ndarray], target: float = 1.0) -> str:
    """Write the two times between which a coordinate escapes as lines of text.

    Parameters
    ----------
    escape : dict
        Of `measure_escapes`.
    target : float, optional
        The coordinate's target (default: 1).

    Returns
    -------
    str
        What was left out, a header, and for each depth a line for the largest and for the smallest
        init scale.
    """
    share = escape["threshold"][0]
    lines = [
        _left_out(escape),
        f"escape to {100 * share:g} % of the target y = {target:g}, between the two times",
    ]
    ends = escape["alpha"].max(), escape["alpha"].min()
    tested = select(escape, target=target, outcome="tested")
    for depth, own in groups(tested, "depth"):
        for alpha in ends:
            at = select(own, alpha=alpha)
            for earliest, latest in zip(at["earliest"], at["latest"], strict=True):
                lines.append(
                    f"L = {depth:4g}  alpha = {alpha:5g}: {earliest:12.6g} to {latest:12.6g}"
                )
    return "\n".join(lines)


def _left_out(escape):
    """Say how many escapes were tested, and how many were not and why."""
    outcome = escape["outcome"]
    tested, above, sharp = (
        np.sum(outcome == name) for name in ("tested", "starts above", "too sharp")
    )
    return (
        f"{tested} of {outcome.size} escapes tested; left out: {above} that start above X, "
        f"{sharp} too sharp for the integrator"
    )


def describe_late_rates(late: dict[str, np.ndarray]) -> str:
    """Write the exponents of the late rate at depth 2, far below the smallest double.

    Parameters
    ----------
    late : dict
        Of `measure_late_rates`.

    Returns
    -------
    str
        A header and a line for each problem.
    """
    lines = ["L = 2, late rate at the smallest alpha: local slope   predicted"]
    for slope, predicted in zip(late["slope"], late["predicted"], strict=True):
        lines.append(f"{slope:52.4f} {predicted:11.4f}")
    return "\n".join(lines)


def describe_plateaus(plateaus: dict[str, dict[str, np.ndarray]]) -> str:
    """Write late rates and exponents as lines of text.

    Parameters
    ----------
    plateaus : dict
        Of `measure_plateaus`.

    Returns
    -------
    str
        Two lines of header and a line for each problem and depth.
    """
    lines = [
        "        rate: largest       exponent of the late rate        exponent of the height",
        "depth   |measured/predicted - 1|   fitted, 95 %     predicted   "
        "fitted, 95 %     predicted",
    ]
    for number, depth, fit in groups(plateaus["exponents"], "problem", "depth"):
        own = select(plateaus["runs"], problem=number, depth=depth)
        late = np.max(np.abs(own["measured_rate"] / own["rate"] - 1))
        lines.append(
            f"{depth:5g} {late:14.1e}"
            f" {fit['rate'][0]:19.3f} +- {fit['rate_half'][0]:5.3f} {fit['rate_predicted'][0]:8.3f}"
            f" {fit['height'][0]:12.3f} +- {fit['height_half'][0]:5.3f}"
            f" {fit['height_predicted'][0]:8.3f}"
        )
    return "\n".join(lines)


def describe_stochastic(stochastic: dict[str, np.ndarray]) -> str:
    """Write recovery errors and shrinking for each batch and step as lines of text.

    Parameters
    ----------
    stochastic : dict
        Of `measure_stochastic`.

    Returns
    -------
    str
        Two lines of header, a line for each batch size and step, and three largest errors.
    """
    lines = [
        " rows in   step as    recovery error /   log10 of the shrinking a/alpha^2",
        " a batch   fraction   that of the flow     mean      strongest",
    ]
    for batch, fraction, own in groups(stochastic, "batch", "fraction"):
        ratio = np.median(own["error"] / own["flow_error"])
        lines.append(
            f"{batch:7g} {fraction:10g} {ratio:16.3f}"
            f" {np.median(own['mean_shrinking']):16.3f}"
            f" {np.median(own['most_shrinking']):12.3f}"
        )
    lines += [
        "",
        f"largest error of the identity: {stochastic['identity_error'].max():.0e}",
        f"largest distance of w from the range of A^T: {stochastic['range_error'].max():.0e}",
        f"largest distance to the predicted limit: {stochastic['projection_error'].max():.0e}",
    ]
    return "\n".join(lines)


def checks(
    orders: dict[str, np.ndarray],
    stability: dict[str, np.ndarray],
    escape: dict[str, np.ndarray],
    plateaus: dict[str, dict[str, np.ndarray]],
    late: dict[str, np.ndarray],
    stochastic: dict[str, np.ndarray],
) -> list[Claim]:
    """Return what descents and flows say about S10, S11 and S12.

    Parameters
    ----------
    orders, stability, escape, plateaus, late, stochastic : dict
        Of the functions ``measure_...``.

    Returns
    -------
    list of Claim
        Two of S10, four of S11, two of S12, each with its rival.
    """
    runs = plateaus["runs"]
    tested = select(escape, outcome="tested")
    deep = select(plateaus["exponents"], where=plateaus["exponents"]["depth"] > 2)
    several = ", ".join(f"{depth:g}" for depth in np.unique(runs["depth"]))
    fitted = ", ".join(f"{depth:g}" for depth in np.unique(orders["depth"]))
    return [
        Claim(
            "S10",
            "measured largest stable step of descent on all factors near the limit is "
            "2/lambda_max; margin 1 % - relative deviation",
            0.01 - np.abs(stability["measured"] / stability["predicted"] - 1),
            "it is 1/lambda_max",
            0.01 - np.abs(2 * stability["measured"] / stability["predicted"] - 1),
        ),
        Claim(
            "S10",
            f"descent tends to the flow as the step shrinks, with order 1 (L = {fitted}); "
            "margin 0.1 - |fitted order - 1|",
            0.1 - np.abs(fit_orders(orders)["order"] - 1),
            "with order 2",
            0.1 - np.abs(fit_orders(orders)["order"] - 2),
        ),
        Claim(
            "S11",
            "escape from alpha^L to X takes between escape_time(X, largest drift) and "
            f"escape_time(X, least drift) ({_left_out(escape)}); margin |x - X|/X at these times",
            tested["margin"],
            "it is over by escape_time(X, largest drift)",
            -tested["early"],
        ),
        Claim(
            "S11",
            "late rate of the residual is the least eigenvalue of A diag(X') A^T at the limit "
            f"(L = {several}); margin 2 % - relative deviation",
            0.02 - np.abs(runs["measured_rate"] / runs["rate"] - 1),
            "it is L times that, as for one tied factor",
            0.02 - np.abs(runs["measured_rate"] / (runs["depth"] * runs["rate"]) - 1),
        ),
        Claim(
            "S11",
            "for L > 2 late rate ~ alpha^(2L-2) and height of the residual's plateau ~ alpha^L; "
            "margin 0.05 - |fitted - predicted exponent|",
            0.05
            - np.abs(
                [deep["rate"] - deep["rate_predicted"], deep["height"] - deep["height_predicted"]]
            ),
            "the exponent of the rate is 2 % larger",
            0.05 - np.abs(deep["rate"] - 1.02 * deep["rate_predicted"]),
        ),
        Claim(
            "S11",
            "L = 2: late rate ~ alpha^(2 (1 - rho)), rho the least possible one, at init scales "
            "far below the smallest double; margin 0.05 - |local slope - predicted exponent|",
            0.05 - np.abs(late["slope"] - late["predicted"]),
            "~ alpha^(2L - 2) = alpha^2, as for L > 2",
            0.05 - np.abs(late["slope"] - 2),
        ),
        Claim(
            "S12",
            "depth 2, full and batch gradients: x = 2 a sinh(2 w + d) in every run, w in the "
            "range of A^T; margin 1e-9 - relative error",
            1e-9 - np.maximum(stochastic["identity_error"], stochastic["range_error"]),
            "x = 2 alpha^2 sinh(2 w), as for the flow",
            1e-9 - stochastic["plain_error"],
        ),
        Claim(
            "S12",
            "depth 2: the limit of (stochastic) descent is the flow's limit from the effective "
            "start a, d; margin 1e-6 - relative distance",
            1e-6 - stochastic["projection_error"],
            "it is the flow's limit from alpha",
            1e-6 - stochastic["flow_distance"],
        ),
    ]
