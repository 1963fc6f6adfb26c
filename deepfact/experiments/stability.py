"""Order and stability of descent near the flow: statement S10."""

from __future__ import annotations

import itertools

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.factor_flow import leave_one_out_products
from deepfact.dynamics.gradient_descent import gradient_descent, log_spaced
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.dynamics.near_limit import limit_factors, stable_step
from deepfact.experiments.fits import fitted_slope
from deepfact.experiments.tables import from_rows, groups
from deepfact.problem import Problem, gaussian_problem

__all__ = [
    "fit_orders",
    "measure_orders",
    "measure_stability",
    "measured_stable_steps",
    "order_of_descent",
]


def order_of_descent(
    problem: Problem, model: DeepFactorization, fraction: float, halvings: int
) -> dict[str, np.ndarray]:
    """Compare descent and flow at one time while the step is halved.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        Depth, init scale, signed or positive.
    fraction : float
        The time at which the flow's loss has fallen to this fraction of the first one.
    halvings : int
        Number of halvings of the first step, which is 1/8 of the largest stable one.

    Returns
    -------
    dict of str to ndarray of shape (halvings + 1,)
        ``step`` and ``error`` = norm(x_descent - x_flow)/norm(x_flow).
    """
    path = gradient_flow(problem, model)
    time = path.times[np.argmax(path.loss <= fraction * path.loss[0])]
    first = time / np.ceil(8 * time / stable_step(problem, model))
    target = gradient_flow(problem, model, times=[time]).x[0]
    steps = first / 2.0 ** np.arange(halvings + 1)
    errors = []
    for step in steps:
        run = gradient_descent(
            problem, model, step, max_iterations=round(time / step), tolerance=0.0, records=1
        )
        errors.append(np.linalg.norm(run.x[-1] - target) / np.linalg.norm(target))
    return {"step": steps, "error": np.array(errors)}


def measure_orders(
    size: tuple[int, int, int],
    cases: list[tuple[int, float]],
    fraction: float,
    halvings: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Compare descent and flow on one Gaussian problem, at several depths.

    Parameters
    ----------
    size : tuple of int
        M, N and s.
    cases : list of tuple (L, alpha)
        Depths with their init scales.
    fraction, halvings : float, int
        As for `order_of_descent`.
    seed : int
        Seed of the problem.

    Returns
    -------
    dict of str to ndarray
        A row for each depth and step: ``depth``, ``alpha``, ``step``, ``error``.
    """
    problem = gaussian_problem(*size, seed=seed)
    rows = []
    for depth, alpha in cases:
        run = order_of_descent(problem, DeepFactorization(depth, alpha), fraction, halvings)
        for step, error in zip(run["step"], run["error"], strict=True):
            rows.append({"depth": depth, "alpha": alpha, "step": step, "error": error})
    return from_rows(rows)


def fit_orders(orders: dict[str, np.ndarray], last: int = 4) -> dict[str, np.ndarray]:
    """Fit the order of descent at each depth to the smallest steps.

    Parameters
    ----------
    orders : dict
        Of `measure_orders`.
    last : int, optional
        Number of steps to fit (default: 4).

    Returns
    -------
    dict of str to ndarray
        A row for each depth: ``depth``, ``order``, ``half_width`` of its 95 % interval.
    """
    rows = []
    for depth, own in groups(orders, "depth"):
        slope, half = fitted_slope(np.log(own["step"][-last:]), np.log(own["error"][-last:]))
        rows.append({"depth": depth, "order": slope, "half_width": half})
    return from_rows(rows)


def _grow(A, y, factors, steps, iterations):
    """Whether the loss of each of K descents is at some record ten times the first one.

    The steps are those of `gradient_descent` on factors (S, L, K, N), all K at once.
    """
    sign = np.array([1.0, -1.0])[: len(factors), None, None]
    factors, others = factors.copy(), np.empty_like(factors)
    marks = set(log_spaced(iterations, 20).tolist())
    grown = np.zeros(len(A), dtype=bool)
    with np.errstate(all="ignore"):
        for iteration in range(iterations + 1):
            leave_one_out_products(factors, others)
            x = np.sum(sign * others[:, 0] * factors[:, 0], axis=0)
            residual = (A @ x[:, :, None])[:, :, 0] - y
            if iteration in marks:
                square = np.sum(residual**2, axis=1)
                if iteration == 0:
                    limit = 10 * square
                grown |= ~(square <= limit)  # NaN too
                if grown.all():
                    break
            others *= (sign * steps[:, None] * (residual[:, None] @ A)[:, 0])[:, None]
            factors -= others
    return grown


def measured_stable_steps(
    problems: list[Problem],
    models: list[DeepFactorization],
    seeds: list[int | np.random.SeedSequence],
    iterations: int = 3000,
    bisections: int = 14,
) -> np.ndarray:
    """Find by bisection the steps at which descent near the limit turns from decay to growth.

    Parameters
    ----------
    problems : list of Problem
        K problems of the same size.
    models : list of DeepFactorization
        Their models, of the same finite integer depth >= 2, all signed or all positive.
    seeds : list of int or SeedSequence
        Sources of the perturbations: all 2L factors are moved by 1e-6, each its own way.
    iterations : int, optional
        Steps of each run (default: 3000).
    bisections : int, optional
        Number of bisections of the logarithm of the step (default: 14).

    Returns
    -------
    ndarray of shape (K,)
        The largest stable steps found. A step counts as too large if the loss is ever ten times
        the first one: linearly stable, it only falls.
    """
    A = np.array([problem.dense() for problem in problems])
    y = np.array([problem.y for problem in problems])
    starts = []
    for problem, model, seed in zip(problems, models, seeds, strict=True):
        factors = limit_factors(problem, model)
        start = np.repeat(factors[:, None], int(model.depth), axis=1)
        noise = np.random.default_rng(seed).standard_normal(start.shape)
        starts.append(start + 1e-6 * np.max(factors) * noise)
    start = np.stack(starts, axis=2)

    def grow(steps, chosen):
        return _grow(A[chosen], y[chosen], start[:, :, chosen], steps[chosen], iterations)

    # A first guess from the size of the matrix alone, without the formula to be tested.
    low = 1.0 / np.linalg.norm(A, 2, axis=(1, 2)) ** 2
    high = low.copy()
    every = np.arange(len(A))
    left = every
    while len(left := left[grow(low, left)]):
        low[left] /= 2
    high = np.maximum(high, 2 * low)
    left = every
    while len(left := left[~grow(high, left)]):
        low[left], high[left] = high[left], 2 * high[left]
    for _ in range(bisections):
        middle = np.sqrt(low * high)
        too_large = grow(middle, every)
        low, high = np.where(too_large, low, middle), np.where(too_large, middle, high)
    return np.sqrt(low * high)


def measure_stability(
    size: tuple[int, int, int],
    trials: int,
    depths: list[int],
    log10_a: list[float],
    seed: int,
) -> dict[str, np.ndarray]:
    """Measure the largest stable step on random problems in both models.

    Parameters
    ----------
    size : tuple of int
        M, N and s of Gaussian problems.
    trials : int
        Problems for each depth, init scale and model.
    depths : list of int
        Numbers L of factors.
    log10_a : list of float
        Init scales as log10 of a = alpha^L.
    seed : int
        Seed; each run has its own stream.

    Returns
    -------
    dict of str to ndarray
        Columns ``depth``, ``log10_a``, ``signed``, ``predicted`` and ``measured``.
    """
    cases = [
        (depth, scale, signed)
        for depth in depths
        for scale in log10_a
        for signed in (False, True)
        for _ in range(trials)
    ]
    streams = [stream.spawn(2) for stream in np.random.SeedSequence(seed).spawn(len(cases))]
    problems = [
        gaussian_problem(*size, seed=draw, signed=signed)
        for (_, _, signed), (draw, _) in zip(cases, streams, strict=True)
    ]
    models = [
        DeepFactorization(depth, log_alpha=scale * np.log(10) / depth, signed=signed)
        for depth, scale, signed in cases
    ]
    measured = np.empty(len(cases))
    for group in itertools.product(depths, (False, True)):
        here = [k for k, (depth, _, signed) in enumerate(cases) if (depth, signed) == group]
        measured[here] = measured_stable_steps(
            [problems[k] for k in here], [models[k] for k in here], [streams[k][1] for k in here]
        )
    columns = np.array(cases, dtype=float).T
    predicted = np.array([stable_step(*pair) for pair in zip(problems, models, strict=True)])
    names = ("depth", "log10_a", "signed", "predicted", "measured")
    return dict(zip(names, (*columns, predicted, measured), strict=True))
