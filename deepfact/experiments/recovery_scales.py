"""What a finite init scale of depth 2 does to recovery: statements S7 and S14."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.recovery_table import TOLERANCE
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.limit import flow_limit
from deepfact.problem import gaussian_problem
from deepfact.recovery import recovery_trial
from deepfact.statuses import require

__all__ = ["depth_two_by_scale", "describe_scales", "measure_scales", "scale_shifts"]


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
        deep = ("depth 3", "basis pursuit")
        (_, exact), _ = recovery_trial(M, N, s, signed, pair, TOLERANCE, sequence, deep)
        problem = gaussian_problem(M, N, s, np.random.default_rng(sequence), signed=signed)
        for k, scale in enumerate(scales):
            model = DeepFactorization(2, signed=signed, log_alpha=float(scale))
            limit = flow_limit(problem, model)
            require(limit)
            error = np.linalg.norm(limit.x - problem.x_true)
            recovered = error <= TOLERANCE * np.linalg.norm(problem.x_true)
            counts["recovered"][k] += recovered
            counts["differ"][k] += recovered != exact
            counts["basis_pursuit"][k] += exact
    return counts


def measure_scales(
    tables: dict[str, dict[str, np.ndarray]], trials: int, log10_alphas: list[float]
) -> dict[str, np.ndarray]:
    """Measure on each cell of the cuts what depth 2 recovers from several init scales.

    Parameters
    ----------
    tables : dict
        Of `measurements.measure_recovery`: cells and seed are those of its cuts.
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


def scale_shifts(scales: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Measure how far an init scale of depth 2 shifts the transition on the cuts.

    Parameters
    ----------
    scales : dict
        Of `measure_scales`.

    Returns
    -------
    dict of str to ndarray
        A row for each signal and init scale: ``signal``, ``unknowns``, ``nonzeros``,
        ``log10_alpha``, ``instances``; ``differ``, on how many depth 2 and basis pursuit disagree;
        ``shift``, the area between their recovery curves, in measurements.
    """
    rows = []
    for kind, N, s, log10_alpha, at in groups(
        scales, "signal", "unknowns", "nonzeros", "log10_alpha"
    ):
        lost = (at["basis_pursuit"] - at["recovered"]) / at["trials"]
        rows.append(
            {
                "signal": kind,
                "unknowns": N,
                "nonzeros": s,
                "log10_alpha": log10_alpha,
                "instances": int(at["trials"].sum()),
                "differ": int(at["differ"].sum()),
                "shift": float(np.trapezoid(lost, at["measurements"])),
            }
        )
    return from_rows(rows)


def describe_scales(tables: dict[str, dict[str, np.ndarray]], scales: dict[str, np.ndarray]) -> str:
    """Write what a finite init scale does at depth 2 as lines of text.

    Parameters
    ----------
    tables : dict
        Of `measurements.measure_recovery`.
    scales : dict
        Of `measure_scales`.

    Returns
    -------
    str
        For each signal a header, a line for each init scale with the shift of `scale_shifts`, and
        the share on the whole cut.
    """
    lines = []
    for kind, own in groups(scale_shifts(scales), "signal"):
        N, s, count = (own[name][0] for name in ("unknowns", "nonzeros", "instances"))
        lines.append(f"{kind}, N = {N}, s = {s}, {count} instances: L = 2 beside basis pursuit")
        lines += [
            f"  alpha = 1e{log10_alpha:<5g} differs on {differ:3d};"
            f" transition shifted by {shift:5.1f} measurements"
            for log10_alpha, differ, shift in zip(
                own["log10_alpha"], own["differ"], own["shift"], strict=True
            )
        ]
        cut = select(tables[kind], part="cut")
        share = cut["differ_2"].sum() / cut["trials"].sum()
        lines.append(
            f"  the whole cut, alpha = 1e{cut['log10_alpha_2'][0]:g}: "
            f"differs on {100 * share:.1f} %"
        )
    return "\n".join(lines)
