"""The figure of how many measurements the flow needs."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtr

from deepfact.experiments.recovery_fits import METHODS, fit_growth
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.experiments.transition_fits import binomial_interval
from deepfact.figures import OKABE_ITO as INK
from deepfact.figures import figure_style
from deepfact.theory import recovery_threshold, recovery_window

__all__ = ["figure", "figure_data"]

GRIDS = (("signed", "depth_3"), ("nonnegative", "depth_3"), ("signed", "depth_2"))
CUT_LOOKS = {
    "depth_1": (INK["black"], "v", "L = 1"),
    "depth_2": (INK["blue"], "o", "L = 2"),
    "depth_3": (INK["vermillion"], "s", "L = 3"),
    "basis_pursuit": (INK["green"], "x", "basis pursuit"),
}
GROWTH_LOOKS = {"signed": (INK["vermillion"], "s"), "nonnegative": (INK["blue"], "o")}


def figure_data(tables: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    tables : dict
        Of `measurements.measure_recovery`.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel`` ("grid", "cut" or "growth"), ``signal``, ``method``, ``x`` and ``y`` (M and s, of
        "growth" N and s), ``value`` (rate, or 50 % point) with its 95 % interval from ``lower`` to
        ``upper`` (NaN in the grids), ``log10_alpha`` of the depth (NaN where there is none).
    """
    rows = []

    def store(panel, kind, method, x, y, value, lower=np.nan, upper=np.nan):
        scale = tables[kind].get(f"log10_alpha_{method[-1]}", [np.nan])[0]
        for row in np.broadcast(x, y, value, lower, upper):
            names = ("x", "y", "value", "lower", "upper")
            rows.append(
                {"panel": panel, "signal": kind, "method": method}
                | dict(zip(names, map(float, row), strict=True))
                | {"log10_alpha": float(scale)}
            )

    for kind, method in GRIDS:
        grid = select(tables[kind], part="grid")
        rate = grid[method] / grid["trials"]
        store("grid", kind, method, grid["measurements"], grid["nonzeros"], rate)
    for kind, table in tables.items():
        cut = select(table, part="cut")
        for method in CUT_LOOKS:
            ends = binomial_interval(cut[method], cut["trials"])
            rate = cut[method] / cut["trials"]
            store("cut", kind, method, cut["measurements"], cut["nonzeros"], rate, *ends)
    for kind, fits in groups(fit_growth(tables), "signal"):
        middle, error = fits["midpoint"], 1.96 * fits["midpoint_error"]
        ends = middle - error, middle + error
        store("growth", kind, "depth_3", fits["unknowns"], fits["nonzeros"], middle, *ends)
    return from_rows(rows)


def figure(tables: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Draw recovery rates on grids and cuts with the predicted transition, and the growth with N.

    Parameters
    ----------
    tables : dict
        Of `measurements.measure_recovery`.

    Returns
    -------
    matplotlib.figure.Figure
        Two rows of three panels.
    """
    figure_style()
    data = figure_data(tables)
    drawing, axes = plt.subplots(2, 3, figsize=(7.2, 4.8))
    for axis, (kind, method) in zip(axes.flat[:3], GRIDS, strict=True):
        N = int(select(tables[kind], part="grid")["unknowns"][0])
        rates = select(data, panel="grid", signal=kind, method=method)
        image = _draw_grid(axis, kind, method, N, rates)
    axes[0, 0].legend(loc="upper left")
    drawing.colorbar(image, ax=axes[0, 2], label="recovery rate")
    for axis, kind in zip(axes[1, :2], tables, strict=True):
        N = int(select(tables[kind], part="cut")["unknowns"][0])
        _draw_cut(axis, kind, N, select(data, panel="cut", signal=kind))
    axes[1, 0].legend(loc="upper left", fontsize=6)
    _draw_growth(axes[1, 2], select(data, panel="growth"))
    return drawing


def _draw_grid(axis: Axes, kind: str, method: str, N: int, rates: dict[str, np.ndarray]):
    Ms, ss = np.unique(rates["x"]), np.unique(rates["y"])
    rate = rates["value"].reshape(len(Ms), len(ss))
    image = axis.pcolormesh(Ms, ss, rate.T, cmap="Greys", vmin=0, vmax=1, rasterized=True)
    r = np.linspace(0, N, 201)
    curve = recovery_threshold(r, N, signed=kind == "signed")
    axis.plot(curve, r, color=INK["vermillion"], label=r"$N\,\delta(s/N)$")
    axis.set(xlabel="measurements $M$", ylabel="nonzeros $s$", title=f"{kind}, {METHODS[method]}")
    axis.set(xlim=(Ms[0], N), ylim=(ss[0], N))
    return image


def _draw_cut(axis: Axes, kind: str, N: int, rates: dict[str, np.ndarray]) -> None:
    s = int(rates["y"][0])
    M = np.linspace(rates["x"].min(), rates["x"].max(), 200)
    centre = recovery_threshold(s, N, signed=kind == "signed")
    sigma = recovery_window(s, N, signed=kind == "signed")
    axis.plot(M, ndtr((M - centre) / sigma), color="0.5", label="predicted")
    for k, (method, own) in enumerate(groups(rates, "method")):
        color, marker, label = CUT_LOOKS[method]
        shift = (k - 1.5) * 0.006 * np.ptp(M)
        axis.errorbar(
            own["x"] + shift,
            own["value"],
            [own["value"] - own["lower"], own["upper"] - own["value"]],
            fmt=marker,
            color=color,
            markersize=3,
            linewidth=0.8,
            label=label,
        )
    axis.set(xlabel="measurements $M$", ylabel="recovery rate", title=f"{kind}, N = {N}, s = {s}")


def _draw_growth(axis: Axes, points: dict[str, np.ndarray]) -> None:
    for kind, own in groups(points, "signal"):
        color, marker = GROWTH_LOOKS[kind]
        error = own["upper"] - own["value"]
        axis.errorbar(
            own["x"], own["value"], error, fmt=marker, color=color, label=f"{kind}, L = 3"
        )
        s, fine = int(own["y"][0]), np.geomspace(own["x"][0], own["x"][-1], 50)
        curve = [recovery_threshold(s, int(N), signed=kind == "signed") for N in fine]
        axis.plot(fine, curve, color=color)
    axis.set_xscale("log", base=2)
    axis.set_xticks(own["x"], [f"{N:g}" for N in own["x"]])
    axis.set(xlabel="unknowns $N$", ylabel="50 % point $M$", title=f"growth, s = {s}")
    axis.legend(loc="upper left", fontsize=6)
