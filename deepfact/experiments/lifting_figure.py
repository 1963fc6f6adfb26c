"""The figure of lifting: two prices, where descent ends, the way down, singular values."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepfact.experiments.looks import LOOKS
from deepfact.experiments.tables import groups, join, select, series
from deepfact.figures import figure_style
from deepfact.lifting.matrix_factors import shrunk_singular_value

__all__ = ["figure", "figure_data"]

SMALLEST = 1e-17
"""Excesses below this, zero among them, are drawn here."""
SHOWN = 0.5
"""Share of the basic solutions that the panel of prices has room for."""


def figure_data(
    basic: dict[str, np.ndarray],
    flows: dict[str, np.ndarray],
    descents: dict[str, np.ndarray],
    saddles: dict[str, np.ndarray],
    spectra: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Return the numbers that the figure shows, as one table.

    Parameters
    ----------
    basic, flows : dict
        Of `two_prices.measure_basic` and `two_prices.measure_flows`; the problem is drawn in which
        the solution of least norm is the dearest by the other price.
    descents, saddles : dict
        Of `lasso_landscape.measure_descents` and `lasso_landscape.measure_saddles`.
    spectra : dict
        Of `nuclear_norm.measure_fits`.

    Returns
    -------
    dict of str to ndarray of shape (K,)
        ``panel``, ``series``, ``x`` and ``y``.
    """
    cheapest = select(basic, where=basic["norm"] == 1)
    draw = cheapest["draw"][np.argmax(cheapest["price"])]
    one = select(basic, draw=draw)
    tables = [series("prices", "basic solutions", one["norm"], one["price"])]
    for name, column in (("least l1 norm", "norm"), ("least price", "price")):
        best = np.argmin(one[column])
        tables.append(series("prices", name, one["norm"][[best]], one["price"][best]))
    of_depth = select(flows, draw=draw, depth=one["depth"][0])
    tables.append(series("prices", "flow", of_depth["norm"], of_depth["price"]))
    for depth, power, own in groups(descents, "depth", "power"):
        excess = own["gap"] if power == depth else own["excess"]
        share = (1 + np.arange(len(excess))) / len(excess)
        tables.append(series("starts", f"L = {depth}, power {power:g}", share, np.sort(excess)))
    tables.append(series("curvature", "saddles", saddles["eigenvalue"], saddles["excess"]))
    tables.append(series("curvature", "formula", saddles["formula"], saddles["excess"]))
    for depth in (2, 3):
        ends = select(descents, depth=depth, power=2.0)
        tables.append(series("curvature", f"ends {depth}", ends["eigenvalue"], ends["excess"]))
    grid = np.linspace(0, 1.05 * spectra["data"].max(), 421)
    for depth, own in groups(spectra, "depth"):
        branch = [shrunk_singular_value(s, own["penalty"][0], depth) for s in grid]
        tables.append(series("singular values", f"branch {depth}", grid, branch))
        for scale, runs in groups(own, "scale"):
            name = f"{depth} matrices from {scale:g}"
            tables.append(series("singular values", name, runs["data"], runs["fitted"]))
    return join(*tables)


def figure(data: dict[str, np.ndarray]) -> Figure:
    """Draw the four panels.

    Parameters
    ----------
    data : dict
        Of `figure_data`.

    Returns
    -------
    matplotlib.figure.Figure
        (a) two prices of the basic solutions, (b) excess of descent's ends, (c) least eigenvalue
        against excess, (d) singular values.
    """
    figure_style()
    drawing, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(7.4, 6))
    _draw_prices(a, select(data, panel="prices"))
    _draw_starts(b, select(data, panel="starts"))
    _draw_curvature(c, select(data, panel="curvature"))
    _draw_singular_values(d, select(data, panel="singular values"))
    return drawing


def _draw_prices(axis: Axes, data: dict[str, np.ndarray]) -> None:
    looks = {
        "basic solutions": ("o", 3, "0.6", "basic solutions, all minima of weight decay"),
        "flow": ("x", 7, LOOKS[2][0], "limit of the flow, three factors"),
        "least l1 norm": ("s", 8, LOOKS[1][0], "least $\\ell_1$ norm"),
        "least price": ("D", 8, LOOKS[3][0], "least price of weight decay"),
    }
    for name, (marker, size, color, label) in looks.items():
        own = select(data, series=name)
        face = color if name in ("basic solutions", "flow") else "none"
        look = {"marker": marker, "ms": size, "color": color, "mfc": face, "label": label}
        axis.plot(own["x"], own["y"], ls="none", **look)
    axis.set(xlabel="$\\|x\\|_1$ / least", ylabel="$\\sum |x_i|^{2/3}$ / least")
    axis.set_title("(a) one set of solutions, two prices")
    shown = select(data, series="basic solutions")
    x, y = (np.quantile(shown[name], SHOWN) for name in "xy")
    axis.set(xlim=(1 - 0.06 * (x - 1), x), ylim=(1 - 0.1 * (y - 1), 1 + 1.7 * (y - 1)))
    axis.legend(loc="upper left", fontsize=7)


def _draw_starts(axis: Axes, data: dict[str, np.ndarray]) -> None:
    names = {
        "L = 2, power 2": ("two factors, weight decay", 1),
        "L = 3, power 3": ("three factors, cubes", 3),
        "L = 4, power 4": ("four factors, fourth powers", 4),
        "L = 3, power 2": ("three factors, weight decay", 2),
    }
    for name, (label, look) in names.items():
        own = select(data, series=name)
        if len(own["x"]):
            color, line, _ = LOOKS[look]
            values = np.maximum(own["y"], SMALLEST)
            axis.semilogy(
                own["x"], values, ls=line, color=color, drawstyle="steps-pre", label=label
            )
    axis.set(xlabel="share of random starts", ylabel="$J$ at the end $-$ lower bound", xlim=(0, 1))
    axis.set_ylim(1e-11, 1e5)
    axis.set_title("(b) where descent ends")
    axis.legend(loc="upper left", fontsize=7)


def _draw_curvature(axis: Axes, data: dict[str, np.ndarray]) -> None:
    looks = {
        "saddles": ("s", 4, LOOKS[1][0], "none", "critical points, two factors"),
        "formula": ("+", 4, "black", "black", "$1 - \\max|h_i|/\\lambda$"),
        "ends 2": ("o", 6, LOOKS[1][0], LOOKS[1][0], "ends, two factors"),
        "ends 3": ("^", 4, LOOKS[2][0], "none", "ends, three factors"),
    }
    for name, (marker, size, color, face, label) in looks.items():
        own = select(data, series=name)
        look = {"marker": marker, "ms": size, "color": color, "mfc": face, "label": label}
        axis.plot(own["x"], own["y"], ls="none", **look)
    axis.axvline(0, color="0.4", lw=0.8)
    axis.set(xlabel="least eigenvalue of the Hessian$\\,/\\,\\lambda$")
    top = data["y"].max()
    axis.set(ylabel="$J -$ optimum", ylim=(-0.08 * top, 1.8 * top))
    axis.set_title("(c) is there a way down? weight decay")
    axis.legend(loc="upper left", fontsize=7)


def _draw_singular_values(axis: Axes, data: dict[str, np.ndarray]) -> None:
    names = list(dict.fromkeys(data["series"].tolist()))
    depths = [int(name.split()[1]) for name in names if name.startswith("branch")]
    for depth in depths:
        color, line, _ = LOOKS[depth - 1]
        branch = select(data, series=f"branch {depth}")
        jump = np.where(branch["y"] > 0, branch["y"], np.nan) if depth > 2 else branch["y"]
        word = {2: "two", 3: "three"}.get(depth, str(depth))
        axis.plot(branch["x"], jump, ls=line, color=color, label=f"{word} matrices, predicted")
        for name, marker in zip(
            [name for name in names if name.startswith(f"{depth} matrices")], "v^", strict=False
        ):
            own = select(data, series=name)
            size = "small" if marker == "v" else "large"
            look = {"marker": marker, "color": color, "mfc": "none", "ms": 5}
            axis.plot(own["x"], own["y"], ls="none", label=f"from {size} starts", **look)
    axis.set(xlabel="singular value of the data", ylabel="singular value of the product")
    axis.set_title("(d) singular values")
    axis.legend(loc="upper left", fontsize=7)
