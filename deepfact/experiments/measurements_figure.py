"""The figure of how many measurements the flow needs."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import ndtr

from deepfact.experiments.recovery_fits import METHODS, fit_grid, fit_growth
from deepfact.experiments.recovery_scales import scale_shifts
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


def figure_data(
    tables: dict[str, dict[str, np.ndarray]], scales: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    tables : dict
        Of `measurements.measure_recovery`.
    scales : dict
        Of `recovery_scales.measure_scales`.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel``, ``signal``, ``method``, ``x``, ``y``, ``value`` with its 95 % interval from
        ``lower`` to ``upper`` (NaN where there is none), ``log10_alpha`` of the depth (NaN where
        there is none). In "grid" and "cut" x and y are M and s and the value is a rate; in
        "scales", of depth 2 at several init scales, too. In "growth" x and y are N and s and the
        value is a 50 % point, in "sparsity" s and N. In "shift" x is log10 alpha, y is N and the
        value is in measurements.
    """
    rows = []

    def store(panel, kind, method, x, y, value, lower=np.nan, upper=np.nan, scale=None):
        if scale is None:
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
    for panel, fits in (("growth", fit_growth(tables)), ("sparsity", fit_grid(tables))):
        for kind, own in groups(fits, "signal"):
            middle, error = own["midpoint"], 1.96 * own["midpoint_error"]
            names = ("unknowns", "nonzeros") if panel == "growth" else ("nonzeros", "unknowns")
            x, y = (own[name] for name in names)
            store(panel, kind, "depth_3", x, y, middle, middle - error, middle + error)
            if panel == "sparsity":
                store(panel, kind, "earlier", x, y, own["square_law"])
    for log10_alpha, own in groups(select(scales, signal="signed"), "log10_alpha"):
        at = own["measurements"], own["nonzeros"]
        rate = own["recovered"] / own["trials"]
        store("scales", "signed", "depth_2", *at, rate, scale=log10_alpha)
    store("scales", "signed", "basis_pursuit", *at, own["basis_pursuit"] / own["trials"])
    for kind, log10_alpha, own in groups(scale_shifts(scales), "signal", "log10_alpha"):
        shift = own["shift"]
        store("shift", kind, "depth_2", log10_alpha, own["unknowns"], shift, scale=log10_alpha)
    return from_rows(rows)


def figure(tables: dict[str, dict[str, np.ndarray]], scales: dict[str, np.ndarray]) -> Figure:
    """Draw recovery rates beside the predicted transition, its growth, and depth 2 at finite alpha.

    Parameters
    ----------
    tables : dict
        Of `measurements.measure_recovery`.
    scales : dict
        Of `recovery_scales.measure_scales`.

    Returns
    -------
    matplotlib.figure.Figure
        Three rows of three panels.
    """
    figure_style()
    data = figure_data(tables, scales)
    drawing, axes = plt.subplots(3, 3, figsize=(7.4, 7.6))
    for axis, (kind, method) in zip(axes[0], GRIDS, strict=True):
        N = int(select(tables[kind], part="grid")["unknowns"][0])
        rates = select(data, panel="grid", signal=kind, method=method)
        image = _draw_grid(axis, kind, method, N, rates)
    axes[0, 0].legend(loc="upper left", fontsize=6)
    drawing.colorbar(image, ax=axes[0, 2], label="recovery rate")
    for axis, kind in zip(axes[1, :2], tables, strict=True):
        N = int(select(tables[kind], part="cut")["unknowns"][0])
        _draw_cut(axis, kind, N, select(data, panel="cut", signal=kind))
    axes[1, 0].legend(loc="upper left", fontsize=5.5, handlelength=1.2)
    _draw_growth(axes[1, 2], select(data, panel="growth"))
    _draw_sparsity(axes[2, 0], select(data, panel="sparsity"))
    N = int(select(tables["signed"], part="cut")["unknowns"][0])
    _draw_scales(axes[2, 1], N, select(data, panel="scales"))
    _draw_shifts(axes[2, 2], select(data, panel="shift"))
    return drawing


def _power(log10_alpha: float) -> str:
    return rf"$\alpha=10^{{{log10_alpha:g}}}$"


def _draw_grid(axis: Axes, kind: str, method: str, N: int, rates: dict[str, np.ndarray]):
    Ms, ss = np.unique(rates["x"]), np.unique(rates["y"])
    rate = rates["value"].reshape(len(Ms), len(ss))
    image = axis.pcolormesh(Ms, ss, rate.T, cmap="Greys", vmin=0, vmax=1, rasterized=True)
    r = np.linspace(0, N, 201)
    curve = recovery_threshold(r, N, signed=kind == "signed")
    axis.plot(curve, r, color=INK["vermillion"], label=r"$N\,\delta(s/N)$")
    title = f"{kind}, {METHODS[method]}, {_power(rates['log10_alpha'][0])}"
    axis.set(xlabel="measurements $M$", ylabel="nonzeros $s$")
    axis.set_title(title, fontsize=8)
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
        if np.isfinite(own["log10_alpha"][0]):
            label += f", {_power(own['log10_alpha'][0])}"
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
    axis.set(xlabel="measurements $M$", ylabel="recovery rate", title=f"{kind}, $N={N}$, $s={s}$")


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
    axis.plot([], [], color="0.3", label=r"lines: $N\,\delta(s/N)$")
    axis.set_xscale("log", base=2)
    axis.set_xticks(own["x"], [f"{N:g}" for N in own["x"]])
    axis.set(xlabel="unknowns $N$", ylabel="50 % point $M$")
    scale = _power(points["log10_alpha"][0])
    axis.set_title(f"as $N$ grows, $s={s}$, {scale}", fontsize=8)
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.3 * (high - low))
    axis.legend(loc="upper left", fontsize=6)


def _draw_sparsity(axis: Axes, points: dict[str, np.ndarray]) -> None:
    N = int(points["y"][0]) if len(points["y"]) else 1
    for kind, own in groups(points, "signal"):
        color, marker = GROWTH_LOOKS[kind]
        fitted, earlier = select(own, method="depth_3"), select(own, method="earlier")
        axis.plot(fitted["x"], fitted["value"], marker, color=color, label=f"{kind}, L = 3")
        fine = np.linspace(fitted["x"][0], fitted["x"][-1], 100)
        axis.plot(fine, recovery_threshold(fine, N, signed=kind == "signed"), color=color)
        axis.plot(earlier["x"], earlier["value"], ":", color=color, label=f"{kind}, $s^2$ law")
    axis.plot([], [], color="0.3", label=r"lines: $N\,\delta(s/N)$")
    axis.axhline(N, color="0.5", linewidth=0.8)
    axis.set(xlabel="nonzeros $s$", ylabel="50 % point $M$", ylim=(0, 2 * N))
    axis.text(0.98, 0.51, "$M=N$", transform=axis.transAxes, ha="right")
    if len(points["y"]):
        scale = _power(select(points, method="depth_3")["log10_alpha"][0])
        axis.set_title(f"as $s$ grows, $N={N}$, {scale}", fontsize=8)
    axis.legend(loc="upper right", fontsize=6)


def _draw_scales(axis: Axes, N: int, rates: dict[str, np.ndarray]) -> None:
    s = int(rates["y"][0])
    exact = select(rates, method="basis_pursuit")
    axis.plot(exact["x"], exact["value"], "x-", color=INK["green"], label="basis pursuit")
    looks = (("o", ":"), ("v", "--"), ("s", "-."), ("D", "-"))
    shades = (INK["orange"], INK["vermillion"], INK["purple"], INK["blue"])
    own = groups(select(rates, method="depth_2"), "log10_alpha")
    for (log10_alpha, at), (marker, line), color in zip(own, looks, shades, strict=False):
        axis.plot(
            at["x"],
            at["value"],
            marker=marker,
            linestyle=line,
            color=color,
            markersize=3,
            label=_power(log10_alpha),
        )
    axis.set(xlabel="measurements $M$", ylabel="recovery rate")
    axis.set_title(f"signed, L = 2, $N={N}$, $s={s}$", fontsize=8)
    axis.legend(loc="upper left", fontsize=5.5, handlelength=2.2)


def _draw_shifts(axis: Axes, shifts: dict[str, np.ndarray]) -> None:
    for kind, own in groups(shifts, "signal"):
        color, marker = GROWTH_LOOKS[kind]
        axis.plot(-own["x"], own["value"], marker=marker, color=color, label=f"{kind}, L = 2")
    axis.axhline(0, color="0.5", linewidth=0.8)
    axis.set(xlabel=r"$\log_{10}(1/\alpha)$", ylabel="shift of the 50 % point", xscale="log")
    axis.set_xticks(-own["x"], [f"{-x:g}" for x in own["x"]])
    axis.minorticks_off()
    N = int(shifts["y"][0])
    axis.set_title(f"shift, L = 2, $N={N}$", fontsize=8)
    axis.legend(loc="upper right", fontsize=6)
