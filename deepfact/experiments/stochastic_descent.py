"""Descent at depth 2 with full and batch gradients, step by step: statement S12."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.near_limit import stable_step
from deepfact.experiments.fits import relative_error
from deepfact.limit import flow_limit
from deepfact.other_maps import TwoLayerMap
from deepfact.problem import Problem, gaussian_problem

__all__ = ["StochasticRun", "measure_stochastic", "stochastic_descents"]


@dataclass(frozen=True, eq=False)
class StochasticRun:
    """Descent at depth 2 in the signed model, with the sums of S12.

    Parameters
    ----------
    x : ndarray of shape (N,)
        The last iterate u^2 - v^2.
    log_a : ndarray of shape (N,)
        log alpha^2 - sum_k q(step g_k): the effective init scale of each coordinate.
    w : ndarray of shape (N,)
        A^T nu with nu = -step sum_k (gradient in R^M).
    d : ndarray of shape (N,)
        The tilt.
    identity_error : float
        Largest norm(x - 2 a sinh(2 w + d), inf)/norm(x, inf) over the whole run.
    range_error : float
        norm(w + step sum_k g_k, inf)/norm(w, inf) at the end.
    largest_step : float
        Largest abs(step g) of the run.
    iterations : int
        Number of steps.
    residual : float
        norm(A x - y)/norm(y) at the end.
    """

    x: np.ndarray
    log_a: np.ndarray
    w: np.ndarray
    d: np.ndarray
    identity_error: float
    range_error: float
    largest_step: float
    iterations: int
    residual: float


def stochastic_descents(
    problems: list[Problem],
    alpha: float,
    steps: list[float],
    batch_size: int,
    seeds: list[int | np.random.SeedSequence],
    max_iterations: int,
    tolerance: float = 1e-8,
) -> list[StochasticRun]:
    """Run descents at depth 2 on batches of rows side by side, and keep the sums of S12.

    Parameters
    ----------
    problems : list of Problem
        K problems of the same size, one for each run.
    alpha : float
        Init scale.
    steps : list of float
        K step sizes.
    batch_size : int
        Rows in a batch, drawn without replacement as in `gradient_descent`; M is full descent.
    seeds : list of int or SeedSequence
        K sources of the batches.
    max_iterations : int
        Largest number of steps.
    tolerance : float, optional
        Stop at this relative residual (default: 1e-8).

    Returns
    -------
    list of StochasticRun
        The last iterates and the sums.
    """
    every_A = np.array([problem.dense() for problem in problems])
    every_y = np.array([problem.y for problem in problems])
    rngs = [np.random.default_rng(seed) for seed in seeds]
    K, M, N = every_A.shape
    state = {
        "u": np.full((K, N), float(alpha)),
        "v": np.full((K, N), float(alpha)),
        "nu": np.zeros((K, M)),
        "total": np.zeros((K, N)),
        "log_a": np.full((K, N), 2 * np.log(alpha)),
        "d": np.zeros((K, N)),
    }
    identity_error, largest, residual = np.zeros(K), np.zeros(K), np.ones(K)
    iterations = np.zeros(K, dtype=int)
    buffer = np.empty((200, K, N))
    iteration, left = 0, np.arange(K)
    while iteration < max_iterations and len(left):
        A, y, step = every_A[left], every_y[left], np.asarray(steps, dtype=float)[left, None]
        u, v, nu, total, log_a, d = (each[left] for each in state.values())
        done = buffer[: min(len(buffer), max_iterations - iteration), : len(left)]
        run = np.arange(len(left))[:, None]
        for e in done:
            x = u * u - v * v
            if batch_size == M:
                r = (A @ x[:, :, None])[:, :, 0] - y
                np.multiply(step, (r[:, None] @ A)[:, 0], out=e)
                nu -= step * r
            else:
                rows = np.array([rngs[k].choice(M, size=batch_size, replace=False) for k in left])
                batch = A[run, rows]
                r = (M / batch_size) * ((batch @ x[:, :, None])[:, :, 0] - y[run, rows])
                np.multiply(step, (r[:, None] @ batch)[:, 0], out=e)
                nu[run, rows] -= step * r
            u *= 1 - e
            v *= 1 + e
        iteration += len(done)
        with np.errstate(divide="ignore"):
            low, high = np.log(np.abs(1 - done)), np.log(np.abs(1 + done))
        log_a += np.sum(low + high, axis=0)
        d -= np.sum(high - low - 2 * done, axis=0)
        total -= np.sum(done, axis=0)
        x, w = u * u - v * v, (nu[:, None] @ A)[:, 0]
        formula = np.exp(log_a + 2 * w + d) - np.exp(log_a - 2 * w - d)
        error = np.max(np.abs(formula - x), axis=1) / np.max(np.abs(x), axis=1)
        identity_error[left] = np.maximum(identity_error[left], error)  # NaN stays
        largest[left] = np.maximum(largest[left], np.max(np.abs(done), axis=(0, 2)))
        rest = np.linalg.norm((A @ x[:, :, None])[:, :, 0] - y, axis=1)
        residual[left] = rest / np.linalg.norm(y, axis=1)
        iterations[left] = iteration
        for each, values in zip(state.values(), (u, v, nu, total, log_a, d), strict=True):
            each[left] = values
        left = left[(tolerance < residual[left]) & (residual[left] < 1e6)]
    x = state["u"] ** 2 - state["v"] ** 2
    w = (state["nu"][:, None] @ every_A)[:, 0]
    range_error = np.max(np.abs(w - state["total"]), axis=1) / np.max(np.abs(w), axis=1)
    return [
        StochasticRun(
            x=x[k],
            log_a=state["log_a"][k],
            w=w[k],
            d=state["d"][k],
            identity_error=float(identity_error[k]),
            range_error=float(range_error[k]),
            largest_step=float(largest[k]),
            iterations=int(iterations[k]),
            residual=float(residual[k]),
        )
        for k in range(K)
    ]


def measure_stochastic(
    size: tuple[int, int, int],
    trials: int,
    alpha: float,
    fractions: list[float],
    batches: list[int],
    max_iterations: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Run descent on batches of several sizes, with steps in proportion to the batch.

    Parameters
    ----------
    size : tuple of int
        M, N and s of Gaussian problems.
    trials : int
        Number of problems.
    alpha : float
        Init scale.
    fractions : list of float
        Steps as fractions of (B/M) times the largest stable step of full descent.
    batches : list of int
        Batch sizes B; M is full descent.
    max_iterations : int
        Largest number of steps of a run.
    seed : int
        Seed; each run has its own stream.

    Returns
    -------
    dict of str to ndarray
        Columns ``trial``, ``alpha``, ``batch``, ``fraction``, ``identity_error``, ``range_error``,
        ``projection_error`` (relative distance between the last iterate and the limit of the flow
        with the map `TwoLayerMap`), ``residual``, ``largest_step``, ``error`` (relative distance
        to the sparse signal), ``flow_error`` (the same for the flow from alpha), and
        ``mean_shrinking``, ``most_shrinking``: mean and least of log10(a/alpha^2). What
        rivals would have, as relative distances from the last iterate: ``plain_error`` of
        2 alpha^2 sinh(2 w), ``flow_distance`` of the flow's limit from alpha.
    """
    problems, stable, flows, streams = [], [], [], []
    model = DeepFactorization(2, alpha)
    for stream in np.random.SeedSequence(seed).spawn(trials):
        draw, *rest = stream.spawn(1 + len(batches) * len(fractions))
        problem = gaussian_problem(*size, seed=draw)
        problems.append(problem)
        stable.append(stable_step(problem, model))
        flows.append(flow_limit(problem, model).x)
        streams.append(rest)
    cases = list(itertools.product(range(trials), range(len(batches)), range(len(fractions))))
    runs = {}
    for b, batch in enumerate(batches):
        here = [case for case in cases if case[1] == b]
        found = stochastic_descents(
            [problems[trial] for trial, _, _ in here],
            alpha,
            [fractions[f] * stable[trial] * batch / size[0] for trial, _, f in here],
            batch,
            [streams[trial][b * len(fractions) + f] for trial, _, f in here],
            max_iterations,
        )
        runs |= zip(here, found, strict=True)
    rows = []
    for case in cases:
        (trial, b, f), run = case, runs[case]
        limit = flow_limit(problems[trial], TwoLayerMap(run.log_a, run.d))
        distance = np.max(np.abs(limit.x - run.x)) / np.max(np.abs(run.x))
        shrinking = (run.log_a - 2 * np.log(alpha)) / np.log(10)
        rows.append(
            [
                trial,
                alpha,
                batches[b],
                fractions[f],
                run.identity_error,
                run.range_error,
                distance if limit.success else np.nan,
                run.residual,
                run.largest_step,
                relative_error(run.x, problems[trial].x_true),
                relative_error(flows[trial], problems[trial].x_true),
                np.mean(shrinking),
                np.min(shrinking),
                relative_error(2 * alpha**2 * np.sinh(2 * run.w), run.x),
                relative_error(flows[trial], run.x),
            ]
        )
    names = (
        "trial",
        "alpha",
        "batch",
        "fraction",
        "identity_error",
        "range_error",
        "projection_error",
        "residual",
        "largest_step",
        "error",
        "flow_error",
        "mean_shrinking",
        "most_shrinking",
        "plain_error",
        "flow_distance",
    )
    return dict(zip(names, np.array(rows, dtype=float).T, strict=True))
