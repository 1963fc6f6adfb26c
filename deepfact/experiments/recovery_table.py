"""Recovery rates on a grid, on a cut, and as the dimension grows, measured in chunks (S14)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from deepfact.arguments import as_count
from deepfact.recovery import PhaseTransition, phase_transition
from deepfact.theory import recovery_threshold, recovery_window

__all__ = [
    "COLUMNS",
    "TOLERANCE",
    "cut_cells",
    "grid_cells",
    "join_tables",
    "load_table",
    "recovery_table",
    "save_table",
    "share_cells",
]

COLUMNS = (
    "part",
    "unknowns",
    "measurements",
    "nonzeros",
    "trials",
    "depth_1",
    "depth_2",
    "depth_3",
    "basis_pursuit",
    "differ_1",
    "differ_2",
    "differ_3",
    "lp_solves",
    "log10_alpha_2",
    "log10_alpha_3",
    "tolerance",
    "seed",
)
FLOATS = ("log10_alpha_2", "log10_alpha_3", "tolerance")
PARTS = ("grid", "cut", "growth")
TOLERANCE = 1e-3
"""Relative l2 error up to which a vector counts as recovered."""


def grid_cells(N: int, side: int) -> list[tuple[int, int]]:
    """Return the cells (M, s) of a grid with ``side`` values each, up to N.

    Parameters
    ----------
    N : int
        Number of unknowns.
    side : int
        Cells along each axis.

    Returns
    -------
    list of (int, int)
        M and s take the values round(N k/side), k = 1, ..., side.
    """
    values = np.unique(np.rint(N * np.arange(1, side + 1) / side).astype(int))
    return [(int(M), int(s)) for M in values for s in values]


def cut_cells(N: int, s: int, points: int, signed: bool) -> list[tuple[int, int]]:
    """Return cells across the predicted transition at one sparsity.

    Parameters
    ----------
    N, s : int
        Unknowns and nonzeros.
    points : int
        Number of cells.
    signed : bool
        Signed or nonnegative vectors.

    Returns
    -------
    list of (int, int)
        M from three predicted widths below the predicted threshold to three above.
    """
    centre = recovery_threshold(s, N, signed=signed)
    width = 3 * recovery_window(s, N, signed=signed)
    values = np.rint(np.linspace(centre - width, centre + width, points)).astype(int)
    return [(int(M), s) for M in np.unique(np.clip(values, 1, N))]


def recovery_table(
    signed: bool,
    seed: int,
    unknowns: int,
    side: int,
    trials: int,
    cut_unknowns: int,
    cut_nonzeros: int,
    cut_points: int,
    cut_trials: int,
    growth_unknowns: list[int],
    growth_nonzeros: int,
    growth_points: int,
    growth_trials: int,
    log10_alpha_2: float,
    log10_alpha_3: float,
    workers: int | None = None,
    checkpoint: str | Path | None = None,
    chunk: int = 0,
    chunks: int = 1,
) -> dict[str, np.ndarray]:
    """Run the three experiments: the grid, the cut and the growth with N; or a share of them.

    Parameters
    ----------
    signed : bool
        Signed vectors and model, or nonnegative vectors and the positive model.
    seed : int
        Seed; equal instances for every method.
    unknowns, side, trials : int
        Grid: N, cells a side, instances a cell.
    cut_unknowns, cut_nonzeros, cut_points, cut_trials : int
        Cut: N, s, number of M and instances each.
    growth_unknowns : list of int
        Growth: the values of N.
    growth_nonzeros, growth_points, growth_trials : int
        Growth: s, number of M and instances each.
    log10_alpha_2, log10_alpha_3 : float
        Init scales of depth 2 and depth 3.
    workers : int, optional
        Processes (default: one a core).
    checkpoint : path, optional
        File that collects finished cells.
    chunk, chunks : int, optional
        Run the share ``chunk`` = 0, ..., ``chunks`` - 1 of the cells (default: all).

    Returns
    -------
    dict of str to ndarray
        A column for each of `COLUMNS`; a row for each cell, in the order of `join_tables`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range.
    ArithmeticError
        If a limit or a linear program could not be computed.

    Notes
    -----
    Statement S14 of ``docs/statements.md``.
    """
    if as_count("chunk", chunk, minimum=0) >= as_count("chunks", chunks, minimum=1):
        raise ValueError(f"chunk must be less than chunks = {chunks}, got {chunk}")
    counts = {
        "unknowns": unknowns,
        "side": side,
        "trials": trials,
        "cut_unknowns": cut_unknowns,
        "cut_nonzeros": cut_nonzeros,
        "cut_points": cut_points,
        "cut_trials": cut_trials,
        "growth_nonzeros": growth_nonzeros,
        "growth_points": growth_points,
        "growth_trials": growth_trials,
    }
    for name, value in counts.items():
        as_count(name, value, minimum=1)
    scales = (log10_alpha_2 * np.log(10), log10_alpha_3 * np.log(10))
    parts = [("grid", unknowns, grid_cells(unknowns, side), trials)]
    cut = cut_cells(cut_unknowns, cut_nonzeros, cut_points, signed)
    parts.append(("cut", cut_unknowns, cut, cut_trials))
    for N in sorted(growth_unknowns):
        cells = cut_cells(int(N), growth_nonzeros, growth_points, signed)
        parts.append(("growth", int(N), cells, growth_trials))
    made = (float(log10_alpha_2), float(log10_alpha_3), TOLERANCE, seed)
    rows: dict[str, list] = {name: [] for name in COLUMNS}
    for part, N, cells, count in share_cells(parts, chunk, chunks):
        result = phase_transition(
            N,
            cells,
            count,
            log_alphas=scales,
            tolerance=TOLERANCE,
            seed=seed,
            workers=workers,
            checkpoint=checkpoint,
            signed=signed,
        )
        _append(rows, part, result, made)
    return {name: np.array(values) for name, values in rows.items()}


def share_cells(parts: list[tuple], chunk: int, chunks: int) -> list[tuple]:
    """Keep one cell in ``chunks``, dealt by cost, so that all shares take about equal time.

    Parameters
    ----------
    parts : list of tuple
        Name, N, cells (M, s) and instances of each cell.
    chunk, chunks : int
        The share, and how many there are.

    Returns
    -------
    list of tuple
        The same parts with the share's cells.
    """
    costs = [
        (-count * M * M * N * (s <= M), k, M, s)  # M equations do not fix s > M: not run
        for k, (_, N, cells, count) in enumerate(parts)
        for M, s in cells
    ]
    dealt = sorted(costs)[chunk::chunks]
    return [
        (part, N, sorted((M, s) for _, j, M, s in dealt if j == k), count)
        for k, (part, N, _, count) in enumerate(parts)
    ]


def _append(rows: dict[str, list], part: str, result: PhaseTransition, made: tuple) -> None:
    for k in range(len(result.M)):
        cell = (part, result.N, result.M[k], result.s[k], result.trials)
        found = (*result.recovered[k], *result.disagreements[k], result.lp_solves[k])
        values = (*cell, *found, *made)
        for name, value in zip(COLUMNS, values, strict=True):
            rows[name].append(value)


def join_tables(tables: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Join the tables of all chunks to the one that a single run returns.

    Parameters
    ----------
    tables : list of dict of str to ndarray
        As `recovery_table` returns them.

    Returns
    -------
    dict of str to ndarray
        Grid, cut and growth; in each part by N, then M, then s.
    """
    whole = {name: np.concatenate([table[name] for table in tables]) for name in COLUMNS}
    rank = np.array([PARTS.index(part) for part in whole["part"]])
    order = np.lexsort((whole["nonzeros"], whole["measurements"], whole["unknowns"], rank))
    return {name: values[order] for name, values in whole.items()}


def save_table(table: dict[str, np.ndarray], path: str | Path) -> None:
    """Write a recovery table as CSV.

    Parameters
    ----------
    table : dict of str to ndarray
        As `recovery_table` returns it.
    path : path
        The file; its folder is made.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(*(table[name] for name in COLUMNS), strict=True))


def load_table(path: str | Path) -> dict[str, np.ndarray]:
    """Read what `save_table` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of str to ndarray
        A column for each of `COLUMNS`; counts as int64, init scales and tolerance as float64.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    table = {"part": np.array([row["part"] for row in rows])}
    for name in COLUMNS[1:]:
        kind = np.float64 if name in FLOATS else np.int64
        table[name] = np.array([row[name] for row in rows]).astype(kind)
    return table
