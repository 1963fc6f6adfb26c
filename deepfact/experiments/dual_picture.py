"""The dual picture of the flow: loops of the notebook ``04_dual_picture``."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import factor_flow, gradient_flow, initial_factors
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import Problem, gaussian_problem


def model_of_depth(depth: float, start: float, signed: bool = True) -> DeepFactorization:
    """Return the model whose products all start at the same value, whatever the depth.

    Parameters
    ----------
    depth : float
        Number L of factors; 1 and infinity are allowed.
    start : float
        alpha^L, the product of factors at time 0.
    signed : bool, optional
        Signed (default: True) or positive model.

    Returns
    -------
    DeepFactorization
        With alpha = start^(1/L); at infinite depth mu = start.
    """
    root = 1.0 if np.isinf(depth) else depth
    return DeepFactorization(depth, log_alpha=np.log(start) / root, signed=signed)


def draw_problem(M: int, N: int, s: int, signed: bool, rng: np.random.Generator) -> Problem:
    """Draw a Gaussian problem; a nonnegative one is drawn again if no solution is positive.

    Without a positive solution the log-barrier path of the nonnegative problem does not exist. In
    general position the solution is then unique (statement S6).

    Parameters
    ----------
    M, N, s : int
        Size and number of nonzeros.
    signed : bool
        Signed or nonnegative signals.
    rng : Generator
        Source of randomness.

    Returns
    -------
    Problem
        The problem.
    """
    while True:
        problem = gaussian_problem(M, N, s, seed=rng, nonnegative=not signed)
        if signed:
            return problem
        # The largest t such that A z = y with all z_i >= t; t is free, z >= 0 besides.
        columns = np.column_stack([problem.dense(), problem.dense().sum(axis=1)])
        cost = np.append(np.zeros(N), -1.0)
        room = linprog(cost, A_eq=columns, b_eq=problem.y, bounds=[(0, None)] * N + [(None, 1.0)])
        if room.status == 0 and -room.fun > 1e-6:
            return problem


def slowest_rate(problem: Problem, model: DeepFactorization, x: np.ndarray) -> float:
    """Return the smallest eigenvalue of A diag(X') A^T at a signal x.

    Parameters
    ----------
    problem : Problem
        The problem, with rows of A that are linearly independent.
    model : DeepFactorization
        The model.
    x : ndarray of shape (N,)
        The signal, usually the flow's limit.

    Returns
    -------
    float
        The rate at which the flow approaches x in the end.
    """
    if model.depth == 1:
        slope = np.ones(problem.N)
    else:
        slope = np.zeros(problem.N)
        for log_product in model.log_products_of(x):
            if log_product is not None:  # X' = k p (p/a)^theta
                growth = log_product - model.log_product
                slope += np.exp(model.log_rate + log_product + model.theta * growth)
    sizes = np.linalg.svd(np.sqrt(slope)[:, None] * problem.dense().T, compute_uv=False)
    return float(sizes[-1] ** 2)


def time_grid(
    problem: Problem,
    model: DeepFactorization,
    x: np.ndarray,
    n_times: int,
    decay: float = 25.0,
) -> np.ndarray:
    """Return 0 and log-spaced times from the first change of the signal until it rests.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        The model.
    x : ndarray of shape (N,)
        The flow's limit.
    n_times : int
        Number of times after 0.
    decay : float, optional
        The last time is the one at which the slowest linearised mode has decayed by e^-decay
        (default: 25).

    Returns
    -------
    ndarray of shape (n_times + 1,)
        The times.
    """
    A, y = problem.dense(), problem.y
    start = model.signal(np.zeros(problem.N))
    rate = 10.0 if model.depth == 1 else np.exp(model.log_rate)
    first = 0.05 / np.max(np.abs(A.T @ (y - A @ start)) * rate)
    last = max(decay / slowest_rate(problem, model, x), 1e3 * first)
    return np.append(0.0, np.geomspace(first, last, n_times))


def dual_bounds(problem: Problem, dual: np.ndarray, signed: bool) -> np.ndarray:
    """Turn dual variables into lower bounds <y, nu>/||A^T nu||_inf on the least l1 norm.

    Parameters
    ----------
    problem : Problem
        The problem.
    dual : ndarray of shape (K, M)
        Dual variables nu, for instance those of a trajectory.
    signed : bool
        Signed model; for the positive one the divisor is max (A^T nu)_i.

    Returns
    -------
    ndarray of shape (K,)
        The bounds; 0 where nu gives none.
    """
    w = dual @ problem.dense()
    size = np.max(np.abs(w) if signed else w, axis=1)
    value = dual @ problem.y
    useful = (value > 0) & (size > 0)
    return np.where(useful, value / np.where(useful, size, 1.0), 0.0)


def barrier_path(
    problem: Problem, mus: np.ndarray, signed: bool = True, tolerance: float = 1e-12
) -> np.ndarray:
    """Follow the log-barrier path of the dual of basis pursuit by a textbook barrier method.

    Maximises <y, eta> + mu sum [log(1 - b) + log(1 + b)], b = A^T eta (nonnegative signals: the
    first logarithm only), with Newton's method and backtracking from the previous point. It shares
    no code with `flow_limit`.

    Parameters
    ----------
    problem : Problem
        The problem.
    mus : ndarray of shape (K,)
        Decreasing barrier parameters.
    signed : bool, optional
        Signed (default: True) or nonnegative signals.
    tolerance : float, optional
        Newton decrement, relative to mu, at which a point is accepted (default: 1e-12).

    Returns
    -------
    ndarray of shape (K, N)
        The primal points mu [1/(1 - b) - 1/(1 + b)] (nonnegative signals: mu/(1 - b)).
    """
    A, y = problem.dense(), problem.y
    eta = np.zeros(problem.M)

    def value(eta, mu):
        b = A.T @ eta
        if b.max() >= 1 or (signed and b.min() <= -1):
            return -np.inf
        return y @ eta + mu * np.sum(np.log1p(-b) + (np.log1p(b) if signed else 0.0))

    rows = []
    for mu in mus:
        for _ in range(200):
            b = A.T @ eta
            x = mu / (1 - b) - (mu / (1 + b) if signed else 0.0)
            curvature = mu / (1 - b) ** 2 + (mu / (1 + b) ** 2 if signed else 0.0)
            gradient = y - A @ x
            step = np.linalg.solve((A * curvature) @ A.T, gradient)
            decrement = gradient @ step
            if decrement <= tolerance**2 * mu:
                break
            length = 1.0
            while decrement > 1e-8 * mu and (
                value(eta + length * step, mu) < value(eta, mu) + 0.1 * length * decrement
            ):
                length /= 2
            eta = eta + length * step
        rows.append(x)
    return np.array(rows)


def approach_limit(problem: Problem, model: DeepFactorization, n_times: int) -> dict:
    """Follow the flow to rest, and compare it with the limit that needs no time.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        The model.
    n_times : int
        Number of log-spaced times after 0.

    Returns
    -------
    dict
        ``limit`` and ``path`` (the package's results), ``distance`` of shape (K,), the relative
        distance ||x(t) - x_inf||/||x_inf||, and ``lower_bound`` of shape (K,), the bounds on the
        least l1 norm from the dual variable at each time (depth above 1).
    """
    limit = flow_limit(problem, model)
    path = gradient_flow(problem, model, time_grid(problem, model, limit.x, n_times))
    if not (limit.success and path.success):
        raise RuntimeError(f"flow_limit: {limit.message}; gradient_flow: {path.message}")
    distance = np.linalg.norm(path.x - limit.x, axis=1) / np.linalg.norm(limit.x)
    lower_bound = dual_bounds(problem, path.dual, model.signed or model.depth == 1)
    return {"limit": limit, "path": path, "distance": distance, "lower_bound": lower_bound}


def factor_deviation(problem: Problem, model: DeepFactorization, path) -> float:
    """Compare a trajectory with the flow of all factors, integrated one by one.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        The model, of integer depth at least 2.
    path : FlowResult
        Its trajectory by `gradient_flow`.

    Returns
    -------
    float
        Largest difference of the two signals over all times, relative to the last signal.
    """
    factors = initial_factors(model, problem.N)
    other = factor_flow(problem, factors, signed=model.signed, times=path.times)
    if not other.success:
        raise RuntimeError(f"factor_flow: {other.message}")
    return float(np.max(np.linalg.norm(path.x - other.x, axis=1)) / np.linalg.norm(path.x[-1]))


def projection_deviation(problem: Problem, model: DeepFactorization, path, rows) -> float:
    """Compare points x(t) of a trajectory with the limits for the data A x(t).

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        The model.
    path : FlowResult
        Its trajectory.
    rows : iterable of int
        Which times.

    Returns
    -------
    float
        Largest relative difference ||x(t) - argmin{D_F(z, x(0)) : A z = A x(t)}||/||x(t)||.
    """
    worst = 0.0
    for k in rows:
        x = path.x[k]
        projection = flow_limit(Problem(problem.A, problem.dense() @ x), model)
        if not projection.success:
            raise RuntimeError(f"flow_limit: {projection.message}")
        worst = max(worst, float(np.linalg.norm(projection.x - x) / np.linalg.norm(x)))
    return worst


def check_trajectories(
    M: int,
    N: int,
    s: int,
    start: float,
    depths: list[float],
    trials: int,
    seed: int,
    n_times: int = 50,
) -> dict[str, np.ndarray]:
    """Compare trajectory, factors, limit and certificates on random instances.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    start : float
        alpha^L, each product at time 0, for every depth.
    depths : list of float
        Depths; infinity is one.
    trials : int
        Instances for each sign of the model.
    seed : int
        Source of randomness: one spawned stream for each instance.
    n_times : int, optional
        Number of log-spaced times after 0 (default: 50).

    Returns
    -------
    dict of str to ndarray of shape (2 * trials * len(depths),)
        ``signed``, ``depth``; ``distance`` to the limit at the last time; ``factors``, see
        `factor_deviation` (NaN where the depth is no integer >= 2); ``projection``, see
        `projection_deviation`, at five times; ``bound``, the smallest
        (Q - lower bound)/Q over all times.
    """
    rows = []
    streams = iter(np.random.SeedSequence(seed).spawn(2 * trials))
    for signed in (True, False):
        for _ in range(trials):
            problem = draw_problem(M, N, s, signed, np.random.default_rng(next(streams)))
            Q = basis_pursuit(problem, nonnegative=not signed).lower_bound
            for depth in depths:
                model = model_of_depth(depth, start, signed)
                run = approach_limit(problem, model, n_times)
                integer = 2 <= depth < np.inf and depth == int(depth)
                places = np.linspace(n_times // 4, n_times, 5).astype(int)
                rows.append(
                    (
                        signed,
                        depth,
                        run["distance"][-1],
                        factor_deviation(problem, model, run["path"]) if integer else np.nan,
                        projection_deviation(problem, model, run["path"], places),
                        np.min(Q - run["lower_bound"]) / Q,
                    )
                )
    names = ("signed", "depth", "distance", "factors", "projection", "bound")
    return {
        name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def check_barrier(
    M: int, N: int, s: int, mus: np.ndarray, trials: int, seed: int
) -> dict[str, np.ndarray]:
    """Compare the limit at infinite depth with the log-barrier path on random instances.

    Parameters
    ----------
    M, N, s : int
        Size of the Gaussian problems and number of nonzeros.
    mus : ndarray of shape (K,)
        Decreasing values of mu = lim alpha^L.
    trials : int
        Instances for each sign of the model.
    seed : int
        Source of randomness: one spawned stream for each instance.

    Returns
    -------
    dict of str to ndarray
        ``mu`` of shape (K,), ``products`` of shape (2 * trials,), the number N' of products, and
        of shape (2 * trials, K): ``deviation`` of the two paths relative to ||x_inf||;
        ``identity``, the deviation of sum of all products - <y, mu nu> from N' mu, over N' mu;
        ``gap``, the certified gap over N' mu; ``above`` = (||x_inf||_1 - Q)/Q and ``below`` =
        (Q - lower bound)/Q with Q of basis pursuit.
    """
    names = ("deviation", "identity", "gap", "above", "below")
    table = {name: np.empty((2 * trials, len(mus))) for name in names}
    products = np.empty(2 * trials)
    streams = iter(np.random.SeedSequence(seed).spawn(2 * trials))
    for trial in range(2 * trials):
        signed = trial < trials
        problem = draw_problem(M, N, s, signed, np.random.default_rng(next(streams)))
        best = basis_pursuit(problem, nonnegative=not signed)
        reference = barrier_path(problem, mus, signed)
        products[trial] = N * (1 + signed)
        for k, mu in enumerate(mus):
            model = DeepFactorization(np.inf, mu, signed=signed)
            limit = flow_limit(problem, model)
            if not limit.success:
                raise RuntimeError(f"flow_limit: {limit.message}")
            logs = [log for log in model.log_products_of(limit.x) if log is not None]
            barrier_gap = products[trial] * mu
            duality = np.sum(np.exp(logs)) - problem.y @ (mu * limit.dual)
            error = np.linalg.norm(reference[k] - limit.x) / np.linalg.norm(limit.x)
            table["deviation"][trial, k] = error
            table["identity"][trial, k] = abs(duality - barrier_gap) / barrier_gap
            table["gap"][trial, k] = limit.gap / barrier_gap
            table["above"][trial, k] = (limit.l1_norm - best.value) / best.value
            table["below"][trial, k] = (best.lower_bound - limit.lower_bound) / best.value
    return {"mu": np.asarray(mus, dtype=float), "products": products, **table}


def dual_polygon(A: np.ndarray) -> np.ndarray:
    """Return the corners of {eta in R^2 : |A^T eta| <= 1}, in order around it.

    Parameters
    ----------
    A : ndarray of shape (2, N)
        Matrix of rank 2.

    Returns
    -------
    ndarray of shape (K, 2)
        The corners.
    """
    both = np.hstack([A, -A])
    corners = []
    for i in range(both.shape[1]):
        for j in range(i):
            pair = both[:, [i, j]].T
            if abs(np.linalg.det(pair)) > 1e-12:
                corner = np.linalg.solve(pair, np.ones(2))
                if np.max(both.T @ corner) <= 1 + 1e-9:
                    corners.append(corner)
    corners = np.array(corners)
    return corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]
