"""The figure of the dual picture."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfact.experiments.dual_curves import plane_problem
from deepfact.experiments.looks import power_of_ten
from deepfact.experiments.tables import groups, select
from deepfact.figures import OKABE_ITO as INK
from deepfact.figures import figure_style

__all__ = ["depth_name", "figure"]

LOOKS = {
    1.0: ("black", ":"),
    2.0: ("blue", "-"),
    3.0: ("vermillion", "--"),
    4.0: ("purple", (0, (1, 1))),
    np.inf: ("green", "-."),
}


def depth_name(depth: float) -> str:
    """Return the depth as a label writes it.

    Parameters
    ----------
    depth : float
        Number L of factors, or infinity.

    Returns
    -------
    str
        The number, or the sign of infinity.
    """
    return "∞" if np.isinf(depth) else f"{depth:g}"


def figure(curves: dict[str, np.ndarray]) -> Figure:
    """Draw the four panels of the dual picture.

    Parameters
    ----------
    curves : dict
        Of `dual_curves.measure_curves`.

    Returns
    -------
    matplotlib.figure.Figure
        (a) the dual variable for two measurements, (b) trajectories and their limits, (c) the
        certificate along one of them, (d) the gaps at infinite depth.
    """
    figure_style()
    drawing, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(7, 5.8))
    _draw_plane(a, select(curves, panel="a"))
    for depth, own in groups(select(curves, panel="b"), "depth"):
        color, line = LOOKS.get(depth, ("sky", "-"))
        b.loglog(
            own["x"],
            np.maximum(own["y"], 1e-16),
            ls=line,
            color=INK[color],
            label=f"$L =$ {depth_name(depth)}",
        )
    b.set(
        xlabel="time $t$",
        ylabel=r"$\|x(t) - x_\infty\| \,/\, \|x_\infty\|$",
        title=f"(b) the flow reaches its limit ({_start(select(curves, panel='b'))})",
    )
    b.set(ylim=(1e-16, 5))
    b.legend(loc="lower left", fontsize=7, handlelength=2.4)
    _draw_certificate(c, select(curves, panel="c"))
    _draw_barrier(d, select(curves, panel="d"))
    return drawing


def _start(curves):
    """Return the start of the flows as a label writes it."""
    starts = curves["start"][np.isfinite(curves["start"])]
    return f"$\\alpha^L = {power_of_ten(starts[0])}$"


def _draw_plane(axis: Axes, curves: dict[str, np.ndarray]) -> None:
    polygon = select(curves, series="polygon")
    axis.fill(polygon["x"], polygon["y"], color="0.94", zorder=0)
    axis.plot(polygon["x"], polygon["y"], color="0.35", lw=1)
    drawn = select(curves, where=curves["series"] != "polygon")
    for depth, series, own in groups(drawn, "depth", "series"):
        eta = own["x"], own["y"]
        if series == "flow":
            color, line = LOOKS[depth]
            name = f"flow, $L =$ {depth_name(depth)}"
            axis.plot(*eta, ls=line, color=INK[color], label=name, lw=1.6)
        else:
            axis.plot(*eta, "o", mfc="white", mec="black", ms=4.5, label=series, zorder=5)
    y = plane_problem().y
    direction = np.array([0.0, 0.35]) + np.outer([0, 0.45], y / np.linalg.norm(y))
    axis.annotate("", direction[1], direction[0], arrowprops={"arrowstyle": "->", "color": "0.35"})
    axis.text(*direction.mean(axis=0), "$y$ ", ha="right", va="bottom", color="0.35")
    small = {"ha": "left", "fontsize": 7, "color": "0.35"}
    axis.text(1.05, 0.02, "$x_1$ grows", rotation=-80, va="center", **small)
    axis.text(0.4, 0.99, "$x_3$ grows", rotation=-13, va="bottom", **small)
    axis.text(0.93, 0.82, "$x_2$", **small)
    axis.set(
        xlabel=r"$\eta_1$",
        ylabel=r"$\eta_2$",
        title=f"(a) dual variable, $M = 2$ ({_start(drawn)})",
        aspect="equal",
    )
    axis.set(xlim=(-0.4, 1.35), ylim=(-0.55, 1.2))
    axis.legend(loc="lower left", fontsize=7)


def _draw_certificate(axis: Axes, curves: dict[str, np.ndarray]) -> None:
    looks = {
        "norm of x / Q": ("-", "blue", r"$\|x(t)\|_1 / Q$"),
        "lower bound / Q": (
            "--",
            "vermillion",
            r"certified bound $\langle y, \eta(t)\rangle / Q$",
        ),
    }
    for series, (line, color, label) in looks.items():
        own = select(curves, series=series)
        axis.semilogx(own["x"], own["y"], line, color=INK[color], label=label)
    about = ""
    if len(curves["depth"]):
        about = f" ($L = {curves['depth'][0]:g}$, {_start(curves)})"
    axis.axhline(1, color="black", lw=0.7)
    axis.set(
        xlabel="time $t$",
        ylabel="relative to $Q$",
        ylim=(0, 1.12),
        title=f"(c) a certificate on the way{about}",
    )
    axis.legend(loc="lower right", fontsize=7)


def _draw_barrier(axis: Axes, curves: dict[str, np.ndarray]) -> None:
    for series, look, color, label in (
        ("above, median", "o-", "blue", r"$(\|x_\infty\|_1 - Q)/Q$"),
        ("below, median", "s--", "vermillion", r"$(Q - \langle y, \eta\rangle)/Q$"),
    ):
        own = select(curves, series=series)
        axis.loglog(own["x"], own["y"], look, color=INK[color], label=label)
    # The character, for mathtext sets \prime in Computer Modern, whose time stamps fontTools
    # warns of.
    axis.loglog(own["x"], own["barrier"], "k:", label="$N\u2032\\mu/Q$")
    axis.set(
        xlabel=r"$\mu = \lim\,\alpha^L$",
        ylabel="relative gaps",
        title="(d) infinite depth: the log-barrier path",
    )
    axis.legend(loc="lower right", fontsize=7)
