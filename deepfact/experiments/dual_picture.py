"""The dual picture of the flow: D1 to D4 of the section "Dual picture" in docs/statements.md."""

from __future__ import annotations

import numpy as np

from deepfact.checks import Claim
from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.factor_flow import factor_flow, initial_factors
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.experiments.approach import approach_limit
from deepfact.experiments.barrier_method import barrier_path
from deepfact.experiments.dual_curves import measure_curves
from deepfact.experiments.dual_picture_figure import figure
from deepfact.experiments.fits import relative_error
from deepfact.experiments.instances import draw_problem, model_of_depth
from deepfact.experiments.tables import from_rows, groups
from deepfact.l1_minimisation import basis_pursuit
from deepfact.limit import flow_limit
from deepfact.problem import Problem
from deepfact.statuses import require

__all__ = [
    "checks",
    "describe",
    "euclidean_deviation",
    "factor_deviation",
    "figure",
    "measure_barrier",
    "measure_curves",
    "measure_trajectories",
    "projection_deviation",
    "tied_deviation",
]


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

    Raises
    ------
    RuntimeError
        If the integration of the factors fails.
    """
    factors = initial_factors(model, problem.N)
    other = factor_flow(problem, factors, signed=model.signed, times=path.times)
    require(other)
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

    Raises
    ------
    RuntimeError
        If a projection is not found.
    """
    worst = 0.0
    for k in rows:
        x = path.x[k]
        projection = flow_limit(Problem(problem.A, problem.dense() @ x), model)
        require(projection)
        worst = max(worst, float(np.linalg.norm(projection.x - x) / np.linalg.norm(x)))
    return worst


def tied_deviation(problem: Problem, model: DeepFactorization, path) -> float:
    """Compare a trajectory with the one that runs L times as fast.

    That is the flow of one tied factor, x = u^L, with the same loss (S1).

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        The model, of finite depth L.
    path : FlowResult
        Its trajectory by `gradient_flow`.

    Returns
    -------
    float
        Largest ||x(t) - x(L t)|| over all times, relative to the last signal.

    Raises
    ------
    RuntimeError
        If the integration fails.
    """
    other = require(gradient_flow(problem, model, model.depth * path.times))
    return float(np.max(np.linalg.norm(path.x - other.x, axis=1)) / np.linalg.norm(path.x[-1]))


def euclidean_deviation(problem: Problem, path, rows) -> float:
    """Compare points x(t) of a trajectory with Euclidean projections of its start.

    Parameters
    ----------
    problem : Problem
        The problem.
    path : FlowResult
        A trajectory.
    rows : iterable of int
        Which times.

    Returns
    -------
    float
        Largest relative difference ||x(t) - argmin{||z - x(0)|| : A z = A x(t)}||/||x(t)||.
    """
    pinv, start = np.linalg.pinv(problem.dense()), path.x[0]
    nearest = [start + pinv @ (problem.dense() @ (path.x[k] - start)) for k in rows]
    return max(relative_error(z, path.x[k]) for k, z in zip(rows, nearest, strict=True))


def measure_trajectories(
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
        ``signed``, ``depth``, ``start``; ``distance`` to the limit at the last time; ``factors``,
        see `factor_deviation` (NaN where the depth is no integer >= 2); ``projection``, see
        `projection_deviation`, at five times; ``bound``, the smallest
        (Q - lower bound)/Q over all times. What rivals would have: ``to_minimiser``, the relative
        distance from the last x(t) to basis pursuit's solution; ``tied``, see `tied_deviation`;
        ``euclidean``, see `euclidean_deviation`; ``norm``, the smallest (||x(t)||_1 - Q)/Q.
    """
    rows = []
    streams = iter(np.random.SeedSequence(seed).spawn(2 * trials))
    places = np.linspace(n_times // 4, n_times, 5).astype(int)
    for signed in (True, False):
        for _ in range(trials):
            problem = draw_problem(M, N, s, signed, np.random.default_rng(next(streams)))
            best = basis_pursuit(problem, signed=signed)
            Q = best.lower_bound
            for depth in depths:
                model = model_of_depth(depth, start, signed)
                run = approach_limit(problem, model, n_times)
                integer = 2 <= depth < np.inf and depth == int(depth)
                rows.append(
                    {
                        "signed": signed,
                        "depth": float(depth),
                        "start": float(start),
                        "distance": run["distance"][-1],
                        "factors": (
                            factor_deviation(problem, model, run["path"]) if integer else np.nan
                        ),
                        "projection": projection_deviation(problem, model, run["path"], places),
                        "bound": np.min(Q - run["lower_bound"]) / Q,
                        "to_minimiser": relative_error(run["path"].x[-1], best.x),
                        "tied": tied_deviation(problem, model, run["path"]) if integer else np.nan,
                        "euclidean": euclidean_deviation(problem, run["path"], places),
                        "norm": np.min(np.abs(run["path"].x).sum(axis=1) - Q) / Q,
                    }
                )
    return from_rows(rows)


def measure_barrier(
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
    dict of str to ndarray of shape (2 * trials * K,)
        ``signed``, ``instance``, ``mu``; ``products``, the number N' of products; ``deviation`` of
        the two paths relative to ||x_inf||; ``identity``, the deviation of sum of all products -
        <y, mu nu> from N' mu, over N' mu; ``gap``, the certified gap over N' mu; ``above`` =
        (||x_inf||_1 - Q)/Q and ``below`` = (Q - lower bound)/Q with Q of basis pursuit.

    Raises
    ------
    RuntimeError
        If a limit is not found.
    """
    rows = []
    streams = iter(np.random.SeedSequence(seed).spawn(2 * trials))
    for trial in range(2 * trials):
        signed = trial < trials
        problem = draw_problem(M, N, s, signed, np.random.default_rng(next(streams)))
        best = basis_pursuit(problem, signed=signed)
        reference = barrier_path(problem, mus, signed)
        beside = barrier_path(problem, 1.02 * np.asarray(mus), signed)
        products = N * (1 + signed)
        for point, other, mu in zip(reference, beside, mus, strict=True):
            model = DeepFactorization(np.inf, mu, signed=signed)
            limit = flow_limit(problem, model)
            require(limit)
            logs = [log for log in model.log_products_of(limit.x) if log is not None]
            barrier_gap = products * mu
            duality = np.sum(np.exp(logs)) - problem.y @ (mu * limit.dual)
            error = np.linalg.norm(point - limit.x) / np.linalg.norm(limit.x)
            rows.append(
                {
                    "signed": signed,
                    "instance": trial,
                    "mu": float(mu),
                    "products": products,
                    "deviation": error,
                    "beside": relative_error(other, limit.x),
                    "coordinates": abs(duality - N * mu) / (N * mu),
                    "identity": abs(duality - barrier_gap) / barrier_gap,
                    "gap": limit.gap / barrier_gap,
                    "above": (limit.l1_norm - best.value) / best.value,
                    "below": (best.lower_bound - limit.lower_bound) / best.value,
                }
            )
    return from_rows(rows)


def describe(trajectories: dict[str, np.ndarray]) -> str:
    """Write the largest differences at each depth as lines of text.

    Parameters
    ----------
    trajectories : dict
        Of `measure_trajectories`.

    Returns
    -------
    str
        A header and a line for each depth.
    """
    lines = ["depth  x(t_end) - x_inf   against factors   x(t) as projection"]
    for depth, own in groups(trajectories, "depth"):
        factors = own["factors"].max()
        lines.append(
            f"{depth:5g}  {own['distance'].max():16.0e}  "
            + (f"{factors:16.0e}" if np.isfinite(factors) else f"{'-':>16}")
            + f"  {own['projection'].max():18.0e}"
        )
    return "\n".join(lines)


def checks(
    trajectories: dict[str, np.ndarray], path: dict[str, np.ndarray], tolerance: float = 1e-6
) -> list[Claim]:
    """Return what trajectories and log-barrier path say about the dual picture.

    Parameters
    ----------
    trajectories : dict
        Of `measure_trajectories`.
    path : dict
        Of `measure_barrier`.
    tolerance : float, optional
        Relative difference up to which two computations of one thing agree (default: 1e-6).

    Returns
    -------
    list of Claim
        Two of D1, one of D2, two of D3 and three of D4, each with its rival.
    """
    allowed = f"{tolerance:.0e}".replace("e-0", "e-")
    factors = trajectories["factors"]
    deep = trajectories["depth"] > 1
    signed = path["signed"]
    return [
        Claim(
            "D1",
            "x(t) of the dual flow tends to the limit computed without time; "
            f"margin: {allowed} minus ||x(t_end) - x_inf||/||x_inf||",
            tolerance - trajectories["distance"],
            "it tends to basis pursuit's solution itself",
            tolerance - trajectories["to_minimiser"],
        ),
        Claim(
            "D2",
            "the dual flow in M variables and the flow of all factors give the same x(t); "
            f"margin: {allowed} minus the largest difference relative to ||x_inf||",
            tolerance - factors[np.isfinite(factors)],
            "one tied factor, x = u^L, gives it too: L times as fast",
            tolerance - trajectories["tied"][np.isfinite(factors)],
        ),
        Claim(
            "D1",
            "x(t) is the Bregman projection of x(0) to {A z = A x(t)}, at five times each; "
            f"margin: {allowed} minus the relative difference",
            tolerance - trajectories["projection"],
            "the Euclidean projection, for depth above 1 too",
            tolerance - trajectories["euclidean"][deep],
        ),
        Claim(
            "D3",
            "<y, nu(t)>/||A^T nu(t)||_inf <= Q at every time; "
            "margin: smallest difference relative to Q",
            trajectories["bound"],
            "||x(t)||_1 >= Q at every time: x need not be feasible",
            trajectories["norm"],
        ),
        Claim(
            "D3",
            "limit at infinite depth: lower_bound <= Q <= ||x_inf||_1; "
            "margin: smaller of the two differences relative to Q",
            np.minimum(path["above"], path["below"]),
            f"||x_inf||_1 = Q at every mu, to {allowed}",
            tolerance - path["above"],
        ),
        Claim(
            "D4",
            "the limit at infinite depth is on the log-barrier central path of basis pursuit's "
            f"dual, at mu; margin: {allowed} minus the difference to a barrier method relative to "
            "||x_inf||",
            tolerance - path["deviation"],
            "it is the path's point at 1.02 mu",
            tolerance - path["beside"],
        ),
        Claim(
            "D4",
            "on that path the sum of all products exceeds <y, eta> by N' mu; "
            f"margin: {allowed} minus the deviation relative to N' mu",
            tolerance - path["identity"],
            "by N mu in the signed model too",
            tolerance - path["coordinates"][signed],
        ),
        Claim(
            "D4",
            "at infinite depth the certified gap is at most N' mu; margin: 1 minus their ratio",
            1 - path["gap"],
            "it is at most N' mu / 2",
            0.5 - path["gap"],
        ),
    ]
