"""The figure of overparameterised descent."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfact.experiments.linear_rate import lazy_slopes
from deepfact.experiments.looks import LOOKS
from deepfact.experiments.relu_net import QUANTITIES, width_slopes
from deepfact.experiments.tables import groups, join, select, series
from deepfact.figures import figure_style

__all__ = ["figure", "figure_data"]

NAMES = {
    "neuron": "largest move of a neuron",
    "flipped": "share of flipped gates",
    "relative": r"$|W-W_0|/|W_0|$",
    "deviation": "deviation from kernel",
}


def figure_data(
    decay: dict[str, np.ndarray],
    lazy: dict[str, np.ndarray],
    width: dict[str, np.ndarray],
    training: dict[str, np.ndarray],
    nets: dict[str, np.ndarray],
    kaczmarz: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows.

    Parameters
    ----------
    decay, lazy, width, training, nets, kaczmarz : dict of str to ndarray
        From the measurements of the same names.

    Returns
    -------
    dict of str to ndarray
        ``panel``, ``series``, ``x`` and ``y``.
    """
    lines = []
    first = select(decay, draw=0, depth=decay["depth"].min())
    for signed, alpha, own in groups(first, "signed", "alpha"):
        kind = "signed" if signed else "positive"
        name = f"{kind}, alpha = {alpha:g}"
        lines.append(series("decay", name, own["clock"], np.exp(own["log_loss"])))
    for L, own in groups(select(lazy, draw=0), "depth"):
        lines.append(series("lazy", f"rate, L = {L:g}", own["alpha"], own["excess"]))
        lines.append(series("lazy", f"distance, L = {L:g}", own["alpha"], own["deviation"]))
    lines.append(series("width", "rate", width["ratio"], width["rate"]))
    lines.append(series("width", "predicted", width["ratio"], width["predicted"]))
    for m, own in groups(training, "width"):
        name = f"m = {m:g}" if np.isfinite(m) else "kernel"
        lines.append(series("training", name, own["step"], own["loss"]))
    for m, own in groups(nets, "width"):
        lines += [
            series("nets", name, [m], np.exp(np.mean(np.log(own[name])))) for name in QUANTITIES
        ]
    last = kaczmarz["pace"][np.isfinite(kaczmarz["mean"])].max()
    for tall, own in groups(select(kaczmarz, draw=0), "tall"):
        kind = "noisy" if tall else "interpolated"
        shown = select(own, where=own["pace"] <= 1.1 * last)
        lines += [
            series("sampling", f"{kind}, {name}", shown["pace"], shown[name])
            for name in ("exact", "mean", "error", "bound", "floor")
        ]
    return join(*lines)


def figure(
    decay: dict[str, np.ndarray],
    lazy: dict[str, np.ndarray],
    width: dict[str, np.ndarray],
    training: dict[str, np.ndarray],
    nets: dict[str, np.ndarray],
    kaczmarz: dict[str, np.ndarray],
) -> Figure:
    """Draw flows in the first row, width in the second, sampling in the third.

    Parameters
    ----------
    decay, lazy, width, training, nets, kaczmarz : dict of str to ndarray
        As for `figure_data`.

    Returns
    -------
    matplotlib.figure.Figure
        Six panels.
    """
    figure_style()
    data = figure_data(decay, lazy, width, training, nets, kaczmarz)
    drawing, axes = plt.subplots(3, 2, figsize=(7.2, 8.2))
    depth = decay["depth"].min()
    _draw_decay(axes[0, 0], select(data, panel="decay"), depth)
    _draw_lazy(axes[0, 1], select(data, panel="lazy"), lazy_slopes(select(lazy, draw=0)))
    _draw_width(axes[1, 0], select(data, panel="width"))
    _draw_training(axes[1, 1], select(data, panel="training"))
    _draw_nets(axes[2, 0], select(data, panel="nets"), width_slopes(nets))
    _draw_sampling(axes[2, 1], select(data, panel="sampling"))
    return drawing


def _draw_decay(axis: Axes, data: dict[str, np.ndarray], depth: float) -> None:
    longest = 12.0
    clock = np.array([0.0, longest])
    axis.semilogy(clock, np.exp(-clock), color="0.2", lw=2.2, label="guarantee")
    names = [name for name, _ in groups(data, "series")]
    for kind, mark in (("signed", None), ("positive", "o")):
        own = [name for name in names if name.startswith(kind)]
        for name, (colour, line, _) in zip(own, LOOKS[1:], strict=False):
            curve = select(data, series=name, where=data["x"] <= longest)
            label = name.replace("alpha", r"$\alpha") + "$"
            axis.semilogy(
                curve["x"],
                curve["y"],
                ls=line,
                marker=mark,
                ms=2.5,
                lw=1,
                color=colour,
                label=label,
            )
    axis.set(
        xlabel="guaranteed rate (positive: half of it) $\\times$ time",
        ylabel=r"loss / first loss",
        title=f"signed model, $L = {depth:g}$: below its guarantee",
        ylim=(1e-11, 3),
        xlim=(0, longest),
    )
    axis.legend(loc="lower left", fontsize=7)


def _draw_lazy(axis: Axes, data: dict[str, np.ndarray], slopes: dict[str, np.ndarray]) -> None:
    for (L, own), (colour, line, marker) in zip(groups(slopes, "depth"), LOOKS[1:], strict=False):
        for kind, size, face in (("rate", 3.5, colour), ("distance", 8, "none")):
            points = select(data, series=f"{kind}, L = {L:g}")
            text = f"$L = {L:g}$: slope {own['excess'][0]:.2f}, predicted {-2 * L:g}"
            axis.loglog(
                points["x"],
                points["y"],
                ls=line if kind == "rate" else "",
                marker=marker,
                ms=size,
                mfc=face,
                color=colour,
                label=text if kind == "rate" else None,
            )
    alphas = np.unique(data["x"])
    axis.set_xticks(alphas, [f"{alpha:g}" for alpha in alphas])
    axis.minorticks_off()
    low, high = data["y"].min(), data["y"].max()
    axis.set(
        xlabel=r"init scale $\alpha$",
        ylabel="relative deviation from the lazy limit",
        title="excess of the rate (filled), of the distance (open)",
        ylim=(low / 3, high * 3e3),
    )
    axis.legend(loc="upper right", fontsize=7.5)


def _draw_width(axis: Axes, data: dict[str, np.ndarray]) -> None:
    points = select(data, series="rate")
    axis.plot(points["x"], points["y"], "s", color=LOOKS[1][0], label="fitted, each a problem")
    grid = np.linspace(1.0, points["x"].max(), 100)
    curve = (np.sqrt(grid) - 1) ** 2
    axis.plot(grid, curve, "--", color="0.2", label=r"$(\sqrt{N/M} - 1)^2$")
    axis.set(
        xlabel="width $N/M$",
        ylabel=r"rate of the loss / $8\alpha^2$",
        title="wider is faster",
    )
    axis.legend(loc="upper left")


def _draw_training(axis: Axes, data: dict[str, np.ndarray]) -> None:
    kernel = select(data, series="kernel")
    axis.loglog(kernel["x"], kernel["y"], color="0.2", lw=2.2, label="kernel")
    names = [name for name, _ in groups(data, "series") if name != "kernel"]
    for name, (colour, line, _) in zip(names, LOOKS[1:], strict=False):
        curve = select(data, series=name)
        axis.loglog(curve["x"], curve["y"], ls=line, color=colour, label=f"${name}$")
    axis.set(
        xlabel="steps of gradient descent",
        ylabel="loss / first loss",
        title="ReLU nets of width $m$ on random labels",
    )
    axis.legend(loc="lower left")


def _draw_nets(axis: Axes, data: dict[str, np.ndarray], slopes: dict[str, np.ndarray]) -> None:
    fitted = dict(zip(slopes["quantity"].tolist(), slopes["slope"].tolist(), strict=True))
    for name, (colour, line, marker) in zip(QUANTITIES, LOOKS[1:], strict=False):
        curve = select(data, series=name)
        text = f"{NAMES[name]}: {fitted[name]:.2f}"
        axis.loglog(curve["x"], curve["y"], ls=line, marker=marker, color=colour, label=text)
    low, high = data["y"].min(), data["y"].max()
    axis.set(
        xlabel="width $m$",
        ylabel="geometric mean over draws",
        title="fitted slopes, predicted $-0.5$",
        ylim=(low / 2, high * 40),
    )
    axis.legend(loc="upper right", fontsize=7.5)


def _draw_sampling(axis: Axes, data: dict[str, np.ndarray]) -> None:
    for kind, (colour, line, marker) in zip(("interpolated", "noisy"), LOOKS[1:], strict=False):
        exact, mean, error = (
            select(data, series=f"{kind}, {name}") for name in ("exact", "mean", "error")
        )
        axis.semilogy(exact["x"], exact["y"], ls=line, color=colour, label=f"{kind} data")
        axis.errorbar(mean["x"], mean["y"], 1.96 * error["y"], fmt=marker, color=colour)
    bound = select(data, series="interpolated, bound")
    axis.semilogy(bound["x"], bound["y"], color="0.2", ls=":", label="bound without noise")
    floor = select(data, series="noisy, floor")
    axis.semilogy(floor["x"], floor["y"], color="0.5", lw=0.8)
    axis.text(floor["x"][0], 0.85 * floor["y"][0], "floor", va="top", fontsize=8)
    axis.set(
        xlabel=r"steps $\times\; s_{\min}^2/|A|_F^2$",
        ylabel=r"$E\,|x_k - A^+y|^2/|A^+y|^2$",
        title="constant-step SGD: exact means and runs (dots)",
        ylim=(select(data, series="interpolated, exact")["y"].min() / 4, 2),
    )
    axis.legend(loc="lower left")
