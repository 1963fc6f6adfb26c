"""The tour: three depths on one problem, and how few measurements they need."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfact.checks import Claim
from deepfact.experiments.depth_runs import counted, measure_flows, relative_error
from deepfact.experiments.depth_side_by_side_figure import SUPPORT_LOOKS
from deepfact.experiments.instances import model_of_depth
from deepfact.experiments.looks import LOOKS
from deepfact.experiments.tables import from_rows, groups, join, select
from deepfact.figures import figure_style
from deepfact.limit import flow_limit
from deepfact.problem import gaussian_problem
from deepfact.theory import recovery_threshold

__all__ = [
    "checks",
    "describe_certificates",
    "describe_limits",
    "figure",
    "figure_data",
    "measure_flows",
    "measure_recovery",
]


def measure_recovery(
    N: int,
    s: int,
    measurements: list[int],
    depths: list[float],
    start: float,
    trials: int,
    seed: int,
    tolerance: float = 0.01,
) -> dict[str, np.ndarray]:
    """Count on how many random instances the limit of each depth is the sparse vector.

    Parameters
    ----------
    N, s : int
        Number of unknowns and of nonzeros.
    measurements : list of int
        K values of M.
    depths : list of float
        D depths.
    start : float
        alpha^L, each product at time 0.
    trials : int
        Instances for each M, the same for all depths.
    seed : int
        Source of randomness: one spawned stream for each instance.
    tolerance : float, optional
        Relative l2 error up to which the vector counts as recovered (default: 0.01).

    Returns
    -------
    dict of str to ndarray of shape (D * K,)
        ``depth``, ``measurements``, ``recovered`` (the count), ``trials``, ``unknowns``,
        ``nonzeros``, ``start``, ``tolerance``.
    """
    counts = np.zeros((len(depths), len(measurements)), dtype=int)
    for k, streams in enumerate(np.random.SeedSequence(seed).spawn(len(measurements))):
        for stream in streams.spawn(trials):
            problem = gaussian_problem(measurements[k], N, s, seed=stream)
            for d, depth in enumerate(depths):
                limit = flow_limit(problem, model_of_depth(depth, start))
                counts[d, k] += relative_error(limit.x, problem.x_true) <= tolerance
    return from_rows(
        [
            {
                "depth": depth,
                "measurements": measurements[k],
                "recovered": counts[d, k],
                "trials": trials,
                "unknowns": N,
                "nonzeros": s,
                "start": start,
                "tolerance": tolerance,
            }
            for d, depth in enumerate(depths)
            for k in range(len(measurements))
        ]
    )


def describe_limits(flows: dict[str, dict[str, np.ndarray]]) -> str:
    """Write how sparse the limits are, and how close the flows come to them.

    Parameters
    ----------
    flows : dict
        Of `measure_flows`.

    Returns
    -------
    str
        A line for each depth.
    """
    return "\n".join(
        f"L = {depth}: {own['large'][0]:3d} entries above 1 % of the largest; the flow ends within "
        f"{own['distance'][0]:.0e}"
        for depth, own in groups(flows["depths"], "depth")
    )


def describe_certificates(flows: dict[str, dict[str, np.ndarray]]) -> str:
    """Write the least l1 norm and the interval that each limit certifies for it.

    Parameters
    ----------
    flows : dict
        Of `measure_flows`.

    Returns
    -------
    str
        A line for the linear program and one for each depth.
    """
    table = flows["depths"]
    lines = [f"smallest l1-norm Q = {table['Q'][0]:.6f} (by linear programming)"]
    for depth, own in groups(table, "depth"):
        lines.append(f"L = {depth}: {own['lower_bound'][0]:.6f} <= Q <= {own['l1_norm'][0]:.6f}")
    return "\n".join(lines)


def checks(flows: dict[str, dict[str, np.ndarray]]) -> list[Claim]:
    """Return what the limits of depth 2 and more say about D3 and S3.

    Parameters
    ----------
    flows : dict
        Of `measure_flows`, depths 1 and 2 among the depths.

    Returns
    -------
    list of Claim
        One of D3, one of S3, each with its rival.
    """
    deep = select(flows["depths"], where=flows["depths"]["depth"] >= 2)
    one, two = (select(flows["depths"], depth=depth) for depth in (1, 2))
    Q = deep["Q"]
    above = (deep["l1_norm"] - Q) / Q
    below = (deep["Q_lower"] - deep["lower_bound"]) / Q
    several = counted(deep["depth"])
    return [
        Claim(
            "D3",
            f"lower_bound <= Q <= ||x_inf||_1 for {several} factors; margin: smaller of the "
            "two differences relative to Q",
            np.minimum(above, below),
            "||x_inf||_1 = Q, to 1e-6",
            1e-6 - above,
        ),
        Claim(
            "S3",
            f"||x_inf||_1 - Q is at most its bound for {several} factors; margin: 1 minus "
            "their ratio",
            1 - (deep["l1_norm"] - Q) / deep["bound"],
            "with one factor the excess is at most the bound for two",
            1 - (one["l1_norm"] - one["Q"]) / two["bound"],
        ),
    ]


def figure_data(
    flows: dict[str, dict[str, np.ndarray]], recovery: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    flows : dict
        Of `measure_flows`.
    recovery : dict
        Of `measure_recovery`.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel``, ``coordinate`` (of panel "recovery" the depth), ``x`` and ``y``.
    """
    lines = flows["coordinates"]
    return join(
        {
            "panel": np.array([f"depth {depth:g}" for depth in lines["depth"]]),
            "coordinate": lines["coordinate"],
            "x": lines["x"],
            "y": lines["y"],
        },
        {
            "panel": np.full(len(recovery["depth"]), "recovery"),
            "coordinate": recovery["depth"],
            "x": recovery["measurements"],
            "y": recovery["recovered"] / recovery["trials"],
        },
    )


def figure(flows: dict[str, dict[str, np.ndarray]], recovery: dict[str, np.ndarray]) -> Figure:
    """Draw the coordinates of three flows, and the shares of recovered vectors.

    Parameters
    ----------
    flows : dict
        Of `measure_flows`, of three depths at most.
    recovery : dict
        Of `measure_recovery`.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels.
    """
    figure_style()
    drawing, axes = plt.subplots(2, 2, figsize=(7, 5))
    for axis, (depth, row) in zip(axes.flat, groups(flows["depths"], "depth"), strict=False):
        true = select(flows["entries"], depth=depth)["true"]
        _draw_flow(axis, select(flows["coordinates"], depth=depth), true, row)
        error = row["error"][0]
        axis.set_title(f"$L = {depth:g}$: the limit is off by {100 * error:.2g} %")
    _draw_recovery(axes.flat[3], recovery)
    return drawing


def _draw_flow(
    axis: Axes,
    coordinates: dict[str, np.ndarray],
    true: np.ndarray,
    row: dict[str, np.ndarray],
) -> None:
    first, last = row["first"][0], row["last"][0]
    support = np.flatnonzero(true).tolist()
    curves = {i: (own["x"], own["y"]) for i, own in groups(coordinates, "coordinate")}
    for i, curve in curves.items():
        if i not in support:
            axis.semilogx(*curve, color="0.7", lw=0.5)
    for k, i in enumerate(support):
        color, line = SUPPORT_LOOKS[k % 6]
        axis.semilogx(*curves[i], ls=line, color=color, lw=1.6)
        axis.plot(2 * last, true[i], "o", color=color, clip_on=False)
    axis.set(
        xlabel="time $t$",
        ylabel="coordinates of $x(t)$",
        ylim=row["room"][0] * np.array([row["lowest"][0], row["highest"][0]]),
        xlim=(first, 2 * last),
    )


def _draw_recovery(axis: Axes, recovery: dict[str, np.ndarray]) -> None:
    for k, (depth, own) in enumerate(groups(recovery, "depth")):
        color, line, marker = LOOKS[k]
        axis.plot(
            own["measurements"],
            100 * own["recovered"] / own["trials"],
            marker=marker,
            ls=line,
            color=color,
            label=f"$L = {depth:g}$",
        )
    s, N = recovery["nonzeros"][0], recovery["unknowns"][0]
    threshold = recovery_threshold(s, N)
    axis.axvline(threshold, color="0.4", lw=0.8)
    axis.text(threshold - 0.5, 97, "predicted", color="0.3", fontsize=8, ha="right", va="top")
    axis.set(xlabel="number of measurements $M$", ylabel="recovered, %", ylim=(-4, 104))
    axis.set_title(f"{s} nonzeros in {N}: how many measurements?")
    axis.legend(loc="lower right", bbox_to_anchor=(1, 0.06))
