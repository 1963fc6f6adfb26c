"""The figure of saddles and tickets: eight panels, one idea each."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from deepfact.experiments.lasso_averages import gap_slopes
from deepfact.experiments.tables import groups, join, select
from deepfact.figures import OKABE_ITO as INK
from deepfact.figures import figure_style

__all__ = ["figure", "figure_data"]

DEPTHS = {2: (INK["blue"], "o"), 3: (INK["vermillion"], "s")}
CLOCK = r"$T(\alpha)$: $\log\frac{1}{\alpha}$, at $L = 3$ $\frac{1}{\alpha}$"
COLUMNS = ("panel", "series", "x", "y", "low", "high")


def figure_data(tables: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    tables : dict of dict
        ``staircase``, ``averages``, ``times``, ``early``, ``pruning``, ``masks``, ``signs`` and
        ``sums``, from the measurements of these names.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel``, ``series``, ``x``, ``y`` and the ends ``low`` and ``high`` of intervals, NaN
        where there are none.
    """
    parts = []

    def add(panel, name, x, y, low=np.nan, high=np.nan):
        x = np.asarray(x, dtype=float)
        values = (panel, name, x, y, low, high)
        parts.append({n: np.broadcast_to(v, x.shape) for n, v in zip(COLUMNS, values, strict=True)})

    for depth, coordinate, own in groups(tables["staircase"], "depth", "coordinate"):
        name = "limit" if depth == 0 else f"L = {depth:g}"
        add("staircase", f"{name}, coordinate {coordinate + 1}", own["tau"], own["x"])
    for depth, own in groups(tables["averages"], "depth"):
        clocks, gaps, flows = _mean_gaps(own)
        add("averages", f"L = {depth:g}, average", clocks, gaps)
        add("averages", f"L = {depth:g}, flow itself", clocks, flows)
    for event in ("mask", "jump"):
        for depth, own in groups(tables["times"], "depth"):
            add(f"{event} time", f"L = {depth:g}", *_rms(own, event))
    early = tables["early"]
    add("early bird", "loss of the flow", early["tau"], early["loss"])
    add("early bird", "loss of the path", early["tau"], early["path_loss"])
    add("early bird", "mask is right", early["tau"], early["right"].astype(float))
    pruning = tables["pruning"]
    ends = pruning["low"], pruning["high"]
    add("pruning", "mask at the start", pruning["M"], pruning["share"], *ends)
    add("pruning", "predicted", pruning["M"], pruning["predicted"])
    add("pruning", "independent scores", pruning["M"], pruning["independent"])
    ends = pruning["trained_low"], pruning["trained_high"]
    add("pruning", "trained mask", pruning["M"], pruning["trained_share"], *ends)
    masks = tables["masks"]
    ends = masks["loss"] - 2 * masks["error"], masks["loss"] + 2 * masks["error"]
    add("random masks", "measured", masks["size"], masks["loss"], *ends)
    add("random masks", "predicted", masks["size"], masks["predicted"])
    add("random masks", "unfitted", masks["size"], masks["unfitted"])
    signs = tables["signs"]
    clock = -signs["log10_alpha"] * np.log(10)
    add("wrong signs", "predicted", clock, np.abs(signs["time"] / signs["predicted"] - 1))
    add("wrong signs", "right signs", clock, np.abs(signs["time"] / signs["right"] - 1))
    sums = tables["sums"]
    ends = np.exp(sums["log"] - 2 * sums["error"]), np.exp(sums["log"] + 2 * sums["error"])
    add("subset sums", "measured", sums["n"], np.exp(sums["log"]), *ends)
    add("subset sums", "predicted", sums["n"], np.exp(sums["predicted"]))
    add("subset sums", "mean density", sums["n"], np.exp(sums["averaged"]))
    return join(*parts)


def _mean_gaps(own):
    by_clock = groups(own, "clock")
    sums = [[runs[name].mean() for _, runs in by_clock] for name in ("gap", "gap_of_flow")]
    return np.array([clock for clock, _ in by_clock]), *map(np.array, sums)


def figure(tables: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Draw staircase, averages, masks and tickets.

    Parameters
    ----------
    tables : dict of dict
        As for `figure_data`.

    Returns
    -------
    matplotlib.figure.Figure
        Four rows of two panels.
    """
    figure_style()
    drawing, axes = plt.subplots(4, 2, figsize=(7.2, 9.6))
    _staircase(axes[0, 0], tables["staircase"])
    _averages(axes[0, 1], tables["averages"])
    _early_bird(axes[1, 0], tables["early"])
    _mask_times(axes[1, 1], tables["times"])
    _pruning(axes[2, 0], tables["pruning"])
    _random_masks(axes[2, 1], tables["masks"])
    _wrong_signs(axes[3, 0], tables["signs"])
    _subset_sums(axes[3, 1], tables["sums"])
    for axis, letter in zip(axes.flat, "abcdefgh", strict=True):
        axis.set_title(f"({letter}) {axis.get_title()}", loc="left")
        axis.set_title("")
    return drawing


def _alpha(own):
    return f"10^{{{own['log10_alpha'][0]:g}}}"


def _staircase(axis, table):
    looks = [(INK["blue"], "-"), (INK["vermillion"], "--"), (INK["green"], "-.")]
    for depth, by_depth in groups(table, "depth"):
        for k, (coordinate, own) in enumerate(groups(by_depth, "coordinate")):
            color, line = looks[k % 3]
            if depth == 0:
                axis.plot(own["tau"], own["x"], color="0.75", lw=4, solid_capstyle="butt")
                axis.annotate(
                    f"$x_{coordinate + 1}$",
                    (own["tau"][-1], own["x"][-1]),
                    xytext=(4, 0),
                    textcoords="offset points",
                    color=color,
                    va="center",
                    annotation_clip=False,
                )
            else:
                marker = "" if depth == 2 else "."
                axis.plot(
                    own["tau"], own["x"], ls=line, color=color, lw=1, marker=marker, markevery=12
                )
    names = [
        f"$L = {depth:g}$, $\\alpha = {_alpha(own)}${', dots' if depth > 2 else ', lines'}"
        for depth, own in groups(table, "depth")
        if depth > 0
    ]
    axis.set(
        title="the staircase under the flow",
        xlabel=r"rescaled time $\tau = t/T(\alpha)$",
        ylabel="coordinates of $x$",
        ylim=(-0.45, 2.3),
    )
    axis.text(
        0.03, 0.97, "grey: limit path\n" + "\n".join(names), transform=axis.transAxes, va="top",
        fontsize=8,
    )  # fmt: skip


def _averages(axis, table):
    fits = gap_slopes(table)
    for depth, own in groups(table, "depth"):
        color, marker = DEPTHS[int(depth)]
        clocks, gaps, flows = _mean_gaps(own)
        slope = select(fits, depth=depth)["slope"][0]
        axis.loglog(
            clocks,
            gaps,
            marker,
            color=color,
            label=f"average, $L = {depth:g}$: slope ${slope:.2f}$",
        )
        middle = np.exp(np.mean(np.log(gaps)) + np.mean(np.log(clocks)))
        axis.loglog(clocks, middle / clocks, color=color, lw=1)
        axis.loglog(
            clocks, flows, marker, mfc="none", color=color, label=f"$x(t)$ itself, $L = {depth:g}$"
        )
    axis.set(
        title="averages and the lasso (lines: slope $-1$)",
        xlabel=CLOCK,
        ylabel=r"duality gap / $\frac{1}{2}\|y\|^2$",
    )
    low, high = axis.get_ylim()
    axis.set_ylim(low / 300, high * 2)
    axis.legend(loc="lower left")


def _early_bird(axis, table):
    depth, log10_alpha = table["depth"][0], table["log10_alpha"][0]
    tau, right = table["tau"], table["right"]
    floor = 1e-4
    axis.semilogy(tau, np.maximum(table["path_loss"], floor / 10), color="0.75", lw=4)
    axis.semilogy(tau, table["loss"], color=INK["blue"], lw=1.2)
    axis.vlines(table["tau_mask"][0], floor, 2, color=INK["vermillion"], ls="--", lw=1.2)
    axis.fill_between(tau, floor, 2, where=right, color=INK["green"], alpha=0.15, lw=0, step="mid")
    axis.set(
        title=f"early bird: $L = {depth:g}$, $\\alpha = 10^{{{log10_alpha:g}}}$",
        xlabel=r"rescaled time $\tau$",
        ylabel="loss / loss at the start",
        ylim=(floor, 60),
        xlim=(0, tau[-1]),
    )
    axis.text(
        0.03, 0.97, "shaded: mask is the final one\ndashed: predicted time; grey: path's loss",
        transform=axis.transAxes, va="top", fontsize=8,
    )  # fmt: skip


def _rms(own, event):
    """Return clocks and root mean square relative errors of an event's times."""
    by_clock = groups(own, "clock")
    errors = [
        np.sqrt(np.mean((runs[event] / runs[f"tau_{event}"] - 1) ** 2)) for _, runs in by_clock
    ]
    return np.array([clock for clock, _ in by_clock]), np.array(errors)


def _mask_times(axis, table):
    for depth, own in groups(table, "depth"):
        color, marker = DEPTHS[int(depth)]
        for event, face, line in (("mask", color, "-"), ("jump", "none", ":")):
            clocks, errors = _rms(own, event)
            label = f"{'last ' if event == 'jump' else ''}{event}, $L = {depth:g}$"
            axis.loglog(clocks, errors, marker, color=color, mfc=face, label=label)
            axis.loglog(clocks, errors[-1] * clocks[-1] / clocks, color=color, lw=1, ls=line)
    axis.set(
        title="when the mask is final (lines: slope $-1$)",
        xlabel=CLOCK,
        ylabel="relative error of the time",
    )
    low, high = axis.get_ylim()
    axis.set_ylim(low / 200, high)
    axis.legend(loc="lower left")


def _bars(axis, x, y, low, high, **look):
    axis.errorbar(x, y, [np.maximum(y - low, 0), np.maximum(high - y, 0)], ls="", capsize=2, **look)


def _pruning(axis, table):
    M = table["M"]
    axis.plot(M, table["predicted"], color=INK["blue"], label="matched filter, predicted")
    axis.plot(M, table["independent"], color=INK["purple"], ls=":", label="independent scores")
    look = {"color": INK["blue"], "marker": "o", "ms": 3.5, "label": "mask at the start"}
    _bars(axis, M, table["share"], table["low"], table["high"], **look)
    label = f"trained mask, $L = 2$, $\\alpha = {_alpha(table)}$"
    look = {"color": INK["vermillion"], "marker": "s", "ms": 3.5, "label": label}
    _bars(axis, M, table["trained_share"], table["trained_low"], table["trained_high"], **look)
    axis.set(
        title="pruning at the start",
        xlabel="measurements $M$",
        ylabel="P(mask = support)",
        ylim=(-0.04, 2.2),
        yticks=[0, 0.5, 1],
    )
    axis.legend(loc="upper left", ncols=1)


def _random_masks(axis, table):
    size = table["size"]
    axis.plot(size, table["predicted"], color=INK["blue"], label="predicted")
    axis.plot(size, table["unfitted"], color=INK["purple"], ls=":", label="what the mask misses")
    look = {"color": INK["blue"], "marker": "o", "ms": 3.5, "label": "measured"}
    ends = (table["loss"] + sign * 2 * table["error"] for sign in (-1, 1))
    _bars(axis, size, table["loss"], *ends, **look)
    axis.set(
        title="random masks",
        xlabel="size $k$ of the mask",
        ylabel=r"mean $\|y - A z\|^2$",
        ylim=(0, 1.5 * table["unfitted"].max()),
    )
    axis.legend(loc="upper right")


def _wrong_signs(axis, table):
    clock = -table["log10_alpha"] * np.log(10)
    error = np.abs(table["time"] / table["predicted"] - 1)
    label = f"thresholds $1$ and $2c - 1$, $c = {table['imbalance'][0]:g}$"
    axis.loglog(clock, error, "o", color=INK["blue"], label=label)
    other = np.abs(table["time"] / table["right"] - 1)
    axis.loglog(
        clock, other, "s", mfc="none", color=INK["vermillion"], label="time of the right signs"
    )
    level = np.exp(np.mean(np.log(error) + np.log(clock)))
    places = np.unique(clock)
    axis.loglog(places, level / places, color=INK["blue"], lw=1)
    axis.set(
        title="wrong signs, $L = 2$ (line: slope $-1$)",
        xlabel=r"$\log\frac{1}{\alpha}$",
        ylabel="relative error of the last jump",
    )
    low, high = axis.get_ylim()
    axis.set_ylim(low / 30, high * 2)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xticks(places, [f"{place:.0f}" for place in places])
    axis.legend(loc="lower left")


def _subset_sums(axis, table):
    n, off = table["n"], np.exp(table["log"] - table["predicted"])
    axis.axhline(1, color=INK["blue"], label="predicted")
    other = np.exp(table["averaged"] - table["predicted"])
    axis.plot(n, other, color=INK["purple"], ls=":", label="by the mean density")
    ends = (off * np.exp(sign * 2 * table["error"]) for sign in (-1, 1))
    look = {"color": INK["blue"], "marker": "o", "ms": 3.5, "label": "measured"}
    _bars(axis, n, off, *ends, **look)
    first, last = (f"{np.exp(table['predicted'][k]):.0e}".split("e") for k in (0, -1))
    sizes = " to ".join(f"${digit} \\cdot 10^{{{int(power)}}}$" for digit, power in (first, last))
    axis.text(
        0.02,
        0.03,
        f"target {table['target'][0]:g}, errors from {sizes}",
        transform=axis.transAxes,
        fontsize=8,
    )
    axis.set(
        title="strong tickets: sums of $n$ random weights",
        xlabel="number $n$ of weights",
        ylabel="typical error / predicted",
        xticks=n,
        ylim=(0.62, 1.5),
    )
    axis.legend(loc="upper right")
