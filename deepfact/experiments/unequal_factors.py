"""Two unequal factors let a coordinate change its sign: what is measured of statement S13."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from deepfact.checks import Claim
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.looks import LOOKS
from deepfact.experiments.plateau import measure_losses, measure_plateau, measure_slopes
from deepfact.experiments.tables import groups, join, select, series
from deepfact.experiments.two_factors import INTEGRATION, measure_one_coordinate, measure_pairs
from deepfact.figures import figure_style

__all__ = [
    "checks",
    "describe_pairs",
    "describe_sign_changes",
    "figure",
    "figure_data",
    "measure_losses",
    "measure_one_coordinate",
    "measure_pairs",
    "measure_plateau",
    "measure_slopes",
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


def describe_sign_changes(
    single: dict[str, np.ndarray], plateau: dict[str, np.ndarray], tiny: dict[str, np.ndarray]
) -> str:
    """Write how far times of sign changes are from the predicted ones.

    Parameters
    ----------
    single : dict of str to ndarray
        From `measure_one_coordinate`.
    plateau : dict of str to ndarray
        From `measure_plateau`, with the same imbalances.
    tiny : dict of str to ndarray
        From `measure_slopes`.

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
    slope = fitted_slope(*np.transpose(deviations))[0]
    off_slope = np.abs(tiny["slope"] / tiny["unit"] - 1).max()
    lines.append(f"systems: the deviation falls like delta^{slope:.2f} (of order delta: 1)")
    lines.append(
        f"slope in log(1/delta) for tiny delta against 1/(2 max h): off by {off_slope:.0e} at most"
    )
    return "\n".join(lines)


def checks(
    pairs: dict[str, np.ndarray],
    single: dict[str, np.ndarray],
    plateau: dict[str, np.ndarray],
    tiny: dict[str, np.ndarray],
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
    tiny : dict of str to ndarray
        From `measure_slopes`.

    Returns
    -------
    list of Claim
        Four, each with its rival.
    """
    late = single["time"] > single["predicted"] * (1 + INTEGRATION)
    return [
        Claim(
            "S13",
            "two factors: u1^2 - u2^2 is conserved and x follows the sinh formula along integrated "
            "factors; margin 1e-9 - relative deviation",
            1e-9 - np.maximum(pairs["conserved"], pairs["formula"]),
            "the formula of equal factors: x = x_0 e^(2 w)",
            1e-9 - pairs["equal_formula"],
        ),
        Claim(
            "S13",
            "two factors: the first sign change is within the computed bound of the predicted "
            "time, one coordinate (between drift c and c + x0); "
            "margin 1 - deviation/(bound + 1e-8 time)",
            np.where(late, -np.inf, _within(single)),
            "the wait is log(x_0/delta)/(2 c), without the 4",
            _within(single, "without_four"),
        ),
        Claim(
            "S13",
            "two factors: the first sign change is within the computed bound of the predicted "
            "time, of order delta, systems with a plateau; "
            "margin 1 - deviation/(bound + 1e-8 time)",
            _within(plateau),
            "the leading coordinate drifts from the start as it does on the plateau",
            _within(plateau, "leading"),
        ),
        Claim(
            "S13",
            "two factors: slope of the measured time in log(1/delta), delta far below rounding, is "
            "1/(2 max h), h the drifts at the nonnegative least squares solution; "
            "margin 0.05 - relative deviation",
            0.05 - np.abs(tiny["slope"] / tiny["unit"] - 1),
            "h is the drift at the start, where x is near 0",
            0.05 - np.abs(tiny["slope"] / tiny["unit_at_start"] - 1),
        ),
    ]


def _within(table, prediction="predicted"):
    return 1 - np.abs(table["time"] - table[prediction]) / table["room"]


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
            scaled = rows[column] / rows["unit"]
            parts.append(series("sign change", f"system {trial + 1}, {name}", imbalances, scaled))
    return join(*parts)


def figure(losses: dict[str, np.ndarray], plateau: dict[str, np.ndarray]) -> Figure:
    """Draw losses over the plateau, and when the first coordinate changes its sign.

    Parameters
    ----------
    losses : dict of str to ndarray
        From `measure_losses`.
    plateau : dict of str to ndarray
        From `measure_plateau`.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels.
    """
    figure_style()
    drawn, (by_loss, by_change) = plt.subplots(1, 2, figsize=(7.2, 2.9))
    for k, (exponent, rows) in enumerate(groups(losses, "log10_imbalance")):
        color, line, _ = LOOKS[(k + 1) % 6] if np.isfinite(exponent) else LOOKS[0]
        label = f"$10^{{{exponent:g}}}$" if np.isfinite(exponent) else "equal"
        by_loss.plot(rows["time"], rows["loss"], ls=line, color=color, label=label)
    by_loss.set(
        yscale="log", ylim=(1e-3, 30), xlabel="time $t$", ylabel="loss, relative to its start"
    )
    alpha = losses["alpha"][0]
    by_loss.set_title(f"two unequal factors near $\\alpha = {alpha:g}$ leave the plateau")
    by_loss.legend(title="$u_1/u_2 - 1$", loc="upper right", ncols=3, fontsize=7, title_fontsize=8)
    for k, (_, rows) in enumerate(groups(plateau, "trial")[:DRAWN]):
        color, line, marker = LOOKS[(k + 1) % 6]
        imbalances = 10.0 ** rows["log10_imbalance"]
        for column, style in (("time", {"ls": "", "marker": marker}), ("predicted", {"ls": line})):
            label = {"time": "measured (a symbol for each system)"}.get(column, column)
            label = label if k == 0 else None
            scaled = rows[column] / rows["unit"]
            by_change.plot(imbalances, scaled, **style, color=color, label=label)
    imbalances = 10.0 ** select(plateau, trial=plateau["trial"][0])["log10_imbalance"]
    reference = np.log(imbalances[0] / imbalances)
    by_change.plot(
        imbalances, reference, color="0.6", lw=0.8, label="slope of the theory, all systems"
    )
    by_change.set(xscale="log", xlabel="$u_1/u_2 - 1$")
    by_change.set_ylabel("first sign change, $2t\\,\\max_i h_i$")
    by_change.set_title("a wait that grows with $\\log(1/\\delta)$")
    by_change.legend(loc="upper right")
    by_change.set_ylim(top=1.45 * by_change.get_ylim()[1])
    return drawn
