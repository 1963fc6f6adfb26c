"""The figure on noise and compressible signals."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from deepfact.experiments.looks import LOOKS, power_of_ten
from deepfact.experiments.tables import groups, join, select, series
from deepfact.figures import figure_style
from deepfact.theory import recovery_threshold

GREY = {"color": "0.35", "lw": 1.0}


def largest_recovered(by_sparsity: dict[str, np.ndarray]) -> int:
    """Return up to how many nonzeros l1-minimisation recovers without noise (S14).

    Parameters
    ----------
    by_sparsity : dict of str to ndarray
        From `measure_sparsity`.

    Returns
    -------
    int
        The largest s whose recovery threshold is at most M.
    """
    M, N = (int(by_sparsity[name][0]) for name in ("M", "N"))
    grid = np.arange(1, M)
    return int(grid[recovery_threshold(grid, N) <= M].max())


def _looks(table):
    """Return for each method its label, colour, line style, marker and size of the marker."""
    found = {}
    for method, rows in groups(table, "method"):
        if np.isfinite(rows["depth"][0]):
            k = len(found)
            label = f"flow, $L = {rows['depth'][0]:g}$"
            found[method] = (label, *LOOKS[1 + k if k < 2 else 2 + k], 6 - k)
    found["basis pursuit"] = ("basis pursuit", *LOOKS[0], 8)
    found["BPDN"] = ("BPDN, told $\\Vert e\\Vert_2$", *LOOKS[3], 3)
    return found


def _deepest(table):
    """Return the rows of the flow of the largest depth."""
    return select(table, depth=np.nanmax(table["depth"]))


def figure_data(
    by_noise: dict[str, np.ndarray],
    by_sparsity: dict[str, np.ndarray],
    by_tail: dict[str, np.ndarray],
    stopped: dict[str, dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Return the lines that the figure shows.

    Parameters
    ----------
    by_noise, by_sparsity, by_tail : dict of str to ndarray
        From `measure_noise`, `measure_sparsity` and `measure_tails`.
    stopped : dict of str to dict of str to ndarray
        From `measure_early_stopping`; its first instance is shown.

    Returns
    -------
    dict of str to ndarray
        ``panel``, ``series``, ``x`` and ``y``.
    """
    swept = (("noise", by_noise, "level"), ("sparsity", by_sparsity, "s"))
    parts = []
    for method in _looks(by_noise):
        panels = [
            (panel, [(x, here["error"] / here["noise"]) for x, here in groups(rows, name)])
            for panel, table, name in swept
            for rows in [select(table, method=method)]
        ]
        cells = groups(select(by_tail, method=method), "exponent")
        panels.append(("compressible", [(here["tail"][0], here["error"]) for _, here in cells]))
        for panel, cells in panels:
            x = [place for place, _ in cells]
            for name, pick in (("median", np.median), ("least", np.min), ("largest", np.max)):
                y = [pick(values) for _, values in cells]
                parts.append(series(panel, f"{method}, {name}", x, y))
    for panel, table, name in swept:
        cells = groups(_deepest(table), name)
        middle = np.array([np.median(here["bound"] / here["noise"]) for _, here in cells])
        proved = np.isfinite(middle)
        x = np.array([place for place, _ in cells], dtype=float)[proved]
        label = f"bound, L = {np.nanmax(table['depth']):g}, median"
        parts.append(series(panel, label, x, middle[proved]))
    for depth, rows in groups(select(stopped["paths"], trial=0), "depth"):
        path = select(rows, where=rows["time"] > 0)
        error = path["error"] / path["noise"]
        parts.append(series("early stopping", f"flow, L = {depth:g}", path["time"], error))
        stop = select(stopped["stops"], trial=0, depth=depth)
        for name in ("discrepancy", "best"):
            error = stop[f"{name}_error"] / stop["noise"]
            label = f"{name} time, L = {depth:g}"
            parts.append(series("early stopping", label, stop[f"{name}_time"], error))
    return join(*parts)


def figure(
    by_noise: dict[str, np.ndarray],
    by_sparsity: dict[str, np.ndarray],
    by_tail: dict[str, np.ndarray],
    stopped: dict[str, dict[str, np.ndarray]],
) -> Figure:
    """Draw errors against noise, sparsity and tail, and along the flow.

    Parameters
    ----------
    by_noise, by_sparsity, by_tail : dict of str to ndarray
        From `measure_noise`, `measure_sparsity` and `measure_tails`.
    stopped : dict of str to dict of str to ndarray
        From `measure_early_stopping`; its first instance is shown.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels.
    """
    figure_style()
    data = figure_data(by_noise, by_sparsity, by_tail, stopped)
    drawn, ((by_level, by_s), (by_law, by_time)) = plt.subplots(2, 2, figsize=(7.2, 6.0))
    panels = {"noise": by_level, "sparsity": by_s, "compressible": by_law}
    for method, (label, color, line, marker, size) in _looks(by_noise).items():
        style = {"color": color, "ls": line, "marker": marker, "ms": size}
        style["mfc"] = "none" if method == "basis pursuit" else color
        for panel, axis in panels.items():
            middle, low, high = (
                select(data, panel=panel, series=f"{method}, {name}")
                for name in ("median", "least", "largest")
            )
            axis.plot(middle["x"], middle["y"], **style, label=label)
            axis.fill_between(low["x"], low["y"], high["y"], color=color, alpha=0.1, lw=0)
    _finish_noise(by_level, data, by_noise)
    _finish_sparsity(by_s, data, by_sparsity)
    _finish_tails(by_law, by_tail)
    _draw_stopped(by_time, data, stopped, _looks(by_noise))
    return drawn


def _draw_bound(axis, data, panel, table):
    """Draw the bound of the deepest flow, where there is one."""
    depth = f"{np.nanmax(table['depth']):g}"
    bound = select(data, panel=panel, series=f"bound, L = {depth}, median")
    if bound["x"].size:
        axis.plot(bound["x"], bound["y"], **GREY)
        text = f"proved bound, $L = {depth}$"
        axis.text(bound["x"][0], 0.86 * bound["y"][0], text, va="top", fontsize=8, color="0.35")
    axis.set_ylabel("error $\\Vert \\hat x - x^*\\Vert_2 / \\Vert e\\Vert_2$")


def _finish_noise(axis, data, by_noise):
    _draw_bound(axis, data, "noise", by_noise)
    axis.set(xscale="log", yscale="log", ylim=(0.3, 40), title="error is proportional to the noise")
    axis.set_xlabel("noise level $\\Vert e\\Vert_2 / \\Vert Ax^*\\Vert_2$")
    start = f"limits from $\\alpha^L = {power_of_ten(by_noise['start'][0])}$"
    place = {"loc": "upper right", "bbox_to_anchor": (1.0, 0.74)}
    axis.legend(**place, fontsize=7, title=start, title_fontsize=7)


def _finish_sparsity(axis, data, by_sparsity):
    _draw_bound(axis, data, "sparsity", by_sparsity)
    most = largest_recovered(by_sparsity)
    axis.axvline(most, color="0.6", lw=0.8)
    text = "recovery ends\n(no noise)"
    axis.text(1.04 * most, 0.62, text, fontsize=7, va="top", color="0.35")
    axis.set(xscale="log", yscale="log", ylim=(0.2, 90), title="sparser is better")
    sparsities = list(dict.fromkeys(by_sparsity["s"].tolist()))
    axis.set_xticks(sparsities, [str(value) for value in sparsities])
    axis.minorticks_off()
    axis.set_xlabel("number of nonzeros $s$")


def _finish_tails(axis, by_tail):
    tail = by_tail["tail"]
    span = np.geomspace(tail.min(), tail.max(), 50)
    axis.plot(span, span, **GREY)
    place = {"ha": "right", "va": "bottom", "fontsize": 8, "color": "0.35"}
    axis.text(span[38], 1.1 * span[38], "slope 1", **place)
    level = float(np.median(by_tail["noise"]))
    axis.axhline(level, color="0.6", lw=0.8, ls=(0, (6, 3)))
    place = {"va": "top", "ha": "right", "fontsize": 8, "color": "0.35"}
    axis.text(tail.max(), 0.9 * level, "noise $\\Vert e\\Vert_2$", **place)
    axis.set(xscale="log", yscale="log", title="compressible signals $k^{-q}$, norm 1")
    axis.set(
        xlabel=f"tail $\\sigma_s(x^*)_1/\\sqrt{{s}}$ at $s = {by_tail['s'][0]}$",
        ylabel="error $\\Vert \\hat x - x^*\\Vert_2$",
    )


def _draw_stopped(axis, data, stopped, looks):
    first = select(stopped["stops"], trial=0)
    symbols = (
        ("discrepancy", {"marker": "o", "mfc": "white", "ms": 6}),
        ("best", {"marker": "*", "ms": 9}),
    )
    for depth, stop in groups(first, "depth"):
        label, color, line, *_ = looks[f"flow, L = {depth:g}"]
        path = select(data, panel="early stopping", series=f"flow, L = {depth:g}")
        axis.plot(path["x"], path["y"], ls=line, color=color, label=label)
        for name, symbol in symbols:
            point = select(data, panel="early stopping", series=f"{name} time, L = {depth:g}")
            axis.plot(point["x"], point["y"], color=color, ls="", **symbol)
        axis.axhline(stop["limit_error"][0] / stop["noise"][0], ls=line, color=color, lw=0.7)
    text = "$\\Vert Ax - y\\Vert_2 = \\Vert e\\Vert_2$"
    axis.plot([], [], marker="o", mfc="white", color="0.3", ls="", label=text)
    axis.plot([], [], marker="*", color="0.3", ls="", ms=8, label="best time")
    _, green, line, *_ = looks["BPDN"]
    axis.axhline(first["bpdn"][0] / first["noise"][0], color=green, ls=line, lw=1, label="BPDN")
    axis.plot([], [], color="0.3", lw=0.7, label="limits")
    start = f"$\\alpha^L = {power_of_ten(first['start'][0])}$"
    axis.set(xscale="log", yscale="log", title=f"early stopping, one instance, {start}")
    axis.set(xlabel="time $t$", ylabel="$\\Vert x(t) - x^*\\Vert_2 / \\Vert e\\Vert_2$")
    axis.legend(loc="upper right", fontsize=7)
