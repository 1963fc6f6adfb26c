"""The flow from its start to rest, next to the limit that needs no time."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.dynamics.near_limit import slowest_rate
from deepfact.limit import flow_limit
from deepfact.problem import Problem
from deepfact.statuses import require

__all__ = ["approach_limit", "dual_bounds", "slowest_rate", "time_grid"]


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

    Raises
    ------
    RuntimeError
        If the limit is not found, or the integration fails.
    """
    limit = flow_limit(problem, model)
    path = gradient_flow(problem, model, time_grid(problem, model, limit.x, n_times))
    require(limit)
    require(path)
    distance = np.linalg.norm(path.x - limit.x, axis=1) / np.linalg.norm(limit.x)
    lower_bound = dual_bounds(problem, path.dual, model.signed or model.depth == 1)
    return {"limit": limit, "path": path, "distance": distance, "lower_bound": lower_bound}
