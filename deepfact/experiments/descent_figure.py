"""The figure of descent against flow."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from deepfact.experiments.tables import groups, join, select
from deepfact.figures import OKABE_ITO, figure_style
from deepfact.theory import plateau_exponents

__all__ = ["figure", "figure_data"]

COLORS = [OKABE_ITO[name] for name in ("blue", "vermillion", "green", "purple", "orange")]
STYLES, MARKERS = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))], "osD^v"


def _drawn(plateaus):
    """Return the curves of two depths above 2 on the first problem, by depth and init scale."""
    curves = select(plateaus["curves"], problem=0, where=plateaus["curves"]["depth"] > 2)
    depths = list(dict.fromkeys(curves["depth"].tolist()))[:2]
    return [(depth, groups(select(curves, depth=depth), "alpha")) for depth in depths]


def figure_data(
    orders: dict[str, np.ndarray],
    stability: dict[str, np.ndarray],
    plateaus: dict[str, dict[str, np.ndarray]],
    stochastic: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    orders, stability, plateaus, stochastic : dict
        Of the functions ``measure_...`` of `descent`.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``curve``, ``x`` and ``y``.
    """
    parts = []

    def add(curve, x, y):
        parts.append({"curve": np.full(len(x), curve), "x": x, "y": y})

    for depth, own in groups(orders, "depth"):
        add(f"order L={depth}", own["step"], own["error"])
    for depth in np.unique(stability["depth"]):
        own = select(stability, depth=depth)
        add(f"stability L={depth:g}", own["predicted"], own["measured"])
    for depth, curves in _drawn(plateaus):
        for alpha, own in curves:
            add(f"plateau L={depth:g} alpha={alpha:.3e}", own["time"], own["residual"])
    for batch, own in groups(stochastic, "batch"):
        add(f"recovery batch={batch:g}", own["fraction"], own["error"] / own["flow_error"])
    return join(*parts)


def figure(
    orders: dict[str, np.ndarray],
    stability: dict[str, np.ndarray],
    plateaus: dict[str, dict[str, np.ndarray]],
    stochastic: dict[str, np.ndarray],
) -> Figure:
    """Draw order, stability, plateaus and what stochastic descent does to recovery.

    Parameters
    ----------
    orders, stability, plateaus, stochastic : dict
        Of the functions ``measure_...`` of `descent`.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels.
    """
    figure_style()
    drawing, axes = plt.subplots(2, 2, figsize=(7.0, 5.6))
    _draw_orders(axes[0, 0], orders)
    _draw_stability(axes[0, 1], stability)
    _draw_plateaus(axes[1, 0], plateaus)
    _draw_recovery(axes[1, 1], stochastic)
    return drawing


def _draw_orders(axis: Axes, orders: dict[str, np.ndarray]) -> None:
    for k, (depth, order) in enumerate(groups(orders, "depth")):
        steps, errors = order["step"], order["error"]
        axis.plot(
            steps,
            errors,
            marker=MARKERS[k % 5],
            linestyle=STYLES[k % 5],
            color=COLORS[k % 5],
            label=f"$L = {depth:g}$, $\\alpha = {order['alpha'][0]:g}$",
        )
    axis.plot(steps, 0.4 * errors[-1] * steps / steps[-1], color="0.5", lw=0.8, label="slope 1")
    axis.set(xscale="log", yscale="log", xlabel="step size", ylabel="relative distance to the flow")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_title("descent follows the flow, order 1")
    axis.legend()


def _draw_stability(axis: Axes, stability: dict[str, np.ndarray]) -> None:
    for k, depth in enumerate(np.unique(stability["depth"])):
        own = select(stability, depth=depth)
        axis.plot(
            own["predicted"],
            own["measured"],
            MARKERS[k % 5],
            color=COLORS[k % 5],
            mfc="none",
            label=f"$L = {depth:g}$",
        )
    ends = np.array([0.0, 1.1 * stability["predicted"].max()])
    axis.plot(ends, ends, color="0.5", lw=0.8, zorder=0, label="equal")
    axis.set(xlabel=r"predicted $2/\lambda_{\max}$", xlim=ends, ylim=ends)
    axis.set_ylabel("measured largest stable step")
    starts = ", ".join(f"10^{{{value:g}}}" for value in np.unique(stability["log10_a"]))
    axis.set_title(f"stability limit ($\\alpha^L = {starts}$)")
    axis.legend()


def _draw_plateaus(axis: Axes, plateaus: dict[str, dict[str, np.ndarray]]) -> None:
    for k, (depth, curves) in enumerate(_drawn(plateaus)):
        rate, height = plateau_exponents(depth)
        for j, (alpha, own) in enumerate(curves):
            shown = own["residual"] > 1e-14
            axis.plot(
                own["time"][shown] * alpha**rate,
                own["residual"][shown] / alpha**height,
                linestyle=STYLES[j % 5],
                color=COLORS[k % 5],
                linewidth=1.0 + 0.8 * k,
                label=f"$L = {depth:g}$, $\\log_{{10}} \\alpha = {np.log10(alpha):g}$",
            )
    axis.set(xscale="log", yscale="log")
    axis.set_xlim(1e-7, None)
    axis.set_xlabel(r"time $\times\, \alpha^{2L-2}$")
    axis.set_ylabel(r"relative residual $/\,\alpha^L$")
    axis.set_title("plateaus of different $\\alpha$ collapse")
    axis.legend(loc="upper right", ncols=2, fontsize=6, columnspacing=1.0)


def _draw_recovery(axis: Axes, stochastic: dict[str, np.ndarray]) -> None:
    fractions = np.unique(stochastic["fraction"])
    for k, batch in enumerate(np.unique(stochastic["batch"])[::-1]):
        own = select(stochastic, batch=batch)
        ratio = own["error"] / own["flow_error"]
        ratios = [ratio[own["fraction"] == fraction] for fraction in fractions]
        middle = np.array([np.median(group) for group in ratios])
        axis.errorbar(
            fractions,
            middle,
            yerr=[
                middle - [group.min() for group in ratios],
                [group.max() for group in ratios] - middle,
            ],
            marker=MARKERS[k % 5],
            linestyle=STYLES[k % 5],
            color=COLORS[k % 5],
            elinewidth=0.7,
            label="all rows" if k == 0 else f"batches of {batch:g} rows",
        )
    axis.axhline(1.0, color="0.5", lw=0.8)
    axis.set_xlabel(r"step, in units of $(B/M) \cdot 2/\lambda_{\max}$")
    axis.set_ylabel("recovery error / that of the flow")
    alpha = stochastic["alpha"][0]
    axis.set_title(f"large steps hurt, batches do not ($\\alpha = {alpha:g}$)")
    axis.legend(loc="upper left")
    axis.set_ylim(top=axis.get_ylim()[1] + 0.25 * np.diff(axis.get_ylim())[0])
