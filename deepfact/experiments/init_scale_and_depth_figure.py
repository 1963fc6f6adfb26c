"""The figure of init scale and depth."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from deepfact.experiments.gap_curve import fitted_slopes
from deepfact.experiments.tables import groups
from deepfact.figures import OKABE_ITO, figure_style


def slope_label(curve: dict[str, np.ndarray]) -> str:
    """Return the text of a panel: fitted and predicted slope.

    Parameters
    ----------
    curve : dict of str to ndarray
        Rows of one depth from `measure_curves`.

    Returns
    -------
    str
        Two lines.
    """
    slope, low, high = fitted_slopes(curve)
    exponent = curve["exponent"][0]
    predicted = f"{exponent:.3f}" if curve["depth"][0] == 2 else f"{exponent:g}"
    return f"slope {slope:.3f} [{low:.3f}, {high:.3f}]\npredicted {predicted}"


def figure(curves: dict[str, np.ndarray]) -> Figure:
    """Draw gap, bounds, asymptote and worst case against the init scale, a panel for each depth.

    Parameters
    ----------
    curves : dict of str to ndarray
        From `measure_curves`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    figure_style()
    panels = groups(curves, "depth")
    columns = 2 if len(panels) > 1 else 1
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.3 * columns, 2.5 * rows + 0.5), sharey=True, squeeze=False
    )
    for axis, (L, data) in zip(axes.flat, panels, strict=False):
        x = 10.0 ** data["log10_alpha"]
        for name, colour, style, text in (
            ("guarantee", OKABE_ITO["blue"], "--", "guarantee S2"),
            ("bound", OKABE_ITO["vermillion"], "-", "sharper bound S3"),
            ("worst_case", OKABE_ITO["green"], "-.", r"worst $A=(1,1+\delta)$"),
            ("asymptote", OKABE_ITO["orange"], "-", "asymptote S7"),
        ):
            keep = np.isfinite(data[name])
            if name == "asymptote":
                keep &= data[name] < 10
            axis.plot(x[keep], data[name][keep], style, color=colour, label=text)
        for refined, face, text in (
            (False, OKABE_ITO["black"], "measured gap"),
            (True, "white", "the same, refined"),
        ):
            here = data["refined"] == refined
            axis.plot(
                x[here],
                data["measured"][here],
                "o",
                color=OKABE_ITO["black"],
                label=text,
                markerfacecolor=face,
                markersize=3.5,
                markeredgewidth=0.8,
                zorder=3,
            )
        axis.set(xscale="log", yscale="log", title=f"$L = {L:g}$")
        axis.text(
            0.97,
            0.05,
            slope_label(data),
            transform=axis.transAxes,
            ha="right",
            va="bottom",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2},
        )
        axis.set_ylim(1e-22, 1e3)
        axis.xaxis.set_major_locator(LogLocator(numticks=6))
        axis.minorticks_off()
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel(r"init scale $\alpha$")
    for axis in axes[:, 0]:
        axis.set_ylabel(r"gap $(\Vert x_\infty\Vert_1 - Q)/Q$")
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3)
    return figure
