"""How many measurements: recovery rates on a grid, on a cut, and as the dimension grows (S14)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import beta

from deepfact.arguments import as_count
from deepfact.deep_factorization import DeepFactorization
from deepfact.limit import flow_limit
from deepfact.problem import gaussian_problem
from deepfact.recovery import PhaseTransition, phase_transition, recovery_trial
from deepfact.theory import recovery_threshold, recovery_window

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
)
_COUNTS = COLUMNS[1:]
PARTS = ("grid", "cut", "growth")


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


def cut_cells(N: int, s: int, points: int, nonnegative: bool) -> list[tuple[int, int]]:
    """Return cells across the predicted transition at one sparsity.

    Parameters
    ----------
    N, s : int
        Unknowns and nonzeros.
    points : int
        Number of cells.
    nonnegative : bool
        Nonnegative or signed vectors.

    Returns
    -------
    list of (int, int)
        M from three predicted widths below the predicted threshold to three above.
    """
    centre = recovery_threshold(s, N, nonnegative)
    width = 3 * recovery_window(s, N, nonnegative)
    values = np.rint(np.linspace(centre - width, centre + width, points)).astype(int)
    return [(int(M), s) for M in np.unique(np.clip(values, 1, N))]


def recovery_table(
    nonnegative: bool,
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
    nonnegative : bool
        Nonnegative vectors and positive model, or signed ones.
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
    cut = cut_cells(cut_unknowns, cut_nonzeros, cut_points, nonnegative)
    parts.append(("cut", cut_unknowns, cut, cut_trials))
    for N in sorted(growth_unknowns):
        cells = cut_cells(int(N), growth_nonzeros, growth_points, nonnegative)
        parts.append(("growth", int(N), cells, growth_trials))
    rows: dict[str, list] = {name: [] for name in COLUMNS}
    for part, N, cells, count in _share(parts, chunk, chunks):
        result = phase_transition(
            N, cells, count, nonnegative, scales, 1e-3, seed, workers, checkpoint
        )
        _append(rows, part, result)
    return {name: np.array(values) for name, values in rows.items()}


def _share(parts: list[tuple], chunk: int, chunks: int) -> list[tuple]:
    """Keep one cell in ``chunks``, dealt by cost, so that all shares take about equal time."""
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


def _append(rows: dict[str, list], part: str, result: PhaseTransition) -> None:
    for k in range(len(result.M)):
        values = (part, result.N, result.M[k], result.s[k], result.trials)
        values += (*result.recovered[k], *result.disagreements[k], result.lp_solves[k])
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


def depth_two_by_scale(
    M: int,
    N: int,
    s: int,
    trials: int,
    nonnegative: bool,
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
    nonnegative : bool
        Nonnegative or signed vectors.
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
    ArithmeticError
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
        found, _ = recovery_trial(M, N, s, nonnegative, pair, 1e-3, sequence)
        problem = gaussian_problem(M, N, s, np.random.default_rng(sequence), nonnegative)
        for k, scale in enumerate(scales):
            model = DeepFactorization(2, signed=not nonnegative, log_alpha=float(scale))
            limit = flow_limit(problem, model)
            if not limit.success:
                raise ArithmeticError(f"depth 2: {limit.message}")
            error = np.linalg.norm(limit.x - problem.x_true)
            recovered = error <= 1e-3 * np.linalg.norm(problem.x_true)
            counts["recovered"][k] += recovered
            counts["differ"][k] += recovered != found[3]
            counts["basis_pursuit"][k] += found[3]
    return counts


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
        A column for each of `COLUMNS`; counts as int64.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    table = {"part": np.array([row["part"] for row in rows])}
    counts = {name: [int(row[name]) for row in rows] for name in _COUNTS}
    return table | {name: np.array(values, dtype=np.int64) for name, values in counts.items()}


@dataclass(frozen=True)
class LogisticFit:
    """P(recovery) = 1/(1 + exp(-(M - midpoint)/scale)), fitted by maximum likelihood.

    Parameters
    ----------
    midpoint, midpoint_error : float
        The 50 % point and its standard error.
    width, width_error : float
        Standard deviation of the normal law with the same slope at the 50 % point,
        scale * 4/sqrt(2 pi), and its standard error.
    """

    midpoint: float
    midpoint_error: float
    width: float
    width_error: float


def logistic_fit(M: np.ndarray, recovered: np.ndarray, trials: np.ndarray) -> LogisticFit:
    """Fit a logistic curve to recovery counts.

    Parameters
    ----------
    M : ndarray of shape (points,)
        Measurements.
    recovered, trials : ndarray of shape (points,)
        Successes and instances.

    Returns
    -------
    LogisticFit
        With standard errors from the Fisher information.

    Raises
    ------
    ValueError
        If all trials or none succeeded: there is no transition to fit.
    """
    M, recovered, trials = (np.asarray(v, dtype=np.float64) for v in (M, recovered, trials))
    if not 0 < recovered.sum() < trials.sum():
        raise ValueError("recovered must have both successes and failures, got one kind only")
    centre, spread = M.mean(), max(float(np.ptp(M)), 1.0)
    z = (M - centre) / spread

    def loss(b):
        t = b[0] + b[1] * z
        return np.sum(trials * np.logaddexp(0, t) - recovered * t)

    def slope(b):
        t = trials * expit(b[0] + b[1] * z) - recovered
        return np.array([t.sum(), t @ z])

    b = minimize(loss, np.array([0.0, 5.0]), jac=slope, method="BFGS").x
    chance = expit(b[0] + b[1] * z)
    weight = trials * chance * (1 - chance)
    information = np.array([[weight.sum(), weight @ z], [weight @ z, weight @ z**2]])
    covariance = np.linalg.inv(information)
    midpoint = centre - spread * b[0] / b[1]
    gradient = spread * np.array([-1 / b[1], b[0] / b[1] ** 2])
    width = spread / b[1] * 4 / np.sqrt(2 * np.pi)
    return LogisticFit(
        midpoint=float(midpoint),
        midpoint_error=float(np.sqrt(gradient @ covariance @ gradient)),
        width=float(width),
        width_error=float(width / b[1] * np.sqrt(covariance[1, 1])),
    )


def binomial_interval(
    recovered: np.ndarray, trials: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return the Clopper-Pearson interval of a success probability.

    Parameters
    ----------
    recovered, trials : ndarray
        Successes and instances.
    level : float, optional
        Confidence level (default: 0.95).

    Returns
    -------
    tuple of ndarray
        Lower and upper ends.
    """
    recovered, trials = np.asarray(recovered), np.asarray(trials)
    tail = (1 - level) / 2
    lower = beta.ppf(tail, np.maximum(recovered, 0.5), trials - recovered + 1)
    upper = beta.ppf(1 - tail, recovered + 1, np.maximum(trials - recovered, 0.5))
    return np.where(recovered == 0, 0.0, lower), np.where(recovered == trials, 1.0, upper)


def threshold_tolerance(N: int, s: int, error: float) -> float:
    """Return how far the measured 50 % point may lie from N delta(s/N).

    N delta(s/N) exceeds the statistical dimension by at most 2 sqrt(N/s) (Amelunxen, Lotz, McCoy,
    Tropp 2014); three standard errors of the fit and one measurement for rounding are added.

    Parameters
    ----------
    N, s : int
        Unknowns and nonzeros.
    error : float
        Standard error of the fitted 50 % point.

    Returns
    -------
    float
        In measurements.

    Notes
    -----
    Statement S14 of ``docs/statements.md``.
    """
    return float(2 * np.sqrt(N / s) + 3 * error + 1)
