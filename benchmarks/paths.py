"""Twenty values of alpha at one depth: one call for all of them against one call each."""

import numpy as np
from tqdm import tqdm

import deepfact as df
from benchmarks.limits import gaussian
from benchmarks.measure import alternate, fill, in_own_process, summary

COLUMNS = (
    "N", "M", "s", "depth", "instance", "values", "log10_alpha_first", "log10_alpha_last",
    "status", "seconds", "seconds_min", "seconds_max", "repeats", "single_seconds",
    "one_by_one_seconds", "largest_difference", "peak_MiB",
)  # fmt: skip


def measure(N, depth, instance, values, first, last, repeats):
    """Time the limits one by one, and in one call where the package has that."""
    problem = gaussian(N, instance)
    log_alphas = np.log(10.0) * np.linspace(first, last, values)
    models = [df.DeepFactorization(depth, log_alpha=log_alpha) for log_alpha in log_alphas]
    calls = {
        "one by one": lambda: [df.flow_limit(problem, model) for model in models],
        "path": lambda: df.limit_path(problem, models),
    }
    df.flow_limit(problem, models[0])
    found, seconds = alternate(calls, repeats)
    total = float(np.median(seconds["one by one"]))
    times = {"one_by_one_seconds": total, "single_seconds": total / values}
    pairs = zip(found["path"], found["one by one"], strict=True)
    differences = [np.linalg.norm(a.x - b.x) / np.linalg.norm(b.x) for a, b in pairs]
    return times | summary(seconds["path"]) | {"largest_difference": float(max(differences))}


def rows(unknowns, instances, models, values, repeats, limit):
    """Return a row for each size, depth (with the exponents of its alphas) and instance."""
    tasks = [
        {"N": N, "depth": depth, "instance": instance, "values": values, "first": a, "last": b}
        for N, count in zip(unknowns, instances, strict=True)
        for depth, a, b in models
        for instance in range(count)
    ]
    table = []
    for task in tqdm(tasks, disable=None, desc="paths"):
        found = in_own_process("paths", "measure", task | {"repeats": repeats}, limit)
        N = task["N"]
        row = task | {"M": N // 5, "s": max(1, N // 50)} | found
        row["log10_alpha_first"], row["log10_alpha_last"] = row.pop("first"), row.pop("last")
        table.append(fill(COLUMNS, row))
    return table
