"""Two unequal factors let a coordinate change its sign: what is measured of statement S13."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from deepfact.checks import Claim
from deepfact.experiments.looks import LOOKS
from deepfact.experiments.tables import groups, join, select, series
from deepfact.experiments.two_factors import (
    INTEGRATION,
    measure_losses,
    measure_one_coordinate,
    measure_pairs,
    measure_plateau,
)

__all__ = [
    "checks",
    "describe_pairs",
    "describe_sign_changes",
    "draw",
    "figure_data",
    "measure_losses",
    "measure_one_coordinate",
    "measure_pairs",
    "measure_plateau",
]

RESOLVED = -6
"""From this log10(u_1/u_2 - 1) on, deviations are above the errors of integration."""
DRAWN = 5
"""The figure shows at most so many systems."""


def describe_pairs(pairs: dict[str, np.ndarray]) -> str:
    """Write how well integrated factors keep what is conserved.

    Parameters
    ----------
    pairs : dict of str to ndarray
        From `measure_pairs`.

    Returns
    -------
    str
        Two lines.
    """
    return (
        f"integrated factors: delta is conserved to {pairs['conserved'].max():.0e}, the formula\n"
        f"for x holds to {pairs['formula'].max():.0e}; "
        f"{pairs['sign_changes'].sum()} coordinates changed their sign"
    )


def describe_sign_changes(single: dict[str, np.ndarray], plateau: dict[str, np.ndarray]) -> str:
    """Write how far times of sign changes are from the predicted ones.

    Parameters
    ----------
    single : dict of str to ndarray
        From `measure_one_coordinate`.
    plateau : dict of str to ndarray
        From `measure_plateau`, with the same imbalances.

    Returns
    -------
    str
        A line for each imbalance, and two on the systems with a plateau.
    """
    lines = [
        "time of the first sign change, largest relative deviation from the predicted one:",
        "u1/u2 - 1     one coordinate (bound)      systems with a plateau (bound)",
    ]
    deviations = []
    for exponent, rows in groups(plateau, "log10_imbalance"):
        line = f"1e{exponent:<6g}"
        for here in (select(single, log10_imbalance=exponent), rows):
            off = np.abs(here["time"] - here["predicted"])
            worst = np.argmax(off / here["predicted"])
            relative, room = (
                values[worst] / here["predicted"][worst] for values in (off, here["room"])
            )
            line += f"{relative:15.0e} ({room:.0e})   "
        lines.append(line)
        if exponent >= RESOLVED:
            deviations.append((exponent, np.log10(np.abs(rows["time"] - rows["predicted"]).max())))
    fit = np.polyfit(*np.transpose(deviations), 1)
    off_slope = np.abs(plateau["slope"] / plateau["asymptotic"] - 1).max()
    lines.append(f"systems: the deviation falls like delta^{fit[0]:.2f} (of order delta: 1)")
    lines.append(
        f"slope in log(1/delta) for tiny delta against 1/(2 max h): off by {off_slope:.0e} at most"
    )
    return "\n".join(lines)


def checks(
    pairs: dict[str, np.ndarray], single: dict[str, np.ndarray], plateau: dict[str, np.ndarray]
) -> list[Claim]:
    """Return what the tables say about S13 with two factors.

    Parameters
    ----------
    pairs : dict of str to ndarray
        From `measure_pairs`.
    single : dict of str to ndarray
        From `measure_one_coordinate`.
    plateau : dict of str to ndarray
        From `measure_plateau`.

    Returns
    -------
    list of Claim
        Four.
    """
    late = single["time"] > single["predicted"] * (1 + INTEGRATION)
    systems = groups(plateau, "trial", "slope", "asymptotic")
    return [
        Claim(
            "S13",
            "two factors: u1^2 - u2^2 is conserved and x follows the sinh formula along integrated "
            "factors; margin 1e-9 - relative deviation",
            1e-9 - np.maximum(pairs["conserved"], pairs["formula"]),
        ),
        Claim(
            "S13",
            "two factors: the first sign change is within the computed bound of the predicted "
            "time, one coordinate (between drift c and c + x0); "
            "margin 1 - deviation/(bound + 1e-8 time)",
            np.where(late, -np.inf, _within(single)),
        ),
        Claim(
            "S13",
            "two factors: the first sign change is within the computed bound of the predicted "
            "time, of order delta, systems with a plateau; "
            "margin 1 - deviation/(bound + 1e-8 time)",
            _within(plateau),
        ),
        Claim(
            "S13",
            "two factors: slope of the predicted time in log(1/delta) is 1/(2 max h) at the "
            "nonnegative least squares solution; margin 0.05 - relative deviation",
            0.05 - np.array([abs(slope / limit - 1) for _, slope, limit, _ in systems]),
        ),
    ]


def _within(table):
    return 1 - np.abs(table["time"] - table["predicted"]) / table["room"]


def figure_data(
    losses: dict[str, np.ndarray], plateau: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the lines that the panels show.

    Parameters
    ----------
    losses : dict of str to ndarray
        From `measure_losses`.
    plateau : dict of str to ndarray
        From `measure_plateau`.

    Returns
    -------
    dict of str to ndarray
        ``panel``, ``series``, ``x`` and ``y``.
    """
    parts = [
        series("plateau", f"u1/u2 - 1 = 10^{exponent:g}", rows["time"], rows["loss"])
        for exponent, rows in groups(losses, "log10_imbalance")
    ]
    for trial, rows in groups(plateau, "trial")[:DRAWN]:
        imbalances = 10.0 ** rows["log10_imbalance"]
        for name, column in (("time * 2 max h", "time"), ("predicted", "predicted")):
            scaled = rows[column] / rows["asymptotic"]
            parts.append(series("sign change", f"system {trial + 1}, {name}", imbalances, scaled))
    return join(*parts)


def draw(
    axes: tuple[Axes, Axes], losses: dict[str, np.ndarray], plateau: dict[str, np.ndarray]
) -> None:
    """Draw losses over the plateau, and when the first coordinate changes its sign.

    Parameters
    ----------
    axes : tuple of two Axes
        Where to draw.
    losses : dict of str to ndarray
        From `measure_losses`.
    plateau : dict of str to ndarray
        From `measure_plateau`.
    """
    by_loss, by_change = axes
    for k, (exponent, rows) in enumerate(groups(losses, "log10_imbalance")):
        color, line, _ = LOOKS[(k + 1) % 6] if np.isfinite(exponent) else LOOKS[0]
        label = f"$10^{{{exponent:g}}}$" if np.isfinite(exponent) else "equal"
        by_loss.plot(rows["time"], rows["loss"], ls=line, color=color, label=label)
    by_loss.set(
        yscale="log", ylim=(1e-3, 30), xlabel="time $t$", ylabel="loss, relative to its start"
    )
    by_loss.set_title("two unequal factors leave the plateau")
    by_loss.legend(title="$u_1/u_2 - 1$", loc="upper right", ncols=3, fontsize=7, title_fontsize=8)
    for k, (_, rows) in enumerate(groups(plateau, "trial")[:DRAWN]):
        color, line, marker = LOOKS[(k + 1) % 6]
        imbalances = 10.0 ** rows["log10_imbalance"]
        for column, style in (("time", {"ls": "", "marker": marker}), ("predicted", {"ls": line})):
            label = {"time": "measured"}.get(column, column) if k == 0 else None
            scaled = rows[column] / rows["asymptotic"]
            by_change.plot(imbalances, scaled, **style, color=color, label=label)
    imbalances = 10.0 ** select(plateau, trial=plateau["trial"][0])["log10_imbalance"]
    reference = np.log(imbalances[0] / imbalances)
    by_change.plot(imbalances, reference, color="0.6", lw=0.8, label="slope of the theory")
    by_change.set(xscale="log", xlabel="$u_1/u_2 - 1$")
    by_change.set_ylabel("first sign change, $2t\\,\\max_i h_i$")
    by_change.set_title("a wait that grows with $\\log(1/\\delta)$")
    by_change.legend(loc="upper right")
    by_change.set_ylim(top=1.35 * by_change.get_ylim()[1])
