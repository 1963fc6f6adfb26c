"""The path of vanishing init scale against the lasso's path: both follow active sets."""

import warnings

import numpy as np
from tqdm import tqdm

import deepfact as df
from benchmarks.measure import alternate, fill, has, in_own_process, summary

COLUMNS = (
    "N", "M", "s", "instance", "solver", "status", "steps", "seconds", "seconds_min",
    "seconds_max", "repeats", "error", "peak_MiB",
)  # fmt: skip


def saddle_path(problem):
    """Follow the path of saddles; steps: jumps."""
    path = df.saddle_path(problem)
    return path.x[-1], len(path.times)


def lasso_path(problem):
    """Follow the lasso's path with our own homotopy; steps: penalties at which it bends."""
    path = df.lasso_path(problem)
    return path.x[-1], len(path.penalties)


def lars_path(problem):
    """Follow the lasso's path with scikit-learn's."""
    from sklearn.linear_model import lars_path as path

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an early end shows in the error
        penalties, _, x = path(problem.A, problem.y, method="lasso")
    return x[:, -1], len(penalties)


SOLVERS = {"saddle_path": saddle_path, "lasso_path": lasso_path, "lars_path": lars_path}
NEEDS = {"lars_path": "sklearn"}


def measure(N, s, instance, solver, repeats):
    """Time one path; the error is the distance of its end from basis pursuit's minimiser."""
    problem = df.gaussian_problem(N // 5, N, s, seed=instance)
    best = df.basis_pursuit(problem).x
    SOLVERS[solver](df.gaussian_problem(10, 50, 2, seed=0))  # loads what is loaded once
    values, seconds = alternate({"path": lambda: SOLVERS[solver](problem)}, repeats)
    x, steps = values["path"]
    error = float(np.linalg.norm(x - best) / np.linalg.norm(best))
    return summary(seconds["path"]) | {"steps": steps, "error": error}


def rows(sizes, instances, repeats, limit):
    """Return a row for each pair (N, s), instance and solver that is installed."""
    tasks = [
        {"N": N, "s": s, "instance": instance, "solver": solver}
        for N, s in sizes
        for instance in range(instances)
        for solver in SOLVERS
        if solver not in NEEDS or has(NEEDS[solver])
    ]
    table = []
    for task in tqdm(tasks, disable=None, desc="saddles"):
        found = in_own_process("saddles", "measure", task | {"repeats": repeats}, limit)
        table.append(fill(COLUMNS, task | {"M": task["N"] // 5} | found))
    return table
