"""The figure of depth as a preconditioner."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfact.experiments.conservation import INTEGRATORS, integrator_orders
from deepfact.experiments.looks import LOOKS
from deepfact.experiments.tables import groups, join, select, series
from deepfact.figures import figure_style

__all__ = ["figure", "figure_data"]

PREDICTED = ", predicted"
NET, DIAGONAL = "net", "diagonal net"


def figure_data(
    loops: dict[str, np.ndarray],
    limits: dict[str, np.ndarray],
    conditions: dict[str, np.ndarray],
    tuned: dict[str, np.ndarray],
    wear: dict[str, np.ndarray],
    drifts: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows.

    Parameters
    ----------
    loops, limits, conditions, tuned, wear, drifts : dict of str to ndarray
        From the measurements of the same names.

    Returns
    -------
    dict of str to ndarray
        ``panel``, ``series``, ``x`` and ``y``.
    """
    lines = []
    first = select(loops, draw=0, power=loops["power"][0])
    for K, own in groups(first, "depth"):
        size = np.pi * own["radius"] ** 2
        lines.append(series("loop", f"K = {K}", own["radius"], own["loop"] / size))
        lines.append(series("loop", f"K = {K}{PREDICTED}", own["radius"], own["area"] / size))
    for K, own in groups(select(limits, draw=0), "depth"):
        for name, kind in (
            ("distance", NET),
            ("predicted", f"{NET}{PREDICTED}"),
            ("diagonal", DIAGONAL),
        ):
            lines.append(series("limit", f"{kind}, K = {K}", own["start"], own[name]))
    for place, own in groups(conditions, "place"):
        lines.append(series("condition", place, own["depth"], own["with_depth"] / own["kappa"]))
    depths = np.unique(conditions["depth"])
    lines.append(series("condition", "K", depths, depths))
    lines.append(series("condition", "1/K", depths, 1 / depths))
    for p, K, own in groups(select(tuned, where=tuned["depth"] > 1), "power", "depth"):
        lines.append(series("tuned", f"l{p}, K = {K}", own["draw"], own["ratio"]))
    for noise, step, own in groups(wear, "noise", "step"):
        kind = "with" if noise else "without"
        lines.append(
            series("wear", f"{kind} noise, eta = {step:g}", own["clock"], np.exp(own["log_left"]))
        )
        if noise:
            lines.append(
                series("wear", f"eta = {step:g}{PREDICTED}", own["clock"], np.exp(own["predicted"]))
            )
    for method, own in groups(drifts, "method"):
        lines.append(series("drift", method, own["step"], own["drift"]))
    return join(*lines)


def figure(
    loops: dict[str, np.ndarray],
    limits: dict[str, np.ndarray],
    conditions: dict[str, np.ndarray],
    tuned: dict[str, np.ndarray],
    wear: dict[str, np.ndarray],
    drifts: dict[str, np.ndarray],
) -> Figure:
    """Draw geometry in the first row, speed in the second, balance in the third.

    Parameters
    ----------
    loops, limits, conditions, tuned, wear, drifts : dict of str to ndarray
        As for `figure_data`.

    Returns
    -------
    matplotlib.figure.Figure
        Six panels.
    """
    figure_style()
    data = figure_data(loops, limits, conditions, tuned, wear, drifts)
    drawing, axes = plt.subplots(3, 2, figsize=(7.2, 8.2))
    for axis, panel, draw in zip(
        axes.flat,
        ("loop", "limit", "condition", "tuned", "wear", "drift"),
        (_draw_loops, _draw_limits, _draw_conditions, _draw_tuned, _draw_wear, _draw_drift),
        strict=True,
    ):
        draw(axis, select(data, panel=panel))
    return drawing


def _draw_loops(axis: Axes, data: dict[str, np.ndarray]) -> None:
    names = [name for name, _ in groups(data, "series") if not name.endswith(PREDICTED)]
    for name, (colour, line, marker) in zip(names, LOOKS, strict=False):
        points, curve = select(data, series=name), select(data, series=name + PREDICTED)
        axis.plot(curve["x"], curve["y"], ls=line, color=colour, label=f"${name}$")
        axis.plot(points["x"], points["y"], marker, color=colour)
    axis.set(
        xlabel="radius of the circle",
        ylabel=r"$\oint F\cdot dw\,/\,$area",
        title="no gradient: loops (dots) are areas of curl (lines)",
    )
    low, high = np.min(data["y"]), np.max(data["y"])
    axis.set_ylim(low - 0.08 * (high - low), high + 0.3 * (high - low))
    axis.legend(ncols=2, loc="upper right")


def _draw_limits(axis: Axes, data: dict[str, np.ndarray]) -> None:
    depths = [name.rpartition("= ")[2] for name, _ in groups(data, "series") if "predicted" in name]
    for K, (colour, line, marker) in zip(depths, LOOKS[1:], strict=False):
        points = select(data, series=f"{NET}, K = {K}")
        curve = select(data, series=f"{NET}{PREDICTED}, K = {K}")
        other = select(data, series=f"{DIAGONAL}, K = {K}")
        axis.loglog(curve["x"], curve["y"], ls=line, color=colour)
        label = f"$K = {K}$: slope $1/{K}$"
        axis.loglog(points["x"], points["y"], marker, ls="", color=colour, label=label)
        axis.loglog(other["x"], other["y"], marker, ls=":", lw=0.7, color=colour, mfc="white", ms=5)
    axis.text(
        0.03,
        0.97,
        "open: diagonal nets stay away",
        transform=axis.transAxes,
        va="top",
        fontsize=8,
    )
    top = np.max(data["y"])
    axis.set(
        xlabel="size of the start, $|w_0|$",
        ylabel=r"$|w_\infty - w_{LS}|\,/\,|w_{LS}|$",
        title="limits: nets tend to the least $\\ell_2$-norm",
        ylim=(None, 6 * top),
    )
    axis.legend(loc="lower right")


def _draw_conditions(axis: Axes, data: dict[str, np.ndarray]) -> None:
    (one, _, dot), (low, solid, down), (high, dashed, up) = LOOKS[:3]
    random = select(data, series="random")
    for name, colour, line in (("K", high, dashed), ("1/K", low, solid)):
        bound = select(data, series=name)
        axis.loglog(bound["x"], bound["y"], ls=line, color=colour)
    axis.loglog(random["x"], random["y"], dot, color="0.55", ms=3, label="$w^*$ random")
    for name, colour, marker in (("highest", high, up), ("lowest", low, down)):
        points = select(data, series=name)
        text = f"$w^*$ along the {name} eigenvector"
        axis.loglog(points["x"], points["y"], marker, color=colour, label=text, ms=5)
    axis.axhline(1, color=one, lw=0.6)
    depths = np.unique(data["x"])
    axis.set_xticks(depths, [f"{K:g}" for K in depths])
    axis.minorticks_off()
    ticks = [1 / depths[-1], 0.5, 1, 2, depths[-1]]
    axis.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axis.set(
        xlabel="number of layers $K$",
        ylabel=r"$\kappa'/\kappa$",
        title=r"near a minimiser: between $1/K$ and $K$",
        ylim=(0.8 / depths[-1], 9 * depths[-1]),
    )
    axis.legend(loc="upper left")


def _draw_tuned(axis: Axes, data: dict[str, np.ndarray]) -> None:
    names = [name for name, _ in groups(data, "series")]
    for place, (name, (colour, _, marker)) in enumerate(zip(names, LOOKS[1:], strict=False)):
        ratio = select(data, series=name)["y"]
        spread = np.linspace(-0.25, 0.25, len(ratio)) if len(ratio) > 1 else np.zeros(1)
        axis.semilogy(place + spread, np.sort(ratio), marker, color=colour, ms=3)
        axis.plot([place - 0.38, place + 0.38], 2 * [np.median(ratio)], color="0.2", lw=1)
    axis.axhline(1, color="0.2", lw=0.6, ls=":")
    axis.set_xticks(
        range(len(names)), [rf"$\ell_{name[1:]}$".replace(", ", "$, $") for name in names]
    )
    top = int(np.ceil(np.log2(data["y"].max())))
    bottom = int(np.floor(np.log2(data["y"].min())))
    ticks = [2.0**k for k in range(bottom, top + 1)]
    axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set(
        ylabel="iterations of $K = 1$ / of $K$",
        title="speed-up, best step each (bars: medians)",
    )


def _draw_wear(axis: Axes, data: dict[str, np.ndarray]) -> None:
    names = [name for name, _ in groups(data, "series")]
    noisy = [name for name in names if name.startswith("with noise")]
    for name, (colour, _, marker) in zip(noisy, LOOKS[1:], strict=False):
        points = select(data, series=name)
        text = name.replace("with noise, eta", r"$\eta") + "$"
        axis.semilogy(points["x"], points["y"], marker, color=colour, label=text)
    for name in [name for name in names if name.startswith("without")]:
        quiet = select(data, series=name)
        axis.semilogy(quiet["x"], quiet["y"], color="0.55", ls="-")
    line = select(data, series=next(name for name in names if name.endswith(PREDICTED)))
    axis.semilogy(line["x"], line["y"], color="0.2", ls="--", label="predicted, noisy labels")
    axis.text(0.97, 0.9, "exact labels", transform=axis.transAxes, ha="right", va="top", fontsize=8)
    axis.set(
        xlabel=r"$\eta^2\times$ number of steps",
        ylabel="balance left, $u^2 - v^2$ / its start",
        title="noise wears the balance off, exact labels do not",
        ylim=(None, 2),
    )
    axis.legend(loc="lower left")


def _draw_drift(axis: Axes, data: dict[str, np.ndarray]) -> None:
    drifts = {"method": data["series"], "step": data["x"], "drift": data["y"]}
    orders = integrator_orders(drifts)
    fitted = dict(zip(orders["method"].tolist(), orders["order"].tolist(), strict=True))
    for (method, own), (colour, line, marker) in zip(
        groups(data, "series"), LOOKS[1:], strict=False
    ):
        order = INTEGRATORS[method][1]
        text = f"{method}: rounding only"
        if order is not None:
            text = f"{method}: slope {fitted[method]:.2f}, predicted {order}"
        # Exact conservation may show as no drift at all, which a logarithm cannot.
        axis.loglog(
            own["x"], np.maximum(own["y"], 1e-16), ls=line, color=colour, marker=marker, label=text
        )
    steps = np.unique(data["x"])
    axis.set_xticks(steps, [f"1/{1 / step:g}" for step in steps])
    axis.minorticks_off()
    axis.set(
        xlabel="step of the integrator",
        ylabel="drift of the balance",
        title="what integrators conserve",
        ylim=(1e-17, 1e7),
    )
    axis.legend(loc="upper left", fontsize=7.5)
