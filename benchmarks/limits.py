"""flow_limit on dense Gaussian problems, in units of what any second-order step must do.

The unit: form A D A^T once, by the symmetric product B B^T with B = A sqrt(D), and factorise it by
Cholesky. It is timed in turn with the limit.
"""

import numpy as np
from scipy.linalg import cho_factor
from tqdm import tqdm

import deepfact as df
from benchmarks.measure import alternate, fill, in_own_process, summary

COLUMNS = (
    "N", "M", "s", "depth", "alpha", "instance", "status", "seconds", "seconds_min",
    "seconds_max", "repeats", "unit_seconds", "gram_units", "factorisations", "residual",
    "error", "peak_MiB",
)  # fmt: skip


def gaussian(N, instance):
    """Draw the problem of all dense benchmarks: M = N/5 measurements of N/50 nonzeros."""
    seed = np.random.SeedSequence(0, spawn_key=(N, instance))
    return df.gaussian_problem(M=N // 5, N=N, s=max(1, N // 50), seed=seed)


def relative_error(x, problem):
    """Return ||x - x_true|| / ||x_true||."""
    return float(np.linalg.norm(x - problem.x_true) / np.linalg.norm(problem.x_true))


def gram_unit(A, weights):
    """Form A D A^T for the positive weights D and factorise it."""
    B = A * np.sqrt(weights)
    return cho_factor(B @ B.T, lower=True, overwrite_a=True, check_finite=False)


def measure(N, depth, alpha, instance, repeats):
    """Time the limit and the unit in turn."""
    problem = gaussian(N, instance)
    model = df.DeepFactorization(depth, alpha)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, N)
    df.flow_limit(gaussian(50, 0), model)
    gram_unit(problem.A, weights)
    values, seconds = alternate(
        {
            "unit": lambda: gram_unit(problem.A, weights),
            "limit": lambda: df.flow_limit(problem, model),
        },
        repeats,
    )
    limit, unit = values["limit"], float(np.median(seconds["unit"]))
    times = summary(seconds["limit"])
    return times | {
        "status": limit.status,
        "unit_seconds": unit,
        "gram_units": times["seconds"] / unit,
        "factorisations": limit.iterations,
        "residual": limit.residual,
        "error": relative_error(limit.x, problem),
    }


def rows(unknowns, instances, models, repeats, limit):
    """Return a row for each size, model and instance; ``instances`` has one number a size."""
    tasks = [
        {"N": N, "depth": depth, "alpha": alpha, "instance": instance}
        for N, count in zip(unknowns, instances, strict=True)
        for depth, alpha in models
        for instance in range(count)
    ]
    table = []
    for task in tqdm(tasks, disable=None, desc="limits"):
        found = in_own_process("limits", "measure", task | {"repeats": repeats}, limit)
        N = task["N"]
        sizes = {"M": N // 5, "s": max(1, N // 50)}
        table.append(fill(COLUMNS, task | sizes | found))
    return table
