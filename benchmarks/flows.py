"""gradient_flow against scipy's stiff integrators on the factors u and v, from t = 0 to t = 1e6.

Errors are the largest over the times of ||x - x_ref|| / max_t ||x_ref||, the reference being
deepfact.factor_flow (LSODA on the factors) at its tightest tolerance, 1e-12. The peers get the
analytic Jacobian; their absolute tolerance is the relative one times alpha.
"""

import warnings

import numpy as np
from scipy.integrate import solve_ivp
from tqdm import tqdm

import deepfact as df
from benchmarks.limits import gaussian
from benchmarks.measure import alternate, fill, in_own_process, summary

COLUMNS = (
    "N", "M", "s", "depth", "alpha", "solver", "rtol", "status", "seconds", "seconds_min",
    "seconds_max", "repeats", "error", "evaluations", "own_status", "peak_MiB",
)  # fmt: skip
TIMES = np.append(0.0, np.geomspace(1e-2, 1e6, 81))


def factor_equations(problem, depth):
    """Return velocity and Jacobian of (u, v): u' = -u^(L-1) h, v' = v^(L-1) h, h = A^T(Ax - y)."""
    A, y, N = problem.A, problem.y, problem.N
    gram = A.T @ A
    sign = np.array([[-1.0], [1.0]])

    def parts(z):
        factors = z.reshape(2, N)
        lower = factors ** (depth - 2)
        others = lower * factors
        x = others[0] * factors[0] - others[1] * factors[1]
        return lower, others, (A @ x - y) @ A

    def velocity(_, z):
        _, others, h = parts(z)
        return (sign * others * h).ravel()

    def jacobian(_, z):
        lower, others, h = parts(z)
        columns = (-depth * sign * others).ravel()  # dx/dz
        result = np.empty((2 * N, 2 * N))
        for k in range(2):
            for j in range(2):
                block = result[k * N : (k + 1) * N, j * N : (j + 1) * N]
                np.multiply(gram, columns[j * N : (j + 1) * N], out=block)
                block *= (sign[k] * others[k])[:, None]
        result[np.diag_indices(2 * N)] += (sign * (depth - 1) * lower * h).ravel()
        return result

    return velocity, jacobian


def trajectory(problem, depth, alpha, solver, rtol):
    """Return x at the times, the number of evaluations (peers) and the solver's status."""
    if solver == "gradient_flow":
        flow = df.gradient_flow(problem, df.DeepFactorization(depth, alpha), TIMES, rtol=rtol)
        return flow.x, None, flow.status
    velocity, jacobian = factor_equations(problem, depth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solution = solve_ivp(
            velocity,
            (0.0, TIMES[-1]),
            np.full(2 * problem.N, alpha),
            method=solver,
            t_eval=TIMES,
            jac=jacobian,
            rtol=rtol,
            atol=rtol * alpha,
        )
    products = solution.y.reshape(2, problem.N, -1) ** depth
    return (products[0] - products[1]).T, int(solution.nfev), solution.message


def reference(N, depth, alpha):
    """Return x at the times, from factors integrated at a relative tolerance of 1e-12."""
    problem = gaussian(N, 0)
    factors = df.initial_factors(df.DeepFactorization(depth, alpha), N)
    flow = df.factor_flow(problem, factors, times=TIMES, rtol=1e-12)
    return {"x": flow.x.tolist(), "own_status": flow.status}


def measure(N, depth, alpha, solver, rtol, repeats, limit):
    """Time one solver at one tolerance."""
    problem = gaussian(N, 0)
    trajectory(gaussian(20, 0), depth, alpha, solver, rtol)
    values, seconds = alternate(
        {"flow": lambda: trajectory(problem, depth, alpha, solver, rtol)}, repeats, budget=limit / 4
    )
    x, evaluations, status = values["flow"]
    found = summary(seconds["flow"]) | {"x": x.tolist(), "own_status": status}
    return found if evaluations is None else found | {"evaluations": evaluations}


def distance(x, exact):
    """Return max_t ||x - x_ref|| / max_t ||x_ref||; NaN where a time was not reached."""
    x, exact = np.array(x), np.array(exact)
    if x.shape != exact.shape:
        return float("nan")
    return float(np.linalg.norm(x - exact, axis=1).max() / np.linalg.norm(exact, axis=1).max())


def rows(unknowns, models, solvers, repeats, limit):
    """Return a row for each size, model, solver and tolerance."""
    table = []
    tasks = [(N, L, alpha) for N in unknowns for L, alpha in models]
    for N, depth, alpha in tqdm(tasks, disable=None, desc="flows"):
        task = {"N": N, "depth": depth, "alpha": alpha}
        exact = in_own_process("flows", "reference", task, 5 * limit)
        for solver, tolerances in solvers.items():
            over = False
            for rtol in tolerances:  # from loose to tight
                one = task | {"solver": solver, "rtol": rtol}
                more = {"repeats": repeats, "limit": limit}
                found = {"status": "not run"}
                if not over:
                    found = in_own_process("flows", "measure", one | more, limit)
                over = found["status"] != "done"
                if found["status"] == "over limit":
                    found["seconds_min"] = limit
                x = found.pop("x", None)
                if x is not None and exact["status"] == "done":
                    found["error"] = distance(x, exact["x"])
                sizes = {"M": N // 5, "s": max(1, N // 50)}
                table.append(fill(COLUMNS, one | sizes | found))
    return table
