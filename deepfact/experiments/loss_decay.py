"""The loss along flows without a feasible nonnegative point, against its bound of S9."""

from __future__ import annotations

import numpy as np

from deepfact.deep_factorization import DeepFactorization
from deepfact.divergence import bregman_divergence
from deepfact.dynamics.gradient_flow import gradient_flow
from deepfact.experiments.inconsistent import KINDS, inconsistent_problem, minimiser_set
from deepfact.experiments.tables import groups, join
from deepfact.limit import LimitResult, flow_limit
from deepfact.problem import Problem

ROUNDING = 1e-13
"""An excess of the loss below this multiple of the first one is rounding."""


def quiet_limit(problem: Problem, model: DeepFactorization) -> LimitResult:
    """Return `flow_limit` where the dual variable grows without bound.

    Parameters
    ----------
    problem : Problem
        The problem.
    model : DeepFactorization
        Depth and init scale.

    Returns
    -------
    LimitResult
        The limit.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return flow_limit(problem, model)


def measure_decays(
    M: int,
    N: int,
    depths: list[float],
    log10_scale: float,
    problems: int,
    seed: int,
    points: int = 120,
) -> dict[str, np.ndarray]:
    """Integrate the flow on inconsistent problems.

    Parameters
    ----------
    M, N : int
        Measurements and unknowns.
    depths : list of float
        Numbers L of factors, finite.
    log10_scale : float
        Init scale as log10 of a/norm(z, 1), z from `nonnegative_least_squares`.
    problems : int
        Problems of each ensemble.
    seed : int
        Seed; each problem has its own stream.
    points : int, optional
        Number of log-spaced times (default: 120).

    Returns
    -------
    dict of str to ndarray
        A row for each problem, depth and time: ``kind``, ``problem``, ``depth``, ``scale`` =
        a/norm(z, 1); ``time``; ``excess_loss`` = l(x(t)) - l*, as
        1/2 norm(A(x - z))^2 + <grad l(z), x - z>, in which nothing cancels (NaN if the integration
        failed), and ``first``, that at time 0; ``bound`` = D(x_inf, x_0)/t; ``distance`` =
        norm(x(t) - x_inf, inf); x(t) as ``x_0`` to ``x_{N-1}`` and z as ``nearest_0`` to
        ``nearest_{N-1}``.
    """
    streams = np.random.SeedSequence([seed, 1]).spawn(problems)
    parts = []
    for kind in KINDS:
        for i, stream in enumerate(streams):
            problem, nearest = inconsistent_problem(kind, M, N, stream)
            for depth in depths:
                decay = _decay(problem, nearest, depth, log10_scale, points)
                about = {"kind": kind, "problem": i, "depth": float(depth)}
                about["scale"] = 10.0**log10_scale
                columns = {name: np.full(points, value) for name, value in about.items()}
                parts.append({**columns, **decay})
    return join(*parts)


def _decay(problem, nearest, depth, log10_scale, points):
    """Return the columns of one flow."""
    A, N = problem.dense(), problem.N
    log_alpha = (np.log(nearest.sum()) + log10_scale * np.log(10)) / depth
    model = DeepFactorization(depth, log_alpha=log_alpha, signed=False)
    limit = quiet_limit(problem, model)
    start = model.signal(np.zeros(N))
    unit = 1 / np.max(np.exp(model.log_rate) * np.abs(A.T @ (A @ start - problem.y)))
    times = unit * np.geomspace(0.1, 1e5, points)
    path = gradient_flow(problem, model, times=times)
    slope = A.T @ (A @ nearest - problem.y)
    slope[minimiser_set(problem, nearest)] = 0.0

    def excess(x):
        return 0.5 * np.sum(((x - nearest) @ A.T) ** 2, axis=-1) + (x - nearest) @ slope

    sound = path.status != "failed" and limit.status == "infeasible"
    return {
        "time": times,
        "excess_loss": excess(path.x) if sound else np.full(points, np.nan),
        "bound": bregman_divergence(model, limit.x, start) / times,
        "first": np.full(points, float(excess(start))),
        "distance": np.max(np.abs(path.x - limit.x), axis=1),
        **{f"x_{i}": path.x[:, i] for i in range(N)},
        **{f"nearest_{i}": np.full(points, nearest[i]) for i in range(N)},
    }


def decay_margins(
    decays: dict[str, np.ndarray], factor: float = 1.0
) -> list[tuple[str, float, dict[str, np.ndarray], float]]:
    """Return how far the excess of the loss stays below a multiple of its bound.

    Parameters
    ----------
    decays : dict of str to ndarray
        From `measure_decays`.
    factor : float, optional
        Of the bound (default: 1).

    Returns
    -------
    list of tuple
        For each flow its ensemble, its depth, its rows and the least (bound - excess)/bound, less
        what rounding could hide.
    """
    # What rounding could hide is added.
    excess = decays["excess_loss"] + ROUNDING * decays["first"]
    rows = groups(
        {**decays, "margin": 1 - excess / (factor * decays["bound"])}, "kind", "problem", "depth"
    )
    return [(kind, depth, here, np.min(here["margin"])) for kind, _, depth, here in rows]


def describe_decays(decays: dict[str, np.ndarray]) -> str:
    """Write how far the loss stays below its bound, and how near the flow comes to its limit.

    Parameters
    ----------
    decays : dict of str to ndarray
        From `measure_decays`.

    Returns
    -------
    str
        A line for each flow.
    """
    lines = [" ensemble            depth   smallest (bound - excess)/bound   |x(T) - x_inf|"]
    for kind, depth, rows, margin in decay_margins(decays):
        lines.append(f" {kind:18s} {depth:5g} {margin:22.3f} {rows['distance'][-1]:26.0e}")
    return "\n".join(lines)
