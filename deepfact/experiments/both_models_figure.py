"""The figure of the main theorem: gaps and their bounds against the init scale, in both models."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfact.experiments.tables import groups, select
from deepfact.figures import OKABE_ITO, figure_style

__all__ = ["figure", "figure_data"]

ROUNDING = 1e-13
"""Gaps below this multiple of Q are differences of two numbers that agree to rounding."""
COLUMNS = 3
"""The figure shows so many depths: the first, the last, and those between."""
BOUNDS = {"guarantee": ("blue", "--", "guarantee S2"), "bound": ("vermillion", "-", "bound S3")}


def figure_data(tables: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Summarise gaps and bounds over the instances, all as multiples of Q.

    Parameters
    ----------
    tables : dict
        Of `both_models.measure_gaps`, with D depths and K scales.

    Returns
    -------
    dict of str to ndarray of shape (2 D K,)
        ``signed``, ``depth``, ``scale`` (a/Q), and least, median and largest value of the gap
        (``gap_*``), of the gap that the flow certifies (``certificate_*``), of S3's bound
        (``bound_*``) and of S2's guarantee (``guarantee_*``); infinite bounds where an instance has
        none.
    """
    cases = groups(tables["grid"], "signed", "depth", "scale")
    names = ("signed", "depth", "scale")
    columns = {name: np.array([case[k] for case in cases]) for k, name in enumerate(names)}
    for name in ("gap", "certificate", "bound", "guarantee"):
        sorted_values = [np.sort(own[name] / own["Q_lower"]) for *_, own in cases]
        # The mean of the two middle values by hand: infinite ones make np.median warn.
        parts = {
            "least": [v[0] for v in sorted_values],
            "median": [0.5 * (v[(len(v) - 1) // 2] + v[len(v) // 2]) for v in sorted_values],
            "largest": [v[-1] for v in sorted_values],
        }
        columns |= {f"{name}_{part}": np.array(values) for part, values in parts.items()}
    return columns


def figure(tables: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Draw gap and bounds against the init scale: a row for each model, a column for each depth.

    Parameters
    ----------
    tables : dict
        Of `both_models.measure_gaps`.

    Returns
    -------
    matplotlib.figure.Figure
        Dots and bars: measured gap, median and range over the instances; crosses: what the flow's
        own dual variable certifies; lines with bands: the bounds. At most three depths.
    """
    figure_style()
    summary = figure_data(tables)
    depths = np.unique(summary["depth"])
    shown = depths[np.unique(np.linspace(0, len(depths) - 1, COLUMNS).astype(int))]
    size = (2.3 * len(shown) + 0.4, 5.2)
    drawing, axes = plt.subplots(
        2, len(shown), figsize=size, sharex=True, sharey=True, squeeze=False
    )
    for row, (signed, model) in zip(axes, ((False, "positive"), (True, "signed")), strict=True):
        for axis, depth in zip(row, shown, strict=True):
            _draw(axis, select(summary, signed=signed, depth=depth))
            axis.set_title(f"{model} model, $L = {depth:g}$")
        row[0].set_ylabel(r"gap $(\Vert x_\infty\Vert_1 - Q)/Q$")
    for axis in axes[-1]:
        axis.set_xlabel(r"init scale $a/Q$, $a=\alpha^L$")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=4)
    return drawing


def _draw(axis: Axes, data: dict[str, np.ndarray]) -> None:
    """Draw the gaps of one model and depth."""
    x = data["scale"]
    for name, (colour, style, label) in BOUNDS.items():
        finite = np.isfinite(data[f"{name}_largest"])
        low, middle, high = (data[f"{name}_{k}"][finite] for k in ("least", "median", "largest"))
        color = OKABE_ITO[colour]
        axis.plot(x[finite], middle, style, label=label, color=color)
        axis.fill_between(x[finite], low, high, alpha=0.25, linewidth=0, color=color)
    look: dict[str, Any] = {"color": OKABE_ITO["green"], "markersize": 4.5}
    axis.plot(x, data["certificate_median"], "x", label="certified by the flow", **look)
    middle, low, high = (data[f"gap_{k}"] for k in ("median", "least", "largest"))
    spread = [middle - np.maximum(low, 1e-16), high - middle]
    look = {"color": OKABE_ITO["black"], "markersize": 3.5, "elinewidth": 0.8, "capsize": 2}
    axis.errorbar(x, middle, yerr=spread, fmt="o", label="measured gap", **look)
    axis.axhspan(1e-17, ROUNDING, color="0.85", linewidth=0)
    axis.set(xscale="log", yscale="log", ylim=(ROUNDING / 10, 1e3))
    axis.set_yticks(10.0 ** np.arange(-12, 4, 3))
    axis.minorticks_off()
