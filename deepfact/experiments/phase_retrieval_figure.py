"""The figure of PhaseMax and convex nets."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepfact.experiments.looks import LOOKS
from deepfact.experiments.tables import groups, join, select, series
from deepfact.experiments.transition_fits import binomial_interval
from deepfact.figures import figure_style
from deepfact.theory.phase_retrieval import (
    anchor_cone,
    phase_max_ratio,
    phase_max_success,
    spanning_probability,
)

__all__ = ["figure", "figure_data"]

SMALLEST = 1e-7
"""Excesses below this are drawn here: the accuracy of the convex program's net."""


def figure_data(
    errors: dict[str, np.ndarray],
    success: dict[str, np.ndarray],
    transitions: dict[str, np.ndarray],
    runs: dict[str, np.ndarray],
    shares: dict[str, np.ndarray],
    functions: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    errors : dict
        Of `phase_duality.measure_dual_errors`; the first problem is drawn.
    success, transitions : dict
        Of `phase_success.measure_success` and `phase_success.measure_transitions`.
    runs : dict
        Of `relu_nets.measure_nets`; the first data set is drawn.
    shares : dict
        Of `relu_nets.measure_shares`.
    functions : dict
        Of `relu_nets.measure_nets`.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel``, ``series``, ``x`` and ``y``.
    """
    tables = []
    for depth, own in groups(select(errors, draw=0), "depth"):
        tables += [
            series("dual", f"L = {depth}, {name}", own["alpha"], own[name])
            for name in ("error", "predicted")
        ]
    for degrees, own in groups(success, "degrees"):
        n = int(own["n"][0])
        low, high = binomial_interval(own["recovered"], own["trials"])
        share = own["recovered"] / own["trials"]
        for name, values in (("share", share), ("lower", low), ("upper", high)):
            tables.append(series("success", f"{degrees:g}, {name}", own["m"] / n, values))
        m = np.arange(int(0.9 * own["m"].min()), int(1.1 * own["m"].max()) + 1)
        curve = [
            spanning_probability(k, n - 1)
            if degrees == 0
            else phase_max_success(k, n, np.radians(degrees))
            for k in m
        ]
        tables.append(series("success", f"{degrees:g}, predicted", m / n, curve))
    n = transitions["n"][0]
    grid = np.linspace(0, 75, 151)
    radians = np.radians(grid)
    cones = [anchor_cone(float(angle)) for angle in radians]
    tables += [
        series("transition", "limit", grid, [phase_max_ratio(float(a)) for a in radians]),
        series("transition", "size", grid, [(n - 2 + c.offset) / c.share / n for c in cones]),
        series("transition", "cosine", grid, 2 / np.cos(radians) ** 2),
    ]
    for name, sign in (("fitted", 0), ("lower", -1), ("upper", 1)):
        values = transitions["midpoint"] + sign * 1.96 * transitions["error"]
        tables.append(series("transition", name, transitions["degrees"], values / n))
    for name, own in groups(functions, "name"):
        tables.append(series("function", name, own["x"], own["y"]))
    for width, own in groups(select(runs, draw=0), "width"):
        tables.append(
            series("excess", f"{width}", np.full(len(own["width"]), width), own["excess"])
        )
    for name in ("share", "lower", "upper"):
        tables.append(series("share", name, shares["width"], shares[name]))
    return join(*tables)


def figure(data: dict[str, np.ndarray]) -> Figure:
    """Draw the six panels.

    Parameters
    ----------
    data : dict
        Of `figure_data`.

    Returns
    -------
    matplotlib.figure.Figure
        (a) to (c) PhaseMax, (d) to (f) nets.
    """
    figure_style()
    drawing, axes = plt.subplots(3, 2, figsize=(7.4, 8.8))
    parts = (
        ("dual", _draw_dual),
        ("success", _draw_success),
        ("transition", _draw_transition),
        ("function", _draw_functions),
        ("excess", _draw_excess),
        ("share", _draw_share),
    )
    for axis, (panel, draw) in zip(axes.flat, parts, strict=True):
        draw(axis, select(data, panel=panel))
    return drawing


def _names(data: dict[str, np.ndarray]) -> list[str]:
    return list(dict.fromkeys(data["series"].tolist()))


def _draw_dual(axis: Axes, data: dict[str, np.ndarray]) -> None:
    depths = dict.fromkeys(name.split(",")[0] for name in _names(data))
    for k, depth in enumerate(depths, start=1):
        color, line, marker = LOOKS[k]
        curve, dots = (select(data, series=f"{depth}, {name}") for name in ("predicted", "error"))
        axis.loglog(curve["x"], curve["y"], ls=line, color=color, label=f"${depth}$")
        axis.loglog(dots["x"], dots["y"], marker, color=color, mfc="none", ms=5)
    deep = select(data, where=~np.char.startswith(data["series"], "L = 2"))["x"]
    axis.set_xlim(2 * deep.max(), deep.min() / 2)  # L = 2 goes on much further
    axis.set(xlabel="init scale $\\alpha$", ylabel="$|\\eta - x_0|\\,/\\,|x_0|$")
    axis.set_title("(a) the flow's dual variable finds the signal")
    axis.legend(loc="lower left", title="lines: predicted", title_fontsize=8)


def _draw_success(axis: Axes, data: dict[str, np.ndarray]) -> None:
    angles = dict.fromkeys(name.split(",")[0] for name in _names(data))
    for k, angle in enumerate(angles):
        color, line, marker = LOOKS[k % len(LOOKS)]
        own = {
            name: select(data, series=f"{angle}, {name}")
            for name in ("share", "lower", "upper", "predicted")
        }
        axis.plot(own["predicted"]["x"], own["predicted"]["y"], ls=line, color=color, lw=1.2)
        share = own["share"]["y"]
        bars = [share - own["lower"]["y"], own["upper"]["y"] - share]
        look = {"marker": marker, "ms": 4, "color": color, "mfc": "none", "elinewidth": 1}
        axis.errorbar(own["share"]["x"], share, bars, ls="none", label=f"{angle}°", **look)
    axis.set(xlabel="measurements per unknown, $m/n$", ylabel="share of signals found")
    axis.set_xlim(None, 1.02 * data["x"].max())
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_title("(b) successes and their prediction")
    axis.legend(loc="lower right", title="angle of the anchor", title_fontsize=8)


def _draw_transition(axis: Axes, data: dict[str, np.ndarray]) -> None:
    curves = {
        "limit": ("$n \\to \\infty$", 1),
        "size": ("predicted for this $n$", 0),
        "cosine": ("$2/\\cos^2$", 2),
    }
    for name, (label, look) in curves.items():
        own = select(data, series=name)
        axis.plot(own["x"], own["y"], ls=LOOKS[look][1], color=LOOKS[look][0], label=label)
    fitted, low, high = (select(data, series=name) for name in ("fitted", "lower", "upper"))
    bars = [fitted["y"] - low["y"], high["y"] - fitted["y"]]
    axis.errorbar(fitted["x"], fitted["y"], bars, fmt="o", color="black", ms=4, label="fitted")
    axis.set(xlabel="angle of the anchor (degrees)", ylabel="$m/n$ at 50 %", ylim=(1.5, 6.5))
    axis.set_title("(c) where PhaseMax begins to succeed")
    axis.legend(loc="upper left")


def _draw_functions(axis: Axes, data: dict[str, np.ndarray]) -> None:
    widths = [name for name in _names(data) if name.startswith("width")]
    chosen = [name for name in (widths[0], widths[-1]) if len(select(data, series=name)["x"])]
    best = select(data, series="optimum")
    axis.plot(best["x"], best["y"], color="0.75", lw=5, label="convex optimum")
    for name, look in zip(chosen, (2, 1), strict=True):
        own = select(data, series=name)
        axis.plot(
            own["x"], own["y"], ls=LOOKS[look][1], color=LOOKS[look][0], label=f"{name}, median"
        )
    dots = select(data, series="data")
    axis.plot(dots["x"], dots["y"], "o", color="black", ms=4, label="data")
    low, high = axis.get_ylim()
    axis.set(xlabel="input", ylabel="output", ylim=(low, high + 0.6 * (high - low)))
    axis.set_title("(d) nets and their convex optimum")
    axis.legend(loc="upper left", ncols=2)


def _draw_excess(axis: Axes, data: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(0)  # dots of one width side by side
    for name in _names(data):
        own = select(data, series=name)
        place = own["x"] * 2 ** rng.uniform(-0.25, 0.25, len(own["x"]))
        values = np.maximum(own["y"], SMALLEST)
        axis.loglog(place, values, "o", color=LOOKS[1][0], mfc="none", ms=3.5, mew=0.8)
    widths = np.unique(data["x"])
    axis.set_xticks(widths, [f"{width:g}" for width in widths])
    axis.minorticks_off()
    axis.set(xlabel="width", ylabel="excess over the optimum")
    axis.set_title("(e) every run on one data set")


def _draw_share(axis: Axes, data: dict[str, np.ndarray]) -> None:
    share, low, high = (select(data, series=name) for name in ("share", "lower", "upper"))
    bars = [share["y"] - low["y"], high["y"] - share["y"]]
    axis.errorbar(share["x"], share["y"], bars, fmt="o-", color=LOOKS[1][0], ms=4, elinewidth=1)
    axis.set_xscale("log", base=2)
    axis.set_xticks(share["x"], [f"{width:g}" for width in share["x"]])
    axis.set(xlabel="width", ylabel="share of runs at the optimum", ylim=(-0.03, 1.03))
    axis.set_title("(f) how many reach it, all data sets")
