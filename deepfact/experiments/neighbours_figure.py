"""The figure of other methods, and of descent as one would run it."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfact.experiments.looks import LOOKS
from deepfact.experiments.tables import groups, join, select, series
from deepfact.figures import OKABE_ITO, figure_style
from deepfact.theory import recovery_threshold

__all__ = ["figure", "figure_data"]

DEPTH_LOOKS = {2: (OKABE_ITO["blue"], "-", "s"), 3: (OKABE_ITO["vermillion"], "--", "^")}


def figure_data(
    methods: dict[str, np.ndarray],
    designs: dict[str, np.ndarray],
    scales: dict[str, np.ndarray],
    descents: dict[str, np.ndarray],
    momentum: dict[str, np.ndarray],
    batches: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    methods, designs, scales, descents, momentum, batches : dict
        Of the functions that measure them, as in `neighbours.checks`.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel``, ``series`` (a method, a design, a depth with its init scale, ...), ``x``, ``y``.
    """
    parts = [
        series("methods", method, at["measurements"], at["recovered"] / at["trials"])
        for method, at in groups(methods, "method")
    ]
    parts += [
        series("designs", f"{method}, {place}", at["measurements"], at["recovered"] / at["trials"])
        for place, method, at in groups(designs, "place", "method")
    ]
    parts += [
        series(
            f"scales, L = {depth}", f"{scale:g}", at["measurements"], at["recovered"] / at["trials"]
        )
        for depth, scale, at in groups(scales, "depth", "log10_alpha")
    ]
    for name, panel in (
        ("found", "iterations"),
        ("iterations", "last iteration"),
        ("error", "error"),
        ("limit_error", "error of the limit"),
    ):
        for depth, at in groups(descents, "depth"):
            own = groups(at, "alpha")
            middle = [np.median(each[name]) for _, each in own]
            parts.append(series(panel, f"L = {depth}", [alpha for alpha, _ in own], middle))
    parts += [
        series(f"momentum, {rule}", f"{value:g}", at["friction"], at["gap"])
        for rule, value, at in groups(momentum, "rule", "value")
    ]
    for depth, at in groups(batches, "depth"):
        own = groups(at, "batch")
        middle = [np.median(each["median"]) for _, each in own]
        parts.append(series("batches", f"L = {depth}", [size for size, _ in own], middle))
    return join(*parts)


def figure(
    methods: dict[str, np.ndarray],
    designs: dict[str, np.ndarray],
    scales: dict[str, np.ndarray],
    descents: dict[str, np.ndarray],
    momentum: dict[str, np.ndarray],
    batches: dict[str, np.ndarray],
) -> Figure:
    """Draw recovery by other methods, from correlated designs, by init scale, and descents.

    Parameters
    ----------
    methods, designs, scales, descents, momentum, batches : dict
        As for `figure_data`.

    Returns
    -------
    matplotlib.figure.Figure
        Three rows of three panels, one of which holds the legend of the first.
    """
    figure_style()
    data = figure_data(methods, designs, scales, descents, momentum, batches)
    drawing, axes = plt.subplots(3, 3, figsize=(7.4, 7.6))
    N, s, alpha = (methods[name][0] for name in ("unknowns", "nonzeros", "alpha"))
    _draw_methods(axes[0, 0], select(data, panel="methods"), alpha)
    line = {"color": "0.5", "linewidth": 0.8, "label": r"$N\,\delta(s/N)$"}
    axes[0, 0].axvline(recovery_threshold(s, N), **line)
    axes[0, 0].set_title(f"$N={N}$, $s={s}$", fontsize=8)
    _draw_designs(axes[0, 1], select(data, panel="designs"))
    axes[0, 1].set_title(
        f"correlation {designs['correlation'][0]:g}, L = 3, {power(alpha)}", fontsize=8
    )
    axes[0, 1].axvline(recovery_threshold(s, N), **line)
    axes[0, 1].legend(loc="upper left", fontsize=6)
    handles, names = axes[0, 0].get_legend_handles_labels()
    axes[0, 2].axis("off")
    axes[0, 2].legend(handles, names, loc="upper left", title="top left", fontsize=7)
    for axis, depth in zip(axes[1, :2], (2, 3), strict=True):
        N, s = scales["unknowns"][0], scales["nonzeros"][0]
        image = _draw_scales(axis, select(data, panel=f"scales, L = {depth}"))
        line = {"color": OKABE_ITO["vermillion"], "label": r"$N\,\delta(s/N)$"}
        axis.axvline(recovery_threshold(s, N), **line)
        axis.legend(loc="upper right", fontsize=6)
        axis.set_title(f"flow, L = {depth}, $N={N}$, $s={s}$", fontsize=8)
    drawing.colorbar(image, ax=axes[1, 1], label="recovery rate")
    _draw_errors(axes[1, 2], data)
    _draw_iterations(axes[2, 0], data)
    _draw_momentum(axes[2, 1], data, momentum["alpha"][0])
    _draw_batches(axes[2, 2], select(data, panel="batches"), batches["alpha"][0])
    return drawing


def power(alpha: float) -> str:
    """Return an init scale as the text of a label.

    Parameters
    ----------
    alpha : float
        The init scale.

    Returns
    -------
    str
        As a power of ten.
    """
    return rf"$\alpha=10^{{{np.log10(alpha):.3g}}}$"


def _draw_methods(axis: Axes, rates: dict[str, np.ndarray], alpha: float) -> None:
    labels = {"flow": f"flow, L = 3, {power(alpha)}", "lasso": "lasso (FISTA)"}
    for (method, own), (color, line, marker) in zip(groups(rates, "series"), LOOKS, strict=True):
        around = method == "flow"  # on top of basis pursuit: a ring around its marker
        axis.plot(
            own["x"],
            own["y"],
            marker=marker,
            linestyle=line,
            color=color,
            label=labels.get(method, method),
            markersize=8 if around else 4,
            markerfacecolor="none" if around else color,
            zorder=3 if around else 2,
        )
    axis.set(xlabel="measurements $M$", ylabel="recovery rate")


def _draw_designs(axis: Axes, rates: dict[str, np.ndarray]) -> None:
    flows = [each for each in groups(rates, "series") if each[0].startswith("flow")]
    for (name, own), (color, line, marker) in zip(flows, LOOKS[1:], strict=False):
        place = name.partition(", ")[2]
        exact = select(rates, series=f"basis pursuit, {place}")
        axis.plot(own["x"], own["y"], linestyle=line, color=color, label=place)
        axis.plot(exact["x"], exact["y"], marker, color=color, markersize=4)
    axis.plot([], [], "ko", markersize=4, label="markers: basis pursuit")
    axis.set(xlabel="measurements $M$", ylabel="recovery rate", ylim=(-0.04, 1.75))
    axis.set_yticks([0, 0.5, 1])


def _draw_scales(axis: Axes, rates: dict[str, np.ndarray]):
    Ms = np.unique(rates["x"])
    rows = sorted(groups(rates, "series"), key=lambda each: float(each[0]))
    places = [float(name) for name, _ in rows]
    rate = np.array([own["y"] for _, own in rows])
    image = axis.pcolormesh(Ms, places, rate, cmap="Greys", vmin=0, vmax=1, rasterized=True)
    axis.set(xlabel="measurements $M$", ylabel=r"$\log_{10}\alpha$")
    return image


def _draw_errors(axis: Axes, data: dict[str, np.ndarray]) -> None:
    for depth, (color, line, marker) in DEPTH_LOOKS.items():
        name = f"L = {depth}"
        own = select(data, panel="error", series=name)
        limit = select(data, panel="error of the limit", series=name)
        axis.loglog(own["x"], own["y"], marker, color=color, label=f"descent, {name}")
        axis.loglog(limit["x"], limit["y"], line, color=color, label=f"limit, {name}")
    axis.set(xlabel=r"init scale $\alpha$", ylabel="relative error")
    axis.set_title("descent beside the limit", fontsize=8)
    axis.legend(loc="lower right", fontsize=6)


def _draw_iterations(axis: Axes, data: dict[str, np.ndarray]) -> None:
    for depth, (color, line, marker) in DEPTH_LOOKS.items():
        name = f"L = {depth}"
        own = select(data, panel="iterations", series=name)
        last = select(data, panel="last iteration", series=name)
        axis.loglog(
            own["x"], own["y"], marker=marker, linestyle=line, color=color,
            label=f"signal found, {name}",
        )  # fmt: skip
        axis.loglog(
            last["x"], last["y"], marker=marker, linestyle="none", color=color,
            markerfacecolor="none", label=f"end, {name}",
        )  # fmt: skip
    axis.set(xlabel=r"init scale $\alpha$", ylabel="iterations")
    axis.set_title("iterations of descent", fontsize=8)
    low, high = axis.get_ylim()
    axis.set_ylim(low, high * (high / low) ** 0.5)
    axis.legend(loc="upper right", fontsize=6)


def _draw_momentum(axis: Axes, data: dict[str, np.ndarray], alpha: float) -> None:
    rules = (("lambda", r"$\eta/(1-\beta)^2$", "-"), ("speed", r"$\eta/(1-\beta)$", ":"))
    for rule, symbol, line in rules:
        for (value, own), look in zip(
            groups(select(data, panel=f"momentum, {rule}"), "series"), LOOKS, strict=False
        ):
            axis.plot(own["x"], own["y"], linestyle=line, color=look[0], marker=look[2])
            if rule == "lambda":
                axis.lines[-1].set_label(f"{symbol} = {value}")
    axis.plot([], [], "k:", label=f"{rules[1][1]} fixed")
    low, high = axis.get_ylim()
    axis.set(xscale="log", xlabel=r"friction $1-\beta$", ylabel="gap of the $\\ell_1$ norm")
    axis.set_ylim(low, high + 0.8 * (high - low))
    axis.set_xticks(own["x"], [f"{x:g}" for x in own["x"]])
    axis.minorticks_off()
    axis.set_title(f"momentum, L = 2, {power(alpha)}", fontsize=8)
    axis.legend(loc="upper right", fontsize=6)


def _draw_batches(axis: Axes, data: dict[str, np.ndarray], alpha: float) -> None:
    for (name, own), (color, line, marker) in zip(
        groups(data, "series"), DEPTH_LOOKS.values(), strict=True
    ):
        axis.loglog(own["x"], own["y"], linestyle=line, marker=marker, color=color, label=name)
    axis.set(xlabel="rows in a batch", ylabel=r"$\log_{10}(\alpha/\alpha_{\mathrm{eff}})$")
    axis.set_xticks(own["x"], [f"{x:g}" for x in own["x"]])
    axis.minorticks_off()
    axis.set_title(f"stochastic descent, {power(alpha)}", fontsize=8)
    axis.legend(loc="center right", fontsize=6)
