"""Columns (1, ..., 1, 1 + delta), which come near to the sharper bound S3 on the l1 gap."""

from __future__ import annotations

import numpy as np

from deepfact import theory
from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.tables import from_rows, groups
from deepfact.experiments.worst_delta import worst_delta
from deepfact.limit import flow_limit
from deepfact.problem import Problem


def hard_problem(N: int, delta: float, Q: float = 1.0, unreachable: float = 0.0) -> Problem:
    """Return a problem of one measurement, with N - 1 columns almost as good as the last one.

    Parameters
    ----------
    N : int
        Number of unknowns, at least 2.
    delta : float
        By how much the last column is longer, positive.
    Q : float, optional
        Least l1 norm (default: 1).
    unreachable : float, optional
        If not 0, a second measurement of this size that no signal changes: there is no feasible
        point (default: 0).

    Returns
    -------
    Problem
        With the minimiser (0, ..., 0, Q).
    """
    A = np.ones((1, N))
    A[0, -1] += delta
    y = A[0, -1:] * Q
    if unreachable:
        A, y = np.vstack([A, np.zeros(N)]), np.append(y, unreachable)
    x = np.zeros(N)
    x[-1] = Q
    return Problem(A, y, x)


def measure_hard_columns(
    N: int,
    depths: list[float],
    log10_ratios: list[float],
    signed: bool = True,
    Q: float = 1.0,
    unreachable: float = 0.0,
) -> dict[str, np.ndarray]:
    """Maximise the gap of `flow_limit` on `hard_problem` over delta.

    Parameters
    ----------
    N : int
        Number of unknowns, at least 2.
    depths : list of float
        Numbers L of factors, finite.
    log10_ratios : list of float
        Init scales as log10(Q/a), a = alpha^L, such that the worst delta is well above rounding.
    signed : bool, optional
        Signed or positive model (default: True).
    Q : float, optional
        Least l1 norm (default: 1).
    unreachable : float, optional
        As for `hard_problem` (default: 0).

    Returns
    -------
    dict of str to ndarray
        A row for each depth and init scale: ``depth``, ``log10_ratio``, ``N``, the worst ``delta``;
        as multiples of Q the ``gap`` there and the sharper ``bound`` S3 (docs/statements.md).
    """
    wanted = "infeasible" if unreachable else "converged"
    rows = []
    for depth in depths:
        for log10_ratio in log10_ratios:
            log_alpha = (np.log(Q) - np.log(10) * log10_ratio) / depth
            model = DeepFactorization(depth, log_alpha=float(log_alpha), signed=signed)

            def gap(log_delta, model=model):
                problem = hard_problem(N, float(np.exp(log_delta)), Q, unreachable)
                delta = problem.A[0, -1] - 1  # as it is in the matrix
                with np.errstate(invalid="ignore", over="ignore"):
                    limit = flow_limit(problem, model)
                # ||x||_1 - Q without cancellation, since sum_i A_i x_i = (1 + delta) Q.
                small = np.sum(np.abs(limit.x[:-1]))
                return small * delta / (1 + delta) if limit.status == wanted else np.nan

            log_ratio = max(np.log(10) * log10_ratio - np.log(N), 1.0)
            centre = -np.log(log_ratio) if depth == 2 else -(1 - 2 / depth) * log_ratio
            grid = centre + np.linspace(-4.0, 4.0, 17)
            worst, delta = worst_delta(gap, grid)
            bound = theory.l1_gap_bound_sharp(Q, N, depth, log_alpha=log_alpha, signed=signed)
            rows.append(
                {
                    "depth": float(depth),
                    "log10_ratio": float(log10_ratio),
                    "N": N,
                    "delta": delta,
                    "gap": worst / Q,
                    "bound": bound / Q,
                }
            )
    return from_rows(rows)


def describe_hard_columns(hard: dict[str, np.ndarray]) -> str:
    """Write how near to the bound the hard columns come.

    Parameters
    ----------
    hard : dict of str to ndarray
        From `measure_hard_columns`.

    Returns
    -------
    str
        A line for each depth.
    """
    lines = ["(1, ..., 1, 1 + delta) at the worst delta, share of the sharper bound S3:"]
    for depth, rows in groups(hard, "depth"):
        share = rows["gap"] / rows["bound"]
        lines.append(f"L = {depth:g}, N = {rows['N'][0]}: {share.min():.2f} to {share.max():.2f}")
    return "\n".join(lines)
