"""A phase transition: flow_limit on random instances over a grid of measurements and sparsity."""

import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import deepfact as df
from benchmarks.limits import relative_error

COLUMNS = (
    "N", "side", "trials", "depth", "alpha", "processes", "seconds", "limits", "not_converged",
    "recovered", "seconds_a_limit", "seconds_for_50_trials",
)  # fmt: skip


def cell(arguments):
    """Return how many limits of one cell converged, and how many found the signal."""
    N, M, s, trials, depth, alpha = arguments
    model = df.DeepFactorization(depth, alpha)
    converged = recovered = 0
    with threadpool_limits(1):
        for trial in range(trials):
            seed = np.random.SeedSequence(0, spawn_key=(N, M, s, trial))
            problem = df.gaussian_problem(M=M, N=N, s=s, seed=np.random.default_rng(seed))
            limit = df.flow_limit(problem, model)
            converged += limit.success
            recovered += relative_error(limit.x, problem) <= 1e-3
    return converged, recovered


def rows(N, side, trials, models, processes):
    """Return a row for each model: the time of all cells with s < M, at least one core each.

    In the others no vector is recovered, save for s = M = N. The time is that of the grid from
    start to end, problems included.
    """
    counts = N * np.arange(1, side + 1) // side
    cells = [(int(M), int(s)) for M in counts[::-1] for s in counts if s < M]
    table = []
    for depth, alpha in models:
        tasks = [(N, M, s, trials, depth, alpha) for M, s in cells]
        with ProcessPoolExecutor(processes) as pool:
            list(pool.map(cell, tasks[-processes:]))  # starts the processes
            start = time.perf_counter()
            done = tqdm(pool.map(cell, tasks), total=len(tasks), disable=None, desc="recovery")
            converged, recovered = np.sum(list(done), axis=0)
            seconds = time.perf_counter() - start
        limits = len(tasks) * trials
        values = (N, side, trials, depth, alpha, processes, seconds, limits)
        values += (limits - int(converged), int(recovered), seconds * processes / limits)
        table.append(dict(zip(COLUMNS, (*values, seconds * 50 / trials), strict=True)))
    return table
