"""Two panels: the divergence between z^2 and |z|, and the limit between the two norms."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.kernel_and_rich import ball
from deepfact.experiments.looks import LOOKS, power_of_ten
from deepfact.experiments.tables import groups, join, select

__all__ = ["balls", "draw_plane", "draw_shapes"]


def draw_shapes(axis: Axes, shapes: dict[str, np.ndarray], depth: float) -> None:
    """Draw D_F(z, x(0)) over its value at z = 1, for each init scale.

    Parameters
    ----------
    axis : Axes
        Where to.
    shapes : dict
        Of `kernel_and_rich.measure_shapes`.
    depth : float
        The depth to draw.
    """
    own = select(shapes, depth=depth)
    z = np.append(0.0, np.unique(own["z"]))
    for power in (2, 1):
        axis.plot(z, z**power, color="0.85", lw=5, solid_capstyle="butt", zorder=1)
    axis.text(0.6, 0.3, "$z^2$", color="0.35", ha="left", va="top")
    axis.text(0.75, 0.86, "$|z|$", color="0.35", ha="right", va="bottom")
    for k, (alpha, line) in enumerate(groups(own, "init_scale")):
        color, style, marker = LOOKS[k % len(LOOKS)]
        axis.plot(
            np.append(0.0, line["z"]),
            np.append(0.0, line["scaled"]),
            marker,
            color=color,
            ls=style,
            lw=1.2,
            ms=4.5,
            mec="white",
            mew=0.6,
            markevery=(len(z) // 2, len(z)),
            label=f"$\\alpha={power_of_ten(alpha)}$",
        )
    axis.set(xlabel="$|z|$", ylabel="$D_F(z, x_0)\\,/\\,D_F(1, x_0)$", xlim=(0, 1), ylim=(0, 1.02))
    axis.legend(loc="upper left", handlelength=2.6, fontsize=7)
    axis.set_title(f"$L={depth:g}$: from $z^2$ to $|z|$")


def balls(limits: dict[str, np.ndarray], depth: float, points: int = 181) -> dict[str, np.ndarray]:
    """Return the curves of equal divergence through the limits of the plane.

    Parameters
    ----------
    limits : dict
        Of `kernel_and_rich.measure_limits`.
    depth : float
        The depth.
    points : int, optional
        Points of each curve (default: 181).

    Returns
    -------
    dict of str to ndarray
        ``init_scale``, ``first``, ``second``: the first quadrant's part of each curve.
    """
    angles = np.linspace(0, np.pi / 2, points)
    tables = []
    for row in _rows(select(limits, depth=depth, case="plane")):
        model = DeepFactorization(depth, row["init_scale"])
        curve = ball(model, np.array([row["first"], row["second"]]), angles)
        alphas = np.full(points, row["init_scale"])
        tables.append({"init_scale": alphas, "first": curve[:, 0], "second": curve[:, 1]})
    return join(*tables)


def draw_plane(axis: Axes, limits: dict[str, np.ndarray], depth: float) -> None:
    """Draw the solutions of one equation in two unknowns, and how the limit moves along them.

    Each curve of equal divergence touches the line at its limit. Looks are those of `draw_shapes`.

    Parameters
    ----------
    axis : Axes
        Where to.
    limits : dict
        Of `kernel_and_rich.measure_limits`.
    depth : float
        The depth to draw.
    """
    own = select(limits, depth=depth, case="plane")
    slope = own["slope"][0]
    axis.plot([0, 1], [1 / slope, 0], color="0.75", lw=3, zorder=1)
    for k, (_, curve) in enumerate(groups(balls(limits, depth), "init_scale")):
        color, style, _ = LOOKS[k % len(LOOKS)]
        axis.plot(curve["first"], curve["second"], color=color, ls=style, lw=1)
    for k, row in enumerate(_rows(own)):
        color, _, marker = LOOKS[k % len(LOOKS)]
        axis.plot(
            row["first"],
            row["second"],
            marker,
            color=color,
            ms=5.5,
            mec="white",
            mew=0.6,
            zorder=4,
            clip_on=False,
        )
    shortest = np.array([1.0, slope]) / (1 + slope**2)
    for norm, point, place in (("2", shortest, (0.88, 0.66)), ("1", (1.0, 0.0), (1.03, 0.2))):
        axis.annotate(
            f"least $\\ell_{norm}$",
            point,
            place,
            color="0.25",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": "0.5", "shrinkB": 5},
        )
    axis.text(0.53, 1.12, "$Az=y$", color="0.35", fontsize=8)
    axis.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(0, 1.28), ylim=(0, 1.28), aspect="equal")
    axis.set_title(f"$L={depth:g}$: where the flow ends")


def _rows(table):
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
