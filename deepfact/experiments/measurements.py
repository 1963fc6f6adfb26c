"""How many measurements the flow needs: statement S14."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2

from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.measurements_figure import figure, figure_data
from deepfact.experiments.recovery_fits import METHODS, chi_square, fit_cuts, fit_growth
from deepfact.experiments.recovery_table import (
    TOLERANCE,
    join_tables,
    load_table,
    recovery_table,
    save_table,
)
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.limit import flow_limit
from deepfact.problem import gaussian_problem
from deepfact.recovery import recovery_trial
from deepfact.statuses import require

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


def depth_two_by_scale(
    M: int,
    N: int,
    s: int,
    trials: int,
    signed: bool,
    log10_alphas: list[float],
    seed: int,
) -> dict[str, np.ndarray]:
    """Count on one cell what depth 2 recovers from several init scales, beside basis pursuit.

    Parameters
    ----------
    M, N, s : int
        Measurements, unknowns, nonzeros.
    trials : int
        Instances: the first ones of the cell in `phase_transition`.
    signed : bool
        Signed or nonnegative vectors.
    log10_alphas : list of float
        K init scales of depth 2.
    seed : int
        The experiment's seed.

    Returns
    -------
    dict of str to ndarray of int, shape (K,)
        ``recovered``, how many depth 2 recovers; ``differ``, on how many it and basis pursuit
        disagree; ``basis_pursuit``, how many that recovers (K times the same number).

    Raises
    ------
    RuntimeError
        If a limit does not converge.

    Notes
    -----
    Statements S7 and S14 of ``docs/statements.md``: depth 2 leaves an error alpha^(2(1-rho)).
    """
    names = ("recovered", "differ", "basis_pursuit")
    counts = {name: np.zeros(len(log10_alphas), dtype=int) for name in names}
    scales = np.log(10) * np.asarray(log10_alphas, dtype=float)
    for trial in range(trials):
        sequence = np.random.SeedSequence(seed, spawn_key=(N, M, s, trial))
        pair = (float(scales[-1]), np.log(1e-5))
        found, _ = recovery_trial(M, N, s, signed, pair, TOLERANCE, sequence)
        problem = gaussian_problem(M, N, s, np.random.default_rng(sequence), signed=signed)
        for k, scale in enumerate(scales):
            model = DeepFactorization(2, signed=signed, log_alpha=float(scale))
            limit = flow_limit(problem, model)
            require(limit)
            error = np.linalg.norm(limit.x - problem.x_true)
            recovered = error <= TOLERANCE * np.linalg.norm(problem.x_true)
            counts["recovered"][k] += recovered
            counts["differ"][k] += recovered != found[3]
            counts["basis_pursuit"][k] += found[3]
    return counts


def measure_scales(
    tables: dict[str, dict[str, np.ndarray]], trials: int, log10_alphas: list[float]
) -> dict[str, np.ndarray]:
    """Measure on each cell of the cuts what depth 2 recovers from several init scales.

    Parameters
    ----------
    tables : dict
        Of `measure_recovery`: cells and seed are those of its cuts.
    trials : int
        Instances of each cell, the first ones of the cut; at most as many as that has.
    log10_alphas : list of float
        Init scales of depth 2.

    Returns
    -------
    dict of str to ndarray
        A row for each cell and init scale: ``signal``, ``unknowns``, ``nonzeros``,
        ``measurements``, ``trials``, ``log10_alpha``, ``recovered``, ``differ`` and
        ``basis_pursuit`` of `depth_two_by_scale`.
    """
    rows = []
    for kind, table in tables.items():
        for M, N, s, at in groups(
            select(table, part="cut"), "measurements", "unknowns", "nonzeros"
        ):
            count, seed = min(trials, int(at["trials"][0])), int(at["seed"][0])
            found = depth_two_by_scale(M, N, s, count, kind == "signed", log10_alphas, seed)
            rows += [
                {
                    "signal": kind,
                    "unknowns": N,
                    "nonzeros": s,
                    "measurements": M,
                    "trials": count,
                    "log10_alpha": float(log10_alphas[k]),
                    **{name: int(values[k]) for name, values in found.items()},
                }
                for k in range(len(log10_alphas))
            ]
    return from_rows(rows)


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


def describe_grids(tables: dict[str, dict[str, np.ndarray]]) -> str:
    """Write on how many instances of the grids flow and basis pursuit differ as lines of text.

    Parameters
    ----------
    tables : dict
        Of `measure_recovery`.

    Returns
    -------
    str
        Two lines for each signal.
    """
    lines = []
    for kind, table in tables.items():
        grid = select(table, part="grid")
        ran = grid["trials"][grid["nonzeros"] <= grid["measurements"]].sum()
        flat = int((grid["depth_1"] * (grid["measurements"] < grid["unknowns"])).sum())
        lines.append(
            f"{kind} grid: {ran} instances with s <= M; flow and basis pursuit differ on "
            f"{grid['differ_2'].sum()} (L = 2, alpha = 1e{grid['log10_alpha_2'][0]:g}), "
            f"{grid['differ_3'].sum()} (L = 3, alpha = 1e{grid['log10_alpha_3'][0]:g});"
        )
        lines.append(
            f"  depth 1 recovers {flat} with M < N; linear programs solved: "
            f"{grid['lp_solves'].sum()}"
        )
    return "\n".join(lines)


def describe_scales(tables: dict[str, dict[str, np.ndarray]], scales: dict[str, np.ndarray]) -> str:
    """Write what a finite init scale does at depth 2 as lines of text.

    Parameters
    ----------
    tables : dict
        Of `measure_recovery`.
    scales : dict
        Of `measure_scales`.

    Returns
    -------
    str
        For each signal a header, a line for each init scale, and the share on the whole cut. The
        shift of the transition is the area between the recovery curves of basis pursuit and depth
        2.
    """
    lines = []
    for kind, N, s, own in groups(scales, "signal", "unknowns", "nonzeros"):
        count = select(own, log10_alpha=own["log10_alpha"][0])["trials"].sum()
        lines.append(f"{kind}, N = {N}, s = {s}, {count} instances: L = 2 beside basis pursuit")
        for log10_alpha, at in groups(own, "log10_alpha"):
            lost = (at["basis_pursuit"] - at["recovered"]) / at["trials"]
            shift = np.trapezoid(lost, at["measurements"])
            lines.append(
                f"  alpha = 1e{log10_alpha:<5g} differs on {at['differ'].sum():3d};"
                f" transition shifted by {shift:5.1f} measurements"
            )
        cut = select(tables[kind], part="cut")
        share = cut["differ_2"].sum() / cut["trials"].sum()
        lines.append(
            f"  the whole cut, alpha = 1e{cut['log10_alpha_2'][0]:g}: "
            f"differs on {100 * share:.1f} %"
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
        For each signal, one of each: 50 % points of the cut, their growth, chi-square of the whole
        curve, depth 3 on the grid, depth 2 on the cut; each with its rival.
    """
    cuts, growths, curves, grids, shares = [], [], [], [], []
    cut_fits, growth_fits = fit_cuts(tables), fit_growth(tables)
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
        rate = grid["basis_pursuit"] / grid["trials"]
        band = select(grid, where=(rate >= 0.05) & (rate <= 0.95))
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
    return [*cuts, *growths, *curves, *grids, *shares]


def _most(share, trials):
    """Return a share and 3 standard errors of its estimate."""
    return share + 3 * np.sqrt(share * (1 - share) / trials)
