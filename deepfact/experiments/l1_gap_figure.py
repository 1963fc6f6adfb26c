"""The figure of the main theorem: gaps and their bounds against the init scale."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from deepfact.experiments.tables import groups
from deepfact.figures import OKABE_ITO, figure_style

__all__ = ["figure", "figure_data"]

ROUNDING = 1e-13
"""Gaps below this multiple of Q are differences of two numbers that agree to rounding."""


def figure_data(tables: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Summarise gaps and bounds over the instances, all as multiples of Q.

    Parameters
    ----------
    tables : dict
        Of `l1_gap.measure_gaps`, with D depths and K scales.

    Returns
    -------
    dict of str to ndarray of shape (D K,)
        ``depth``, ``scale`` (a/Q), and least, median and largest value of the gap (``gap_*``), of
        the gap that the flow certifies (``certificate_*``), of S3's bound (``bound_*``) and of S2's
        guarantee (``guarantee_*``); infinite bounds where an instance has none.
    """
    cases = groups(tables["grid"], "depth", "scale")
    columns = {"depth": np.array([case[0] for case in cases])}
    columns["scale"] = np.array([case[1] for case in cases])
    for name in ("gap", "certificate", "bound", "guarantee"):
        sorted_values = [np.sort(own[name] / own["Q_lower"]) for _, _, own in cases]
        # The mean of the two middle values by hand: infinite ones make np.median warn.
        parts = {
            "least": [v[0] for v in sorted_values],
            "median": [0.5 * (v[(len(v) - 1) // 2] + v[len(v) // 2]) for v in sorted_values],
            "largest": [v[-1] for v in sorted_values],
        }
        columns |= {f"{name}_{part}": np.array(values) for part, values in parts.items()}
    return columns


def figure(tables: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Draw gap and bounds against the init scale, one panel for each depth.

    Parameters
    ----------
    tables : dict
        Of `l1_gap.measure_gaps`.

    Returns
    -------
    matplotlib.figure.Figure
        Dots and bars: measured gap, median and range over the instances; crosses: what the flow's
        own dual variable certifies; lines with bands: the bounds.
    """
    figure_style()
    summary = figure_data(tables)
    depths = np.unique(summary["depth"])
    columns = len(depths) if len(depths) <= 3 else -(-len(depths) // 2)
    rows = -(-len(depths) // columns)
    drawing, axes = plt.subplots(
        rows,
        columns,
        figsize=(2.3 * columns + 0.4, 2.5 * rows + 0.5),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for axis, depth in zip(axes.flat, depths, strict=False):
        here = summary["depth"] == depth
        order = np.argsort(summary["scale"][here])
        data = {name: column[here][order] for name, column in summary.items()}
        x = data["scale"]
        for name, colour, style, label in (
            ("guarantee", OKABE_ITO["blue"], "--", "guarantee S2"),
            ("bound", OKABE_ITO["vermillion"], "-", "sharper bound S3"),
        ):
            low, middle, high = (data[f"{name}_{part}"] for part in ("least", "median", "largest"))
            finite = np.isfinite(high)
            axis.plot(x[finite], middle[finite], style, color=colour, label=label)
            axis.fill_between(
                x[finite], low[finite], high[finite], color=colour, alpha=0.25, linewidth=0
            )
        axis.plot(
            x,
            data["certificate_median"],
            "x",
            color=OKABE_ITO["green"],
            markersize=4.5,
            label="certified by the flow",
        )
        middle = data["gap_median"]
        spread = [
            middle - np.maximum(data["gap_least"], 1e-16),
            data["gap_largest"] - middle,
        ]
        axis.errorbar(
            x,
            middle,
            yerr=spread,
            fmt="o",
            color=OKABE_ITO["black"],
            markersize=3.5,
            elinewidth=0.8,
            capsize=2,
            label="measured gap",
        )
        axis.axhspan(1e-17, ROUNDING, color="0.85", linewidth=0)
        axis.set(xscale="log", yscale="log", title=f"$L = {depth:g}$")
        axis.set_ylim(ROUNDING / 10, 1e3)
        axis.set_yticks(10.0 ** np.arange(-12, 4, 3))
        axis.minorticks_off()
    for axis in axes.flat[len(depths) :]:
        axis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel(r"init scale $a/Q$, $a=\alpha^L$")
    for axis in axes[:, 0]:
        axis.set_ylabel(r"gap $(\Vert x_\infty\Vert_1 - Q)/Q$")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=4)
    return drawing
