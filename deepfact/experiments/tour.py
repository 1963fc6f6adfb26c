"""The tour: three depths on one problem, what the start does, how few measurements they need."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from deepfact.checks import Claim
from deepfact.experiments import kernel_and_rich
from deepfact.experiments.depth_runs import counted, measure_flows, relative_error
from deepfact.experiments.depth_side_by_side_figure import SUPPORT_LOOKS
from deepfact.experiments.instances import model_of_depth
from deepfact.experiments.kernel_and_rich import measure_limits, measure_shapes
from deepfact.experiments.kernel_and_rich_figure import (
    balls,
    draw_plane,
    draw_shapes,
)
from deepfact.experiments.looks import LOOKS, power_of_ten
from deepfact.experiments.tables import from_rows, groups, join, select, series
from deepfact.figures import figure_style
from deepfact.l1_minimisation import basis_pursuit
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
    "measure_limits",
    "measure_recovery",
    "measure_shapes",
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
        Instances for each M, the same for all depths and for l1-minimisation.
    seed : int
        Source of randomness: one spawned stream for each instance.
    tolerance : float, optional
        Relative l2 error up to which the vector counts as recovered (default: 0.01).

    Returns
    -------
    dict of str to ndarray of shape ((D + 1) * K,)
        ``method`` ("L = 1", ..., and last "l1", basis pursuit), ``measurements``, ``recovered``
        (the count), ``as_l1`` (on how many instances the outcome is that of basis pursuit),
        ``trials``, ``unknowns``, ``nonzeros``, ``start``, ``tolerance``.
    """
    methods = [f"L = {depth:g}" for depth in depths] + ["l1"]
    counts, agreements = np.zeros((2, len(methods), len(measurements)), dtype=int)
    for k, streams in enumerate(np.random.SeedSequence(seed).spawn(len(measurements))):
        for stream in streams.spawn(trials):
            problem = gaussian_problem(measurements[k], N, s, seed=stream)
            found = [flow_limit(problem, model_of_depth(depth, start)).x for depth in depths]
            found.append(basis_pursuit(problem).x)
            near = np.array([relative_error(x, problem.x_true) <= tolerance for x in found])
            counts[:, k] += near
            agreements[:, k] += near == near[-1]
    return from_rows(
        [
            {
                "method": method,
                "measurements": measurements[k],
                "recovered": counts[d, k],
                "as_l1": agreements[d, k],
                "trials": trials,
                "unknowns": N,
                "nonzeros": s,
                "start": start,
                "tolerance": tolerance,
            }
            for d, method in enumerate(methods)
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
    """Write the least l1 norm, the interval that each limit certifies for it, and S3's bound.

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
        line = f"L = {depth}: {own['lower_bound'][0]:.6f} <= Q <= {own['l1_norm'][0]:.6f}"
        allowed = own["bound"][0]
        known = f" (S3 allows Q + {allowed:.2f})" if np.isfinite(allowed) else ""
        lines.append(line + known)
    return "\n".join(lines)


def checks(
    flows: dict[str, dict[str, np.ndarray]],
    shapes: dict[str, np.ndarray],
    limits: dict[str, np.ndarray],
    recovery: dict[str, np.ndarray],
) -> list[Claim]:
    """Return what the limits of depth 2 and more say about D3, S3, D5 and S14.

    Parameters
    ----------
    flows : dict
        Of `measure_flows`, depths 1 and 2 among the depths.
    shapes : dict
        Of `measure_shapes`.
    limits : dict
        Of `measure_limits`.
    recovery : dict
        Of `measure_recovery`, depths 2 and 3 among the depths.

    Returns
    -------
    list of Claim
        One of D3, one of S3, two of D5 and one of S14, each with its rival.
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
            f"||x_inf||_1 - Q is at most the sharper bound for {several} factors; margin: 1 minus "
            "their ratio",
            1 - (deep["l1_norm"] - Q) / deep["bound"],
            "with one factor the excess is at most the bound for two",
            1 - (one["l1_norm"] - one["Q"]) / two["bound"],
        ),
        *kernel_and_rich.checks(shapes, limits),
        Claim(
            "S14",
            f"from products of {recovery['start'][0]:.0e} three factors recover the sparse vector "
            "on the very instances on which l1-minimisation does; margin: 1/2 minus the number of "
            "exceptions for a number of measurements",
            0.5 - _exceptions(recovery, "L = 3"),
            "so do two factors",
            0.5 - _exceptions(recovery, "L = 2"),
        ),
    ]


def _exceptions(recovery, method):
    own = select(recovery, method=method)
    return own["trials"] - own["as_l1"]


def figure_data(
    flows: dict[str, dict[str, np.ndarray]],
    shapes: dict[str, np.ndarray],
    limits: dict[str, np.ndarray],
    recovery: dict[str, np.ndarray],
    shown: float,
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    flows : dict
        Of `measure_flows`.
    shapes : dict
        Of `measure_shapes`.
    limits : dict
        Of `measure_limits`.
    recovery : dict
        Of `measure_recovery`.
    shown : float
        The depth whose shapes and limits of two unknowns are drawn.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel``; ``series``: the coordinate of a flow, the init scale of a shape, of a curve or of
        a limit, or the method of recovery; ``x`` and ``y``.
    """
    tables = [
        series(f"depth {depth:g}", str(i), own["x"], own["y"])
        for depth, i, own in groups(flows["coordinates"], "depth", "coordinate")
    ]
    for alpha, own in groups(select(shapes, depth=shown), "init_scale"):
        tables.append(series("divergence", f"{alpha:g}", own["z"], own["scaled"]))
    for alpha, own in groups(balls(limits, shown), "init_scale"):
        tables.append(series("equal divergence", f"{alpha:g}", own["first"], own["second"]))
    for alpha, own in groups(select(limits, depth=shown, case="plane"), "init_scale"):
        tables.append(series("limit of two unknowns", f"{alpha:g}", own["first"], own["second"]))
    for method, own in groups(recovery, "method"):
        share = own["recovered"] / own["trials"]
        tables.append(series("recovery", method, own["measurements"], share))
    return join(*tables)


def figure(
    flows: dict[str, dict[str, np.ndarray]],
    shapes: dict[str, np.ndarray],
    limits: dict[str, np.ndarray],
    recovery: dict[str, np.ndarray],
    shown: float,
) -> Figure:
    """Draw three flows, the divergence and the limits for large and small starts, and recovery.

    Parameters
    ----------
    flows : dict
        Of `measure_flows`, of three depths at most.
    shapes : dict
        Of `measure_shapes`.
    limits : dict
        Of `measure_limits`.
    recovery : dict
        Of `measure_recovery`.
    shown : float
        The depth whose shapes and limits of two unknowns are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Two rows of three panels.
    """
    figure_style()
    drawing, axes = plt.subplots(2, 3, figsize=(7.4, 5.2))
    for axis, (depth, row) in zip(axes[0], groups(flows["depths"], "depth"), strict=False):
        true = select(flows["entries"], depth=depth)["true"]
        _draw_flow(axis, select(flows["coordinates"], depth=depth), true, row)
        error = row["error"][0]
        axis.set_title(f"$L = {depth:g}$: limit off by {100 * error:.2g} %")
        axis.tick_params(labelleft=axis is axes[0, 0])
    axes[0, 0].set_ylabel("coordinates of $x(t)$")
    draw_shapes(axes[1, 0], shapes, shown)
    draw_plane(axes[1, 1], limits, shown)
    _draw_recovery(axes[1, 2], recovery)
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
    begin = "$x=0$" if row["depth"][0] == 1 else f"$\\alpha^L={power_of_ten(row['start'][0])}$"
    axis.set(
        xlabel=f"time $t$, from {begin}",
        ylim=row["room"][0] * np.array([row["lowest"][0], row["highest"][0]]),
        xlim=(first, 2 * last),
    )
    axis.xaxis.set_major_locator(LogLocator(numticks=6))
    axis.xaxis.set_minor_locator(LogLocator(numticks=999))
    axis.xaxis.set_minor_formatter("")


def _draw_recovery(axis: Axes, recovery: dict[str, np.ndarray]) -> None:
    for k, (method, own) in enumerate(groups(recovery, "method")):
        share = 100 * own["recovered"] / own["trials"]
        if method == "l1":
            look = {"ls": "none", "marker": "o", "mfc": "none", "mec": "0.2", "ms": 8}
            axis.plot(own["measurements"], share, **look, label="least $\\ell_1$-norm", zorder=4)
            continue
        color, line, marker = LOOKS[k]
        label = f"${method.replace(' ', '')}$"
        axis.plot(
            own["measurements"], share, marker=marker, ls=line, color=color, label=label, ms=3.5
        )
    s, N = recovery["nonzeros"][0], recovery["unknowns"][0]
    threshold = recovery_threshold(s, N)
    axis.axvline(threshold, color="0.4", lw=0.8)
    axis.text(threshold - 1, 97, "pre-\ndicted", color="0.3", fontsize=8, ha="right", va="top")
    begin = power_of_ten(recovery["start"][0])
    axis.set(xlabel="measurements $M$", ylabel="recovered, %", ylim=(-5, 105))
    axis.text(0.98, 0.09, f"$s={s}$, $N={N}$", transform=axis.transAxes, fontsize=8, ha="right")
    axis.set_title(f"recovery, from $\\alpha^L={begin}$")
    axis.legend(loc="center right", bbox_to_anchor=(1, 0.42), fontsize=7)
