"""The landscape of factored least squares: where descent ends, and what its Hessian says there."""

from __future__ import annotations

import numpy as np

from deepfact.experiments.tables import from_rows
from deepfact.lifting.factored_lasso import FactoredLasso, balanced_factors, escape_eigenvalue
from deepfact.lifting.lasso import lasso_bounds, lasso_minimiser
from deepfact.problem import Problem, gaussian_problem

__all__ = ["landscape_problem", "measure_descents", "measure_saddles"]


def landscape_problem(
    M: int, N: int, s: int, share: float, rng: np.random.Generator
) -> tuple[Problem, float]:
    """Draw a Gaussian problem and the penalty that goes with it.

    Parameters
    ----------
    M, N, s : int
        Size and number of nonzeros.
    share : float
        lambda as a part of |A^T y|_inf, above which the lasso's minimiser is 0.
    rng : Generator
        Source of randomness.

    Returns
    -------
    problem : Problem
        The problem.
    penalty : float
        lambda.
    """
    problem = gaussian_problem(M, N, s, seed=rng)
    return problem, share * float(np.max(np.abs(problem.dense().T @ problem.y)))


def measure_descents(
    M: int,
    N: int,
    s: int,
    share: float,
    cases: list[list[float]],
    log10_scales: list[float],
    starts: int,
    instances: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Descend from many starts, with several depths and penalties.

    Parameters
    ----------
    M, N, s : int
        Size and number of nonzeros.
    share : float
        lambda, see `landscape_problem`.
    cases : list of [int, float]
        Pairs of depth L and power q.
    log10_scales : list of float
        Smallest and largest log10 of the standard deviation of the factors at the start.
    starts : int
        Number of starts of each case.
    instances : int
        Number of problems.
    seed : int
        Source of randomness: one spawned stream for each problem, as in `measure_saddles`.

    Returns
    -------
    dict of str to ndarray
        A row for each problem, case and start: ``draw``, ``depth``, ``power``, ``scale``;
        ``value``, J at the end; ``gap``, J less the lasso's dual bound at the same point;
        ``excess``, J less the least one of this case and problem; ``eigenvalue``, the smallest one
        of the Hessian at the end over lambda; ``zero``, J at zero less the least one.
    """
    rows = []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        rng = np.random.default_rng(stream)
        problem, penalty = landscape_problem(M, N, s, share, rng)
        scales = 10.0 ** rng.uniform(*log10_scales, size=starts)
        for depth, power in cases:
            model = FactoredLasso(problem, penalty, int(depth), power)
            own = []
            for scale in scales:
                end = model.descend(scale * rng.standard_normal((int(depth), N)))
                value, _ = model.value_and_gradient(end)
                _, bound = lasso_bounds(problem, end.prod(axis=0), penalty)
                own.append(
                    {
                        "draw": draw,
                        "depth": int(depth),
                        "power": float(power),
                        "scale": scale,
                        "value": value,
                        "gap": value - bound,
                        "eigenvalue": np.linalg.eigvalsh(model.hessian(end))[0] / penalty,
                    }
                )
            least = min(row["value"] for row in own)
            zero = problem.y @ problem.y / 2 - least
            rows += [{**row, "excess": row["value"] - least, "zero": zero} for row in own]
    return from_rows(rows)


def measure_saddles(
    M: int, N: int, s: int, share: float, points: int, instances: int, seed: int
) -> dict[str, np.ndarray]:
    """Compare the Hessian's smallest eigenvalue with the formula at critical points, L = 2.

    The lasso on a few columns gives a critical point of J with two factors.

    Parameters
    ----------
    M, N, s : int
        Size and number of nonzeros.
    share : float
        lambda, see `landscape_problem`.
    points : int
        Number of random sets of columns of each problem, of random sizes up to N/2.
    instances : int
        Number of problems.
    seed : int
        Source of randomness: one spawned stream for each problem, as in `measure_descents`.

    Returns
    -------
    dict of str to ndarray
        A row for each critical point: ``draw``; ``gradient``, its largest entry over lambda;
        ``eigenvalue``, the smallest one of the Hessian over lambda, and ``formula``,
        1 - max_{x_i = 0} |h_i|/lambda; ``half``, the eigenvalue that one would have with
        half of |h|; ``excess``, J less the lasso's minimum.
    """
    rows = []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        rng = np.random.default_rng(stream)
        problem, penalty = landscape_problem(M, N, s, share, rng)
        model = FactoredLasso(problem, penalty)
        best, _ = lasso_bounds(problem, lasso_minimiser(problem, penalty), penalty)
        for _ in range(points):
            columns = np.sort(rng.permutation(N)[: rng.integers(1, N // 2, endpoint=True)])
            x = lasso_minimiser(problem, penalty, columns)
            factors = balanced_factors(x, 2)
            value, gradient = model.value_and_gradient(factors)
            formula = escape_eigenvalue(problem, x, penalty) / penalty
            rows.append(
                {
                    "draw": draw,
                    "gradient": np.max(np.abs(gradient)) / penalty,
                    "eigenvalue": np.linalg.eigvalsh(model.hessian(factors))[0] / penalty,
                    "formula": formula,
                    "half": (1 + formula) / 2,
                    "excess": value - best,
                }
            )
    return from_rows(rows)
