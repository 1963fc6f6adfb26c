"""The figure on which minimiser the flow selects."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from deepfact.experiments.faces import mean_column_position
from deepfact.experiments.tables import groups, join, select
from deepfact.figures import OKABE_ITO, figure_style


def figure(
    segment: dict[str, np.ndarray], faces: dict[str, np.ndarray], singles: dict[str, np.ndarray]
) -> Figure:
    """Draw the selected minimisers, their convergence, and the singletons.

    Parameters
    ----------
    segment : dict of str to ndarray
        From `measure_segment`.
    faces : dict of str to ndarray
        From `measure_faces`.
    singles : dict of str to ndarray
        From `measure_singletons`.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels.
    """
    figure_style()
    colours = [OKABE_ITO[name] for name in ("blue", "vermillion", "green", "purple", "orange")]
    styles, markers = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))], "osD^v"
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(7.6, 2.9))
    for k, ratio in enumerate(np.unique(segment["ratio"])[::-1]):
        here = segment["ratio"] == ratio
        p = 1 - 2 / segment["depth"][here]
        grid = np.linspace(0, 1, 41)
        curve = [
            mean_column_position(ratio, 2 / (1 - value) if value < 1 else np.inf) for value in grid
        ]
        left.plot(grid, curve, linestyle=styles[k % 5], color=colours[k % 5])
        left.plot(
            p,
            segment["positive"][here],
            markers[k % 5],
            color=colours[k % 5],
            mfc="none",
            label=f"$y_2/y_1 = {ratio:g}$",
        )
        left.plot(p, segment["signed"][here], "x", color=colours[k % 5], markersize=3)
    ticks = {2: "2", 3: "3", 4: "4", 6: "6", np.inf: r"$\infty$"}
    left.set_xticks([1 - 2 / L for L in ticks], list(ticks.values()))
    left.set(xlabel="depth $L$ (scale: $1 - 2/L$)", ylabel="position on the segment, $t/y_2$")
    left.set_title("depth chooses the minimiser")
    left.set_ylim(0, 1)
    left.legend(loc="lower left")

    for j, (depth, rows) in enumerate(groups(select(faces, where=faces["depth"] > 2), "depth")):
        scale, error = _by(rows, "log10_a", "error")
        error = [np.maximum(values, 1e-16) for values in error]
        middle.plot(
            10.0**scale,
            [np.median(values) for values in error],
            linestyle=styles[j % 5],
            marker=markers[j % 5],
            color=colours[j % 5],
            label=r"$L = \infty$" if np.isinf(depth) else f"$L = {depth:g}$",
        )
        middle.fill_between(
            10.0**scale,
            [values.min() for values in error],
            [values.max() for values in error],
            color=colours[j % 5],
            alpha=0.12,
            linewidth=0,
        )
    middle.set(xscale="log", yscale="log", xlabel=r"init scale $a = \alpha^L$")
    middle.set_ylabel("relative distance to the prediction")
    middle.set_title("random integer matrices")
    middle.legend()

    for flag, colour, marker, name in (
        (False, OKABE_ITO["vermillion"], "s", "many feasible points"),
        (True, OKABE_ITO["blue"], "o", "one feasible point"),
    ):
        rows = select(singles, singleton=flag)
        if not len(rows["error"]):
            continue
        alpha, error = _by(rows, "alpha", "error")
        error = [np.maximum(values, 1e-16) for values in error]
        right.plot(
            alpha,
            [np.nanmedian(values) for values in error],
            marker=marker,
            linestyle="-" if flag else "--",
            color=colour,
            label=name,
        )
        low, high = ([pick(values) for values in error] for pick in (np.nanmin, np.nanmax))
        right.fill_between(alpha, low, high, color=colour, alpha=0.15, linewidth=0)
    right.set(xscale="log", yscale="log", xlabel=r"init scale $\alpha$")
    right.set_ylabel(r"$\Vert x_\infty - x^*\Vert_2/\Vert x^*\Vert_2$")
    right.set_title("nothing to choose from")
    right.legend(loc="upper left")
    return figure


def _by(table, name, value):
    """Return the values of one column, and for each of them those of another one."""
    found = groups(table, name)
    return np.array([key for key, _ in found]), [rows[value] for _, rows in found]


def figure_data(
    segment: dict[str, np.ndarray], faces: dict[str, np.ndarray], singles: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows.

    Parameters
    ----------
    segment : dict of str to ndarray
        From `measure_segment`.
    faces : dict of str to ndarray
        From `measure_faces`.
    singles : dict of str to ndarray
        From `measure_singletons`.

    Returns
    -------
    dict of str to ndarray
        ``panel``, ``depth`` (NaN for all depths together), ``ratio_or_log10_scale``, ``value``.
    """
    parts = [
        _part(f"segment {model}", segment["depth"], segment["ratio"], segment[model])
        for model in ("positive", "signed")
    ]
    cells = groups(faces, "depth", "log10_a")
    depths, scales = (np.array([cell[k] for cell in cells]) for k in (0, 1))
    for name, pick in (("median", np.median), ("largest", np.max)):
        parts.append(
            _part(f"face {name}", depths, scales, [pick(rows["error"]) for *_, rows in cells])
        )
    for name, flag in (("one", True), ("many", False)):
        rows = select(singles, singleton=flag)
        alpha, error = _by(rows, "alpha", "error")
        # A limit that was not found is a violation where there is one feasible point.
        pick = np.median if flag else np.nanmedian
        unset = np.full(len(alpha), np.nan)
        parts.append(_part(name, unset, np.log10(alpha), [pick(values) for values in error]))
    return join(*parts)


def _part(panel, depth, place, value):
    return {
        "panel": np.full(len(value), panel),
        "depth": depth,
        "ratio_or_log10_scale": place,
        "value": np.array(value),
    }
