"""The figure of one, two and three factors side by side."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from deepfact.experiments.depth_runs import counted
from deepfact.experiments.looks import power_of_ten
from deepfact.experiments.tables import groups, join, select
from deepfact.figures import OKABE_ITO as INK
from deepfact.figures import figure_style

__all__ = ["SUPPORT_LOOKS", "figure", "figure_data"]

SUPPORT_LOOKS = [
    (INK["blue"], "-"),
    (INK["vermillion"], "--"),
    (INK["green"], "-."),
    (INK["purple"], (0, (3, 1, 1, 1, 1, 1))),
    (INK["orange"], (0, (5, 1))),
    (INK["black"], ":"),
]
"""Colour and line style of the coordinates that are not zero, one after another."""

DEPTH_LOOKS = [("black", ":", "o"), ("blue", "-", "s"), ("vermillion", "--", "^")]


def figure_data(
    flows: dict[str, dict[str, np.ndarray]], limits: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    flows : dict
        Of `depth_side_by_side.measure_flows`.
    limits : dict
        Of `depth_side_by_side.measure_limits`.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel``, ``depth``, ``coordinate`` (-1 where there is none), ``x`` and ``y``.
    """
    tables = []

    def add(panel, depth, coordinate, x, y):
        columns = (panel, depth, coordinate, x, y)
        names = ("panel", "depth", "coordinate", "x", "y")
        tables.append(
            {
                name: np.broadcast_to(np.asarray(column), np.shape(x))
                for name, column in zip(names, columns, strict=True)
            }
        )

    for depth, own in groups(flows["coordinates"], "depth"):
        add("flow", depth, own["coordinate"], own["x"], own["y"])
        entries = select(flows["entries"], depth=depth)
        index = entries["coordinate"]
        add("limit", depth, index, index, entries["limit"])
        add("true vector", depth, index, index, entries["true"])
    for depth, own in groups(flows["divergence"], "depth"):
        add("divergence / its start", depth, -1, own["time"], own["relative"])
        starts, middle, low, high = _certified(limits, depth)
        for series, values in (("median", middle), ("least", low), ("largest", high)):
            add(f"certified gap / Q, {series}", depth, -1, starts, values)
    return join(*tables)


def figure(flows: dict[str, dict[str, np.ndarray]], limits: dict[str, np.ndarray]) -> Figure:
    """Draw coordinates and limits of each depth, divergences, and certified gaps.

    Parameters
    ----------
    flows : dict
        Of `depth_side_by_side.measure_flows`, of three depths at most.
    limits : dict
        Of `depth_side_by_side.measure_limits`, of the same depths.

    Returns
    -------
    matplotlib.figure.Figure
        Three rows: a column for each depth in the first two, two panels in the third.
    """
    figure_style()
    drawing = plt.figure(figsize=(7.2, 7))
    grid = drawing.add_gridspec(3, 6, height_ratios=[1.15, 0.8, 1])
    for column, (depth, row) in enumerate(groups(flows["depths"], "depth")):
        time, final = (
            drawing.add_subplot(grid[line, 2 * column : 2 * column + 2]) for line in (0, 1)
        )
        entries = select(flows["entries"], depth=depth)
        _draw_coordinates(time, select(flows["coordinates"], depth=depth), entries, row)
        _draw_limit(final, entries)
        begin = "$x=0$" if depth == 1 else f"$\\alpha^L={power_of_ten(row['start'][0])}$"
        time.set_xlabel(f"time $t$, from {begin}")
        limits_of_y = row["room"][0] * np.array([row["lowest"][0], row["highest"][0]])
        number = f"{counted([depth])} factor{'s' if depth > 1 else ''}"
        time.set_title(f"$L = {depth:g}$: {number}", fontsize=10)
        for axis in (time, final):
            axis.set(ylim=limits_of_y)
            axis.tick_params(labelleft=column == 0)
        if column == 0:
            time.set_ylabel("coordinates of $x(t)$")
            final.set_ylabel("limit $x_\\infty$")
    fall, gaps = drawing.add_subplot(grid[2, :3]), drawing.add_subplot(grid[2, 3:])
    for d, (depth, own) in enumerate(groups(flows["divergence"], "depth")):
        color, line, marker = DEPTH_LOOKS[d]
        look = {"ls": line, "color": INK[color], "marker": marker, "label": f"$L = {depth:g}$"}
        fall.semilogx(own["time"], own["relative"], markevery=(10 + 5 * d, 30), **look)
        starts, middle, low, high = _certified(limits, depth)
        gaps.fill_between(starts, low, high, color=INK[color], alpha=0.15, lw=0)
        gaps.loglog(starts, middle, **look)
    start = f"$\\alpha^L={power_of_ten(flows['depths']['start'][0])}$"
    fall.set(
        xlabel=f"time $t$, from {start}",
        ylabel="$D_F(x^*, x(t))\\,/\\,D_F(x^*, x(0))$",
        ylim=(-0.03, 1.05),
    )
    fall.set_title("divergence to the sparse solution $x^*$")
    fall.legend(loc="upper right")
    gaps.set(
        xlabel="product of the factors at the start, $\\alpha^L$", ylabel="certified gap / $Q$"
    )
    gaps.set_title("how far from the smallest $\\ell_1$-norm")
    gaps.invert_xaxis()
    gaps.legend(loc="lower left")
    return drawing


def _certified(limits, depth):
    by_start = groups(select(limits, depth=depth), "start")
    gaps = [own["certified"] for _, own in by_start]
    starts = np.array([start for start, _ in by_start])
    return (starts, *(np.array([f(gap) for gap in gaps]) for f in (np.median, np.min, np.max)))


def _draw_coordinates(
    axis: Axes,
    coordinates: dict[str, np.ndarray],
    entries: dict[str, np.ndarray],
    row: dict[str, np.ndarray],
) -> None:
    first, last = row["first"][0], row["last"][0]
    support = np.flatnonzero(entries["true"]).tolist()
    curves = {i: (own["x"], own["y"]) for i, own in groups(coordinates, "coordinate")}
    for i, curve in curves.items():
        if i not in support:
            axis.semilogx(*curve, color="0.72", lw=0.5)
    for k, i in enumerate(support):
        color, line = SUPPORT_LOOKS[k % 6]
        axis.semilogx(*curves[i], ls=line, color=color, lw=1.7)
        axis.plot(2 * last, entries["true"][i], "o", color=color, clip_on=False, zorder=5)
    axis.set_xlim(first, 2 * last)
    axis.xaxis.set_major_locator(LogLocator(numticks=6))
    axis.xaxis.set_minor_locator(LogLocator(numticks=999))
    axis.xaxis.set_minor_formatter("")


def _draw_limit(axis: Axes, entries: dict[str, np.ndarray]) -> None:
    index, x, true = entries["coordinate"] + 1, entries["limit"], entries["true"]
    support, rest = np.flatnonzero(true), np.flatnonzero(true == 0)
    axis.axhline(0, color="0.5", lw=0.6)
    axis.vlines(index[rest], 0, x[rest], color="0.6", lw=0.8)
    axis.plot(index[rest], x[rest], "o", color="0.6", ms=1.6)
    for k, i in enumerate(support):
        color, _ = SUPPORT_LOOKS[k % 6]
        axis.vlines(index[i], 0, x[i], color=color, lw=1.4)
        axis.plot(index[i], x[i], "o", color=color, ms=3)
    axis.plot(index[support], true[support], "o", mfc="none", mec="black", ms=6, mew=0.8)
    axis.set(xlabel="index $i$")
