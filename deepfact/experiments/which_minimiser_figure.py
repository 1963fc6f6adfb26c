"""The figure on which minimiser the flow selects."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfact.experiments.faces import mean_column_position
from deepfact.experiments.looks import LOOKS
from deepfact.experiments.tables import groups, join, select
from deepfact.figures import OKABE_ITO, figure_style

__all__ = ["figure", "figure_data"]

FLOOR = 1e-13
"""Distances and bounds below this are drawn here: they are rounding, or zero."""
TICKS = {2: "2", 3: "3", 4: "4", 6: "6", np.inf: r"$\infty$"}


def figure(
    segment: dict[str, np.ndarray], faces: dict[str, np.ndarray], singles: dict[str, np.ndarray]
) -> Figure:
    """Draw the selected minimisers, their distances to the criteria's, and the singletons.

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
    drawing, (left, middle, right) = plt.subplots(1, 3, figsize=(7.6, 3.0))
    _draw_segment(left, segment)
    _draw_faces(middle, faces)
    _draw_singletons(right, singles)
    return drawing


def _draw_segment(axis: Axes, segment: dict[str, np.ndarray]) -> None:
    for k, ratio in enumerate(np.unique(segment["ratio"])[::-1]):
        color, line, marker = LOOKS[(k + 1) % 6]
        here = select(segment, ratio=ratio)
        theta, grid = 1 - 2 / here["depth"], np.linspace(0, 1, 41)
        curve = [mean_column_position(ratio, 2 / (1 - t) if t < 1 else np.inf) for t in grid]
        axis.plot(grid, curve, ls=line, color=color)
        look = {"ls": "", "marker": marker, "color": color, "mfc": "none"}
        axis.plot(theta, here["positive"], **look, label=f"$y_2/y_1 = {ratio:g}$")
        axis.plot(theta, here["signed"], "x", color=color, markersize=3)
    axis.set_xticks([1 - 2 / L for L in TICKS], list(TICKS.values()))
    axis.set(xlabel=r"depth $L$ (scale: $\theta = 1 - 2/L$)", ylim=(0, 1))
    axis.set(ylabel="position on the segment, $t/y_2$", title="depth chooses the minimiser")
    axis.legend(loc="lower left")


def _draw_faces(axis: Axes, faces: dict[str, np.ndarray]) -> None:
    deep = select(faces, where=faces["depth"] > 2)
    look = {"ls": "", "markersize": 3, "markeredgewidth": 0.6, "mfc": "none"}
    for rows, distance, color, marker, label in (
        (deep, "to_entropy", "0.6", "+", "$L > 2$, to entropy's"),
        (select(faces, depth=2), "error", OKABE_ITO["vermillion"], "s", "$L = 2$"),
        (deep, "error", OKABE_ITO["blue"], "o", "$L > 2$"),
    ):
        bound, shown = (np.maximum(rows[name], FLOOR) for name in ("bound", distance))
        axis.plot(bound, shown, color=color, marker=marker, label=label, **look)
    ends = np.array([FLOOR, 1.0])
    axis.plot(ends, ends, color="black", linewidth=0.8)
    axis.set(xscale="log", yscale="log", xlabel="bound at this init scale")
    axis.set(ylabel="relative distance to the maximiser", title="random integer matrices")
    axis.set(xlim=(FLOOR / 3, 30), ylim=(FLOOR / 3, 1e5))
    axis.set_xticks([1e-12, 1e-8, 1e-4, 1])
    axis.set_yticks([1e-12, 1e-8, 1e-4, 1])
    axis.legend(loc="upper left", markerscale=1.5)


def _draw_singletons(axis: Axes, singles: dict[str, np.ndarray]) -> None:
    for flag, name in ((False, "many feasible points"), (True, "one feasible point")):
        rows = select(singles, singleton=flag)
        if not len(rows["error"]):
            continue
        color, line, marker = LOOKS[1 if flag else 2]
        alpha, error = _by_alpha(rows)
        error = [np.maximum(values, 1e-16) for values in error]
        middle, low, high = (
            [pick(values) for values in error] for pick in (np.nanmedian, np.nanmin, np.nanmax)
        )
        axis.plot(alpha, middle, ls=line, marker=marker, color=color, label=name)
        axis.fill_between(alpha, low, high, color=color, alpha=0.15, linewidth=0)
    axis.set(xscale="log", yscale="log", xlabel=r"init scale $\alpha$")
    axis.set_ylabel(r"$\Vert x_\infty - x^*\Vert_2/\Vert x^*\Vert_2$")
    axis.set_title("nothing to choose from")
    axis.set_ylim(top=1e3 * axis.get_ylim()[1])
    axis.legend(loc="upper left")


def _by_alpha(singles):
    """Return the init scales, and the errors at each of them."""
    found = groups(singles, "alpha")
    return np.array([alpha for alpha, _ in found]), [rows["error"] for _, rows in found]


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
        ``panel``, ``depth`` (NaN for all depths together), ``x`` (ratio, bound or alpha) and
        ``value``.
    """
    parts = [
        _part(f"segment {model}", segment["depth"], segment["ratio"], segment[model])
        for model in ("positive", "signed")
    ]
    parts += [
        _part(f"face {name}", faces["depth"], faces["bound"], faces[name])
        for name in ("error", "to_entropy")
    ]
    for name, flag in (("one", True), ("many", False)):
        alpha, error = _by_alpha(select(singles, singleton=flag))
        # A limit that was not found is a violation where there is one feasible point.
        pick = np.median if flag else np.nanmedian
        unset = np.full(len(alpha), np.nan)
        parts.append(_part(name, unset, alpha, [pick(values) for values in error]))
    return join(*parts)


def _part(panel, depth, x, value):
    return {
        "panel": np.full(len(value), panel),
        "depth": depth,
        "x": np.asarray(x),
        "value": np.array(value),
    }
