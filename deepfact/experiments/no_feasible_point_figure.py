"""The figure on problems without a feasible nonnegative point."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from deepfact.experiments.inconsistent import KINDS
from deepfact.experiments.looks import power_of_ten
from deepfact.experiments.loss_decay import ROUNDING
from deepfact.experiments.tables import groups, select
from deepfact.figures import OKABE_ITO, figure_style

SEVERAL = 1e-6
"""Vertices whose relative distance is larger are more than one minimiser of the loss."""


def figure(limits: dict[str, dict[str, np.ndarray]], decays: dict[str, np.ndarray]) -> Figure:
    """Draw the flow to nonnegative least squares, the loss against its bound, and the l1 gap.

    Parameters
    ----------
    limits : dict of str to dict of str to ndarray
        From `measure_limits`.
    decays : dict of str to ndarray
        From `measure_decays`; the flows on its first problem are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels.
    """
    figure_style()
    scales = limits["scales"]
    flows = groups(_first_problem(decays), "depth")
    colours = [OKABE_ITO[name] for name in ("blue", "vermillion", "green", "purple", "orange")]
    styles, markers = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))], "osD^v"
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(7.6, 2.9))

    depth, path = flows[-1]
    names = [name.removeprefix("x_") for name in path if name.startswith("x_")]
    nearest = {name: path[f"nearest_{name}"][0] for name in names}
    for name in names:
        active = nearest[name] != 0
        left.plot(
            path["time"],
            path[f"x_{name}"],
            color=OKABE_ITO["blue"] if active else "0.6",
            linewidth=1.1 if active else 0.7,
            zorder=2 if active else 1,
        )
    used = [value for value in nearest.values() if value != 0]
    left.plot(
        np.full(len(used), path["time"][-1] * 2.5),
        used,
        "<",
        color=OKABE_ITO["vermillion"],
        label="nonnegative least squares",
        clip_on=False,
    )
    left.set(xscale="log", xlabel="time $t$", ylabel="coordinates $x_i(t)$")
    start = f"$a/Q = {power_of_ten(path['scale'][0])}$"
    left.set_title(f"flow, $L = {depth:g}$, {start}")
    left.set_ylim(top=1.2 * max(used))
    left.legend(loc="upper left", handletextpad=0.2)

    for k, (depth, decay) in enumerate(flows):
        shown = select(decay, where=decay["excess_loss"] > ROUNDING * decay["first"])
        style = {"linestyle": styles[k % 5], "color": colours[k % 5]}
        middle.plot(shown["time"], shown["excess_loss"], **style, label=f"$L = {depth:g}$")
        middle.plot(decay["time"], decay["bound"], **style, lw=0.7)
    middle.set(xscale="log", yscale="log", xlabel="time $t$")
    middle.set_ylim(bottom=ROUNDING * flows[0][1]["first"][0])
    middle.set_ylabel(r"$\ell(x(t)) - \ell^*$ (thin: bound)")
    middle.set_title(f"loss and $D_F(x_\\infty, x_0)/t$, {start}")
    middle.legend(loc="lower left")

    several = groups(select(scales, where=scales["width"] > SEVERAL), "depth")
    for j, (depth, rows) in enumerate(several):
        cells = groups(rows, "scale")
        scale = np.array([value for value, _ in cells])
        gap = [np.maximum(here["gap"] / here["Q"], 1e-15) for _, here in cells]
        median, low, high = (
            np.array([pick(values) for values in gap]) for pick in (np.median, np.min, np.max)
        )
        right.errorbar(
            scale * 1.5 ** (j - (len(several) - 1) / 2),  # side by side
            median,
            yerr=[median - low, high - median],
            fmt=markers[j % 5],
            color=colours[j % 5],
            elinewidth=0.7,
            label=f"$L = {depth:g}$",
        )
        bound = np.array([np.median(here["bound"] / here["Q"]) for _, here in cells])
        finite = np.isfinite(bound)
        right.plot(scale[finite], bound[finite], linestyle=styles[j % 5], color=colours[j % 5])
    right.set(xscale="log", yscale="log", xlabel=r"init scale $a/Q$, $a = \alpha^L$")
    right.set_ylabel(r"gap $(\Vert x_\infty\Vert_1 - Q)/Q$ (lines: bound S3)")
    right.set_title("the short one of many")
    right.legend(loc="lower right")
    return figure


def _first_problem(decays):
    return select(decays, kind=KINDS[0], problem=0)


def figure_data(decays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the trajectories that the figure shows.

    Parameters
    ----------
    decays : dict of str to ndarray
        From `measure_decays`.

    Returns
    -------
    dict of str to ndarray
        ``depth``, ``time``, ``excess_loss``, ``bound`` and the coordinates ``x_0``, ``x_1``, ...
    """
    shown = _first_problem(decays)
    names = ["depth", "time", "excess_loss", "bound"]
    return {name: shown[name] for name in [*names, *(key for key in shown if key[:2] == "x_")]}
