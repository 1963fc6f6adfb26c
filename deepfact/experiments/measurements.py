"""How many measurements the flow needs: statement S14."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2

from deepfact.checks import Claim
from deepfact.experiments.measurements_figure import figure, figure_data
from deepfact.experiments.recovery_fits import (
    METHODS,
    chi_square,
    fit_cuts,
    fit_grid,
    fit_growth,
    growth_slopes,
)
from deepfact.experiments.recovery_scales import (
    depth_two_by_scale,
    describe_scales,
    measure_scales,
    scale_shifts,
)
from deepfact.experiments.recovery_table import (
    join_tables,
    load_table,
    recovery_table,
    save_table,
)
from deepfact.experiments.tables import groups, select

__all__ = [
    "checks",
    "depth_two_by_scale",
    "describe_cuts",
    "describe_grids",
    "describe_scales",
    "figure",
    "figure_data",
    "join_tables",
    "load_recovery",
    "load_table",
    "measure_recovery",
    "measure_scales",
    "recovery_table",
    "save_table",
    "scale_shifts",
    "transition_band",
]

KINDS = ("signed", "nonnegative")


def measure_recovery(workers: int = 1, **arguments: Any) -> dict[str, dict[str, np.ndarray]]:
    """Measure recovery rates of signed and of nonnegative vectors.

    Parameters
    ----------
    workers : int, optional
        Processes (default: 1).
    **arguments : object
        Those of `recovery_table` but ``signed``.

    Returns
    -------
    dict of str to dict
        The table of `recovery_table` for each of "signed" and "nonnegative".
    """
    return {
        kind: recovery_table(signed=kind == "signed", workers=workers, **arguments)
        for kind in KINDS
    }


def load_recovery(folder: str | Path) -> dict[str, dict[str, np.ndarray]]:
    """Read the recovery rates that the workflow measured.

    Parameters
    ----------
    folder : path
        Where ``recovery_signed.csv`` and ``recovery_nonnegative.csv`` are.

    Returns
    -------
    dict of str to dict
        As `measure_recovery`.
    """
    return {kind: load_table(Path(folder) / f"recovery_{kind}.csv") for kind in KINDS}


def describe_cuts(tables: dict[str, dict[str, np.ndarray]]) -> str:
    """Write the fitted 50 % points and widths beside the predictions as lines of text.

    Parameters
    ----------
    tables : dict
        Of `measure_recovery`.

    Returns
    -------
    str
        For each signal a line with the prediction and one for each method.
    """
    lines = []
    for kind, own in groups(fit_cuts(tables), "signal"):
        N, s, predicted, window = (
            own[name][0] for name in ("unknowns", "nonzeros", "predicted", "window")
        )
        lines.append(
            f"{kind}: N = {N}, s = {s}: predicted 50 % point {predicted:.1f}, width {window:.1f}"
        )
        for k, method in enumerate(own["method"]):
            lines.append(
                f"  {METHODS[method]:14s} {own['midpoint'][k]:7.1f} "
                f"+- {own['midpoint_error'][k]:.1f}"
                f"   width {own['width'][k]:5.1f} +- {own['width_error'][k]:.1f}"
            )
    return "\n".join(lines)


def transition_band(grid: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the cells of a grid in which basis pursuit recovers 5 to 95 % of the instances.

    Parameters
    ----------
    grid : dict
        Rows of the part "grid" of a table of `measure_recovery`.

    Returns
    -------
    dict of str to ndarray
        Some of the rows. Cells with s > M, which are not run, are never among them.
    """
    rate = grid["basis_pursuit"] / grid["trials"]
    return select(grid, where=(rate >= 0.05) & (rate <= 0.95))


def describe_grids(tables: dict[str, dict[str, np.ndarray]]) -> str:
    """Write on how many instances of the grids flow and basis pursuit differ as lines of text.

    Parameters
    ----------
    tables : dict
        Of `measure_recovery`.

    Returns
    -------
    str
        Three lines for each signal.
    """
    lines = []
    for kind, table in tables.items():
        grid = select(table, part="grid")
        ran = grid["trials"][grid["nonzeros"] <= grid["measurements"]].sum()
        band = transition_band(grid)
        flat = int((grid["depth_1"] * (grid["measurements"] < grid["unknowns"])).sum())
        lines.append(
            f"{kind} grid: {ran} instances with s <= M; flow and basis pursuit differ on "
            f"{grid['differ_2'].sum()} (L = 2, alpha = 1e{grid['log10_alpha_2'][0]:g}), "
            f"{grid['differ_3'].sum()} (L = 3, alpha = 1e{grid['log10_alpha_3'][0]:g});"
        )
        lines.append(
            f"  of {band['trials'].sum()} in cells where basis pursuit recovers 5 to 95 %: "
            f"{band['differ_2'].sum()} (L = 2), {band['differ_3'].sum()} (L = 3);"
        )
        lines.append(
            f"  depth 1 recovers {flat} with M < N; linear programs solved: "
            f"{grid['lp_solves'].sum()}"
        )
    return "\n".join(lines)


def checks(
    tables: dict[str, dict[str, np.ndarray]],
    scales: dict[str, np.ndarray],
    deep: float = 0.01,
    shallow: float = 0.05,
) -> list[Claim]:
    """Return what the recovery rates say about S14.

    Parameters
    ----------
    tables : dict
        Of `measure_recovery`.
    scales : dict
        Of `measure_scales`, for the rival of depth 2.
    deep, shallow : float, optional
        Shares of instances on which depth 3 (in the transition of the grid, default: 0.01) and
        depth 2 (in each cell of the cut, default: 0.05, and 3 standard errors of that share) may
        disagree with basis pursuit.

    Returns
    -------
    list of Claim
        For each signal, one of each: 50 % points of the cut, their widths, 50 % points as N grows,
        their slope in log N; 50 % points along both grids; for each signal again chi-square of the
        whole curve, depth 3 on the grid, depth 2 on the cut; each with its rival.
    """
    cuts, growths, curves, grids, shares = [], [], [], [], []
    widths, rises = [], []
    cut_fits, growth_fits, grid_fits = fit_cuts(tables), fit_growth(tables), fit_grid(tables)
    slopes = growth_slopes(growth_fits)
    for kind, table in tables.items():
        grid, cut, growth = (select(table, part=part) for part in ("grid", "cut", "growth"))
        (other,) = set(KINDS) - {kind}
        rival = f"N delta(s/N) of {other} signals"
        fits = select(cut_fits, signal=kind)
        cuts.append(
            Claim(
                "S14",
                f"50 % point of recovery, {kind} cut: |measured - N delta(s/N)| within 3 standard"
                " errors + 1, L = 2, 3 and basis pursuit (margin relative)",
                fits["margin"],
                rival,
                fits["other_margin"],
                instances=int(cut["trials"].sum()),
            )
        )
        widths.append(
            Claim(
                "S14",
                f"width of the transition, {kind} cut: |probit fit - sigma| within 3 standard"
                " errors, L = 2, 3 and basis pursuit (margin relative)",
                fits["width_margin"],
                "sigma without the term -2 N delta",
                fits["cone_margin"],
                instances=int(cut["trials"].sum()),
            )
        )
        slope = select(slopes, signal=kind)
        rises.append(
            Claim(
                "S14",
                f"growth of the 50 % point of depth 3 with log N, {kind}, s fixed: |slope - that of"
                " N delta(s/N)| within 3 standard errors + 1 measurement over all N"
                " (margin relative)",
                1 - np.abs(slope["slope"] - slope["predicted"]) / slope["allowed"],
                "slope 2 s, that of the leading order 2 s log(N/s)",
                1 - np.abs(slope["slope"] - 2 * slope["nonzeros"]) / slope["allowed"],
                instances=int(growth["trials"].sum()),
            )
        )
        fits = select(growth_fits, signal=kind)
        growths.append(
            Claim(
                "S14",
                f"50 % point of depth 3 as N grows, {kind}, s fixed: |measured - N delta(s/N)|"
                " within 3 standard errors + 1 (margin relative to this)",
                fits["margin"],
                rival,
                fits["other_margin"],
                instances=int(growth["trials"].sum()),
            )
        )
        allowed = chi2.isf(1e-3, len(cut["trials"]))
        curves.append(
            Claim(
                "S14",
                f"recovery on the {kind} cut is Phi((M - N delta)/sigma), nothing fitted, L = 2, 3"
                " and basis pursuit: chi-square below its 99.9 % quantile (margin relative)",
                [1 - chi_square(cut, kind, method) / allowed for method in METHODS],
                "with a transition half as wide",
                [1 - chi_square(cut, kind, method, 0.5) / allowed for method in METHODS],
                instances=int(cut["trials"].sum()),
            )
        )
        band = transition_band(grid)
        count = int(band["trials"].sum())
        grids.append(
            Claim(
                "S14",
                f"where basis pursuit recovers 5 to 95 % of the {kind} grid's cells, depth 3 and it"
                f" disagree on at most {100 * deep:g} % of the instances"
                f" (margin: {deep:g} - share)",
                [deep - int(band["differ_3"].sum()) / count] if count else [np.nan],
                "depth 1 too",
                [deep - int(band["differ_1"].sum()) / count] if count else [np.nan],
                instances=max(count, 1),
            )
        )
        largest = select(scales, signal=kind, log10_alpha=scales["log10_alpha"].max())
        shares.append(
            Claim(
                "S14",
                f"depth 2 at alpha = 1e{cut['log10_alpha_2'][0]:g} and basis pursuit disagree on at"
                f" most {100 * shallow:g} % (+ 3 standard errors) of the instances of any cell of"
                f" the {kind} cut (margin: this - share)",
                _most(shallow, cut["trials"]) - cut["differ_2"] / cut["trials"],
                f"alpha = 1e{largest['log10_alpha'][0]:g} is small enough",
                _most(shallow, largest["trials"]) - largest["differ"] / largest["trials"],
                instances=int(cut["trials"].sum()),
            )
        )
    along = Claim(
        "S14",
        "50 % point of depth 3 as s grows, both grids, each s up to N/2 whose counts fix a curve:"
        " |measured - N delta(s/N)| within 3 standard errors + 1 (margin relative)",
        grid_fits["margin"],
        "s^2 log(N/s), the order that earlier guarantees ask for, right at the smallest s",
        grid_fits["square_margin"] if len(grid_fits["square_margin"]) else [np.nan],
        instances=max(len(grid_fits["margin"]), 1),
    )
    return [*cuts, *widths, *growths, *rises, along, *curves, *grids, *shares]


def _most(share, trials):
    """Return a share and 3 standard errors of its estimate."""
    return share + 3 * np.sqrt(share * (1 - share) / trials)
