"""flow_limit against plain gradient descent on the factors, to a relative residual of 1e-6.

Descent takes the largest steps that are stable near the limit (statement S10 of
docs/statements.md), times a few fractions: finding that step is not counted.
"""

import time

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import deepfact as df
from benchmarks.limits import gaussian, relative_error
from benchmarks.measure import alternate, fill, in_own_process, summary

COLUMNS = (
    "N", "M", "s", "depth", "alpha", "instance", "goal", "step_fraction", "status",
    "descent_seconds", "descent_iterations", "descent_residual", "descent_error", "seconds",
    "seconds_min", "seconds_max", "repeats", "residual", "error", "peak_MiB",
)  # fmt: skip


def largest_stable_step(problem, x, depth):
    """Return 2 / lambda_max(A diag(L |x|^(2 - 2/L)) A^T), the bound near a sparse limit x."""
    rows = problem.A * np.sqrt(depth) * np.abs(x) ** (1.0 - 1.0 / depth)
    return 2.0 / np.linalg.norm(rows, 2) ** 2


def descend(problem, depth, alpha, step, goal, limit):
    """Take u <- u - step u^(L-1) g, v <- v + step v^(L-1) g until the residual is met.

    Returns x, iterations, relative residual, seconds and "done", "diverged" or "over limit".
    """
    A, y = problem.A, problem.y
    norm = np.linalg.norm(y)
    factors = np.full((2, problem.N), alpha)
    signed_step = step * np.array([[-1.0], [1.0]])
    iteration, start = 0, time.perf_counter()
    while True:
        others = factors.copy()
        for _ in range(depth - 2):
            others *= factors
        products = others * factors
        error = A @ (products[0] - products[1]) - y
        off = np.linalg.norm(error) / norm
        seconds = time.perf_counter() - start
        if off <= goal:
            status = "done"
        elif not off < 1e6:
            status = "diverged"
        else:
            status = "over limit" if seconds > limit else ""
        if status:
            return products[0] - products[1], iteration, float(off), seconds, status
        factors += others * signed_step * (error @ A)
        iteration += 1


def measure(N, depth, alpha, instance, step_fraction, goal, repeats, limit):
    """Time the limit, then descent once, for at most 1100 times as long or the limit of time."""
    problem = gaussian(N, instance)
    model = df.DeepFactorization(depth, alpha)
    df.flow_limit(gaussian(50, 0), model)
    values, seconds = alternate({"limit": lambda: df.flow_limit(problem, model)}, repeats)
    found = values["limit"]
    limit = min(limit, 1100.0 * float(np.median(seconds["limit"])))
    step = step_fraction * largest_stable_step(problem, found.x, depth)
    with threadpool_limits(1), np.errstate(all="ignore"):
        x, count, residual, spent, status = descend(problem, depth, alpha, step, goal, limit)
    return summary(seconds["limit"]) | {
        "status": status,
        "descent_seconds": spent,
        "descent_iterations": count,
        "descent_residual": residual,
        "descent_error": relative_error(x, problem),
        "residual": found.residual,
        "error": relative_error(found.x, problem),
    }


def rows(unknowns, instances, models, step_fractions, goal, repeats, limit):
    """Return a row for each size, model, instance and fraction of the largest stable step."""
    tasks = [
        {"N": N, "depth": L, "alpha": alpha, "instance": instance, "step_fraction": fraction}
        for N, count in zip(unknowns, instances, strict=True)
        for L, alpha in models
        for instance in range(count)
        for fraction in step_fractions
    ]
    table = []
    for task in tqdm(tasks, disable=None, desc="descent"):
        more = {"goal": goal, "repeats": repeats, "limit": limit}
        found = in_own_process("descent", "measure", task | more, 2 * limit)
        N = task["N"]
        sizes = {"M": N // 5, "s": max(1, N // 50), "goal": goal}
        table.append(fill(COLUMNS, task | sizes | found))
    return table
