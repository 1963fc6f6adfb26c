"""Matrix-free: random rows of the DCT, flow_limit against SPGL1, in operator products and memory.

N = 4 M = 64 s. A product is one of A or of A^T with one vector; products with several vectors
count as that many.
"""

import numpy as np
from scipy.sparse.linalg import LinearOperator
from tqdm import tqdm

import deepfact as df
from benchmarks.limits import relative_error
from benchmarks.measure import alternate, fill, has, in_own_process, summary

COLUMNS = (
    "log2_N", "N", "M", "s", "solver", "setting", "instance", "status", "seconds", "seconds_min",
    "seconds_max", "repeats", "products", "product_seconds", "error", "residual", "own_status",
    "peak_MiB",
)  # fmt: skip


def partial_dct(log2_N, instance):
    """Draw the problem; return it and the list that holds the number of its products so far."""
    N = 2**log2_N
    seed = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(N, instance)))
    problem = df.dct_problem(M=N // 4, N=N, s=N // 64, seed=seed)
    count, A = [0], problem.A

    def counted(product):
        def call(vectors):
            count[0] += 1 if np.ndim(vectors) == 1 else vectors.shape[1]
            return product(vectors)

        return call

    operator = LinearOperator(
        A.shape,
        matvec=counted(A.matvec),
        rmatvec=counted(A.rmatvec),
        matmat=counted(A.matmat),
        rmatmat=counted(A.rmatmat),
        dtype=A.dtype,
    )
    return df.Problem(operator, problem.y, problem.x_true), count


def flow_limit(problem, depth, alpha):
    """Compute the limit of the flow."""
    limit = df.flow_limit(problem, df.DeepFactorization(depth, alpha))
    return limit.x, limit.status


def spgl1(problem, tolerance):
    """Solve by spectral projected gradients along the Pareto curve."""
    from spgl1 import spg_bp

    options = dict.fromkeys(("bp_tol", "ls_tol", "opt_tol", "dec_tol"), tolerance)
    x, _, _, info = spg_bp(problem.A, problem.y, iter_lim=10**6, **options)
    return x, str(info["stat"])


SOLVERS = {"flow_limit": flow_limit, "SPGL1": spgl1}


def measure(log2_N, instance, solver, options, repeats):
    """Time one solver and count its products."""
    problem, count = partial_dct(log2_N, instance)
    small, _ = partial_dct(8, 0)
    SOLVERS[solver](small, **options)

    def solve():
        count[0] = 0
        return (*SOLVERS[solver](problem, **options), count[0])

    def product():
        return problem.A @ problem.x_true

    product()
    values, seconds = alternate({"product": product, "solve": solve}, repeats)
    x, status, products = values["solve"]
    residual = np.linalg.norm(problem.A @ x - problem.y) / np.linalg.norm(problem.y)
    return summary(seconds["solve"]) | {
        "products": products,
        "product_seconds": float(np.median(seconds["product"])),
        "error": relative_error(x, problem),
        "residual": float(residual),
        "own_status": status,
    }


def rows(log2_unknowns, instances, models, tolerances, repeats, limit):
    """Return a row for each size, instance, and model or tolerance of SPGL1."""
    groups = {
        f"L={depth} alpha={alpha:g}": ("flow_limit", {"depth": depth, "alpha": alpha})
        for depth, alpha in models
    }
    if has("spgl1"):
        groups |= {f"{t:g}": ("SPGL1", {"tolerance": t}) for t in tolerances}
    tasks = [
        (log2_N, instance, setting)
        for log2_N, count in zip(log2_unknowns, instances, strict=True)
        for instance in range(count)
        for setting in groups
    ]
    table, over = [], set()
    for log2_N, instance, setting in tqdm(tasks, disable=None, desc="operators"):
        solver, options = groups[setting]
        task = {"log2_N": log2_N, "instance": instance, "solver": solver}
        found = {"status": "not run"}
        if setting not in over:  # what is over the limit is so for more unknowns too
            more = {"options": options, "repeats": repeats}
            found = in_own_process("operators", "measure", task | more, limit)
        if found["status"] == "over limit":
            over.add(setting)
            found["seconds_min"] = limit
        N = 2**log2_N
        sizes = {"N": N, "M": N // 4, "s": N // 64, "setting": setting}
        table.append(fill(COLUMNS, task | sizes | found))
    return table
