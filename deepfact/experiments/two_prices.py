"""The same signal, two prices: implicit bias and weight decay among all basic solutions."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.tables import from_rows
from deepfact.lifting.factored_lasso import (
    FactoredLasso,
    balanced_factors,
    escape_eigenvalue,
    stationary_point,
)
from deepfact.lifting.prices import basic_solutions, factor_price, searched_price
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem
from deepfact.statuses import require
from deepfact.theory import l1_gap_bound_sharp

__all__ = ["measure_basic", "measure_flows", "measure_prices", "two_price_problem"]

PLAIN = 2.0
"""The power of weight decay."""


def measure_prices(
    depths: list[int], decades: int, starts: int, seed: int
) -> dict[str, np.ndarray]:
    """Search the cheapest factors of numbers of many sizes.

    Parameters
    ----------
    depths : list of int
        Numbers L of factors.
    decades : int
        The products are 10^k for abs(k) <= decades.
    starts : int
        Random starts for each of them.
    seed : int
        Source of randomness.

    Returns
    -------
    dict of str to ndarray
        ``depth``, ``power`` (2 and L), ``size``, ``searched``, the least value found from each
        start; ``formula``, size^{q/L}; ``slope``, fitted to all sizes of this depth and power, and
        ``predicted``, q/L.
    """
    rng = np.random.default_rng(seed)
    rows = []
    sizes = 10.0 ** np.arange(-decades, decades + 1)
    for depth in depths:
        for power in sorted({PLAIN, float(depth)}):
            own = []
            for size in sizes:
                for _ in range(starts):
                    found = searched_price(size, depth, power, rng.standard_normal(depth - 1))
                    formula = factor_price(np.array([size]), depth, power)
                    own.append((depth, power, size, found, formula))
            slope, _ = fitted_slope(*np.log(np.array(own)[:, 2:4]).T)
            names = ("depth", "power", "size", "searched", "formula")
            extra = {"slope": slope, "predicted": power / depth}
            rows += [{**dict(zip(names, row, strict=True)), **extra} for row in own]
    return from_rows(rows)


def two_price_problem(M: int, N: int, s: int, depth: int, rng: np.random.Generator) -> Problem:
    """Draw Gaussian problems until the two prices have different cheapest solutions.

    Parameters
    ----------
    M, N, s : int
        Size, and nonzeros of the vector behind the data.
    depth : int
        Number L > 2 of factors of the second price, l_{2/L}.
    rng : Generator
        Source of randomness.

    Returns
    -------
    Problem
        The problem.
    """
    while True:
        problem = gaussian_problem(M, N, s, seed=rng)
        _, solutions = basic_solutions(problem)
        norms = np.abs(solutions).sum(axis=1)
        prices = np.sum(np.abs(solutions) ** (PLAIN / depth), axis=1)
        if np.argmin(norms) != np.argmin(prices):
            return problem


def measure_flows(
    M: int,
    N: int,
    s: int,
    chosen: int,
    depths: list[int],
    start: float,
    instances: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Compare the limits of flows from a small start with the cheapest solutions.

    Parameters
    ----------
    M, N, s : int
        Size, and nonzeros of the vector behind the data.
    chosen : int
        The depth by whose price `two_price_problem` chooses the problems.
    depths : list of int
        Numbers L of factors.
    start : float
        alpha^L, each product at time 0.
    instances : int
        Number of problems.
    seed : int
        Source of randomness: one spawned stream for each problem, as in `measure_basic`.

    Returns
    -------
    dict of str to ndarray
        A row for each problem and depth: ``depth``, ``draw``, ``start``; ``norm`` and ``price``,
        the l1 norm and the l_{2/L} price of the limit, relative to the least ones; ``allowed``,
        the bound S3 of the l1 gap over Q.

    Raises
    ------
    RuntimeError
        If a limit is not found.
    """
    rows = []
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        problem = two_price_problem(M, N, s, chosen, np.random.default_rng(stream))
        _, solutions = basic_solutions(problem)
        Q = np.abs(solutions).sum(axis=1).min()
        for depth in depths:
            model = DeepFactorization(depth, log_alpha=np.log(start) / depth)
            x = require(flow_limit(problem, model)).x
            exponent = PLAIN / depth
            least = np.sum(np.abs(solutions) ** exponent, axis=1).min()
            rows.append(
                {
                    "depth": depth,
                    "draw": draw,
                    "start": start,
                    "norm": np.abs(x).sum() / Q,
                    "price": factor_price(x, depth) / least,
                    "allowed": l1_gap_bound_sharp(Q, N, depth, log_alpha=model.log_alpha) / Q,
                }
            )
    return from_rows(rows)


def measure_basic(
    M: int, N: int, s: int, depth: int, penalty: float, instances: int, seed: int
) -> dict[str, np.ndarray]:
    """Ask at each basic solution whether weight decay has a minimum there.

    Parameters
    ----------
    M, N, s : int
        Size, and nonzeros of the vector behind the data; problems of `two_price_problem`.
    depth : int
        Number L > 2 of factors.
    penalty : float
        lambda as a part of the largest correlation with the data.
    instances : int
        Number of problems.
    seed : int
        Source of randomness: one spawned stream for each problem, as in `measure_flows`.

    Returns
    -------
    dict of str to ndarray
        A row for each basic solution: ``draw``, ``depth``; ``norm`` and ``price``, its l1 norm and
        l_{2/L} price relative to the least ones; ``penalty``, lambda; ``eigenvalue``, the smallest
        one of the Hessian at the stationary point beside it, over lambda (NaN if there is none);
        ``moved``, its relative distance from the basic solution; ``second``, (lambda price - J)/
        lambda^2, and ``predicted``, half of |A_S^{-T} p'|^2; ``second_l1``, the same with the l1
        norm for the price; ``eigenvalue_two``, the same
        eigenvalue over lambda for two factors at the lasso's minimiser on the same columns.
    """
    rows = []
    exponent = PLAIN / depth
    for draw, stream in enumerate(np.random.SeedSequence(seed).spawn(instances)):
        problem = two_price_problem(M, N, s, depth, np.random.default_rng(stream))
        supports, solutions = basic_solutions(problem)
        norms = np.abs(solutions).sum(axis=1)
        prices = np.sum(np.abs(solutions) ** exponent, axis=1)
        weight = penalty * float(np.max(np.abs(problem.dense().T @ problem.y)))
        decay = FactoredLasso(problem, weight, depth)
        for support, x, norm, price in zip(supports, solutions, norms, prices, strict=True):
            slope = exponent * np.sign(x[support]) * np.abs(x[support]) ** (exponent - 1)
            pull = np.linalg.solve(problem.dense()[:, support].T, slope)
            shallow = stationary_point(problem, weight, x, 1.0)
            row = {
                "draw": draw,
                "depth": depth,
                "norm": norm / norms.min(),
                "price": price / prices.min(),
                "penalty": weight,
                "predicted": pull @ pull / 2,
                "eigenvalue_two": escape_eigenvalue(problem, shallow, weight) / weight,
            }
            rows.append({**row, **_beside(decay, x, price, norm)})
    return from_rows(rows)


def _beside(decay, x, price, norm):
    """Follow a basic solution to the stationary point of weight decay beside it."""
    weight = decay.penalty
    names = ("eigenvalue", "moved", "second", "second_l1")
    try:
        z = stationary_point(decay.problem, weight, x, PLAIN / decay.depth)
    except ArithmeticError:
        return dict.fromkeys(names, np.nan)
    factors = balanced_factors(z, decay.depth)
    value, _ = decay.value_and_gradient(factors)
    eigenvalue = np.linalg.eigvalsh(decay.hessian(factors))[0]
    found = (
        eigenvalue / weight,
        np.linalg.norm(z - x) / np.linalg.norm(x),
        (weight * price - value) / weight**2,
        (weight * norm - value) / weight**2,
    )
    return dict(zip(names, found, strict=True))
