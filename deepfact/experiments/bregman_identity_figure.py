"""The figure of the Bregman identity."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfact.experiments.dual_picture_figure import depth_name
from deepfact.experiments.looks import power_of_ten
from deepfact.experiments.tables import groups, join, select
from deepfact.figures import OKABE_ITO, figure_style

__all__ = ["figure", "figure_data"]

STYLES = ["-", "--", "-.", ":"]
COLORS = [OKABE_ITO[name] for name in ("blue", "vermillion", "green", "black")]
NAMES = {
    "basis pursuit": "basis pursuit",
    "dense": "least $\\ell_2$",
    "random": "random",
    "limit": "limit $x_\\infty$",
}
LOSS_DEPTHS = (2, 3, np.inf)
"""Depths whose loss is drawn, if they were measured."""


def figure_data(
    shown: dict[str, np.ndarray], table: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    shown : dict
        Of `bregman_identity.measure_shown`.
    table : dict
        Of `bregman_identity.measure_identity`.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel``, ``depth``, ``series``, ``t`` (in panel "deviation" the share of the log time) and
        ``value``.
    """
    tables = []

    def add(panel, depth, series, t, value):
        columns = {"panel": panel, "depth": depth, "series": series, "t": t, "value": value}
        tables.append({name: np.broadcast_to(v, np.shape(t)) for name, v in columns.items()})

    moving = select(shown, where=shown["step"] > 0)
    by_vector = sorted(groups(moving, "vector"), key=lambda item: -item[1]["start"][0])
    for name, own in by_vector:
        depth = own["depth"][0]
        add("divergence", depth, name, own["time"], own["divergence"])
        add("start - integral", depth, name, own["time"], own["start"] - own["integral"])
    for depth in LOSS_DEPTHS:
        if np.any(table["depth"] == depth):
            first = table["run"][table["depth"] == depth][0]
            own = select(table, run=first, vector="limit", where=table["step"] > 0)
            add("loss", depth, "loss", own["time"], own["loss"])
            add("loss", depth, "bound", own["time"], own["start"] / (2 * own["time"]))
    last = table["step"].max()
    for depth, own in groups(table, "depth"):
        worst = np.array([np.max(at["deviation"]) for _, at in groups(own, "step")])[1:]
        series = "worst over z and instances"
        add("deviation", depth, series, np.linspace(0, 1, last), worst)
    return join(*tables)


def figure(shown: dict[str, np.ndarray], table: dict[str, np.ndarray]) -> Figure:
    """Draw the fall of the divergences, the loss under its bound, and the error of the identity.

    Parameters
    ----------
    shown : dict
        Of `bregman_identity.measure_shown`.
    table : dict
        Of `bregman_identity.measure_identity`.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels.
    """
    figure_style()
    drawing, (left, middle, right) = plt.subplots(
        1, 3, figsize=(7.2, 2.7), width_ratios=[1.15, 1.15, 1]
    )
    data = figure_data(shown, table)
    _draw_divergences(left, shown, data)
    _draw_losses(middle, table, data)
    for k, (depth, own) in enumerate(groups(select(data, panel="deviation"), "depth")):
        right.semilogy(
            own["t"],
            np.maximum(own["value"], 1e-17),
            STYLES[k % 4],
            color=COLORS[k % 4],
            label=f"$L=$ {depth_name(depth)}",
        )
    right.set(
        xlabel=f"log time, {_start(table)}",
        ylabel="deviation / $D_F(z, x(0))$",
        ylim=(1e-17, 1e-8),
    )
    right.legend(loc="lower right", ncols=2, handlelength=1.8, fontsize=7)
    right.set_title("error of the identity")
    return drawing


def _draw_divergences(
    axis: Axes, shown: dict[str, np.ndarray], data: dict[str, np.ndarray]
) -> None:
    places = {name: k for k, name in enumerate(NAMES)}
    for name, own in groups(select(data, panel="divergence"), "series"):
        k = places[name]
        axis.semilogx(
            own["t"],
            own["value"],
            STYLES[k],
            color=COLORS[k],
            label=NAMES[name],
            zorder=2 + (k == 3),
        )
        other = select(data, panel="start - integral", series=name)
        every = slice(2 + 2 * k, None, 8)
        axis.plot(
            other["t"][every],
            other["value"][every],
            "o",
            ms=2.6,
            mfc="white",
            mec=COLORS[k],
            mew=0.8,
            zorder=4,
        )
    axis.plot([], [], "o", ms=2.6, mfc="white", mec="black", mew=0.8, label="start − integral")
    axis.set(xlabel="time $t$", ylabel="divergence $D_F(z, x(t))$ to $z$")
    axis.set(ylim=(0, 1.75 * shown["divergence"].max()))
    axis.legend(
        loc="upper right",
        ncols=1,
        handlelength=2.2,
        fontsize=7,
        title=f"$L={depth_name(shown['depth'][0])}$, {_start(shown)}",
        title_fontsize=7,
    )
    axis.set_title("the same fall to every solution")


def _draw_losses(axis: Axes, table: dict[str, np.ndarray], data: dict[str, np.ndarray]) -> None:
    for k, (depth, own) in enumerate(groups(select(data, panel="loss"), "depth")):
        loss, bound = (select(own, series=series) for series in ("loss", "bound"))
        first = table["run"][table["depth"] == depth][0]
        start = select(table, run=first, vector="limit", step=0)["loss"][0]
        look = {"color": COLORS[k], "ls": STYLES[k]}
        axis.loglog(loss["t"], loss["value"], lw=1.8, label=f"$L=$ {depth_name(depth)}", **look)
        near = bound["value"] < 30 * start
        axis.loglog(bound["t"][near], bound["value"][near], lw=0.8, **look)
    axis.set(xlabel=f"time $t$, from {_start(table)}", ylabel="loss $\\ell(x(t))$")
    axis.set_ylim(1e-9 * start, 30 * start)
    axis.legend(loc="lower left", fontsize=7, handlelength=2.4)
    axis.set_title("loss (thick), bound (thin)")


def _start(table):
    return f"$\\alpha^L={power_of_ten(table['product'][0])}$"
