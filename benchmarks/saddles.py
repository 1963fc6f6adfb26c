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


def measure(N, s, instance, repeats):
    """Time the paths of one problem in turn; the error is the distance from the l1-minimiser."""
    solvers = {name: f for name, f in SOLVERS.items() if name not in NEEDS or has(NEEDS[name])}
    small, problem = (
        df.gaussian_problem(*size, seed=instance) for size in ((10, 50, 2), (N // 5, N, s))
    )
    best = df.basis_pursuit(problem).x
    for solve in solvers.values():
        solve(small)  # loads what is loaded once
    calls = {name: (lambda solve=solve: solve(problem)) for name, solve in solvers.items()}
    values, seconds = alternate(calls, repeats)
    found = {}
    for name, (x, steps) in values.items():
        error = float(np.linalg.norm(x - best) / np.linalg.norm(best))
        found[name] = summary(seconds[name]) | {"steps": steps, "error": error}
    return {"solvers": found}


def rows(sizes, instances, repeats, limit):
    """Return a row for each pair (N, s), instance and solver that is installed."""
    tasks = [
        {"N": N, "s": s, "instance": instance} for N, s in sizes for instance in range(instances)
    ]
    table = []
    for task in tqdm(tasks, disable=None, desc="saddles"):
        found = in_own_process("saddles", "measure", task | {"repeats": repeats}, limit)
        for name, values in found.pop("solvers", {"": {}}).items():
            row = task | {"M": task["N"] // 5, "solver": name} | found | values
            table.append(fill(COLUMNS, row))
    return table
