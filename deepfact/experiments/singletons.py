"""Problems with one nonnegative solution, and the flow's limits on them: statement S6."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.tables import from_rows, groups, select
from deepfact.limit import flow_limit
from deepfact.problem import Problem

SINGLETON_KINDS = ("gaussian", "row of ones")
"""Ensembles of `singleton_problem`."""
SMALLEST_SLACK = 1e-6
"""A certificate of larger slack proves that the feasible set is a single point."""


def singleton_problem(
    kind: str, M: int, N: int, s: int, seed: int | np.random.SeedSequence
) -> tuple[Problem, float]:
    """Draw a problem with a sparse nonnegative signal, and test that no other one fits.

    Parameters
    ----------
    kind : {"gaussian", "row of ones"}
        Gaussian matrix, or one whose first row is replaced by ones.
    M, N, s : int
        Measurements, unknowns, nonzeros of the signal (uniform on [1/2, 3/2]).
    seed : int or SeedSequence
        Source of randomness.

    Returns
    -------
    problem : Problem
        The problem with its signal.
    slack : float
        Largest t such that some eta with norm(eta, inf) <= 1 has A_S^T eta = 0 on the support and
        A^T eta >= t off it. If t > 0 and A_S is injective, the signal is the only nonnegative
        solution: any other z has 0 = <eta, A z - y> >= t sum_{i not in S} z_i.

    Raises
    ------
    ValueError
        If `kind` is neither of the two.
    """
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((M, N)) / np.sqrt(M)
    if kind == "row of ones":
        A[0] = 1 / np.sqrt(M)
    elif kind != "gaussian":
        raise ValueError(f"kind must be one of {SINGLETON_KINDS}, got {kind!r}")
    x = np.zeros(N)
    support = rng.choice(N, size=s, replace=False)
    x[support] = rng.uniform(0.5, 1.5, size=s)
    off = np.setdiff1d(np.arange(N), support)
    result = linprog(
        np.append(np.zeros(M), -1.0),
        A_ub=np.column_stack([-A[:, off].T, np.ones(N - s)]),
        b_ub=np.zeros(N - s),
        A_eq=np.column_stack([A[:, support].T, np.zeros(s)]),
        b_eq=np.zeros(s),
        bounds=[(-1, 1)] * M + [(None, None)],
    )
    slack = float(result.x[-1]) if result.success else 0.0
    if np.linalg.matrix_rank(A[:, support]) < s:
        slack = 0.0
    return Problem(A, A @ x, x), slack


def measure_singletons(
    sizes: list[tuple[int, int, int]],
    trials: int,
    depths: list[float],
    alphas: list[float],
    seed: int,
) -> dict[str, np.ndarray]:
    """Compute limits from small and large init scales for both ensembles of `singleton_problem`.

    Parameters
    ----------
    sizes : list of tuple of int
        (M, N, s) of the problems.
    trials : int
        Problems of each size and ensemble.
    depths : list of float
        Numbers L of factors.
    alphas : list of float
        Init scales (infinite depth: mu).
    seed : int
        Seed; each problem has its own stream.

    Returns
    -------
    dict of str to ndarray
        A row for each problem, depth and init scale: ``problem``, its number; ``kind``;
        ``singleton``, whether the feasible set is a single point, ``slack`` of its certificate;
        ``depth``; ``alpha``; ``error`` = norm(x_inf - x*)/norm(x*), NaN where the limit was not
        found.
    """
    cases = [(kind, *size) for kind in SINGLETON_KINDS for size in sizes for _ in range(trials)]
    seeds = np.random.SeedSequence(seed).spawn(len(cases))
    rows = []
    for i, (case, stream) in enumerate(zip(cases, seeds, strict=True)):
        problem, slack = singleton_problem(*case, stream)
        for depth in depths:
            for alpha in alphas:
                limit = flow_limit(problem, DeepFactorization(depth, alpha, signed=False))
                distance = np.linalg.norm(limit.x - problem.x_true)
                rows.append(
                    {
                        "problem": i,
                        "kind": case[0],
                        "singleton": slack > SMALLEST_SLACK,
                        "slack": slack,
                        "depth": float(depth),
                        "alpha": float(alpha),
                        "error": distance / np.linalg.norm(problem.x_true)
                        if limit.success
                        else np.nan,
                    }
                )
    return from_rows(rows)


def describe_singletons(singles: dict[str, np.ndarray]) -> str:
    """Write the largest errors with one and with many feasible points, by init scale.

    Parameters
    ----------
    singles : dict of str to ndarray
        From `measure_singletons`.

    Returns
    -------
    str
        A line for each init scale.
    """
    problems = groups(singles, "problem", "singleton")
    lines = [
        f"{sum(single for _, single, _ in problems)} of {len(problems)} "
        "feasible sets are single points\n",
        " alpha    largest error, one feasible point    largest error, many",
    ]
    for alpha, here in groups(singles, "alpha"):
        one, many = (select(here, singleton=flag)["error"] for flag in (True, False))
        rest = f"{np.nanmax(many):10.1e}" if len(many) else "-"
        lines.append(f"{alpha:6g} {np.max(one):20.0e} {rest:>31}")
    return "\n".join(lines)
